//! Whole connections over the simulated network: what is written is read, whatever the link does, and nothing stays.
const std = @import("std");
const simulated = @import("simulated_network.zig");
const stack_file = @import("stack.zig");
const Network = simulated.Network;
const Connection = stack_file.Connection;
const Listener = stack_file.Listener;

const second_ns: u64 = 1_000_000_000;

/// Byte `index` of the stream that a side sends.
fn pattern(side: u1, index: u64) u8 {
    const mixed = (index +% 1) *% 0x9e37_79b9_7f4a_7c15 +% side;
    return @truncate(mixed >> 40);
}

/// One side of a transfer: writes its stream, reads the other's, closes.
const Side = struct {
    index: u1,
    connection: ?*Connection = null,
    total: u64,
    expected: u64,
    written: u64 = 0,
    read: u64 = 0,
    slow: bool,
    ended: bool = false,
    closed: bool = false,

    fn turn(side: *Side, network: *Network) !void {
        const connection = side.connection orelse return;
        if (side.closed) return;
        const stack = &network.nodes[side.index];
        while (side.written < side.total) {
            const pieces = connection.reserve(stack, @intCast(@min(side.total - side.written, 1 + network.below(9000)))) catch |fault| switch (fault) {
                error.OutOfMemory => break,
                else => return fault,
            };
            var count: u32 = 0;
            for (pieces) |piece| for (piece) |*byte| {
                byte.* = pattern(side.index, side.written + count);
                count += 1;
            };
            if (count == 0) break;
            connection.commit(stack, count);
            side.written += count;
        }
        if (side.written == side.total) connection.shutdown(stack);
        while (!side.ended and (!side.slow or network.below(100) == 0)) {
            const pieces = try connection.readable() orelse {
                side.ended = true;
                break;
            };
            var count: u32 = 0;
            for (pieces) |piece| for (piece) |byte| {
                if (byte != pattern(~side.index, side.read + count)) return error.WrongByte;
                count += 1;
            };
            if (count == 0) break;
            connection.consume(stack, count);
            side.read += count;
        }
        if (side.ended and side.written == side.total) {
            try std.testing.expectEqual(side.expected, side.read);
            connection.close(stack, network.now_ns);
            side.closed = true;
        }
    }
};

/// Moves `bytes` each way over each of `count` connections at once.
fn transfer(seed: u64, faults: simulated.Faults, setup: Network.Setup, count: u32, bytes: [2]u64) !void {
    const network = try Network.create(seed, faults, setup);
    defer network.destroy();
    errdefer std.debug.print("seed {d}, {}\n", .{ seed, faults });
    const client = &network.nodes[0];
    const server = &network.nodes[1];
    const listener = try server.listen(0, 80, 8);
    var storage: [2][connections_max]Side = undefined;
    const sides = [2][]Side{ storage[0][0..count], storage[1][0..count] };
    for (0..2) |index| @memset(sides[index], .{ .index = @intCast(index), .total = bytes[index], .expected = bytes[1 - index], .slow = setup.slow });
    const limit = network.now_ns + 3600 * second_ns;
    var accepted: u32 = 0;
    var open: u32 = 2 * count;
    while (open > 0) {
        for (sides[0]) |*side| {
            if (side.connection != null) continue;
            const connection = client.connect(.{ .address = simulated.addresses[1], .port = 80 }, 0, network.now_ns) catch break;
            if (!setup.options) {
                connection.flags.selective = false;
                connection.flags.timestamps = false;
                connection.flags.scaled = false;
            }
            side.connection = connection;
        }
        // A slow reader comes back though nothing happens.
        _ = network.step(if (setup.slow) network.now_ns + second_ns / 20 else limit);
        if (network.now_ns >= limit) return error.Stuck;
        while (accepted < count) : (accepted += 1) sides[1][accepted].connection = listener.accept(server) orelse break;
        open = 0;
        for (sides) |half| for (half) |*side| {
            try side.turn(network);
            open += @intFromBool(!side.closed);
        };
    }
    listener.close(server);
    network.run(400 * second_ns);
    try network.expectEmpty();
    for (&network.given) |*given| try std.testing.expect(given.pages_given_max <= setup.pages_max);
}

const connections_max = 16;

test "1 MiB each way arrives intact over a perfect link" {
    try transfer(1, .{}, .{}, 1, .{ 1 << 20, 1 << 20 });
}

test "what is lost, doubled, reordered and late arrives intact" {
    for (0..4) |seed| {
        for ([_]u32{ 10, 50, 200 }) |loss| {
            const bytes: u64 = if (loss == 200) 1 << 17 else 1 << 20;
            try transfer(seed, .{ .loss_permille = loss, .duplicate_permille = 20, .reorder_permille = 100 }, .{}, 1, .{ bytes, bytes });
        }
    }
}

test "the same without selective acknowledgements, timestamps and window scaling" {
    for (0..4) |seed| {
        const faults: simulated.Faults = .{ .loss_permille = 20, .duplicate_permille = 20, .reorder_permille = 50 };
        try transfer(100 + seed, faults, .{ .options = false }, 1, .{ 1 << 18, 1 << 18 });
    }
}

test "windows that shut and open again, and end while they are shut" {
    for (0..12) |seed| {
        const bytes = 200_000 + seed * 20_000;
        try transfer(seed, .{ .loss_permille = if (seed % 2 == 0) 0 else 20, .reorder_permille = 20 }, .{ .slow = true, .options = seed % 3 != 0 }, 1, .{ bytes, bytes });
    }
}

/// What sending 4 MiB one way took.
const Cost = struct { duration_ns: u64, counters: stack_file.Counters };

fn costOf(faults: simulated.Faults) !Cost {
    const network = try Network.create(1, faults, .{});
    defer network.destroy();
    const start_ns = network.now_ns;
    const listener = try network.nodes[1].listen(0, 80, 8);
    var sides = [2]Side{ .{ .index = 0, .total = 4 << 20, .expected = 0, .slow = false }, .{ .index = 1, .total = 0, .expected = 4 << 20, .slow = false } };
    sides[0].connection = try network.nodes[0].connect(.{ .address = simulated.addresses[1], .port = 80 }, 0, network.now_ns);
    while (!sides[1].closed) {
        if (!network.step(network.now_ns + 100 * second_ns)) return error.Stuck;
        if (sides[1].connection == null) sides[1].connection = listener.accept(&network.nodes[1]);
        for (&sides) |*side| try side.turn(network);
    }
    const cost: Cost = .{ .duration_ns = network.now_ns - start_ns, .counters = network.nodes[0].counters };
    listener.close(&network.nodes[1]);
    network.run(400 * second_ns);
    try network.expectEmpty();
    return cost;
}

test "what one packet in a hundred takes is repaired without waiting, and little is sent twice" {
    const counters = (try costOf(.{ .loss_permille = 10, .delay_ns = second_ns / 100 })).counters;
    try std.testing.expect(counters.tcp_recoveries > 10 and counters.tcp_timeouts * 5 < counters.tcp_recoveries);
    // About 29 are lost.
    try std.testing.expect(counters.tcp_retransmitted < 60);
}

test "one frame in ten out of order takes less than half of the speed" {
    const ordered: simulated.Faults = .{ .delay_ns = second_ns / 200, .bytes_per_second = 10_000_000 };
    var reordered = ordered;
    reordered.reorder_permille = 100;
    reordered.reorder_ns = second_ns / 200;
    const cost = try costOf(reordered);
    try std.testing.expect(cost.counters.tcp_recoveries > 10 and cost.counters.tcp_timeouts == 0);
    const plain = try costOf(ordered);
    try std.testing.expect(cost.duration_ns < 2 * plain.duration_ns);
}

test "with hardly any pages connections are slow, and intact" {
    for ([_]u32{ 16, 24, 64 }) |pages| {
        try transfer(pages, .{ .loss_permille = 10, .reorder_permille = 50 }, .{ .pages_max = pages }, 3, .{ 100_000, 100_000 });
    }
    try transfer(1, .{ .loss_permille = 10 }, .{ .pages_max = 100 }, 16, .{ 50_000, 50_000 });
}
