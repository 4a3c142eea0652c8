//! What a connection sends next: lost segments, new ones as the windows allow, acknowledgements, probes.
const std = @import("std");
const limits = @import("../limits.zig");
const sequence = @import("sequence.zig");
const tcp_segment = @import("tcp_segment.zig");
const timers = @import("timers.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;
const assert = std.debug.assert;
const before = sequence.before;
const after = sequence.after;

/// Bytes that are thought to be under way (RFC 6675, section 4); without selective acknowledgements each duplicate one says that a segment arrived.
pub fn pipe(connection: *const Connection) u32 {
    var bytes = connection.flight() -| connection.reported.bytes();
    const from = sequence.later(connection.retransmitted, connection.send_unacknowledged);
    if (before(from, connection.lost_edge)) {
        bytes -|= (connection.lost_edge -% from) -| connection.reported.bytesWithin(from, connection.lost_edge);
    }
    if (!connection.flags.selective) bytes -|= connection.duplicates *| connection.segment_bytes_max;
    return bytes;
}

const Choice = struct {
    sequence: u32,
    data_bytes: u32,
    syn: bool = false,
    fin: bool = false,
    again: bool = false,
};

/// Space that data has in a segment beside the options that go with it.
fn dataBytesMax(connection: *const Connection) u32 {
    return connection.segment_bytes_max - replyOptionBytes(connection);
}

fn replyOptionBytes(connection: *const Connection) u32 {
    var bytes: u32 = if (connection.flags.timestamps) 12 else 0;
    if (connection.flags.selective and connection.ahead.count > 0) bytes += 4 + 8 * @as(u32, blockCount(connection));
    return bytes;
}

fn blockCount(connection: *const Connection) u8 {
    return @min(connection.ahead.count, if (connection.flags.timestamps) @as(u8, 3) else 4);
}

fn choose(connection: *Connection, now_ns: u64) ?Choice {
    switch (connection.state) {
        .closed => return null,
        .syn_sent, .syn_received => {
            if (connection.send_next != connection.send_initial and !connection.flags.forced) return null;
            return .{ .sequence = connection.send_initial, .data_bytes = 0, .syn = true, .again = connection.flags.forced };
        },
        else => {},
    }
    if (chooseLost(connection)) |choice| return choice;
    if (chooseNew(connection, now_ns)) |choice| return choice;
    return chooseRescue(connection);
}

/// The part of what was sent from `start`, up to `end`.
fn sentPart(connection: *const Connection, start: u32, end: u32) Choice {
    const length = @min(end -% start, dataBytesMax(connection));
    const data_end = connection.sendEnd();
    // The FIN goes with the last data where it fits.
    if (after(start +% length, data_end)) {
        return .{ .sequence = start, .data_bytes = data_end -% start, .fin = true, .again = true };
    }
    const fin = start +% length == data_end and connection.finSent() and end == connection.send_next;
    return .{ .sequence = start, .data_bytes = length, .fin = fin, .again = true };
}

fn chooseLost(connection: *Connection) ?Choice {
    const start = connection.reported.skip(sequence.later(connection.retransmitted, connection.send_unacknowledged));
    if (!before(start, connection.lost_edge)) return null;
    const choice = sentPart(connection, start, connection.reported.nextStart(start, connection.send_next));
    if (connection.flags.forced) return choice;
    const under_way = pipe(connection);
    return if (under_way == 0 or under_way + choice.data_bytes <= connection.congestion_window) choice else null;
}

fn chooseNew(connection: *Connection, now_ns: u64) ?Choice {
    if (connection.finSent()) return null;
    const flight = connection.flight();
    const queued = connection.sendEnd() -% connection.send_next;
    const open = connection.send_window -| flight;
    const full = dataBytesMax(connection);
    const length = @min(queued, open, full);
    const fin = connection.flags.fin_queued and length == queued and open > 0;
    if (length == 0 and !fin) {
        // A window that stays shut is asked about (RFC 9293, section 3.8.6.1).
        if ((queued > 0 or connection.flags.fin_queued) and flight == 0) startProbing(connection, now_ns);
        return null;
    }
    if (flight == 0 and connection.sent_ns != 0 and now_ns -| connection.sent_ns > connection.round_trip.timeout_ns) {
        // After a pause nothing is known about the path (RFC 5681, section 4.1).
        connection.congestion_window = @min(connection.congestion_window, initialWindow(connection.segment_bytes_max));
    }
    // Nagle's algorithm, and no small segments for small windows (RFC 9293, sections 3.7.4 and 3.8.6.2.1).
    const all = length == queued and (connection.flags.no_delay or flight == 0 or fin);
    const half = connection.send_window_max > 0 and length >= connection.send_window_max / 2;
    if (length < full and !all and !half and !connection.flags.override) {
        if (flight == 0) startProbing(connection, now_ns);
        return null;
    }
    const under_way = pipe(connection);
    if (under_way > 0 and under_way + length > connection.congestion_window) return null;
    return .{ .sequence = connection.send_next, .data_bytes = length, .fin = fin };
}

/// In recovery, when nothing new may go: what lies below what was reported (RFC 6675, NextSeg rule 3), then once the end of the flight (rule 4).
fn chooseRescue(connection: *Connection) ?Choice {
    if (connection.mode != .fast or !connection.flags.selective) return null;
    const under_way = pipe(connection);
    if (under_way + connection.segment_bytes_max > connection.congestion_window) return null;
    const start = connection.reported.skip(sequence.later(connection.retransmitted, connection.send_unacknowledged));
    const highest = connection.reported.highest() orelse return null;
    if (before(start, highest)) return sentPart(connection, start, connection.reported.nextStart(start, connection.send_next));
    if (connection.rescued or !before(highest, connection.send_next)) return null;
    connection.rescued = true;
    const tail = @min(connection.send_next -% highest, dataBytesMax(connection));
    return sentPart(connection, connection.send_next -% tail, connection.send_next);
}

pub fn startProbing(connection: *Connection, now_ns: u64) void {
    if (connection.retransmit_ns != timers.never) return;
    connection.retransmit_ns = now_ns + connection.round_trip.backedOff(connection.retries);
}

pub fn initialWindow(segment_bytes: u32) u32 {
    return segment_bytes * limits.tcp_initial_segments;
}

/// The retransmission timer fired; false when the peer is to be given up.
pub fn timedOut(stack: *Stack, connection: *Connection, now_ns: u64) bool {
    const tries_max = switch (connection.state) {
        .syn_sent, .syn_received => limits.tcp_syn_retries_max,
        else => limits.tcp_retries_max,
    };
    connection.retransmit_ns = timers.never;
    const flight = connection.flight();
    const waiting = connection.state.synchronized() and !connection.finSent() and (connection.send_bytes > 0 or connection.flags.fin_queued);
    if (flight == 0 and !waiting) return true;
    if (connection.unanswered >= tries_max) return false;
    connection.unanswered += 1;
    if (connection.retries < std.math.maxInt(u8)) connection.retries += 1;
    if (flight == 0) {
        if (connection.send_window > 0) connection.flags.override = true else connection.flags.probe = true;
    } else {
        if (connection.state.synchronized()) startLost(connection, flight);
        connection.flags.forced = true;
        connection.flags.timing = false;
        stack.counters.tcp_timeouts += 1;
    }
    connection.retransmit_ns = now_ns + connection.round_trip.backedOff(connection.retries);
    stack.schedule(&connection.output);
    return true;
}

/// RFC 6298, section 5, and RFC 5681, equation 4.
fn startLost(connection: *Connection, flight: u32) void {
    if (connection.retries == 1) connection.slow_start_threshold = @max(flight / 2, 2 * @as(u32, connection.segment_bytes_max));
    connection.congestion_window = connection.segment_bytes_max;
    connection.acknowledged_bytes = 0;
    connection.duplicates = 0;
    connection.mode = .lost;
    connection.recover = connection.send_next;
    connection.lost_edge = connection.send_next;
    connection.retransmitted = connection.send_unacknowledged;
    // The peer took back what it reported (RFC 2018, section 8).
    if (connection.reported.skip(connection.send_unacknowledged) != connection.send_unacknowledged) connection.reported = .{};
}

/// The right edge of the window that we would tell now: never before what was told, and not a little after it (RFC 9293, section 3.8.6.2.2).
fn windowEdge(stack: *const Stack, connection: *const Connection) u32 {
    const told = connection.receive_edge;
    if (stack.memory.scarce()) return told;
    const edge = connection.receive_next +% (limits.tcp_receive_bytes_max -| connection.readable_bytes);
    const growth = edge -% told;
    if (before(edge, told) or growth < @min(limits.tcp_receive_bytes_max / 2, connection.segment_bytes_max)) return told;
    return edge;
}

/// Whether the window grew so much that the peer should know.
pub fn windowGrew(stack: *const Stack, connection: *const Connection) bool {
    const growth = windowEdge(stack, connection) -% connection.receive_edge;
    const left = connection.receive_edge -% connection.receive_next;
    return growth >= limits.tcp_receive_bytes_max / 4 or (growth > 0 and left < 2 * @as(u32, connection.segment_bytes_max));
}

fn takeWindow(stack: *const Stack, connection: *Connection, scale: u8) u16 {
    const edge = windowEdge(stack, connection);
    const bytes = edge -% connection.receive_next;
    // Rounded up, or the edge would go back (RFC 7323, section 2.4).
    const field: u16 = @intCast(@min((bytes + (@as(u32, 1) << @intCast(scale)) - 1) >> @intCast(scale), 65535));
    connection.receive_edge = sequence.later(connection.receive_edge, connection.receive_next +% (@as(u32, field) << @intCast(scale)));
    return field;
}

pub fn timestampNow(connection: *const Connection, now_ns: u64) u32 {
    return @as(u32, @truncate(now_ns / 1_000_000)) +% connection.timestamp_offset;
}

fn fillOptions(stack: *const Stack, connection: *const Connection, options: *tcp_segment.Options, syn: bool, now_ns: u64) void {
    if (connection.flags.timestamps) options.timestamp = .{
        .value = timestampNow(connection, now_ns),
        .echo = connection.timestamp_recent,
    };
    if (syn) {
        options.segment_bytes_max = stack.config.segmentBytes();
        if (connection.flags.scaled) options.scale = limits.tcp_window_scale;
        options.selective_permitted = connection.flags.selective;
        return;
    }
    if (!connection.flags.selective or connection.ahead.count == 0) return;
    // The block with what came last goes first (RFC 2018, section 4), then those before it.
    const ranges = connection.ahead.slice();
    var index: usize = 0;
    while (index + 1 < ranges.len and !before(connection.ahead_recent, ranges[index].end)) index += 1;
    options.blocks_count = blockCount(connection);
    for (options.blocks[0..options.blocks_count]) |*block| {
        block.* = ranges[index];
        index = if (index == 0) ranges.len - 1 else index - 1;
    }
}

/// Writes the next segment, header and data; null when there is nothing to send now.
pub fn next(stack: *Stack, connection: *Connection, now_ns: u64, out: []u8) ?u32 {
    if (connection.state == .closed) return null;
    // Each duplicate acknowledgement is one for the peer to count.
    if (connection.owed > 1) {
        connection.owed -= 1;
        return acknowledgement(stack, connection, connection.send_next, now_ns, out);
    }
    if (choose(connection, now_ns)) |choice| {
        const length = build(stack, connection, choice, now_ns, out);
        sent(stack, connection, choice, now_ns);
        return length;
    }
    connection.arm(stack);
    if (connection.flags.probe) {
        connection.flags.probe = false;
        return acknowledgement(stack, connection, connection.send_unacknowledged -% 1, now_ns, out);
    }
    if (connection.owed == 0) return null;
    connection.owed = 0;
    return acknowledgement(stack, connection, connection.send_next, now_ns, out);
}

fn acknowledgement(stack: *Stack, connection: *Connection, number: u32, now_ns: u64, out: []u8) u32 {
    var header: tcp_segment.Header = .{
        .source_port = connection.flow.key.local_port,
        .destination_port = connection.flow.key.remote_port,
        .sequence = number,
        .acknowledgement = connection.receive_next,
        .flags = .{ .ack = true },
        .window = takeWindow(stack, connection, connection.receive_scale),
    };
    fillOptions(stack, connection, &header.options, false, now_ns);
    acknowledged(connection);
    return tcp_segment.write(out, &header);
}

fn acknowledged(connection: *Connection) void {
    connection.receive_told = connection.receive_next;
    connection.acknowledge_ns = timers.never;
}

fn build(stack: *Stack, connection: *Connection, choice: Choice, now_ns: u64, out: []u8) u32 {
    const first = connection.state == .syn_sent;
    var header: tcp_segment.Header = .{
        .source_port = connection.flow.key.local_port,
        .destination_port = connection.flow.key.remote_port,
        .sequence = choice.sequence,
        .acknowledgement = if (first) 0 else connection.receive_next,
        .flags = .{ .syn = choice.syn, .ack = !first, .fin = choice.fin },
        .window = takeWindow(stack, connection, if (choice.syn) 0 else connection.receive_scale),
    };
    fillOptions(stack, connection, &header.options, choice.syn, now_ns);
    const offset = choice.sequence -% connection.send_base;
    header.flags.psh = choice.data_bytes > 0 and offset + choice.data_bytes == connection.send_bytes;
    const header_length = tcp_segment.write(out, &header);
    if (choice.data_bytes > 0) {
        assert(offset + choice.data_bytes <= connection.send_bytes);
        connection.send.read(offset, out[header_length..][0..choice.data_bytes]);
    }
    if (!first) acknowledged(connection);
    connection.owed = 0;
    return header_length + choice.data_bytes;
}

fn sent(stack: *Stack, connection: *Connection, choice: Choice, now_ns: u64) void {
    const end = choice.sequence +% choice.data_bytes +% @intFromBool(choice.syn) +% @intFromBool(choice.fin);
    if (choice.again) {
        stack.counters.tcp_retransmitted += 1;
        if (connection.state.synchronized()) connection.retransmitted = sequence.later(connection.retransmitted, end);
        // Karn's algorithm: no sample of what was sent twice.
        connection.flags.timing = false;
    } else if (!connection.flags.timing and connection.mode == .open) {
        connection.flags.timing = true;
        connection.timed_sequence = end;
        connection.timed_ns = now_ns;
    }
    const idle = connection.flight() == 0;
    connection.send_next = sequence.later(connection.send_next, end);
    connection.sent_ns = now_ns;
    connection.flags.forced = false;
    connection.flags.override = false;
    // A probe's timer gives way to that of what is now in flight.
    if (idle or connection.retransmit_ns == timers.never) {
        connection.retransmit_ns = now_ns + connection.round_trip.backedOff(connection.retries);
    }
    connection.arm(stack);
}
