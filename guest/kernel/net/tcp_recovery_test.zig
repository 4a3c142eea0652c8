//! Recovery from losses by the RFCs' rules, against a peer whose segments are written by hand.
const std = @import("std");
const scripted = @import("scripted_peer.zig");
const tcp_segment = @import("tcp_segment.zig");
const Peer = scripted.Peer;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const millisecond_ns = scripted.millisecond_ns;

const modern: tcp_segment.Options = .{
    .segment_bytes_max = 1460,
    .scale = 7,
    .selective_permitted = true,
    .timestamp = .{ .value = 5000, .echo = 0 },
};
const plain: tcp_segment.Options = .{ .segment_bytes_max = 1460 };

/// A connection with full segments on their way, numbered from 0.
const Flight = struct {
    peer: *Peer,
    listener: *scripted.Listener,
    connection: *scripted.Connection,
    base: u32,
    segment_bytes: u32,
    stamp: u32,

    fn begin(options: tcp_segment.Options, count: u32) !Flight {
        const peer = try Peer.create(.{});
        const listener = try peer.stack.listen(0, 80, 4);
        peer.options = options;
        const connection = try peer.open(listener);
        peer.drain();
        const flight: Flight = .{
            .peer = peer,
            .listener = listener,
            .connection = connection,
            .base = peer.acknowledgement,
            .segment_bytes = if (options.timestamp == null) 1460 else 1448,
            .stamp = if (options.timestamp == null) 0 else peer.stampNow(connection),
        };
        const filler: [10 * 1460]u8 = @splat('x');
        const bytes = count * flight.segment_bytes;
        try expectEqual(bytes, try connection.write(&peer.stack, filler[0..bytes]));
        for (0..count) |index| _ = try flight.expectSegment(@intCast(index));
        try peer.expectSilence();
        // So that what is sent again has another time.
        peer.wait(20 * millisecond_ns);
        return flight;
    }

    fn expectSegment(flight: *const Flight, index: u32) !scripted.Sent {
        const segment = flight.peer.sent() orelse return error.Silent;
        try expectEqual(flight.base +% index * flight.segment_bytes, segment.header.sequence);
        try expectEqual(flight.segment_bytes, segment.payload_bytes);
        return segment;
    }

    /// Acknowledges all segments before `next`, and reports `blocks` of them, from one to before another; `echo` is of the segment that made it known.
    fn acknowledge(flight: *const Flight, next: u32, blocks: []const [2]u32, echo: ?u32) void {
        var header = flight.peer.headerOf(.{ .ack = true });
        header.acknowledgement = flight.base +% next * flight.segment_bytes;
        for (blocks, header.options.blocks[0..blocks.len]) |block, *place| {
            place.* = .{ .start = flight.base +% block[0] * flight.segment_bytes, .end = flight.base +% block[1] * flight.segment_bytes };
        }
        header.options.blocks_count = @intCast(blocks.len);
        if (echo) |stamp| header.options.timestamp.?.echo = stamp;
        flight.peer.raw(header, &.{});
    }

    fn end(flight: *const Flight) !void {
        flight.connection.abort(&flight.peer.stack);
        flight.connection.close(&flight.peer.stack, flight.peer.now_ns);
        flight.listener.close(&flight.peer.stack);
        flight.peer.drain();
        try flight.peer.expectEmpty();
    }
};

test "three duplicate acknowledgements bring the lost segment at once, a partial one the next" {
    const flight: Flight = try .begin(plain, 8);
    defer flight.peer.destroy();
    const peer = flight.peer;
    const connection = flight.connection;
    // The first and the third are lost.
    for (0..2) |_| {
        flight.acknowledge(0, &.{}, null);
        try peer.expectSilence();
    }
    const window = connection.congestion_window;
    flight.acknowledge(0, &.{}, null);
    _ = try flight.expectSegment(0);
    try peer.expectSilence();
    try expectEqual(4 * 1460, connection.slow_start_threshold);
    try expect(connection.congestion_window < window);
    for (0..3) |_| flight.acknowledge(0, &.{}, null);
    try peer.expectSilence();
    flight.acknowledge(2, &.{}, null);
    _ = try flight.expectSegment(2);
    try peer.expectSilence();
    flight.acknowledge(8, &.{}, null);
    try expectEqual(.open, connection.mode);
    try expectEqual(0, peer.stack.counters.tcp_timeouts);
    try flight.end();
}

test "selective acknowledgements bring all that is lost, and that alone, in one round trip" {
    const flight: Flight = try .begin(modern, 10);
    defer flight.peer.destroy();
    const peer = flight.peer;
    // 0, 2 and 4 are lost.
    flight.acknowledge(0, &.{.{ 1, 2 }}, null);
    try peer.expectSilence();
    flight.acknowledge(0, &.{ .{ 1, 2 }, .{ 3, 4 }, .{ 5, 10 } }, null);
    for ([_]u32{ 0, 2, 4 }) |index| _ = try flight.expectSegment(index);
    try peer.expectSilence();
    // Nonsense in the blocks is ignored.
    var header = peer.headerOf(.{ .ack = true });
    header.options.blocks[0] = .{ .start = flight.base +% 20 * 1448, .end = flight.base +% 30 * 1448 };
    header.options.blocks[1] = .{ .start = flight.base +% 100, .end = flight.base +% 100 };
    header.options.blocks[2] = .{ .start = flight.base +% 200, .end = flight.base -% 100 };
    header.options.blocks_count = 3;
    peer.raw(header, &.{});
    try expectEqual(7 * 1448, flight.connection.reported.bytes());
    try flight.end();
}

test "a recovery from what was only late is taken back, and one from a loss is not" {
    for ([_]bool{ true, false }) |late| {
        const flight: Flight = try .begin(modern, 10);
        defer flight.peer.destroy();
        const connection = flight.connection;
        const window = connection.congestion_window;
        flight.acknowledge(0, &.{.{ 1, 10 }}, null);
        const again = try flight.expectSegment(0);
        try expect(connection.congestion_window < window);
        const reduced = connection.slow_start_threshold;
        // The peer tells which of the two filled the gap.
        flight.acknowledge(10, &.{}, if (late) flight.stamp else again.header.options.timestamp.?.value);
        try expectEqual(.open, connection.mode);
        if (late) {
            try expectEqual(std.math.maxInt(u32), connection.slow_start_threshold);
            try expectEqual(window, connection.congestion_window);
        } else {
            try expect(connection.congestion_window <= reduced);
            try expectEqual(reduced, connection.slow_start_threshold);
        }
        try flight.end();
    }
}

test "one late and one lost in the same window: the loss lowers the window, and neither is sent a third time" {
    const flight: Flight = try .begin(modern, 10);
    defer flight.peer.destroy();
    const connection = flight.connection;
    flight.acknowledge(0, &.{.{ 2, 10 }}, null);
    const again = try flight.expectSegment(0);
    _ = try flight.expectSegment(1);
    const reduced = connection.slow_start_threshold;
    flight.peer.wait(5 * millisecond_ns);
    // The late one.
    flight.acknowledge(1, &.{.{ 2, 10 }}, flight.stamp);
    try flight.peer.expectSilence();
    try expectEqual(.fast, connection.mode);
    flight.peer.wait(5 * millisecond_ns);
    flight.acknowledge(10, &.{}, again.header.options.timestamp.?.value);
    try expectEqual(.open, connection.mode);
    try expectEqual(reduced, connection.slow_start_threshold);
    try expect(connection.congestion_window <= reduced);
    try expectEqual(1, flight.peer.stack.counters.tcp_recoveries);
    try flight.end();
}

test "two that are late in the same window are taken back when both have come" {
    const flight: Flight = try .begin(modern, 10);
    defer flight.peer.destroy();
    flight.acknowledge(0, &.{.{ 2, 10 }}, null);
    for (0..2) |index| _ = try flight.expectSegment(@intCast(index));
    flight.acknowledge(1, &.{.{ 2, 10 }}, flight.stamp);
    try expectEqual(.fast, flight.connection.mode);
    flight.acknowledge(10, &.{}, flight.stamp);
    try expectEqual(.open, flight.connection.mode);
    try expectEqual(std.math.maxInt(u32), flight.connection.slow_start_threshold);
    try flight.end();
}

test "without selective acknowledgements the next gap is asked about at once, whatever the timestamps say" {
    var options = modern;
    options.selective_permitted = false;
    const flight: Flight = try .begin(options, 10);
    defer flight.peer.destroy();
    for (0..3) |_| flight.acknowledge(0, &.{}, flight.stamp);
    _ = try flight.expectSegment(0);
    // The first was late, the second is lost.
    flight.acknowledge(1, &.{}, flight.stamp);
    _ = try flight.expectSegment(1);
    flight.acknowledge(10, &.{}, null);
    try expectEqual(.open, flight.connection.mode);
    try flight.end();
}
