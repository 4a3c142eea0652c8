//! Two stacks that work with each other while what is on the link between them is mutated: cut anywhere, each byte of its headers with each value, bytes at random,
//! with its checksums made right again more often than not. Nothing may panic, and when all is closed nothing may be left.
const std = @import("std");
const checksum = @import("checksum.zig");
const arp = @import("arp.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const scripted = @import("scripted_peer.zig");
const simulated = @import("simulated_network.zig");
const stack_file = @import("stack.zig");
const udp = @import("udp.zig");
const Network = simulated.Network;
const Peer = scripted.Peer;
const Connection = stack_file.Connection;

const second_ns: u64 = 1_000_000_000;
const connections_max = 24;

/// What may differ by its value: addresses, ports, numbers, flags and options all lie before this.
const header_bytes_max = 90;

const Fuzzer = struct {
    network: *Network,
    random: std.Random.DefaultPrng,
    listener: *stack_file.Listener,
    datagrams: [2]*stack_file.Datagrams,
    open: [2][connections_max]?*Connection = @splat(@splat(null)),
    mutated: u64 = 0,
    /// Few, and connections live long; many, and most end early.
    per_frame: usize,
    /// Connections that are used, and whether they are read.
    connections: usize,
    reads: bool,
    /// Goes through every header byte and every value of it, and every length, of whatever frame is at hand.
    sweep: u64 = 0,

    fn below(fuzzer: *Fuzzer, bound: usize) usize {
        return fuzzer.random.random().uintLessThan(usize, bound);
    }

    fn chance(fuzzer: *Fuzzer, percent: usize) bool {
        return fuzzer.below(100) < percent;
    }

    fn tap(network: *Network, from: u1, frame: []const u8) bool {
        const fuzzer: *Fuzzer = @ptrCast(@alignCast(network.context.?));
        if (isRequest(frame)) fuzzer.serve(from);
        var copy: [ethernet.frame_bytes_max]u8 = undefined;
        for (0..fuzzer.per_frame) |_| {
            @memcpy(copy[0..frame.len], frame);
            const length = fuzzer.mutate(copy[0..frame.len]);
            fuzzer.mutated += 1;
            network.put(from, copy[0..length]);
        }
        // Now and then the true one is lost, so that recovery is fuzzed too.
        return !fuzzer.chance(3);
    }

    /// Answers a DHCP client as a server does, and often as none does.
    fn serve(fuzzer: *Fuzzer, client: u1) void {
        const network = fuzzer.network;
        var frame: [ethernet.frame_bytes_max]u8 = undefined;
        const state = network.nodes[client].dhcp.state;
        for (0..fuzzer.per_frame) |_| {
            const message: u8 = if (fuzzer.chance(10)) 6 else if (state == .selecting) 2 else 5;
            const bytes = writeAnswer(&frame, network.nodes[client].dhcp.transaction, message, simulated.addresses[client], simulated.macs[client], @intCast(fuzzer.below(100)));
            if (fuzzer.chance(80)) for (0..1 + fuzzer.below(3)) |_| {
                const at = if (fuzzer.chance(50)) fuzzer.below(header_bytes_max) else fuzzer.below(bytes);
                frame[at] = fuzzer.random.random().int(u8);
            };
            const length = if (fuzzer.chance(10)) fuzzer.below(bytes) else bytes;
            if (fuzzer.chance(85)) repair(frame[0..length]);
            fuzzer.mutated += 1;
            network.put(~client, frame[0..length]);
        }
    }

    fn mutate(fuzzer: *Fuzzer, bytes: []u8) usize {
        var length = bytes.len;
        const header = @min(bytes.len, header_bytes_max);
        fuzzer.sweep += 1;
        switch (fuzzer.below(8)) {
            0 => length = fuzzer.sweep % bytes.len,
            1, 2 => bytes[fuzzer.sweep / 256 % header] = @truncate(fuzzer.sweep),
            // What changes the state most: numbers, flags, window.
            3, 4 => if (bytes.len >= 54) {
                bytes[38 + fuzzer.below(12)] ^= @truncate(@as(u64, 1) << @intCast(fuzzer.below(8)));
                // Rarely a SYN or a reset, after which little can happen.
                if (fuzzer.chance(50)) bytes[47] = fuzzer.random.random().int(u8) & if (fuzzer.chance(95)) ~@as(u8, 6) else 0xff;
                if (fuzzer.chance(30)) std.mem.writeInt(u16, bytes[48..50], fuzzer.random.random().int(u16), .big);
            },
            5 => for (0..1 + fuzzer.below(8)) |_| {
                bytes[fuzzer.below(header)] = fuzzer.random.random().int(u8);
            },
            6 => if (bytes.len > 54) fuzzer.random.random().bytes(bytes[54..header]),
            // The numbers of another time: about the edges of the window.
            else => if (bytes.len >= 54) {
                const at: usize = if (fuzzer.chance(50)) 38 else 42;
                const value = std.mem.readInt(u32, bytes[at..][0..4], .big);
                const distance = @as(u32, 1) << @intCast(fuzzer.below(32));
                std.mem.writeInt(u32, bytes[at..][0..4], if (fuzzer.chance(50)) value +% distance else value -% distance, .big);
            },
        }
        if (fuzzer.chance(85)) repair(bytes[0..length]);
        return length;
    }

    fn turn(fuzzer: *Fuzzer) void {
        const network = fuzzer.network;
        for (0..3) |_| fuzzer.act(@intCast(fuzzer.below(2)));
        while (fuzzer.listener.accept(&network.nodes[1])) |connection| {
            for (&fuzzer.open[1]) |*place| if (place.* == null) {
                place.* = connection;
                break;
            } else continue else connection.close(&network.nodes[1], network.now_ns);
        }
        for (&network.nodes) |*node| while (node.nextChanged()) |_| {};
    }

    fn act(fuzzer: *Fuzzer, side: u1) void {
        const network = fuzzer.network;
        const stack = &network.nodes[side];
        const place = &fuzzer.open[side][fuzzer.below(fuzzer.connections)];
        var bytes: [3000]u8 = undefined;
        const connection = place.* orelse {
            // Some of the server's to itself, which its own frames carry, never mutated, among all that is.
            const address = if (side == 0) simulated.addresses[1] else if (fuzzer.chance(10)) 0x7f00_0001 else if (fuzzer.chance(10)) stack.address else return;
            place.* = stack.connect(.{ .address = address, .port = 80 }, 0, network.now_ns) catch null;
            return;
        };
        switch (fuzzer.below(48)) {
            0 => connection.shutdown(stack),
            1 => connection.abort(stack),
            2, 3 => {
                connection.close(stack, network.now_ns);
                place.* = null;
            },
            4 => connection.setKeepAlive(stack, fuzzer.chance(50), second_ns, second_ns, network.now_ns),
            5 => connection.flags.no_delay = fuzzer.chance(50),
            6...24 => _ = connection.write(stack, bytes[0..fuzzer.below(bytes.len)]) catch {},
            25, 26 => {
                const payload = bytes[0..fuzzer.below(1400)];
                fuzzer.datagrams[side].send(stack, .{ .address = simulated.addresses[~side], .port = if (fuzzer.chance(90)) 99 else 98 }, payload) catch {};
                if (fuzzer.datagrams[side].receive()) |_| fuzzer.datagrams[side].consume(stack);
            },
            else => if (fuzzer.reads or fuzzer.chance(2)) {
                _ = connection.read(stack, &bytes) catch {};
            },
        }
    }

    fn close(fuzzer: *Fuzzer) void {
        const network = fuzzer.network;
        network.tap = null;
        fuzzer.listener.close(&network.nodes[1]);
        for (0..2) |side| {
            fuzzer.datagrams[side].close(&network.nodes[side]);
            for (&fuzzer.open[side]) |*place| if (place.*) |connection| {
                connection.close(&network.nodes[side], network.now_ns);
                place.* = null;
            };
        }
    }
};

const dhcp_at = ethernet.header_bytes + ipv4.header_bytes + udp.header_bytes;
/// Where the names of server and file lie, which are not read, and where the options begin, after their mark.
const dhcp_names_at = dhcp_at + 44;
const dhcp_options_at = dhcp_at + 236;

fn isRequest(frame: []const u8) bool {
    return frame.len > dhcp_options_at and frame[12] == 8 and frame[13] == 0 and frame[23] == 17 and std.mem.readInt(u16, frame[36..38], .big) == 67;
}

/// A frame of a DHCP server to everybody.
fn writeAnswer(out: []u8, transaction: u32, message: u8, address: ipv4.Address, mac: ethernet.Mac, lease_seconds: u32) usize {
    const options = [_]u8{ 99, 130, 83, 99 } ++ [_]u8{ 53, 1, message } ++ [_]u8{ 54, 4, 10, 0, 0, 9 } ++ [_]u8{ 1, 4, 255, 255, 255, 0 } ++
        [_]u8{ 3, 4, 10, 0, 0, 9 } ++ [_]u8{ 6, 8, 10, 0, 0, 3, 10, 0, 0, 4 } ++ [_]u8{ 26, 2, 5, 0xdc } ++ [_]u8{ 58, 4, 0, 0, 0, 20 } ++
        [_]u8{ 59, 4, 0, 0, 0, 30 } ++ [_]u8{ 51, 4, 0, 0, 0, @truncate(lease_seconds) } ++ [_]u8{ 0, 255 };
    const length = dhcp_options_at + options.len;
    const frame = out[0..length];
    @memset(frame, 0);
    ethernet.write(frame, .{ .destination = ethernet.broadcast, .source = scripted.peer_mac, .kind = .ipv4 });
    ipv4.write(frame[ethernet.header_bytes..], scripted.peer, ipv4.broadcast, .udp, length - ethernet.header_bytes - ipv4.header_bytes);
    udp.writeHeader(frame[ethernet.header_bytes + ipv4.header_bytes ..], 67, 68, @intCast(length - dhcp_at));
    frame[dhcp_at..][0..4].* = .{ 2, 1, 6, 0 };
    std.mem.writeInt(u32, frame[dhcp_at + 4 ..][0..4], transaction, .big);
    std.mem.writeInt(u32, frame[dhcp_at + 16 ..][0..4], address, .big);
    frame[dhcp_at + 28 ..][0..6].* = mac;
    frame[dhcp_options_at..][0..options.len].* = options;
    repair(frame);
    return length;
}

/// Makes the checksums right, where there is enough left to find them.
fn repair(bytes: []u8) void {
    if (bytes.len < 34 or bytes[12] != 8 or bytes[13] != 0) return;
    const header = @min(@as(usize, bytes[14] & 15) * 4, bytes.len - 14);
    if (header < 20) return;
    std.mem.writeInt(u16, bytes[24..26], 0, .big);
    std.mem.writeInt(u16, bytes[24..26], checksum.finish(checksum.add(0, bytes[14..][0..header])), .big);
    const total = std.mem.readInt(u16, bytes[16..18], .big);
    if (total < header or 14 + @as(usize, total) > bytes.len) return;
    const transport = bytes[14 + header .. 14 + @as(usize, total)];
    const at: usize = switch (bytes[23]) {
        6 => 16,
        17 => 6,
        1 => 2,
        else => return,
    };
    if (transport.len < at + 2) return;
    std.mem.writeInt(u16, transport[at..][0..2], 0, .big);
    const start = if (bytes[23] == 1) 0 else checksum.pseudo(
        std.mem.readInt(u32, bytes[26..30], .big),
        std.mem.readInt(u32, bytes[30..34], .big),
        bytes[23],
        @intCast(transport.len),
    );
    std.mem.writeInt(u16, transport[at..][0..2], checksum.finish(checksum.add(start, transport)), .big);
}

/// Mutates at least `frames` frames, from a seed.
pub fn run(frames: u64, seed: u64) !void {
    // Sometimes there is little memory.
    const network = try Network.create(seed, .{ .reorder_permille = 100, .duplicate_permille = 20 }, .{ .pages_max = if (seed % 3 == 0) 60 else 2000, .dhcp = seed % 2 == 0 });
    defer network.destroy();
    var fuzzer: Fuzzer = .{
        .network = network,
        .random = .init(seed *% 77 +% 5),
        .listener = try network.nodes[1].listen(0, 80, 8),
        .datagrams = .{ try network.nodes[0].openDatagrams(0, 99), try network.nodes[1].openDatagrams(0, 99) },
        .per_frame = @as(usize, 1) << @intCast(seed % 4),
        .connections = if (seed % 5 == 4) 2 else connections_max,
        .reads = seed % 5 != 4,
    };
    network.context = &fuzzer;
    network.tap = Fuzzer.tap;
    while (fuzzer.mutated < frames) {
        fuzzer.turn();
        const until = network.now_ns + fuzzer.below(if (fuzzer.chance(2)) 400 * second_ns else second_ns / 100);
        var steps: u32 = 0;
        while (steps < 200 and network.step(until)) steps += 1;
    }
    fuzzer.close();
    network.run(1000 * second_ns);
    try network.expectEmpty();
}

/// A frame of one kind as a peer sends it, to a stack that waits for it.
const Kind = enum { request, reply, echo, error_message, datagram, syn, acknowledgement, data, last };

fn deliver(peer: *Peer, kind: Kind) void {
    const arp_packet: arp.Packet = .{ .operation = if (kind == .request) .request else .reply, .sender_mac = scripted.peer_mac, .sender = scripted.peer, .target_mac = scripted.own_mac, .target = scripted.own };
    switch (kind) {
        .request, .reply => peer.sendArp(arp_packet, scripted.own_mac),
        .echo => peer.sendIp(.icmp, scripted.own, &.{ 8, 0, 0xf7, 0xff, 0, 0, 0, 0 }),
        .error_message => {
            var quoted: [36]u8 = @splat(0);
            quoted[0..2].* = .{ 3, 4 };
            quoted[6] = 3;
            ipv4.write(quoted[8..], scripted.own, scripted.peer, .tcp, 100);
            quoted[28..36].* = .{ 0, 80, 0x9c, 0x40, 0, 0, 0, 0 };
            peer.sendIp(.icmp, scripted.own, &quoted);
        },
        .datagram => peer.sendUdp(68, scripted.own, 99, "datagram"),
        .syn => {
            peer.options = .{ .segment_bytes_max = 1460, .scale = 7, .selective_permitted = true, .timestamp = .{ .value = 7, .echo = 0 } };
            peer.raw(peer.headerOf(.{ .syn = true }), &.{});
        },
        .acknowledgement => {
            peer.options.blocks[0] = .{ .start = peer.acknowledgement +% 100, .end = peer.acknowledgement +% 1000 };
            peer.options.blocks_count = 1;
            peer.raw(peer.headerOf(.{ .ack = true }), &.{});
        },
        .data => peer.raw(peer.headerOf(.{ .ack = true, .psh = true }), "some data"),
        .last => peer.raw(peer.headerOf(.{ .ack = true, .fin = true }), "the end"),
    }
}

/// The frame cut at each length, and with each value of each byte of its headers.
fn sweep(kind: Kind) !void {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 16);
    const datagrams = try peer.stack.openDatagrams(0, 99);
    deliver(peer, kind);
    peer.drain();
    var frame: [ethernet.frame_bytes_max]u8 = undefined;
    const mine = try peer.open(listener);
    _ = try mine.write(&peer.stack, "something to be acknowledged");
    peer.drain();
    deliver(peer, kind);
    const length = peer.last_bytes;
    var copy: [ethernet.frame_bytes_max]u8 = undefined;
    @memcpy(frame[0..length], peer.last[0..length]);
    for (0..length) |cut| for ([_]bool{ false, true }) |repaired| {
        @memcpy(copy[0..cut], frame[0..cut]);
        if (repaired) repair(copy[0..cut]);
        peer.receive(copy[0..cut]);
        peer.drain();
    };
    for (0..@min(length, header_bytes_max)) |at| for (0..256) |value| {
        @memcpy(copy[0..length], frame[0..length]);
        copy[at] = @intCast(value);
        repair(copy[0..length]);
        peer.receive(copy[0..length]);
        peer.drain();
        if (value == 255) peer.wait(second_ns / 10);
        if (datagrams.receive()) |_| datagrams.consume(&peer.stack);
        while (listener.accept(&peer.stack)) |connection| {
            connection.abort(&peer.stack);
            connection.close(&peer.stack, peer.now_ns);
        }
    };
    mine.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    datagrams.close(&peer.stack);
    for (0..1000) |_| {
        peer.wait(second_ns);
        peer.drain();
    }
    try peer.expectEmpty();
}

test "every cut and every value of every header byte of every kind of frame breaks nothing and leaves nothing" {
    for (std.enums.values(Kind)) |kind| try sweep(kind);
}

/// Brings a client to where it waits for an answer of a kind: an offer, an acknowledgement or a refusal of its first request or of its renewal.
fn awaitAnswer(peer: *Peer, message: u8, renewing: bool) void {
    const stack = &peer.stack;
    const client = &stack.dhcp;
    const wanted: @TypeOf(client.state) = if (message == 2) .selecting else if (renewing) .renewing else .requesting;
    if (client.state == wanted) return;
    stack.setAddress(ipv4.any, 0, ipv4.any);
    client.start(stack, peer.now_ns);
    if (wanted == .selecting) return;
    sendAnswer(peer, 2);
    if (wanted == .requesting) return;
    sendAnswer(peer, 5);
    peer.wait(client.renew_ns - peer.now_ns);
    peer.drain();
    std.debug.assert(client.state == .renewing);
}

fn sendAnswer(peer: *Peer, message: u8) void {
    var frame: [ethernet.frame_bytes_max]u8 = undefined;
    const length = writeAnswer(&frame, peer.stack.dhcp.transaction, message, scripted.own, scripted.own_mac, 60);
    peer.receive(frame[0..length]);
    peer.drain();
}

test "every cut and every value of every byte that counts of a DHCP server's messages breaks nothing and leaves nothing" {
    for ([_]u8{ 2, 5, 6 }) |message| for ([_]bool{ false, true }) |renewing| {
        if (message == 2 and renewing) continue;
        const peer = try Peer.create(.{ .addressing = .dhcp });
        defer peer.destroy();
        // To itself, as the address comes and goes.
        const listener = try peer.stack.listen(0, 80, 16);
        const mine = try peer.stack.connect(.{ .address = 0x7f00_0001, .port = 80 }, 0, peer.now_ns);
        peer.drain();
        const accepted = listener.accept(&peer.stack).?;
        mine.setKeepAlive(&peer.stack, true, 60 * second_ns, 60 * second_ns, peer.now_ns);
        var frame: [ethernet.frame_bytes_max]u8 = undefined;
        const length = writeAnswer(&frame, 0, message, scripted.own, scripted.own_mac, 60);
        for (0..length) |cut| {
            awaitAnswer(peer, message, renewing);
            _ = writeAnswer(&frame, peer.stack.dhcp.transaction, message, scripted.own, scripted.own_mac, 60);
            repair(frame[0..cut]);
            peer.receive(frame[0..cut]);
            peer.drain();
        }
        for (0..length) |at| {
            if (at >= dhcp_names_at and at < dhcp_options_at) continue;
            for (0..256) |value| {
                awaitAnswer(peer, message, renewing);
                _ = writeAnswer(&frame, peer.stack.dhcp.transaction, message, scripted.own, scripted.own_mac, 60);
                frame[at] = @intCast(value);
                repair(frame[0..length]);
                peer.receive(frame[0..length]);
                peer.drain();
            }
            peer.wait(second_ns);
            peer.drain();
        }
        try std.testing.expectEqual(.established, mine.state);
        mine.close(&peer.stack, peer.now_ns);
        accepted.close(&peer.stack, peer.now_ns);
        listener.close(&peer.stack);
        peer.stack.setAddress(ipv4.any, 0, ipv4.any);
        for (0..1000) |_| {
            peer.wait(second_ns);
            peer.drain();
        }
        try peer.expectEmpty();
    };
}

test "a hundred thousand malformed frames break nothing and leave nothing" {
    for (0..20) |seed| try run(5_000, seed);
}
