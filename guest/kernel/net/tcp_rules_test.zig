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
