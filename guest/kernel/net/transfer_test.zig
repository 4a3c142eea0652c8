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
        while (!side.ended) {
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

fn transfer(seed: u64, faults: simulated.Faults, setup: Network.Setup, bytes: [2]u64) !void {
    const network = try Network.create(seed, faults, setup);
    defer network.destroy();
    errdefer std.debug.print("seed {d}, {}\n", .{ seed, faults });
    const server = &network.nodes[1];
    const listener = try server.listen(0, 80, 8);
    var sides = [2]Side{
        .{ .index = 0, .total = bytes[0], .expected = bytes[1] },
        .{ .index = 1, .total = bytes[1], .expected = bytes[0] },
    };
    sides[0].connection = try network.nodes[0].connect(.{ .address = simulated.addresses[1], .port = 80 }, 0, network.now_ns);
    const limit = network.now_ns + 3600 * second_ns;
    while (!sides[0].closed or !sides[1].closed) {
        if (!network.step(limit)) return error.Stuck;
        if (sides[1].connection == null) sides[1].connection = listener.accept(server);
        for (&sides) |*side| try side.turn(network);
    }
    listener.close(server);
    network.run(400 * second_ns);
    try network.expectEmpty();
}

test "1 MiB each way arrives intact over a perfect link" {
    try transfer(1, .{}, .{}, .{ 1 << 20, 1 << 20 });
}

test "what is lost, doubled, reordered and late arrives intact" {
    for (0..4) |seed| {
        for ([_]u32{ 10, 50, 200 }) |loss| {
            const bytes: u64 = if (loss == 200) 1 << 17 else 1 << 20;
            try transfer(seed, .{ .loss_permille = loss, .duplicate_permille = 20, .reorder_permille = 100 }, .{}, .{ bytes, bytes });
        }
    }
}
