//! Many connections, floods and scans: the bounds hold, who means it gets through, and nothing stays.
const std = @import("std");
const limits = @import("../limits.zig");
const simulated = @import("simulated_network.zig");
const scripted = @import("scripted_peer.zig");
const stack_file = @import("stack.zig");
const tcp_segment = @import("tcp_segment.zig");
const Network = simulated.Network;
const Peer = scripted.Peer;
const Connection = stack_file.Connection;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const second_ns = scripted.second_ns;
const millisecond_ns = scripted.millisecond_ns;

const server_end: stack_file.Endpoint = .{ .address = simulated.addresses[1], .port = 80 };

/// A server that sends back what it gets, in the order of `nextChanged`; its connections are found by their owner.
const Echo = struct {
    stack: *stack_file.Stack,
    listener: *stack_file.Listener,
    accepted: u32 = 0,

    fn turn(echo: *Echo, now_ns: u64) !void {
        while (echo.listener.accept(echo.stack)) |connection| {
            connection.socket.owner = echo;
            echo.accepted += 1;
        }
        while (echo.stack.nextChanged()) |base| {
            if (base.kind != .connection or base.owner == null) continue;
            try echo.serve(.of(base), now_ns);
        }
    }

    fn serve(echo: *Echo, connection: *Connection, now_ns: u64) !void {
        var bytes: [2048]u8 = undefined;
        while (true) {
            const count = connection.read(echo.stack, &bytes) catch null orelse return connection.close(echo.stack, now_ns);
            if (count == 0) return;
            try expectEqual(count, try connection.write(echo.stack, bytes[0..count]));
        }
    }
};

test "a thousand connections at once, each with its own bytes; the pages are those in use" {
    const network = try Network.create(21, .{ .loss_permille = 5, .reorder_permille = 50 }, .{});
    defer network.destroy();
    const client = &network.nodes[0];
    var echo: Echo = .{ .stack = &network.nodes[1], .listener = try network.nodes[1].listen(0, 80, 1024) };
    const count = 1000;
    var connections: [count]*Connection = undefined;
    for (&connections) |*connection| connection.* = try client.connect(server_end, 0, network.now_ns);
    var message: [700]u8 = undefined;
    for (0..2) |round| {
        const limit = network.now_ns + 300 * second_ns;
        var written: [count]bool = @splat(false);
        var received: [count]u32 = @splat(0);
        var done: u32 = 0;
        while (done < count) {
            try echo.turn(network.now_ns);
            while (client.nextChanged()) |_| {}
            for (connections, 0..) |connection, index| {
                if (!written[index] and connection.state == .established) {
                    @memset(&message, @truncate(index * 7 + round));
                    try expectEqual(message.len, try connection.write(client, &message));
                    written[index] = true;
                }
                if (connection.readable_bytes == 0) continue;
                var out: [700]u8 = undefined;
                const got = (try connection.read(client, &out)).?;
                for (out[0..got]) |byte| try expectEqual(@as(u8, @truncate(index * 7 + round)), byte);
                received[index] += got;
                if (received[index] == message.len) done += 1;
            }
            if (done < count and !network.step(limit)) return error.Stuck;
        }
        // Idle, they hold their object and no buffer.
        network.run(10 * second_ns);
        try echo.turn(network.now_ns);
        const objects = count / memoryOf(Connection) + 1;
        for (&network.nodes) |*node| try expect(node.memory.pages_used <= objects + limits.net_flow_pages + 1);
    }
    try expectEqual(count, echo.accepted);
    for (connections) |connection| connection.close(client, network.now_ns);
    for (0..200) |_| {
        network.run(second_ns);
        try echo.turn(network.now_ns);
    }
    echo.listener.close(echo.stack);
    network.run(200 * second_ns);
    try network.expectEmpty();
}

fn memoryOf(comptime T: type) usize {
    return @import("memory.zig").Pool(T).slots_per_page;
}

test "connections one after the other, as many as there are, in bounded memory" {
    const network = try Network.create(22, .{}, .{});
    defer network.destroy();
    const client = &network.nodes[0];
    var echo: Echo = .{ .stack = &network.nodes[1], .listener = try network.nodes[1].listen(0, 80, 16) };
    for (0..10_000) |_| {
        const connection = try client.connect(server_end, 0, network.now_ns);
        var out: [16]u8 = undefined;
        while (true) {
            if (!network.step(network.now_ns + second_ns)) return error.Stuck;
            try echo.turn(network.now_ns);
            while (client.nextChanged()) |_| {}
            if (connection.state == .established and connection.send_next == connection.send_base) _ = try connection.write(client, "ping");
            if (connection.readable_bytes > 0) break;
        }
        try expectEqual(4, (try connection.read(client, &out)).?);
        connection.close(client, network.now_ns);
    }
    try expectEqual(10_000, echo.accepted);
    // Who closes first waits; no more of them than the bound.
    try expect(client.time_waits.pool.used <= limits.tcp_time_waits_max);
    try expect(network.given[0].pages_given_max < 200);
    network.run(2 * second_ns);
    try echo.turn(network.now_ns);
    echo.listener.close(echo.stack);
    network.run(200 * second_ns);
    try network.expectEmpty();
}

test "a flood of SYNs is bounded and shuts nobody out, whose options stay" {
    const peer = try Peer.create(.{ .pages_max = 300 });
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 128);
    var random = std.Random.DefaultPrng.init(23);
    const genuine: tcp_segment.Options = .{ .segment_bytes_max = 1400, .scale = 9, .selective_permitted = true, .timestamp = .{ .value = 77, .echo = 0 } };
    for (0..20_000) |round| {
        peer.address = 0x0b00_0000 | random.random().uintLessThan(u32, 1 << 24);
        peer.port = random.random().int(u16);
        peer.sequence = random.random().int(u32);
        peer.options = if (round % 2 == 0) genuine else .{};
        peer.send(.{ .syn = true }, &.{});
        // Its station is that of the router, whom nobody needs to be asked for.
        while (peer.nextFrame()) |_| {}
        if (round % 100 == 0) peer.wait(millisecond_ns);
        if (round % 5000 != 4999) continue;
        peer.address = scripted.peer;
        peer.port = @intCast(20_000 + round / 5000);
        peer.options = genuine;
        const connection = try peer.open(listener);
        // A cookie knows a few sizes alone.
        try expectEqual(1360, connection.segment_bytes_max);
        try expect(connection.flags.selective and connection.flags.timestamps and connection.flags.scaled);
        try expectEqual(9, connection.send_scale);
        peer.send(.{ .ack = true }, "hello");
        var out: [8]u8 = undefined;
        try expectEqual(5, (try connection.read(&peer.stack, &out)).?);
        connection.close(&peer.stack, peer.now_ns);
        peer.drain();
        peer.raw(peer.headerOf(.{ .rst = true }), &.{});
    }
    try expectEqual(4, peer.stack.counters.tcp_cookies_accepted);
    try expect(peer.stack.embryos.used <= limits.tcp_embryos_max);
    // A guessed cookie is none.
    for (0..10_000) |_| {
        peer.port = random.random().int(u16);
        peer.acknowledgement = random.random().int(u32);
        peer.raw(peer.headerOf(.{ .ack = true }), &.{});
        peer.drain();
    }
    try expectEqual(4, peer.stack.counters.tcp_cookies_accepted);
    // Those that never answer are forgotten.
    for (0..70) |_| {
        peer.wait(second_ns);
        peer.drain();
    }
    try expectEqual(0, peer.stack.embryos.used);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a scan of all ports, in every way, leaves nothing" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 16);
    const kinds = [_]tcp_segment.Flags{
        .{ .syn = true },
        .{ .ack = true },
        .{ .fin = true },
        .{},
        .{ .fin = true, .psh = true, .urg = true },
        .{ .syn = true, .fin = true },
        .{ .syn = true, .ack = true },
        .{ .rst = true },
    };
    for (kinds) |flags| {
        var port: u32 = 0;
        while (port < 65_536) : (port += 7) {
            peer.target_port = @intCast(port);
            peer.raw(peer.headerOf(flags), &.{});
            peer.drain();
        }
        peer.target_port = 80;
        peer.raw(peer.headerOf(flags), &.{});
        peer.drain();
        // A scanner resets what answered.
        var header = peer.headerOf(.{ .rst = true });
        header.sequence +%= 1;
        peer.raw(header, &.{});
    }
    try expectEqual(0, listener.waiting_count);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a backlog that is full keeps who waits and takes the others later" {
    const network = try Network.create(24, .{}, .{});
    defer network.destroy();
    const listener = try network.nodes[1].listen(0, 80, 4);
    var connections: [12]*Connection = undefined;
    for (&connections) |*connection| connection.* = try network.nodes[0].connect(server_end, 0, network.now_ns);
    network.run(second_ns / 2);
    try expectEqual(4, listener.waiting_count);
    var accepted: [12]*Connection = undefined;
    var count: u32 = 0;
    for (0..60) |_| {
        while (listener.accept(&network.nodes[1])) |connection| {
            accepted[count] = connection;
            count += 1;
        }
        network.run(second_ns);
        // Who thinks that it is established says something, so that the server learns it.
        for (connections) |connection| if (connection.state == .established and connection.send_next == connection.send_base) {
            _ = try connection.write(&network.nodes[0], "x");
        };
    }
    try expectEqual(12, count);
    for (connections) |connection| connection.close(&network.nodes[0], network.now_ns);
    for (accepted) |connection| {
        var out: [4]u8 = undefined;
        _ = try connection.read(&network.nodes[1], &out);
        connection.close(&network.nodes[1], network.now_ns);
    }
    listener.close(&network.nodes[1]);
    network.run(200 * second_ns);
    try network.expectEmpty();
}

test "peers that leave a gap open hold half of the memory at most, and not for ever; others get in, and what was dropped comes again" {
    const peer = try Peer.create(.{ .pages_max = 1024 });
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 64);
    const payload: [1400]u8 = @splat(7);
    const segments = 185;
    var connections: [24]*Connection = undefined;
    for (&connections, 0..) |*connection, index| {
        peer.port = @intCast(20_000 + index);
        peer.sequence = 1000;
        peer.options = .{ .segment_bytes_max = 1460, .scale = 7, .selective_permitted = true };
        connection.* = try peer.open(listener);
        peer.send(.{ .ack = true }, "a");
        // One byte is missing.
        peer.sequence +%= 1;
        for (0..segments) |_| {
            peer.send(.{ .ack = true }, &payload);
            peer.drain();
        }
    }
    try expect(peer.stack.memory.pages_used > 400 and peer.stack.memory.pages_used < 560);
    try expect(peer.stack.counters.tcp_no_memory > 0);
    peer.port = 30_000;
    peer.sequence = 1000;
    peer.options = .{ .segment_bytes_max = 1460 };
    const other = try peer.open(listener);
    for (0..100) |_| {
        peer.wait(second_ns);
        peer.drain();
    }
    try expect(peer.stack.memory.pages_used < 64);
    // What could be read still can, and what was dropped once the peer sends it again.
    const first = connections[0];
    try expectEqual(0, first.ahead.count);
    var bytes: [2048]u8 = undefined;
    try expectEqual(1, try first.read(&peer.stack, &bytes));
    peer.port = 20_000;
    peer.sequence = 1002;
    peer.acknowledgement = first.send_next;
    peer.send(.{ .ack = true }, "b");
    peer.send(.{ .ack = true }, &payload);
    peer.drain();
    try expectEqual(1 + payload.len, (try first.read(&peer.stack, &bytes)).?);
    try expect(bytes[0] == 'b' and std.mem.allEqual(u8, bytes[1..][0..payload.len], 7));
    for (connections) |connection| {
        _ = try connection.read(&peer.stack, &bytes);
        connection.close(&peer.stack, peer.now_ns);
    }
    other.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    // The peers say nothing more.
    for (0..600) |_| {
        peer.wait(second_ns);
        peer.drain();
    }
    try peer.expectEmpty();
}
