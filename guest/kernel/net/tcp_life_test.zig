//! How connections begin and end, between two stacks and against a peer by hand; and that nothing of them stays.
const std = @import("std");
const limits = @import("../limits.zig");
const simulated = @import("simulated_network.zig");
const scripted = @import("scripted_peer.zig");
const stack_file = @import("stack.zig");
const tcp_segment = @import("tcp_segment.zig");
const timers = @import("timers.zig");
const Network = simulated.Network;
const Peer = scripted.Peer;
const Connection = stack_file.Connection;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const second_ns = scripted.second_ns;
const millisecond_ns = scripted.millisecond_ns;

const server_end: stack_file.Endpoint = .{ .address = simulated.addresses[1], .port = 80 };

fn pair(network: *Network) !struct { *Connection, *Connection } {
    const listener = try network.nodes[1].listen(0, 80, 4);
    const client = try network.nodes[0].connect(server_end, 0, network.now_ns);
    network.run(second_ns);
    const server = listener.accept(&network.nodes[1]) orelse return error.NotAccepted;
    listener.close(&network.nodes[1]);
    return .{ client, server };
}

fn expectRead(connection: *Connection, stack: *stack_file.Stack, expected: []const u8) !void {
    var out: [64]u8 = undefined;
    const count = (try connection.read(stack, &out)) orelse return error.Ended;
    try std.testing.expectEqualStrings(expected, out[0..count]);
}

test "one side ends and still reads what the other sends" {
    const network = try Network.create(1, .{}, .{});
    defer network.destroy();
    const client, const server = try pair(network);
    _ = try client.write(&network.nodes[0], "question");
    client.shutdown(&network.nodes[0]);
    network.run(second_ns);
    try expectEqual(.fin_wait_2, client.state);
    try expectEqual(.close_wait, server.state);
    try expectRead(server, &network.nodes[1], "question");
    var out: [8]u8 = undefined;
    try expectEqual(null, try server.read(&network.nodes[1], &out));
    try std.testing.expectError(error.Closed, client.write(&network.nodes[0], "more"));
    // However long it takes: the user has not closed it.
    network.run(3600 * second_ns);
    _ = try server.write(&network.nodes[1], "answer");
    network.run(second_ns);
    try expectRead(client, &network.nodes[0], "answer");
    server.close(&network.nodes[1], network.now_ns);
    network.run(second_ns);
    try expectEqual(null, try client.read(&network.nodes[0], &out));
    try expectEqual(.closed, client.state);
    try expectEqual(.none, client.failure);
    client.close(&network.nodes[0], network.now_ns);
    try expectEqual(1, network.nodes[0].time_waits.pool.used);
    network.run(100 * second_ns);
    try network.expectEmpty();
}

test "both open at once and are one connection" {
    const network = try Network.create(2, .{}, .{});
    defer network.destroy();
    // Past the search for stations, so that the two SYNs cross.
    const warm = try network.nodes[0].connect(.{ .address = simulated.addresses[1], .port = 9 }, 0, network.now_ns);
    network.run(second_ns);
    try expectEqual(.refused, warm.failure);
    warm.close(&network.nodes[0], network.now_ns);
    const a = try network.nodes[0].connect(.{ .address = simulated.addresses[1], .port = 2000 }, 1000, network.now_ns);
    const b = try network.nodes[1].connect(.{ .address = simulated.addresses[0], .port = 1000 }, 2000, network.now_ns);
    network.run(second_ns);
    try expectEqual(.established, a.state);
    try expectEqual(.established, b.state);
    try expectEqual(0, network.nodes[0].counters.tcp_timeouts);
    _ = try a.write(&network.nodes[0], "hello");
    network.run(second_ns);
    try expectRead(b, &network.nodes[1], "hello");
    // And both close at once.
    a.close(&network.nodes[0], network.now_ns);
    b.close(&network.nodes[1], network.now_ns);
    network.run(second_ns);
    for (&network.nodes) |*node| try expectEqual(1, node.time_waits.pool.used);
    network.run(100 * second_ns);
    try network.expectEmpty();
}

test "who reads not what came resets, and the other learns it" {
    const network = try Network.create(3, .{}, .{});
    defer network.destroy();
    const client, const server = try pair(network);
    _ = try client.write(&network.nodes[0], "unread");
    network.run(second_ns);
    server.close(&network.nodes[1], network.now_ns);
    network.run(second_ns);
    try expectEqual(.reset, client.failure);
    client.close(&network.nodes[0], network.now_ns);
    network.run(second_ns);
    try network.expectEmpty();
}

test "data for who closed is answered with a reset" {
    const network = try Network.create(4, .{}, .{});
    defer network.destroy();
    const client, const server = try pair(network);
    server.close(&network.nodes[1], network.now_ns);
    network.run(second_ns);
    _ = try client.write(&network.nodes[0], "too late");
    network.run(second_ns);
    try expectEqual(.reset, client.failure);
    client.close(&network.nodes[0], network.now_ns);
    network.run(second_ns);
    try network.expectEmpty();
}

test "who is reset before anybody accepted is gone, and the listener is no longer ready" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.send(.{ .syn = true }, &.{});
    peer.acknowledgement = peer.sent().?.header.sequence +% 1;
    peer.send(.{ .ack = true }, "data");
    try expectEqual(&listener.socket, peer.stack.nextChanged().?);
    try expect(listener.socket.reported.readable);
    peer.send(.{ .rst = true }, &.{});
    try expectEqual(&listener.socket, peer.stack.nextChanged().?);
    try expect(!listener.socket.reported.readable);
    try expectEqual(null, peer.stack.nextChanged());
    try expectEqual(null, listener.accept(&peer.stack));
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "pieces of the buffers stay while a reset comes" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    const connection = try peer.open(listener);
    peer.send(.{ .ack = true }, "to be read");
    const room = try connection.reserve(&peer.stack, 5000);
    const pieces = (try connection.readable()).?;
    peer.send(.{ .rst = true }, &.{});
    try expectEqual(.closed, connection.state);
    for (room) |piece| @memset(piece, 'w');
    try std.testing.expectEqualStrings("to be read", pieces[0]);
    connection.commit(&peer.stack, 5000);
    connection.consume(&peer.stack, 10);
    try expectEqual(null, peer.nextFrame());
    try std.testing.expectError(error.Failed, connection.readable());
    try std.testing.expectError(error.Failed, connection.reserve(&peer.stack, 1));
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a peer that never closes does not keep a closed connection" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    const connection = try peer.open(listener);
    connection.close(&peer.stack, peer.now_ns);
    const fin = peer.sent().?;
    try expect(fin.header.flags.fin);
    peer.acknowledgement +%= 1;
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    try expectEqual(1, peer.stack.connections.used);
    peer.wait(limits.tcp_half_closed_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a peer that is silent is asked, and given up, where that was wanted" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    const connection = try peer.open(listener);
    peer.drain();
    connection.setKeepAlive(&peer.stack, true, 100 * second_ns, 10 * second_ns, peer.now_ns);
    // Traffic puts it off.
    peer.wait(90 * second_ns);
    peer.send(.{ .ack = true }, "x");
    peer.wait(millisecond_ns * 50);
    peer.drain();
    const probe, const waited = peer.waitSent(300 * second_ns).?;
    try expect(waited > 95 * second_ns and waited <= 100 * second_ns);
    try expectEqual(peer.acknowledgement -% 1, probe.header.sequence);
    // An answer is a sign of life.
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    _, const again = peer.waitSent(300 * second_ns).?;
    try expectEqual(100 * second_ns, again);
    for (1..limits.tcp_keepalive_probes_max) |_| {
        _, const next = peer.waitSent(300 * second_ns).?;
        try expectEqual(10 * second_ns, next);
    }
    const reset, _ = peer.waitSent(300 * second_ns).?;
    try expect(reset.header.flags.rst);
    try expectEqual(.timed_out, connection.failure);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "an idle connection sets no timer" {
    const network = try Network.create(5, .{}, .{});
    defer network.destroy();
    const client, const server = try pair(network);
    _ = try client.write(&network.nodes[0], "once");
    network.run(120 * second_ns);
    for (&network.nodes) |*node| try expectEqual(timers.never, node.deadline());
    client.abort(&network.nodes[0]);
    client.close(&network.nodes[0], network.now_ns);
    network.run(second_ns);
    server.close(&network.nodes[1], network.now_ns);
    try network.expectEmpty();
}

test "what waits out its end answers the FIN again, ignores a reset and gives way to a newer SYN" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    const connection = try peer.open(listener);
    connection.close(&peer.stack, peer.now_ns);
    try expect(peer.sent().?.header.flags.fin);
    peer.acknowledgement +%= 1;
    peer.send(.{ .ack = true, .fin = true }, &.{});
    _ = try peer.expectAcknowledgement();
    try expectEqual(1, peer.stack.time_waits.pool.used);
    peer.wait(30 * second_ns);
    var fin = peer.headerOf(.{ .ack = true, .fin = true });
    fin.sequence -%= 1;
    peer.raw(fin, &.{});
    _ = try peer.expectAcknowledgement();
    peer.raw(peer.headerOf(.{ .rst = true }), &.{});
    // From the second FIN on it waits anew.
    peer.wait(50 * second_ns);
    try expectEqual(1, peer.stack.time_waits.pool.used);
    var old = peer.headerOf(.{ .syn = true });
    old.sequence -%= 5;
    peer.raw(old, &.{});
    _ = try peer.expectAcknowledgement();
    peer.sequence +%= 10;
    peer.options = .{};
    const next = try peer.open(listener);
    try expectEqual(0, peer.stack.time_waits.pool.used);
    next.abort(&peer.stack);
    next.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "sequence numbers wrap in the middle of a transfer" {
    const network = try Network.create(6, .{ .loss_permille = 20 }, .{});
    defer network.destroy();
    const listener = try network.nodes[1].listen(0, 80, 4);
    // The clock of initial numbers goes on until the stream is to wrap after 100,000 bytes.
    const key: @import("flows.zig").Key = .{ .local = simulated.addresses[0], .remote = simulated.addresses[1], .local_port = 5000, .remote_port = 80 };
    const number = network.nodes[0].numbers.initialSequence(key, network.now_ns);
    network.now_ns += @as(u64, 0 -% number -% 100_000) << 12;
    const client = try network.nodes[0].connect(server_end, 5000, network.now_ns);
    try expectEqual(0 -% @as(u32, 100_000), client.send_initial);
    while (client.state != .established) _ = network.step(timers.never - 1);
    while (listener.waiting_count == 0) _ = network.step(timers.never - 1);
    const server = listener.accept(&network.nodes[1]).?;
    var sent: u32 = 0;
    var received: u32 = 0;
    var bytes: [1000]u8 = undefined;
    while (received < 300_000) {
        for (&bytes, 0..) |*byte, index| byte.* = @truncate((sent + index) *% 31 >> 3);
        if (sent < 300_000) sent += try client.write(&network.nodes[0], bytes[0..@min(bytes.len, 300_000 - sent)]);
        _ = network.step(timers.never - 1);
        while (try server.read(&network.nodes[1], &bytes)) |count| {
            if (count == 0) break;
            for (bytes[0..count], 0..) |byte, index| try expectEqual(@as(u8, @truncate((received + index) *% 31 >> 3)), byte);
            received += count;
        }
    }
    client.close(&network.nodes[0], network.now_ns);
    server.close(&network.nodes[1], network.now_ns);
    listener.close(&network.nodes[1]);
    network.run(400 * second_ns);
    try network.expectEmpty();
}

test "with 100 ms there and back more than 64 KiB are in flight" {
    const network = try Network.create(7, .{ .delay_ns = 50 * millisecond_ns }, .{});
    defer network.destroy();
    const client, const server = try pair(network);
    var flight_max: u32 = 0;
    var received: u64 = 0;
    var bytes: [4096]u8 = @splat(1);
    const start_ns = network.now_ns;
    while (received < 4 << 20) {
        while (try client.write(&network.nodes[0], &bytes) == bytes.len) {}
        _ = network.step(timers.never - 1);
        flight_max = @max(flight_max, client.flight());
        while (try server.read(&network.nodes[1], &bytes)) |count| {
            if (count == 0) break;
            received += count;
        }
    }
    try expect(flight_max > 200_000);
    // 256 KiB each 100 ms, after a start that doubles.
    try expect(network.now_ns - start_ns < 4 * second_ns);
    client.abort(&network.nodes[0]);
    client.close(&network.nodes[0], network.now_ns);
    network.run(second_ns);
    server.close(&network.nodes[1], network.now_ns);
    try network.expectEmpty();
}

test "a connection to oneself" {
    const network = try Network.create(8, .{}, .{});
    defer network.destroy();
    const node = &network.nodes[0];
    for ([_]u32{ 0x7f00_0001, simulated.addresses[0] }) |address| {
        const listener = try node.listen(address, 80, 4);
        const client = try node.connect(.{ .address = address, .port = 80 }, 0, network.now_ns);
        network.run(second_ns);
        const server = listener.accept(node).?;
        var sent: u32 = 0;
        var received: u32 = 0;
        var bytes: [5000]u8 = @splat(7);
        while (received < 1_000_000) {
            while (sent < 1_000_000) {
                const count = try client.write(node, bytes[0..@min(bytes.len, 1_000_000 - sent)]);
                if (count == 0) break;
                sent += count;
            }
            _ = network.step(timers.never - 1);
            while (try server.read(node, &bytes)) |count| {
                if (count == 0) break;
                received += count;
            }
        }
        client.close(node, network.now_ns);
        server.close(node, network.now_ns);
        listener.close(node);
        network.run(100 * second_ns);
        // The announcement of the address, and no more.
        try expectEqual(1, network.sent[0]);
    }
    try network.expectEmpty();
}

test "one that listens on the loopback address alone is not reached from outside" {
    const network = try Network.create(9, .{}, .{});
    defer network.destroy();
    const listener = try network.nodes[1].listen(0x7f00_0001, 80, 4);
    const client = try network.nodes[0].connect(server_end, 0, network.now_ns);
    network.run(second_ns);
    try expectEqual(.refused, client.failure);
    client.close(&network.nodes[0], network.now_ns);
    listener.close(&network.nodes[1]);
    try network.expectEmpty();
}

test "nobody at the address: told after three questions" {
    const network = try Network.create(10, .{}, .{});
    defer network.destroy();
    const client = try network.nodes[0].connect(.{ .address = 0x0a00_0063, .port = 80 }, 0, network.now_ns);
    network.run(5 * second_ns);
    try expectEqual(.unreachable_host, client.failure);
    client.close(&network.nodes[0], network.now_ns);
    try std.testing.expectError(error.Unreachable, network.nodes[0].connect(.{ .address = 0x0b00_0001, .port = 80 }, 0, network.now_ns));
    try network.expectEmpty();
}
