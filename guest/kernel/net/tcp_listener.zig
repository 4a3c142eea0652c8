//! Listeners and what is not yet a connection: a small object per SYN, bounded; beyond the bound the answer to a SYN is a cookie (RFC 4987, section 3.6),
//! which keeps nothing, so that a flood of SYNs does not shut out who means it.
const std = @import("std");
const limits = @import("../limits.zig");
const ethernet = @import("ethernet.zig");
const flows = @import("flows.zig");
const ipv4 = @import("ipv4.zig");
const list = @import("list.zig");
const sequence = @import("sequence.zig");
const socket = @import("socket.zig");
const tcp_receive = @import("tcp_receive.zig");
const tcp_segment = @import("tcp_segment.zig");
const timers = @import("timers.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;
const Segment = tcp_segment.Segment;
const assert = std.debug.assert;

/// What a SYN said.
const Offer = struct {
    segment_bytes: u16,
    scale: ?u8,
    selective: bool,
    timestamp: ?u32,

    fn of(header: *const tcp_segment.Header) Offer {
        const options = &header.options;
        return .{
            .segment_bytes = options.segment_bytes_max,
            .scale = options.scale,
            .selective = options.selective_permitted,
            .timestamp = if (options.timestamp) |timestamp| timestamp.value else null,
        };
    }
};

/// A SYN that was answered.
pub const Embryo = struct {
    flow: flows.Flow,
    output: socket.Output = .{ .kind = .embryo },
    timer: timers.Timer = .{ .kind = .embryo },
    listener: *Listener,
    link: list.Link = .{},
    mac: ethernet.Mac,
    retries: u8 = 0,
    offer: Offer,
    send_initial: u32,
    receive_initial: u32,
    sent_ns: u64 = 0,

    pub fn destroy(embryo: *Embryo, stack: *Stack) void {
        embryo.link.remove();
        embryo.output.link.remove();
        stack.timers.cancel(&embryo.timer);
        stack.flows.remove(&stack.memory, &embryo.flow);
        embryo.listener.embryos_count -= 1;
        stack.embryos.destroy(&stack.memory, embryo);
    }

    pub fn advance(embryo: *Embryo, stack: *Stack, now_ns: u64) void {
        if (embryo.retries >= limits.tcp_syn_ack_retries_max) return embryo.destroy(stack);
        embryo.retries += 1;
        stack.schedule(&embryo.output);
        embryo.arm(stack, now_ns);
    }

    fn arm(embryo: *Embryo, stack: *Stack, now_ns: u64) void {
        stack.timers.setBy(&embryo.timer, now_ns + @min(limits.tcp_timeout_initial_ns << @intCast(embryo.retries), limits.tcp_timeout_max_ns));
    }

    /// Writes the SYN with its acknowledgement.
    pub fn next(embryo: *Embryo, stack: *Stack, now_ns: u64, out: []u8) u32 {
        embryo.sent_ns = now_ns;
        const timestamp = stack.numbers.timestamp(embryo.flow.key, now_ns);
        return writeAnswer(stack, embryo.flow.key, embryo.offer, embryo.send_initial, embryo.receive_initial, timestamp, out);
    }

    pub fn input(embryo: *Embryo, stack: *Stack, segment: *const Segment, now_ns: u64) void {
        const header = &segment.header;
        const next_expected = embryo.receive_initial +% 1;
        if (header.flags.rst) {
            if (header.sequence == next_expected) embryo.destroy(stack);
            return;
        }
        if (header.flags.syn) {
            // Its SYN again: our answer was lost.
            if (!header.flags.ack and header.sequence == embryo.receive_initial) stack.schedule(&embryo.output);
            return;
        }
        if (!header.flags.ack) return;
        if (embryo.offer.timestamp) |recent| {
            const timestamp = header.options.timestamp orelse return;
            if (sequence.before(timestamp.value, recent)) return;
        }
        if (header.sequence -% next_expected >= windowOffered()) return;
        if (header.acknowledgement != embryo.send_initial +% 1) {
            return stack.sendReset(embryo.flow.key, header.acknowledgement, null);
        }
        const listener = embryo.listener;
        // The peer will send again what comes with this, and by then there may be room.
        if (listener.waiting_count >= listener.backlog) {
            stack.counters.tcp_backlog_full += 1;
            return;
        }
        const connection = listener.establish(stack, embryo.flow.key, embryo.offer, embryo.send_initial, embryo.receive_initial, now_ns, embryo) orelse return;
        tcp_receive.input(stack, connection, segment, now_ns);
    }
};

fn windowOffered() u32 {
    return @min(limits.tcp_receive_bytes_max, 65535);
}

fn writeAnswer(stack: *const Stack, key: flows.Key, offer: Offer, initial: u32, received: u32, timestamp: u32, out: []u8) u32 {
    var header: tcp_segment.Header = .{
        .source_port = key.local_port,
        .destination_port = key.remote_port,
        .sequence = initial,
        .acknowledgement = received +% 1,
        .flags = .{ .syn = true, .ack = true },
        .window = @intCast(windowOffered()),
        .options = .{ .segment_bytes_max = stack.config.segmentBytes(), .selective_permitted = offer.selective },
    };
    if (offer.scale != null) header.options.scale = limits.tcp_window_scale;
    if (offer.timestamp) |echo| header.options.timestamp = .{ .value = timestamp, .echo = echo };
    return tcp_segment.write(out, &header);
}

pub const Listener = struct {
    socket: socket.Socket = .{ .kind = .listener },
    /// Among all listeners.
    link: list.Link = .{},
    /// `ipv4.any`, or the one address it listens on.
    address: ipv4.Address,
    port: u16,
    backlog: u32,
    /// Established, not accepted.
    waiting: list.List,
    waiting_count: u32 = 0,
    embryos: list.List,
    embryos_count: u32 = 0,
    /// Cookies are believed for a while after the last was given.
    cookie_ns: ?u64 = null,

    pub fn of(base: *socket.Socket) *Listener {
        assert(base.kind == .listener);
        return @fieldParentPtr("socket", base);
    }

    pub fn readiness(listener: *const Listener) socket.Readiness {
        return .{ .readable = listener.waiting_count > 0 };
    }

    /// The connection that waited longest; it is the caller's from now on.
    pub fn accept(listener: *Listener, stack: *Stack) ?*Connection {
        const link = listener.waiting.first() orelse return null;
        const connection: *Connection = @alignCast(@fieldParentPtr("queued", link));
        listener.forget(connection);
        stack.touch(&listener.socket);
        stack.touch(&connection.socket);
        return connection;
    }

    /// Takes a connection off the queue.
    pub fn forget(listener: *Listener, connection: *Connection) void {
        connection.queued.remove();
        connection.listener = null;
        listener.waiting_count -= 1;
    }

    /// Nobody listens any more; who was not accepted is reset.
    pub fn close(listener: *Listener, stack: *Stack) void {
        while (listener.embryos.first()) |link| {
            const embryo: *Embryo = @alignCast(@fieldParentPtr("link", link));
            embryo.destroy(stack);
        }
        while (listener.waiting.first()) |link| {
            const connection: *Connection = @alignCast(@fieldParentPtr("queued", link));
            connection.abort(stack);
        }
        assert(listener.embryos_count == 0 and listener.waiting_count == 0);
        listener.link.remove();
        listener.socket.change.remove();
        stack.listeners_count -= 1;
        stack.listener_pool.destroy(&stack.memory, listener);
    }

    /// A segment for which there is no connection.
    pub fn input(listener: *Listener, stack: *Stack, segment: *const Segment, mac: ethernet.Mac, now_ns: u64) void {
        const header = &segment.header;
        const key = Stack.keyOf(segment);
        if (header.flags.rst) return;
        if (header.flags.ack) return listener.inputCookie(stack, segment, key, now_ns);
        if (!header.flags.syn) return;
        if (listener.waiting_count >= listener.backlog) {
            stack.counters.tcp_backlog_full += 1;
            return;
        }
        const offer: Offer = .of(header);
        if (stack.embryos.used >= limits.tcp_embryos_max or stack.memory.scarce() or !listener.startEmbryo(stack, key, offer, header.sequence, mac, now_ns)) {
            listener.sendCookie(stack, key, offer, header.sequence, mac, now_ns);
        }
    }

    fn startEmbryo(listener: *Listener, stack: *Stack, key: flows.Key, offer: Offer, received: u32, mac: ethernet.Mac, now_ns: u64) bool {
        const embryo = stack.embryos.create(&stack.memory) catch return false;
        embryo.* = .{
            .flow = .{ .key = key, .kind = .embryo },
            .listener = listener,
            .mac = mac,
            .offer = offer,
            .send_initial = stack.numbers.initialSequence(key, now_ns),
            .receive_initial = received,
        };
        stack.flows.insert(&stack.memory, &embryo.flow) catch {
            stack.embryos.destroy(&stack.memory, embryo);
            return false;
        };
        listener.embryos.append(&embryo.link);
        listener.embryos_count += 1;
        embryo.arm(stack, now_ns);
        stack.schedule(&embryo.output);
        return true;
    }

    /// Makes the connection that an embryo or a cookie stood for, and ends the embryo.
    fn establish(
        listener: *Listener,
        stack: *Stack,
        key: flows.Key,
        offer: Offer,
        initial: u32,
        received: u32,
        now_ns: u64,
        embryo: ?*Embryo,
    ) ?*Connection {
        const connection = stack.createConnection(key) catch return null;
        connection.state = .syn_received;
        connection.send_initial = initial;
        connection.send_unacknowledged = initial;
        connection.send_next = initial +% 1;
        connection.send_base = connection.send_next;
        connection.recover = initial;
        connection.receive_next = received +% 1;
        connection.receive_told = connection.receive_next;
        connection.receive_edge = connection.receive_next +% windowOffered();
        connection.flags.selective = offer.selective;
        connection.flags.timestamps = offer.timestamp != null;
        connection.timestamp_recent = offer.timestamp orelse 0;
        connection.timestamp_recent_ns = now_ns;
        tcp_receive.setScale(connection, offer.scale);
        tcp_receive.setSegmentBytes(stack, connection, offer.segment_bytes);
        if (embryo) |ended| {
            if (ended.retries == 0) connection.round_trip.sample(now_ns -| ended.sent_ns);
            ended.destroy(stack);
        }
        stack.flows.insert(&stack.memory, &connection.flow) catch {
            connection.destroy(stack);
            return null;
        };
        connection.listener = listener;
        listener.waiting.append(&connection.queued);
        listener.waiting_count += 1;
        stack.touch(&listener.socket);
        return connection;
    }

    const cookie_period_ns: u64 = 64_000_000_000;
    const cookie_segment_bytes = [8]u16{ 88, 216, 536, 900, 1220, 1360, 1440, 1460 };

    /// The number of our SYN carries the segment size and a hash of all that identifies the connection, its timestamp the other options.
    fn sendCookie(listener: *Listener, stack: *Stack, key: flows.Key, offer: Offer, received: u32, mac: ethernet.Mac, now_ns: u64) void {
        listener.cookie_ns = now_ns;
        stack.counters.tcp_cookies_sent += 1;
        const wanted = if (offer.segment_bytes == 0) limits.tcp_segment_bytes_default else offer.segment_bytes;
        var index: u32 = 0;
        while (index + 1 < cookie_segment_bytes.len and cookie_segment_bytes[index + 1] <= wanted) index += 1;
        const period: u32 = @intCast(now_ns / cookie_period_ns & 31);
        const initial = period << 27 | index << 24 | stack.numbers.cookieHash(key, received, period, index);
        var kept = offer;
        var timestamp: u32 = 0;
        if (offer.timestamp != null) {
            timestamp = packOptions(stack.numbers.timestamp(key, now_ns), offer);
        } else {
            kept.scale = null;
            kept.selective = false;
        }
        var bytes: [tcp_segment.header_bytes + tcp_segment.options_bytes_max]u8 = undefined;
        const length = writeAnswer(stack, key, kept, initial, received, timestamp, &bytes);
        stack.sendSegment(key, bytes[0..length], mac);
    }

    fn packOptions(timestamp: u32, offer: Offer) u32 {
        const bits: u32 = (offer.scale orelse 15) | @as(u32, @intFromBool(offer.selective)) << 4;
        const packed_value = timestamp & ~@as(u32, 63) | bits;
        // Never ahead of the clock, or what follows would be older.
        return if (packed_value > timestamp) packed_value -% 64 else packed_value;
    }

    fn inputCookie(listener: *Listener, stack: *Stack, segment: *const Segment, key: flows.Key, now_ns: u64) void {
        const header = &segment.header;
        if (!header.flags.syn and listener.cookieValid(stack, header, key, now_ns)) {
            if (listener.waiting_count >= listener.backlog) {
                stack.counters.tcp_backlog_full += 1;
                return;
            }
            const initial = header.acknowledgement -% 1;
            var offer: Offer = .{ .segment_bytes = cookie_segment_bytes[initial >> 24 & 7], .scale = null, .selective = false, .timestamp = null };
            if (header.options.timestamp) |timestamp| {
                const bits: u8 = @truncate(timestamp.echo & 63);
                if (bits & 15 != 15) offer.scale = bits & 15;
                offer.selective = bits & 16 != 0;
                offer.timestamp = timestamp.value;
            }
            const connection = listener.establish(stack, key, offer, initial, header.sequence -% 1, now_ns, null) orelse return;
            stack.counters.tcp_cookies_accepted += 1;
            return tcp_receive.input(stack, connection, segment, now_ns);
        }
        stack.sendReset(key, header.acknowledgement, null);
    }

    fn cookieValid(listener: *const Listener, stack: *const Stack, header: *const tcp_segment.Header, key: flows.Key, now_ns: u64) bool {
        const last_ns = listener.cookie_ns orelse return false;
        if (now_ns -| last_ns > 2 * cookie_period_ns) return false;
        const cookie = header.acknowledgement -% 1;
        const period = cookie >> 27;
        const age = (@as(u32, @intCast(now_ns / cookie_period_ns & 31)) -% period) & 31;
        if (age > 1) return false;
        return cookie & 0xff_ffff == stack.numbers.cookieHash(key, header.sequence -% 1, period, cookie >> 24 & 7);
    }
};
