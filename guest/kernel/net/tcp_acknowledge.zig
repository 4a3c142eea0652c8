//! What acknowledgements do to a connection: the send window, congestion control (RFC 5681), recovery of losses with selective acknowledgements (RFC 6675)
//! and without (RFC 6582), the round-trip time (RFC 6298).
const std = @import("std");
const limits = @import("../limits.zig");
const sequence = @import("sequence.zig");
const tcp_send = @import("tcp_send.zig");
const tcp_segment = @import("tcp_segment.zig");
const timers = @import("timers.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;
const before = sequence.before;
const after = sequence.after;

/// Takes in the acknowledgement of an acceptable segment, which lies between what was and what can be acknowledged.
pub fn acknowledge(stack: *Stack, connection: *Connection, segment: *const tcp_segment.Segment, now_ns: u64) void {
    const header = &segment.header;
    const number = header.acknowledgement;
    const reported_before = connection.reported.bytes();
    if (connection.flags.selective) takeReports(connection, header);

    const window = @as(u32, header.window) << @intCast(if (header.flags.syn) 0 else connection.send_scale);
    const window_same = window == connection.send_window;
    updateWindow(connection, header, window);

    if (after(number, connection.send_unacknowledged)) {
        progress(stack, connection, header, number, now_ns);
    } else if (number == connection.send_unacknowledged and connection.flight() > 0) {
        // RFC 5681, section 2; with selective acknowledgements one that reports something new (RFC 6675, section 2).
        const duplicate = if (connection.flags.selective) connection.reported.bytes() > reported_before else segment.length() == 0 and window_same;
        if (duplicate) connection.duplicates +|= 1;
    }
    if (connection.mode == .open and connection.flight() > 0) startFast(stack, connection, now_ns);
    if (connection.mode != .open and connection.flags.selective) {
        connection.lost_edge = sequence.later(connection.lost_edge, lostEdge(connection));
    }
    stack.schedule(&connection.output);
}

fn takeReports(connection: *Connection, header: *const tcp_segment.Header) void {
    for (header.options.blocks[0..header.options.blocks_count]) |block| {
        // Anything else is a duplicate's report (RFC 2883), or nonsense.
        const low = sequence.later(header.acknowledgement, connection.send_unacknowledged);
        if (!before(block.start, block.end) or !after(block.start, low) or after(block.end, connection.send_next)) continue;
        _ = connection.reported.insert(block.start, block.end);
    }
}

fn updateWindow(connection: *Connection, header: *const tcp_segment.Header, window: u32) void {
    if (before(header.acknowledgement, connection.send_unacknowledged)) return;
    const newer = before(connection.window_sequence, header.sequence) or
        (connection.window_sequence == header.sequence and !after(connection.window_acknowledgement, header.acknowledgement));
    // The same acknowledgement with more window is newer too, in whatever order it came.
    if (!newer and !(header.acknowledgement == connection.window_acknowledgement and window > connection.send_window)) return;
    if (connection.send_window == 0 and window > 0) {
        connection.retries = 0;
        connection.unanswered = 0;
        if (connection.flight() == 0) connection.retransmit_ns = timers.never;
    }
    // A peer that keeps its window shut but answers is there (RFC 9293, section 3.8.6.1), as long as somebody here waits for it.
    if (window == 0 and !connection.flags.detached) connection.unanswered = 0;
    connection.send_window = window;
    connection.send_window_max = @max(connection.send_window_max, window);
    connection.window_sequence = header.sequence;
    connection.window_acknowledgement = header.acknowledgement;
}

fn progress(stack: *Stack, connection: *Connection, header: *const tcp_segment.Header, number: u32, now_ns: u64) void {
    const limited = connection.flight() + connection.segment_bytes_max > connection.congestion_window;
    const acknowledged = number -% connection.send_unacknowledged;
    measure(stack, connection, header, number, now_ns);
    connection.send_unacknowledged = number;
    dropAcknowledged(stack, connection);
    connection.reported.dropBefore(number);
    connection.retransmitted = sequence.later(connection.retransmitted, number);
    connection.lost_edge = sequence.later(connection.lost_edge, number);
    connection.retries = 0;
    connection.unanswered = 0;
    switch (connection.mode) {
        .open => {
            connection.duplicates = 0;
            if (limited) grow(connection, acknowledged);
        },
        .fast => if (isSpurious(connection, header)) takeBack(connection) else if (before(number, connection.recover)) partial(connection, acknowledged) else finish(connection),
        .lost => {
            grow(connection, acknowledged);
            if (!before(number, connection.recover)) {
                connection.mode = .open;
                connection.duplicates = 0;
            }
        },
    }
    connection.retransmit_ns = if (connection.flight() > 0) now_ns + connection.round_trip.timeout_ns else timers.never;
    connection.arm(stack);
}

fn dropAcknowledged(stack: *Stack, connection: *Connection) void {
    const number = connection.send_unacknowledged;
    // The SYN stands before the first byte, the FIN after the last.
    if (!after(number, connection.send_base)) return;
    const bytes = @min(number -% connection.send_base, connection.send_bytes);
    connection.send.drop(&stack.memory, bytes);
    connection.send_bytes -= bytes;
    connection.send_base +%= bytes;
    if (connection.send_bytes == 0 and !connection.flags.writing) connection.send.trim(&stack.memory, 0);
    stack.touch(&connection.socket);
}

fn measure(stack: *Stack, connection: *Connection, header: *const tcp_segment.Header, number: u32, now_ns: u64) void {
    if (connection.flags.timing) {
        if (before(number, connection.timed_sequence)) return;
        connection.flags.timing = false;
        connection.round_trip.sample(now_ns -| connection.timed_ns);
        stack.round_trips.add(now_ns -| connection.timed_ns);
    } else if (header.options.timestamp) |timestamp| {
        // The echo tells apart what was sent again (RFC 7323, section 4); else it is too coarse.
        if (!connection.flags.timestamps or timestamp.echo == 0) return;
        if (connection.mode == .open and connection.retries == 0) return;
        const elapsed_ms = tcp_send.timestampNow(connection, now_ns) -% timestamp.echo;
        if (elapsed_ms > std.math.maxInt(i32)) return;
        connection.round_trip.sample(@as(u64, elapsed_ms) * 1_000_000);
    }
}

fn grow(connection: *Connection, acknowledged: u32) void {
    const segment: u32 = connection.segment_bytes_max;
    if (connection.congestion_window < connection.slow_start_threshold) {
        // Appropriate byte counting (RFC 3465), L = 2; L = 1 after a time-out.
        connection.congestion_window += @min(acknowledged, if (connection.mode == .lost) segment else 2 * segment);
    } else {
        connection.acknowledged_bytes += acknowledged;
        if (connection.acknowledged_bytes >= connection.congestion_window) {
            connection.acknowledged_bytes -= connection.congestion_window;
            connection.congestion_window += segment;
        }
    }
    connection.congestion_window = @min(connection.congestion_window, limits.tcp_congestion_window_max);
}

/// All below this counts as lost: three ranges, or more than two segments' bytes, were reported above it (RFC 6675, IsLost).
fn lostEdge(connection: *const Connection) u32 {
    const ranges = connection.reported.slice();
    var bytes: u32 = 0;
    var index = ranges.len;
    while (index > 0) {
        index -= 1;
        bytes += ranges[index].end -% ranges[index].start;
        if (bytes > 2 * @as(u32, connection.segment_bytes_max) or ranges.len - index >= 3) return ranges[index].start;
    }
    return connection.send_unacknowledged;
}

fn startFast(stack: *Stack, connection: *Connection, now_ns: u64) void {
    const una = connection.send_unacknowledged;
    const lost = connection.flags.selective and after(lostEdge(connection), una);
    if (connection.duplicates < 3 and !lost) return;
    // Duplicates of what an earlier recovery sent again say nothing (RFC 6582, section 3.2).
    if (!connection.flags.selective and !after(una, connection.recover)) return;
    stack.counters.tcp_recoveries += 1;
    const segment: u32 = connection.segment_bytes_max;
    connection.mode = .fast;
    // Without reports a recovery that ends early leaves a gap to the time-out.
    if (connection.flags.timestamps and connection.flags.selective) connection.undo = .{
        .stamp = tcp_send.timestampNow(connection, now_ns),
        .congestion_window = connection.congestion_window,
        .slow_start_threshold = connection.slow_start_threshold,
    };
    connection.recover = connection.send_next;
    connection.retransmitted = una;
    connection.lost_edge = sequence.earlier(una +% segment, connection.send_next);
    connection.slow_start_threshold = @max(connection.flight() / 2, 2 * segment);
    connection.congestion_window = connection.slow_start_threshold;
    connection.acknowledged_bytes = 0;
    connection.rescued = false;
    connection.flags.forced = true;
    connection.flags.timing = false;
}

/// Some of what was in flight arrived, so the next segment was lost too.
fn partial(connection: *Connection, acknowledged: u32) void {
    const segment: u32 = connection.segment_bytes_max;
    connection.lost_edge = sequence.later(connection.lost_edge, sequence.earlier(connection.send_unacknowledged +% segment, connection.send_next));
    if (connection.flags.selective) return;
    connection.retransmitted = connection.send_unacknowledged;
    connection.flags.forced = true;
    // One was the retransmission, the others had been counted.
    connection.duplicates -|= (acknowledged / segment) -| 1;
}

/// Whether what counted as lost was only late: what fills the gap was sent before it was sent again (Eifel detection, RFC 3522).
fn isSpurious(connection: *Connection, header: *const tcp_segment.Header) bool {
    const undo = connection.undo orelse return false;
    const timestamp = header.options.timestamp orelse return false;
    if (timestamp.echo == 0 or !before(timestamp.echo, undo.stamp)) {
        connection.undo = null;
        return false;
    }
    // What else was sent again and is under way may have been lost in truth.
    return !after(connection.retransmitted, connection.send_unacknowledged);
}

/// The window is put back whole: what then goes at once is no more than the recovery had held back. RFC 4015 would slow-start instead, which
/// took 30% of the speed where one frame in ten is out of order.
fn takeBack(connection: *Connection) void {
    const undo = connection.undo.?;
    connection.undo = null;
    connection.slow_start_threshold = undo.slow_start_threshold;
    connection.congestion_window = undo.congestion_window;
    connection.lost_edge = connection.send_unacknowledged;
    connection.mode = .open;
    connection.duplicates = 0;
    connection.flags.forced = false;
}

fn finish(connection: *Connection) void {
    const segment: u32 = connection.segment_bytes_max;
    connection.congestion_window = @min(connection.slow_start_threshold, @max(connection.flight(), segment) + segment);
    connection.mode = .open;
    connection.duplicates = 0;
    connection.flags.forced = false;
}
