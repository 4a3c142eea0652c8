//! Segments that arrive for a connection (RFC 9293, section 3.10.7), with the defences of RFC 5961 and RFC 7323.
const std = @import("std");
const limits = @import("../limits.zig");
const sequence = @import("sequence.zig");
const tcp_acknowledge = @import("tcp_acknowledge.zig");
const tcp_segment = @import("tcp_segment.zig");
const tcp_send = @import("tcp_send.zig");
const timers = @import("timers.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;
const Segment = tcp_segment.Segment;
const before = sequence.before;
const after = sequence.after;

/// A timestamp is good for so long (RFC 7323, section 5.5).
const timestamp_life_ns: u64 = 24 * 24 * 3600 * 1_000_000_000;

/// The connection may be gone after this.
pub fn input(stack: *Stack, connection: *Connection, segment: *const Segment, now_ns: u64) void {
    if (connection.state == .syn_sent) return inputSynSent(stack, connection, segment, now_ns);
    const header = &segment.header;
    var start = header.sequence;

    // The answer to our answer in a simultaneous open: its SYN was seen.
    const answers_syn = connection.state == .syn_received and header.flags.syn and header.flags.ack and
        start +% 1 == connection.receive_next and header.acknowledgement == connection.send_next;
    if (answers_syn) start +%= 1;

    if (!header.flags.rst and connection.flags.timestamps) {
        const timestamp = header.options.timestamp orelse return;
        if (before(timestamp.value, connection.timestamp_recent) and now_ns -| connection.timestamp_recent_ns < timestamp_life_ns) {
            stack.counters.tcp_old_timestamps += 1;
            return answer(stack, connection, segment, now_ns);
        }
    }
    if (!acceptable(connection, start, segment)) {
        if (header.flags.rst) return;
        stack.counters.tcp_out_of_window += 1;
        return answer(stack, connection, segment, now_ns);
    }
    if (header.flags.rst) {
        // RFC 5961, section 3.2.
        if (start != connection.receive_next) return challenge(stack, connection, now_ns);
        return connection.end(stack, if (connection.state == .syn_received) .refused else .reset);
    }
    // RFC 5961, section 4.2.
    if (header.flags.syn and !answers_syn) return challenge(stack, connection, now_ns);
    if (!header.flags.ack) return;
    if (!acknowledgementAcceptable(connection, header.acknowledgement)) {
        if (connection.state != .syn_received) return challenge(stack, connection, now_ns);
        return stack.sendReset(connection.flow.key, header.acknowledgement, null);
    }
    takeTimestamp(connection, segment, start, now_ns);
    connection.heard_ns = now_ns;
    if (connection.state == .syn_received) establish(stack, connection, header);
    if (!before(header.acknowledgement, connection.send_unacknowledged)) {
        tcp_acknowledge.acknowledge(stack, connection, segment, now_ns);
        if (connection.flags.fin_queued and connection.finSent() and connection.send_unacknowledged == connection.send_next) {
            if (finAcknowledged(stack, connection, now_ns)) return;
        }
    }
    takeData(stack, connection, segment, start, now_ns);
}

fn inputSynSent(stack: *Stack, connection: *Connection, segment: *const Segment, now_ns: u64) void {
    const header = &segment.header;
    // Nothing was sent yet that could be answered.
    if (connection.send_next == connection.send_initial) return;
    if (header.flags.ack and header.acknowledgement != connection.send_next) {
        if (!header.flags.rst) stack.sendReset(connection.flow.key, header.acknowledgement, null);
        return;
    }
    if (header.flags.rst) {
        if (header.flags.ack) connection.end(stack, .refused);
        return;
    }
    if (!header.flags.syn) return;
    const options = &header.options;
    connection.receive_next = header.sequence +% 1;
    connection.receive_edge = connection.receive_next +% @min(limits.tcp_receive_bytes_max, 65535);
    connection.flags.selective = options.selective_permitted;
    connection.flags.timestamps = options.timestamp != null;
    if (options.timestamp) |timestamp| {
        connection.timestamp_recent = timestamp.value;
        connection.timestamp_recent_ns = now_ns;
    }
    setScale(connection, options.scale);
    setSegmentBytes(stack, connection, options.segment_bytes_max);
    connection.heard_ns = now_ns;
    connection.owed = 1;
    if (header.flags.ack) {
        establish(stack, connection, header);
        tcp_acknowledge.acknowledge(stack, connection, segment, now_ns);
        return takeData(stack, connection, segment, header.sequence +% 1, now_ns);
    }
    // Both opened at once (RFC 9293, section 3.5): our SYN again, with the acknowledgement.
    connection.state = .syn_received;
    connection.flags.forced = true;
    connection.send_window = header.window;
    connection.window_sequence = header.sequence;
    stack.schedule(&connection.output);
}

pub fn setScale(connection: *Connection, scale: ?u8) void {
    connection.flags.scaled = scale != null;
    connection.send_scale = scale orelse 0;
    connection.receive_scale = if (scale != null) limits.tcp_window_scale else 0;
}

/// What the peer takes in one segment, beside the options that each of ours has.
pub fn setSegmentBytes(stack: *const Stack, connection: *Connection, offered: u16) void {
    const wanted = if (offered == 0) limits.tcp_segment_bytes_default else offered;
    connection.segment_bytes_max = std.math.clamp(wanted, limits.tcp_segment_bytes_min, stack.config.segmentBytes());
    connection.congestion_window = tcp_send.initialWindow(connection.segment_bytes_max);
}

fn establish(stack: *Stack, connection: *Connection, header: *const tcp_segment.Header) void {
    connection.state = if (connection.flags.fin_queued) .fin_wait_1 else .established;
    connection.window_sequence = header.sequence;
    connection.window_acknowledgement = header.acknowledgement;
    connection.send_window = @as(u32, header.window) << @intCast(if (header.flags.syn) 0 else connection.send_scale);
    connection.send_window_max = connection.send_window;
    connection.flags.forced = false;
    stack.counters.tcp_established += 1;
    stack.touch(&connection.socket);
}

/// RFC 9293, section 3.4; and what stands at the next number when the window is shut, for its acknowledgement or FIN.
fn acceptable(connection: *const Connection, start: u32, segment: *const Segment) bool {
    const window = connection.receive_edge -% connection.receive_next;
    if (start == connection.receive_next) return true;
    const flags = segment.header.flags;
    const length = @as(u32, @intCast(segment.payload.len)) + @intFromBool(flags.fin);
    if (window == 0) return false;
    const last = if (length == 0) start else start +% (length - 1);
    return start -% connection.receive_next < window or last -% connection.receive_next < window;
}

/// RFC 5961, section 5.2.
fn acknowledgementAcceptable(connection: *const Connection, number: u32) bool {
    if (after(number, connection.send_next)) return false;
    if (connection.state == .syn_received) return number == connection.send_next;
    return !before(number, connection.send_unacknowledged -% connection.send_window_max);
}

/// An acknowledgement for a segment that is not acceptable; one without data not often, or two sides that disagree would go on for ever.
fn answer(stack: *Stack, connection: *Connection, segment: *const Segment, now_ns: u64) void {
    if (segment.payload.len == 0 and !segment.header.flags.fin) return challenge(stack, connection, now_ns);
    connection.owed = @max(connection.owed, 1);
    stack.schedule(&connection.output);
}

/// Limited per connection, so that one cannot be observed by way of another (RFC 5961, section 7, and what was found wrong with its common limit).
fn challenge(stack: *Stack, connection: *Connection, now_ns: u64) void {
    if (now_ns -| connection.challenged_ns < limits.tcp_challenge_interval_ns and connection.challenged_ns != 0) return;
    connection.challenged_ns = @max(now_ns, 1);
    connection.owed = @max(connection.owed, 1);
    stack.counters.tcp_challenges += 1;
    stack.schedule(&connection.output);
}

/// RFC 7323, section 4.3.
fn takeTimestamp(connection: *Connection, segment: *const Segment, start: u32, now_ns: u64) void {
    if (!connection.flags.timestamps or after(start, connection.receive_told)) return;
    const timestamp = segment.header.options.timestamp orelse return;
    connection.timestamp_recent = timestamp.value;
    connection.timestamp_recent_ns = now_ns;
}

/// All that we sent arrived; true when the connection is no more.
fn finAcknowledged(stack: *Stack, connection: *Connection, now_ns: u64) bool {
    switch (connection.state) {
        .fin_wait_1 => {
            connection.state = .fin_wait_2;
            if (connection.flags.detached) {
                connection.idle_ns = now_ns + limits.tcp_half_closed_ns;
                connection.arm(stack);
            }
        },
        .closing => {
            stack.startTimeWait(connection, now_ns);
            return true;
        },
        .last_ack => {
            connection.end(stack, .none);
            return true;
        },
        else => {},
    }
    return false;
}

fn takeData(stack: *Stack, connection: *Connection, segment: *const Segment, first: u32, now_ns: u64) void {
    var start = first;
    var payload = segment.payload;
    var fin = segment.header.flags.fin;
    if (payload.len == 0 and !fin) return;
    if (!connection.state.receives()) {
        // After the peer's FIN there is nothing: it missed our acknowledgement.
        connection.owed = @max(connection.owed, 1);
        return stack.schedule(&connection.output);
    }
    const end = start +% @as(u32, @intCast(payload.len));
    if (connection.flags.detached and after(end, connection.receive_next)) {
        // Nobody will read it (RFC 9293, section 3.6).
        stack.sendReset(connection.flow.key, connection.send_next, null);
        return connection.end(stack, .reset);
    }
    if (before(start, connection.receive_next)) {
        const known = connection.receive_next -% start;
        // All of it came before: our acknowledgement was lost.
        if (known >= payload.len) connection.owed = @max(connection.owed, 1);
        payload = payload[@min(known, payload.len)..];
        start = connection.receive_next;
        if (before(end, start)) fin = false;
    }
    const room = connection.receive_edge -% start;
    if (payload.len > room) {
        payload = payload[0..room];
        fin = false;
        connection.owed = @max(connection.owed, 1);
    }
    connection.receive_segment_max = @max(connection.receive_segment_max, @as(u16, @intCast(payload.len)));
    if (payload.len > 0) store(stack, connection, start, payload, now_ns);
    if (fin) {
        connection.flags.fin_early = true;
        connection.fin_ahead = end;
        if (connection.receive_next != end) connection.owed = @max(connection.owed, 1);
    }
    stack.schedule(&connection.output);
    if (connection.flags.fin_early and connection.receive_next == connection.fin_ahead) takeFin(stack, connection, now_ns);
}

/// Puts bytes where they belong in the buffer and moves on what can be read.
fn store(stack: *Stack, connection: *Connection, start: u32, payload: []const u8, now_ns: u64) void {
    const length: u32 = @intCast(payload.len);
    const offset = connection.readable_bytes + (start -% connection.receive_next);
    const in_order = start == connection.receive_next;
    const place = (in_order or stack.memory.plenty()) and connection.receive.extend(&stack.memory, offset + length);
    if (!place) {
        stack.counters.tcp_no_memory += 1;
        return;
    }
    if (!in_order) {
        connection.owed = @min(connection.owed + 1, limits.tcp_duplicate_acknowledgements_max);
        if (!connection.ahead.insert(start, start +% length)) return;
        connection.receive.write(offset, payload);
        connection.ahead_recent = start;
        if (connection.ahead_ns == timers.never) {
            connection.ahead_ns = now_ns + limits.tcp_ahead_ns;
            connection.arm(stack);
        }
        return;
    }
    connection.receive.write(offset, payload);
    const filled_gap = connection.ahead.count > 0;
    const next = connection.ahead.skip(start +% length);
    // A range may begin within what came now.
    var reached = sequence.later(start +% length, next);
    connection.ahead.dropBefore(reached);
    reached = connection.ahead.skip(reached);
    connection.ahead.dropBefore(reached);
    connection.readable_bytes += reached -% connection.receive_next;
    connection.receive_next = reached;
    if (filled_gap) connection.ahead_ns = if (connection.ahead.count > 0) now_ns + limits.tcp_ahead_ns else timers.never;
    stack.touch(&connection.socket);
    // Every second full segment is acknowledged, and at once what fills a gap (RFC 5681, section 4.2).
    if (filled_gap or connection.receive_next -% connection.receive_told >= 2 * @as(u32, connection.receive_segment_max)) {
        connection.owed = @max(connection.owed, 1);
    } else if (connection.acknowledge_ns > now_ns + limits.tcp_delayed_acknowledgement_ns) {
        connection.acknowledge_ns = now_ns + limits.tcp_delayed_acknowledgement_ns;
        connection.arm(stack);
    }
}

/// The connection may be gone after this.
fn takeFin(stack: *Stack, connection: *Connection, now_ns: u64) void {
    connection.receive_next +%= 1;
    // It is taken even when the window is shut, whose edge is never behind.
    connection.receive_edge = sequence.later(connection.receive_edge, connection.receive_next);
    connection.flags.fin_received = true;
    connection.flags.fin_early = false;
    connection.owed = @max(connection.owed, 1);
    stack.touch(&connection.socket);
    switch (connection.state) {
        .established => connection.state = .close_wait,
        .fin_wait_1 => connection.state = .closing,
        .fin_wait_2 => stack.startTimeWait(connection, now_ns),
        else => unreachable,
    }
}
