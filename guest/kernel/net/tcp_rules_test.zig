//! The rules of the RFCs, one by one, against a peer whose segments are written by hand.
const std = @import("std");
const limits = @import("../limits.zig");
const scripted = @import("scripted_peer.zig");
const tcp_segment = @import("tcp_segment.zig");
const Peer = scripted.Peer;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const millisecond_ns = scripted.millisecond_ns;
const second_ns = scripted.second_ns;

const modern: tcp_segment.Options = .{
    .segment_bytes_max = 1460,
    .scale = 7,
    .selective_permitted = true,
    .timestamp = .{ .value = 5000, .echo = 0 },
};
const plain: tcp_segment.Options = .{ .segment_bytes_max = 1460 };
const filler: [1460]u8 = @splat('x');

fn writeAll(peer: *Peer, connection: anytype, count: u32) !void {
    var left = count;
    while (left > 0) left -= try connection.write(&peer.stack, filler[0..@min(left, filler.len)]);
}

test "an answer to a SYN has the options of the SYN alone" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = modern;
    peer.send(.{ .syn = true }, &.{});
    const full = peer.sent().?.header.options;
    try expectEqual(1460, full.segment_bytes_max);
    try expectEqual(limits.tcp_window_scale, full.scale.?);
    try expectEqual(5000, full.timestamp.?.echo);
    try expect(full.selective_permitted);
    peer.options = .{};
    peer.port += 1;
    const connection = try peer.open(listener);
    try expectEqual(null, connection.socket.owner);
    try expectEqual(536, connection.segment_bytes_max);
    try expect(!connection.flags.timestamps and !connection.flags.selective and !connection.flags.scaled);
    connection.abort(&peer.stack);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a port that nobody listens on resets, and a reset is not answered" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    peer.send(.{ .syn = true }, "abc");
    const first = peer.sent().?.header;
    try expectEqual(tcp_segment.Flags{ .rst = true, .ack = true }, first.flags);
    try expectEqual(0, first.sequence);
    try expectEqual(1004, first.acknowledgement);
    peer.acknowledgement = 777;
    peer.send(.{ .ack = true }, &.{});
    const second = peer.sent().?.header;
    try expectEqual(tcp_segment.Flags{ .rst = true }, second.flags);
    try expectEqual(777, second.sequence);
    peer.send(.{ .rst = true }, &.{});
    try peer.expectSilence();
    try peer.expectEmpty();
}

test "a forged reset, SYN or acknowledgement changes nothing and is answered once" {
    for ([_]tcp_segment.Options{ modern, plain }) |options| {
        const peer = try Peer.create(.{});
        defer peer.destroy();
        const listener = try peer.stack.listen(0, 80, 4);
        peer.options = options;
        const connection = try peer.open(listener);
        const before = .{ connection.state, connection.receive_next, connection.send_unacknowledged, connection.send_next, connection.send_window };
        peer.drain();
        const offsets = [_]u32{ 1, 1000, 60_000, 0xffff_ffff, 0x8000_0000, 0x4000_0000, 300_000 };
        const flags = [_]tcp_segment.Flags{ .{ .rst = true }, .{ .rst = true, .ack = true }, .{ .syn = true }, .{ .syn = true, .ack = true } };
        for (flags) |flag| for (offsets) |offset| {
            peer.wait(second_ns);
            var header = peer.headerOf(flag);
            header.sequence +%= offset;
            peer.raw(header, &.{});
            // In the window: asked about.
            const inside = offset < 65_535;
            if (inside or flag.syn) _ = try peer.expectAcknowledgement();
            try peer.expectSilence();
        };
        for ([_]u32{ 1, 100_000, 0x8000_0000, 0xff00_0000 }) |offset| {
            peer.wait(second_ns);
            var header = peer.headerOf(.{ .ack = true });
            header.acknowledgement +%= offset;
            peer.raw(header, "data");
            _ = try peer.expectAcknowledgement();
            try peer.expectSilence();
        }
        // No more than one in a while.
        for (0..100) |_| {
            var header = peer.headerOf(.{ .rst = true });
            header.sequence +%= 5;
            peer.raw(header, &.{});
        }
        peer.wait(second_ns);
        peer.drain();
        try expectEqual(before, .{ connection.state, connection.receive_next, connection.send_unacknowledged, connection.send_next, connection.send_window });
        try expect(peer.stack.counters.tcp_challenges < 40);
        // The true one ends it.
        peer.send(.{ .rst = true }, &.{});
        try expectEqual(.closed, connection.state);
        try expectEqual(.reset, connection.failure);
        try std.testing.expectError(error.Failed, connection.readable());
        connection.close(&peer.stack, peer.now_ns);
        listener.close(&peer.stack);
        try peer.expectEmpty();
    }
}

test "old timestamps are refused, and timestamps wrap" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = modern;
    peer.options.timestamp.?.value = 0xffff_fff0;
    const connection = try peer.open(listener);
    peer.drain();
    peer.options.timestamp.?.value = 0xffff_ffff;
    peer.send(.{ .ack = true }, "one");
    peer.wait(50 * millisecond_ns);
    try expectEqual(0xffff_ffff, (try peer.expectAcknowledgement()).header.options.timestamp.?.echo);
    peer.options.timestamp.?.value = 4;
    peer.send(.{ .ack = true }, "two");
    peer.wait(50 * millisecond_ns);
    try expectEqual(4, (try peer.expectAcknowledgement()).header.options.timestamp.?.echo);
    var old = peer.headerOf(.{ .ack = true });
    old.options.timestamp.?.value = 0xffff_fff8;
    peer.raw(old, "old");
    _ = try peer.expectAcknowledgement();
    try expectEqual(1, peer.stack.counters.tcp_old_timestamps);
    try expectEqual(6, connection.readable_bytes);
    // Without the timestamp that was agreed on it is dropped.
    old.options = .{};
    peer.raw(old, "old");
    try peer.expectSilence();
    connection.close(&peer.stack, peer.now_ns);
    // What was not read is a reset.
    try expect(peer.sent().?.header.flags.rst);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "one segment is acknowledged a little later, two at once, one ahead of a gap at once and with what came" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = modern;
    const connection = try peer.open(listener);
    peer.drain();
    peer.send(.{ .ack = true }, "small");
    try peer.expectSilence();
    const late, const waited = peer.waitSent(second_ns).?;
    try expectEqual(limits.tcp_delayed_acknowledgement_ns, waited);
    try expectEqual(peer.sequence, late.header.acknowledgement);
    peer.send(.{ .ack = true }, filler[0..1448]);
    try peer.expectSilence();
    peer.send(.{ .ack = true }, filler[0..1448]);
    _ = try peer.expectAcknowledgement();

    const base = peer.sequence;
    const steps = [_]struct { u32, u8, u32 }{ .{ 100, 1, 100 }, .{ 300, 2, 300 }, .{ 200, 1, 100 }, .{ 500, 2, 500 } };
    for (steps) |step| {
        var header = peer.headerOf(.{ .ack = true });
        header.sequence = base + step[0];
        peer.raw(header, filler[0..100]);
        const answer = try peer.expectAcknowledgement();
        try expectEqual(step[1], answer.header.options.blocks_count);
        // What came last is told first.
        try expectEqual(base + step[2], answer.header.options.blocks[0].start);
    }
    peer.send(.{ .ack = true }, filler[0..100]);
    peer.sequence = base + 400;
    const filled = try peer.expectAcknowledgement();
    try expectEqual(1, filled.header.options.blocks_count);
    connection.abort(&peer.stack);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    peer.drain();
    try peer.expectEmpty();
}

test "what is not acknowledged is sent again ever later, and given up after minutes" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = plain;
    const connection = try peer.open(listener);
    peer.drain();
    try writeAll(peer, connection, 10);
    const first = peer.sent().?;
    var expected = limits.tcp_timeout_min_ns;
    var total: u64 = 0;
    for (0..limits.tcp_retries_max) |_| {
        const again, const waited = peer.waitSent(100 * second_ns).?;
        try expectEqual(first.header.sequence, again.header.sequence);
        try expectEqual(10, again.payload_bytes);
        try expectEqual(expected, waited);
        total += waited;
        expected = @min(expected * 2, limits.tcp_timeout_max_ns);
    }
    try expectEqual(null, peer.waitSent(100 * second_ns));
    try expectEqual(.timed_out, connection.failure);
    // RFC 9293, section 3.8.3: R2 is at least 100 s.
    try expect(total > 100 * second_ns);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a shut window is asked about as long as the peer answers, and what was held back goes when it opens" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = plain;
    peer.window = 0;
    const connection = try peer.open(listener);
    peer.drain();
    try writeAll(peer, connection, 5000);
    for (0..30) |_| {
        const probe, const waited = peer.waitSent(100 * second_ns).?;
        try expect(waited <= limits.tcp_timeout_max_ns);
        try expect(probe.payload_bytes <= 1);
        peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    }
    try expectEqual(.established, connection.state);
    peer.window = 65535;
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    var received: u32 = 0;
    while (peer.sent()) |segment| received += segment.payload_bytes;
    // The last piece is small and waits for an acknowledgement.
    try expectEqual(5000 / 1460 * 1460, received);
    peer.acknowledgement +%= received;
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    try expectEqual(5000 % 1460, peer.sent().?.payload_bytes);

    // A connection that nobody here has any more does not wait for ever.
    peer.acknowledgement +%= 5000 % 1460;
    peer.window = 0;
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    try writeAll(peer, connection, 100);
    connection.close(&peer.stack, peer.now_ns);
    var answered: u32 = 0;
    while (peer.waitSent(100 * second_ns)) |_| : (answered += 1) peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    try expect(answered <= limits.tcp_retries_max + 1);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a peer whose window stays shut, and which is gone, is given up" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = plain;
    const connection = try peer.open(listener);
    peer.drain();
    peer.window = 0;
    peer.raw(peer.headerOf(.{ .ack = true }), &.{});
    try writeAll(peer, connection, 100);
    var probes: u32 = 0;
    while (peer.waitSent(100 * second_ns)) |_| probes += 1;
    try expectEqual(limits.tcp_retries_max, probes);
    try expectEqual(.timed_out, connection.failure);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

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
        try writeAll(peer, connection, count * flight.segment_bytes);
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

test "small writes wait for what is in flight, unless told not to" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = plain;
    const connection = try peer.open(listener);
    peer.drain();
    for ([_]bool{ false, true }) |no_delay| {
        connection.flags.no_delay = no_delay;
        try writeAll(peer, connection, 10);
        try expectEqual(10, peer.sent().?.payload_bytes);
        for (0..3) |_| {
            try writeAll(peer, connection, 10);
            if (no_delay) try expectEqual(10, peer.sent().?.payload_bytes) else try peer.expectSilence();
        }
        peer.acknowledgement +%= if (no_delay) 40 else 10;
        peer.raw(peer.headerOf(.{ .ack = true }), &.{});
        if (!no_delay) {
            try expectEqual(30, peer.sent().?.payload_bytes);
            peer.acknowledgement +%= 30;
            peer.raw(peer.headerOf(.{ .ack = true }), &.{});
        }
        try peer.expectSilence();
    }
    connection.abort(&peer.stack);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    peer.drain();
    try peer.expectEmpty();
}

test "the window shuts when nobody reads and opens by no small steps" {
    const peer = try Peer.create(.{});
    defer peer.destroy();
    const listener = try peer.stack.listen(0, 80, 4);
    peer.options = modern;
    const connection = try peer.open(listener);
    peer.drain();
    var left: u32 = 0xffff;
    while (left > 0) {
        peer.send(.{ .ack = true }, filler[0..@min(left, 1448)]);
        peer.wait(50 * millisecond_ns);
        left = @as(u32, peer.sent().?.header.window) << limits.tcp_window_scale;
        peer.drain();
        if (connection.readable_bytes > 300 * 1024) return error.WindowNeverShuts;
    }
    try expect(connection.readable_bytes >= limits.tcp_receive_bytes_max);
    // What comes all the same is not taken.
    peer.raw(peer.headerOf(.{ .ack = true }), "more");
    _ = try peer.expectAcknowledgement();
    var out: [1448]u8 = undefined;
    _ = try connection.read(&peer.stack, out[0..100]);
    try peer.expectSilence();
    _ = try connection.read(&peer.stack, &out);
    _ = try connection.read(&peer.stack, &out);
    const update = try peer.expectAcknowledgement();
    try expect(@as(u32, update.header.window) << limits.tcp_window_scale >= 1448);
    // The end is taken also when there is no room for a byte.
    var room = @as(u32, update.header.window) << limits.tcp_window_scale;
    while (room > 0) {
        const length = @min(room, 1448);
        peer.send(.{ .ack = true }, filler[0..length]);
        room -= length;
        peer.drain();
    }
    peer.send(.{ .ack = true, .fin = true }, &.{});
    try expectEqual(0, (try peer.expectAcknowledgement()).header.window);
    try expectEqual(.close_wait, connection.state);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    peer.drain();
    try peer.expectEmpty();
}
