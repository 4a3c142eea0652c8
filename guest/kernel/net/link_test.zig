//! ARP, IPv4, ICMP and UDP against a peer whose packets are written by hand.
const std = @import("std");
const limits = @import("../limits.zig");
const arp = @import("arp.zig");
const checksum = @import("checksum.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const scripted = @import("scripted_peer.zig");
const stack_file = @import("stack.zig");
const Network = @import("simulated_network.zig").Network;
const Peer = scripted.Peer;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const other_mac: ethernet.Mac = .{ 2, 0, 0, 0, 0, 0x66 };

fn expectArp(peer: *Peer, operation: arp.Operation, destination: ethernet.Mac) !arp.Packet {
    const frame = peer.nextFrame() orelse return error.Silent;
    const header, const payload = ethernet.parse(frame).?;
    try expectEqual(ethernet.Kind.arp, header.kind);
    try expectEqual(destination, header.destination);
    const packet = arp.parse(payload).?;
    try expectEqual(operation, packet.operation);
    return packet;
}

fn expectPacket(peer: *Peer) !ipv4.Packet {
    const frame = peer.nextFrame() orelse return error.Silent;
    _, const payload = ethernet.parse(frame).?;
    return ipv4.parse(payload).packet;
}

fn reply(peer: *Peer, mac: ethernet.Mac, sender: ipv4.Address) void {
    peer.sendArp(.{ .operation = .reply, .sender_mac = mac, .sender = sender, .target_mac = scripted.own_mac, .target = scripted.own }, scripted.own_mac);
}

fn stationOf(peer: *Peer, address: ipv4.Address) ?ethernet.Mac {
    const entry = peer.stack.neighbours.get(address) orelse return null;
    return if (entry.state == .incomplete) null else entry.mac;
}

test "who asks for our address is answered, who asks for another is not" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    var request: arp.Packet = .{ .operation = .request, .sender_mac = scripted.peer_mac, .sender = scripted.peer, .target_mac = @splat(0), .target = scripted.own };
    peer.sendArp(request, ethernet.broadcast);
    const answer = try expectArp(peer, .reply, scripted.peer_mac);
    try expectEqual(scripted.own_mac, answer.sender_mac);
    try expectEqual(scripted.own, answer.sender);
    request.target = 0x0a00_0077;
    peer.sendArp(request, ethernet.broadcast);
    try expectEqual(null, peer.nextFrame());
}

test "a station is taken from the answer to a question alone" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    // Nobody asked.
    reply(peer, other_mac, 0x0a00_0050);
    try expectEqual(null, stationOf(peer, 0x0a00_0050));
    // Not for the one that is known.
    reply(peer, other_mac, scripted.peer);
    try expectEqual(scripted.peer_mac, stationOf(peer, scripted.peer).?);
    // But it makes us ask that one, which answers and stays.
    _ = try expectArp(peer, .request, scripted.peer_mac);
    reply(peer, other_mac, scripted.peer);
    try expectEqual(scripted.peer_mac, stationOf(peer, scripted.peer).?);
    reply(peer, scripted.peer_mac, scripted.peer);
    try expectEqual(.reachable, peer.stack.neighbours.get(scripted.peer).?.state);
    // A request in its name does no more.
    peer.sendArp(.{ .operation = .request, .sender_mac = other_mac, .sender = scripted.peer, .target_mac = @splat(0), .target = scripted.own }, ethernet.broadcast);
    try expectEqual(scripted.peer_mac, stationOf(peer, scripted.peer).?);
    peer.drain();
    // One that moved and is silent where it was is found by asking all.
    for (0..3) |_| peer.wait(limits.arp_retry_ns);
    peer.drain();
    reply(peer, other_mac, scripted.peer);
    try expectEqual(other_mac, stationOf(peer, scripted.peer).?);
    // Somebody else with our address is counted and changes nothing.
    reply(peer, other_mac, scripted.own);
    try expectEqual(1, peer.stack.counters.address_conflicts);
}

test "asking is bounded, and so is what is known" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const socket = try peer.stack.openDatagrams(0, 9);
    for (0..200) |index| {
        try socket.send(&peer.stack, .{ .address = 0x0a00_0010 + @as(u32, @intCast(index)), .port = 9 }, "x");
        for (0..limits.arp_tries_max + 1) |_| {
            peer.drain();
            peer.wait(limits.arp_retry_ns);
        }
    }
    try expectEqual(0, socket.sending.bytes);
    for (0..200) |index| peer.sendArp(.{
        .operation = .request,
        .sender_mac = other_mac,
        .sender = 0x0a00_0010 + @as(u32, @intCast(index)),
        .target_mac = @splat(0),
        .target = scripted.own,
    }, ethernet.broadcast);
    peer.drain();
    // Those who ask fill places that are free and drive nobody out.
    try expectEqual(scripted.peer_mac, stationOf(peer, scripted.peer).?);
    socket.close(&peer.stack);
    try peer.expectEmpty();
}

test "an echo is answered with what it carried; not one sent to all, nor a broken one" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    var message: [64]u8 = undefined;
    for (&message, 0..) |*byte, index| byte.* = @truncate(index);
    message[0..8].* = .{ 8, 0, 0, 0, 0x12, 0x34, 0, 1 };
    std.mem.writeInt(u16, message[2..4], checksum.finish(checksum.add(0, &message)), .big);
    peer.sendIp(.icmp, scripted.own, &message);
    const answer = try expectPacket(peer);
    try expectEqual(scripted.peer, answer.destination);
    try expectEqual(0, answer.payload[0]);
    try expect(checksum.valid(checksum.add(0, answer.payload)));
    try std.testing.expectEqualSlices(u8, message[4..], answer.payload[4..]);
    peer.sendIp(.icmp, 0x0a00_00ff, &message);
    message[20] ^= 1;
    peer.sendIp(.icmp, scripted.own, &message);
    try expectEqual(null, peer.nextFrame());
    try peer.expectEmpty();
}

test "what cannot be for us, or from anybody, is dropped" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const socket = try peer.stack.openDatagrams(0, 7);
    peer.sendUdp(5, 0x0a00_0055, 7, "to another");
    for ([_]u32{ 0x7f00_0001, 0xe000_0001, 0xffff_ffff, 0, scripted.own, 0x0a00_00ff }) |source| {
        peer.address = source;
        peer.sendUdp(5, scripted.own, 7, "forged");
    }
    peer.address = scripted.peer;
    try expectEqual(null, socket.receive());
    try expectEqual(null, peer.nextFrame());
    peer.sendUdp(5, 0x0a00_00ff, 7, "to all");
    const got = socket.receive().?;
    try std.testing.expectEqualStrings("to all", got.pieces[0]);
    socket.consume(&peer.stack);
    socket.close(&peer.stack);
    try peer.expectEmpty();
}

test "a datagram to no port is told, not too often; one to a port arrives whole, in order, until the queue is full" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    for (0..300) |_| {
        peer.sendUdp(4000, scripted.own, 99, "anybody?");
        if (peer.nextFrame()) |frame| {
            _, const payload = ethernet.parse(frame).?;
            const answer = ipv4.parse(payload).packet;
            try expectEqual(3, answer.payload[0]);
            try expectEqual(3, answer.payload[1]);
            try expect(checksum.valid(checksum.add(0, answer.payload)));
            // It quotes the ports.
            try expectEqual(99, std.mem.readInt(u16, answer.payload[8 + 20 + 2 ..][0..2], .big));
        }
    }
    try expectEqual(limits.net_errors_per_second_max, peer.stack.errors_sent);

    const socket = try peer.stack.openDatagrams(0, 99);
    try std.testing.expectError(error.AddressInUse, peer.stack.openDatagrams(0, 99));
    var bytes: [1472]u8 = undefined;
    for (0..200) |index| {
        @memset(&bytes, @truncate(index));
        peer.sendUdp(4000, scripted.own, 99, bytes[0 .. 1200 + index]);
    }
    try expect(socket.dropped > 0 and socket.received.bytes <= limits.udp_queue_bytes_max);
    var count: usize = 0;
    while (socket.receive()) |got| : (count += 1) {
        try expectEqual(1200 + count, got.pieces[0].len + got.pieces[1].len);
        for (got.pieces) |piece| for (piece) |byte| try expectEqual(@as(u8, @truncate(count)), byte);
        try expectEqual(4000, got.from.port);
        socket.consume(&peer.stack);
    }
    try expectEqual(200, count + socket.dropped);
    try expectEqual(0, peer.given.pages_given - 1);

    try std.testing.expectError(error.TooLong, socket.send(&peer.stack, .{ .address = scripted.peer, .port = 5 }, &@as([1473]u8, @splat(0))));
    try socket.send(&peer.stack, .{ .address = scripted.peer, .port = 5 }, &bytes);
    const sent = try expectPacket(peer);
    try expectEqual(8 + 1472, sent.payload.len);
    const sum = checksum.pseudo(sent.source, sent.destination, 17, @intCast(sent.payload.len));
    try expect(checksum.valid(checksum.add(sum, sent.payload)));
    socket.close(&peer.stack);
    try peer.expectEmpty();
}

test "a socket with a peer hears that one alone, and that it is not there" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const socket = try peer.stack.openDatagrams(0, 0);
    socket.remote = .{ .address = scripted.peer, .port = 53 };
    peer.sendUdp(54, scripted.own, socket.port, "not me");
    peer.sendUdp(53, scripted.own, socket.port, "me");
    try std.testing.expectEqualStrings("me", socket.receive().?.pieces[0]);
    socket.consume(&peer.stack);
    peer.drain();
    try socket.send(&peer.stack, null, "question");
    var quoted: [8 + 28]u8 = undefined;
    quoted[0..8].* = .{ 3, 3, 0, 0, 0, 0, 0, 0 };
    @memcpy(quoted[8..], (try expectPacket(peer)).whole[0..28]);
    std.mem.writeInt(u16, quoted[2..4], checksum.finish(checksum.add(0, &quoted)), .big);
    peer.sendIp(.icmp, scripted.own, &quoted);
    try expect(socket.readiness().failed);
    try expectEqual(.refused, socket.takeFailure(&peer.stack));
    try expectEqual(.none, socket.takeFailure(&peer.stack));
    socket.close(&peer.stack);
    try peer.expectEmpty();
}

fn sendTooBig(peer: *Peer, packet: []const u8, mtu: u16) void {
    var message: [8 + 28]u8 = undefined;
    message[0..8].* = .{ 3, 4, 0, 0, 0, 0, 0, 0 };
    std.mem.writeInt(u16, message[6..8], mtu, .big);
    @memcpy(message[8..], packet[0..28]);
    std.mem.writeInt(u16, message[2..4], checksum.finish(checksum.add(0, &message)), .big);
    peer.sendIp(.icmp, scripted.own, &message);
}

test "a path that takes less gets smaller segments; who did not see what we sent cannot say so" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = .{ .segment_bytes_max = 1460 };
    const connection = try peer.open(listener);
    peer.drain();
    _ = try connection.write(&peer.stack, &@as([4000]u8, @splat(1)));
    var frame: [1514]u8 = undefined;
    @memcpy(&frame, peer.nextFrame().?);
    peer.drain();
    var forged = frame;
    std.mem.writeInt(u32, forged[38..42], peer.acknowledgement +% 0x1000_0000, .big);
    sendTooBig(peer, forged[14..], 900);
    try peer.expectSilence();
    sendTooBig(peer, frame[14..], 900);
    const again = peer.sent().?;
    try expectEqual(peer.acknowledgement, again.header.sequence);
    try expectEqual(860, again.payload_bytes);
    sendTooBig(peer, frame[14..], 68);
    try expectEqual(limits.tcp_segment_bytes_default, connection.segment_bytes_max);
    // Unreachable is no reason for one that is established to end.
    var message: [8 + 28]u8 = undefined;
    message[0..8].* = .{ 3, 1, 0, 0, 0, 0, 0, 0 };
    @memcpy(message[8..], frame[14..42]);
    std.mem.writeInt(u16, message[2..4], checksum.finish(checksum.add(0, &message)), .big);
    peer.sendIp(.icmp, scripted.own, &message);
    try expectEqual(.established, connection.state);
    connection.abort(&peer.stack);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    peer.drain();
    try peer.expectEmpty();
}

test "what is sent again in smaller pieces is not taken for late" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = .{ .segment_bytes_max = 1460, .scale = 7, .selective_permitted = true, .timestamp = .{ .value = 5000, .echo = 0 } };
    const connection = try peer.open(listener);
    peer.drain();
    const sent_at = peer.stampNow(connection);
    _ = try connection.write(&peer.stack, &@as([10 * 1448]u8, @splat(1)));
    var frame: [1514]u8 = undefined;
    @memcpy(&frame, peer.nextFrame().?);
    peer.drain();
    peer.wait(20 * scripted.millisecond_ns);
    var header = peer.headerOf(.{ .ack = true });
    header.options.blocks[0] = .{ .start = peer.acknowledgement +% 1448, .end = peer.acknowledgement +% 10 * 1448 };
    header.options.blocks_count = 1;
    peer.raw(header, &.{});
    const reduced = connection.slow_start_threshold;
    sendTooBig(peer, frame[14..], 900);
    peer.drain();
    header = peer.headerOf(.{ .ack = true });
    header.acknowledgement +%= 10 * 1448;
    header.options.timestamp.?.echo = sent_at;
    peer.raw(header, &.{});
    try expectEqual(.open, connection.mode);
    try expectEqual(reduced, connection.slow_start_threshold);
    connection.abort(&peer.stack);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    peer.drain();
    try peer.expectEmpty();
}

test "the device completes a checksum that was begun" {
    const given: *@import("test_memory.zig").TestMemory = try std.testing.allocator.create(@import("test_memory.zig").TestMemory);
    defer std.testing.allocator.destroy(given);
    given.* = .{ .pages_max = 64 };
    defer given.deinit();
    const stack = try std.testing.allocator.create(stack_file.Stack);
    defer std.testing.allocator.destroy(stack);
    stack.init(.{
        .mac = scripted.own_mac,
        .addressing = .{ .fixed = .{ .address = scripted.own, .prefix = 24, .gateway = 0 } },
        .seed = @splat(1),
        .checksum_offload = true,
    }, given.memory(), 0);
    const socket = try stack.openDatagrams(0, 9);
    try socket.send(stack, .{ .address = 0x0a00_00ff, .port = 9 }, "to all of you");
    var out: [ethernet.frame_bytes_max]u8 = undefined;
    _ = stack.transmit(0, &out).?;
    const frame = stack.transmit(0, &out).?;
    const completion = frame.completion.?;
    const rest = out[completion.start..frame.length];
    std.mem.writeInt(u16, rest[completion.offset..][0..2], checksum.finish(checksum.add(0, rest)), .big);
    const packet = ipv4.parse(out[ethernet.header_bytes..frame.length]).packet;
    try expect(checksum.valid(checksum.add(checksum.pseudo(packet.source, packet.destination, 17, @intCast(packet.payload.len)), packet.payload)));
    socket.close(stack);
    try expectEqual(0, given.pages_given);
}

test "what a socket is bound to is where it sends from, or there is no way" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const stack = &peer.stack;
    const loopback: ipv4.Address = 0x7f00_0001;
    const outside: ipv4.Endpoint = .{ .address = scripted.peer, .port = 80 };
    const inside: ipv4.Endpoint = .{ .address = loopback, .port = 80 };
    for ([_]ipv4.Address{ loopback, 0x0a00_0077 }) |bound| {
        try std.testing.expectError(error.Unreachable, stack.connectFrom(.{ .address = bound, .port = 0 }, outside, peer.now_ns));
        const datagrams = try stack.openDatagrams(bound, 99);
        try std.testing.expectError(error.Unreachable, datagrams.send(stack, outside, "x"));
        datagrams.close(stack);
    }
    const listener = try stack.listen(0, 80, 4);
    const connection = try stack.connectFrom(.{ .address = scripted.own, .port = 0 }, inside, peer.now_ns);
    peer.drain();
    const accepted = listener.accept(stack).?;
    try expectEqual(scripted.own, accepted.remote().address);
    const from = try stack.openDatagrams(scripted.own, 99);
    const to = try stack.openDatagrams(0, 98);
    try from.send(stack, .{ .address = loopback, .port = 98 }, "x");
    peer.drain();
    try expectEqual(scripted.own, to.receive().?.from.address);
    to.consume(stack);
    from.close(stack);
    to.close(stack);
    connection.abort(stack);
    connection.close(stack, peer.now_ns);
    peer.drain();
    accepted.close(stack, peer.now_ns);
    listener.close(stack);
    try peer.expectEmpty();
}

test "a link-local neighbour is asked for itself, never the gateway, and answered" {
    const neighbour: ipv4.Address = 0xa9fe_0709;
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const datagrams = try peer.stack.openDatagrams(0, 9);
    try datagrams.send(&peer.stack, .{ .address = neighbour, .port = 9 }, "x");
    const question = try expectArp(peer, .request, ethernet.broadcast);
    try expectEqual(neighbour, question.target);
    reply(peer, other_mac, neighbour);
    const frame = peer.nextFrame() orelse return error.Silent;
    try expectEqual(other_mac, ethernet.parse(frame).?[0].destination);
    try expectEqual(null, peer.stack.neighbours.get(peer.stack.gateway));
    datagrams.close(&peer.stack);
    try peer.expectEmpty();
    // Nor is it on the link of a guest without an address.
    const unaddressed = try Peer.create(.{ .addressing = .dhcp });
    defer unaddressed.destroy();
    try expect(!unaddressed.stack.routable(neighbour));
}

test "a link-local host and a guest of another network talk both ways without a gateway" {
    const host: ipv4.Address = 0xa9fe_0709;
    const guest: ipv4.Address = 0x0a00_0001;
    for ([_]ipv4.Address{ 0, 0x0a00_00fe }) |gateway| {
        const network = try Network.create(13, .{}, .{
            .addressing = .{
                .{ .fixed = .{ .address = guest, .prefix = 24, .gateway = gateway } },
                // It reaches everything on the link, as by a route of its own.
                .{ .fixed = .{ .address = host, .prefix = 0, .gateway = 0 } },
            },
        });
        defer network.destroy();
        const nodes = [2]*stack_file.Stack{ &network.nodes[0], &network.nodes[1] };
        for ([_]ipv4.Address{ guest, host }, 0..) |address, to| {
            const listener = try nodes[to].listen(0, 80, 4);
            const connection = try nodes[1 - to].connect(.{ .address = address, .port = 80 }, 0, network.now_ns);
            network.run(scripted.second_ns);
            const accepted = listener.accept(nodes[to]) orelse return error.NotAccepted;
            try expectEqual(([_]ipv4.Address{ host, guest })[to], accepted.remote().address);
            try expectEqual(5, try connection.write(nodes[1 - to], "hello"));
            network.run(scripted.second_ns);
            var got: [16]u8 = undefined;
            try std.testing.expectEqualStrings("hello", got[0..(try accepted.read(nodes[to], &got)).?]);
            connection.abort(nodes[1 - to]);
            connection.close(nodes[1 - to], network.now_ns);
            network.run(scripted.second_ns);
            accepted.close(nodes[to], network.now_ns);
            listener.close(nodes[to]);
        }
        network.run(scripted.second_ns);
        try network.expectEmpty();
    }
}
