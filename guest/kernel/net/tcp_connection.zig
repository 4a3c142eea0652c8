//! A TCP connection (RFC 9293): its state, what its user does with it, and its end. What arrives is in tcp_receive.zig, what acknowledgements do in
//! tcp_acknowledge.zig, what leaves in tcp_send.zig.
const std = @import("std");
const limits = @import("../limits.zig");
const chain = @import("chain.zig");
const flows = @import("flows.zig");
const ipv4 = @import("ipv4.zig");
const list = @import("list.zig");
const sequence = @import("sequence.zig");
const socket = @import("socket.zig");
const tcp_send = @import("tcp_send.zig");
const timers = @import("timers.zig");
const RoundTrip = @import("round_trip.zig").RoundTrip;
const Stack = @import("stack.zig").Stack;
const assert = std.debug.assert;

/// TIME-WAIT is an object of its own (time_wait.zig), LISTEN and most of SYN-RECEIVED are in tcp_listener.zig.
pub const State = enum(u8) {
    closed,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,

    /// The peer knows of the connection as we do.
    pub fn synchronized(state: State) bool {
        return switch (state) {
            .closed, .syn_sent, .syn_received => false,
            else => true,
        };
    }

    pub fn receives(state: State) bool {
        return switch (state) {
            .established, .fin_wait_1, .fin_wait_2 => true,
            else => false,
        };
    }
};

/// How losses are being repaired.
pub const Mode = enum(u8) {
    open,
    /// Fast recovery (RFC 6582, RFC 6675).
    fast,
    /// After a time-out: what was in flight counts as lost.
    lost,
};

pub const Flags = packed struct(u16) {
    /// Its user closed it.
    detached: bool = false,
    no_delay: bool = false,
    /// What both sides agreed on.
    selective: bool = false,
    timestamps: bool = false,
    scaled: bool = false,
    /// Our FIN stands at the end of what is queued.
    fin_queued: bool = false,
    fin_received: bool = false,
    /// A FIN came ahead of a gap; `fin_ahead` is its number.
    fin_early: bool = false,
    /// The user holds pieces of the buffers.
    reading: bool = false,
    writing: bool = false,
    /// The next retransmission goes whatever the congestion window is.
    forced: bool = false,
    /// A segment goes although it is small.
    override: bool = false,
    /// To be sent: a segment that only provokes an answer.
    probe: bool = false,
    /// A segment is being timed.
    timing: bool = false,
    keepalive: bool = false,
    padding: u1 = 0,
};

/// What there was before a recovery, and what our timestamp was when it began.
pub const Undo = struct { stamp: u32, congestion_window: u32, slow_start_threshold: u32 };

pub const Connection = struct {
    socket: socket.Socket = .{ .kind = .connection },
    output: socket.Output = .{ .kind = .connection },
    flow: flows.Flow,
    timer: timers.Timer = .{ .kind = .connection },
    /// In the accept queue of a listener.
    queued: list.Link = .{},
    listener: ?*@import("tcp_listener.zig").Listener = null,

    state: State = .closed,
    mode: Mode = .open,
    failure: socket.Failure = .none,
    flags: Flags = .{},

    /// RFC 9293, section 3.3.1: ISS, SND.UNA, SND.NXT (which never goes back), SND.WND, SND.WL1, SND.WL2.
    send_initial: u32 = 0,
    send_unacknowledged: u32 = 0,
    send_next: u32 = 0,
    send_window: u32 = 0,
    send_window_max: u32 = 0,
    window_sequence: u32 = 0,
    window_acknowledgement: u32 = 0,
    /// Number of the first byte of `send`.
    send_base: u32 = 0,
    send_bytes: u32 = 0,
    send: chain.Chain = .{},
    segment_bytes_max: u16 = limits.tcp_segment_bytes_default,
    send_scale: u8 = 0,
    receive_scale: u8 = 0,

    /// RCV.NXT; the right edge of the window as the peer knows it; RCV.NXT as the peer knows it.
    receive_next: u32 = 0,
    receive_edge: u32 = 0,
    receive_told: u32 = 0,
    fin_ahead: u32 = 0,
    readable_bytes: u32 = 0,
    /// The largest segment that came: what the peer's full ones are like.
    receive_segment_max: u16 = limits.tcp_segment_bytes_default,
    receive: chain.Chain = .{},
    ahead: sequence.Ranges(limits.tcp_ahead_ranges_max) = .{},
    /// Within the range that came last, for the first block that we report.
    ahead_recent: u32 = 0,

    timestamp_offset: u32 = 0,
    timestamp_recent: u32 = 0,
    timestamp_recent_ns: u64 = 0,

    congestion_window: u32 = 0,
    slow_start_threshold: u32 = std.math.maxInt(u32),
    acknowledged_bytes: u32 = 0,
    duplicates: u32 = 0,
    /// Recovery ends when this is acknowledged.
    recover: u32 = 0,
    /// What was retransmitted in this recovery ends here.
    retransmitted: u32 = 0,
    /// What was not reported as received before here counts as lost.
    lost_edge: u32 = 0,
    rescued: bool = false,
    /// What to go back to where a recovery turns out to have been none: good until something that was sent again is known to have arrived.
    undo: ?Undo = null,
    reported: sequence.Ranges(limits.tcp_reported_ranges_max) = .{},
    round_trip: RoundTrip = .{},
    timed_sequence: u32 = 0,
    timed_ns: u64 = 0,
    sent_ns: u64 = 0,

    /// Acknowledgements to be sent at once.
    owed: u8 = 0,
    retries: u8 = 0,
    unanswered: u8 = 0,
    /// Of a retransmission or a window probe; of a delayed acknowledgement; of keep-alive, or of the wait for the peer's FIN.
    retransmit_ns: u64 = timers.never,
    acknowledge_ns: u64 = timers.never,
    /// The gap before what came ahead is filled until then, or it goes.
    ahead_ns: u64 = timers.never,
    idle_ns: u64 = timers.never,
    challenged_ns: u64 = 0,
    heard_ns: u64 = 0,
    keepalive_idle_ns: u64 = limits.tcp_keepalive_idle_ns,
    keepalive_interval_ns: u64 = limits.tcp_keepalive_interval_ns,

    pub fn of(base: *socket.Socket) *Connection {
        assert(base.kind == .connection);
        return @fieldParentPtr("socket", base);
    }

    pub fn ofFlow(flow: *flows.Flow) *Connection {
        assert(flow.kind == .connection);
        return @fieldParentPtr("flow", flow);
    }

    pub fn remote(connection: *const Connection) ipv4.Endpoint {
        return .{ .address = connection.flow.key.remote, .port = connection.flow.key.remote_port };
    }

    pub fn local(connection: *const Connection) ipv4.Endpoint {
        return .{ .address = connection.flow.key.local, .port = connection.flow.key.local_port };
    }

    pub fn flight(connection: *const Connection) u32 {
        return connection.send_next -% connection.send_unacknowledged;
    }

    /// The number after the last byte queued; where our FIN is, or will be.
    pub fn sendEnd(connection: *const Connection) u32 {
        return connection.send_base +% connection.send_bytes;
    }

    pub fn finSent(connection: *const Connection) bool {
        return connection.flags.fin_queued and connection.send_next == connection.sendEnd() +% 1;
    }

    pub fn readiness(connection: *const Connection) socket.Readiness {
        const over = connection.state == .closed;
        const open = switch (connection.state) {
            .established, .close_wait => !connection.flags.fin_queued,
            else => false,
        };
        return .{
            .readable = connection.readable_bytes > 0 or connection.flags.fin_received or over,
            .writable = over or (open and connection.send_bytes <= limits.tcp_send_bytes_max / 4 * 3),
            .closed = over,
            .failed = connection.failure != .none,
            .ended = connection.flags.fin_received or over,
        };
    }

    // What the user does.

    pub const WriteError = error{ NotConnected, Closed, Failed, OutOfMemory };

    /// Room for up to `wanted` bytes, in pieces that stay until `commit`; none when the buffer is full. One user at a time, which does
    /// not close the connection meanwhile.
    pub fn reserve(connection: *Connection, stack: *Stack, wanted: u32) WriteError![2][]u8 {
        assert(!connection.flags.writing);
        if (connection.failure != .none) return error.Failed;
        switch (connection.state) {
            .syn_sent, .syn_received => return .{ &.{}, &.{} },
            .established, .close_wait => {},
            else => return error.Closed,
        }
        if (connection.flags.fin_queued) return error.Closed;
        const room = limits.tcp_send_bytes_max -| connection.send_bytes;
        var count = @min(room, wanted, 2 * chain.data_bytes);
        if (count == 0) return .{ &.{}, &.{} };
        if (stack.memory.scarce() or !connection.send.extend(&stack.memory, connection.send_bytes + count)) {
            // What is left of the last page; the user comes back when something was acknowledged.
            count = @min(count, connection.send.capacity() - connection.send_bytes);
            if (count == 0) return if (connection.send_bytes > 0) .{ &.{}, &.{} } else error.OutOfMemory;
        }
        connection.flags.writing = true;
        return connection.send.slices(connection.send_bytes, count);
    }

    pub fn commit(connection: *Connection, stack: *Stack, count: u32) void {
        assert(connection.flags.writing and connection.send_bytes + count <= connection.send.capacity());
        connection.flags.writing = false;
        if (connection.state == .closed) {
            connection.send_bytes = 0;
        } else {
            connection.send_bytes += count;
        }
        connection.send.trim(&stack.memory, connection.send_bytes);
        if (count > 0 and connection.state != .closed) stack.schedule(&connection.output);
        stack.touch(&connection.socket);
    }

    pub fn write(connection: *Connection, stack: *Stack, bytes: []const u8) WriteError!u32 {
        var done: u32 = 0;
        while (done < bytes.len) {
            const pieces = try connection.reserve(stack, @intCast(@min(bytes.len - done, std.math.maxInt(u32))));
            var count: u32 = 0;
            for (pieces) |piece| {
                @memcpy(piece, bytes[done + count ..][0..piece.len]);
                count += @intCast(piece.len);
            }
            if (count == 0) break;
            connection.commit(stack, count);
            done += count;
        }
        return done;
    }

    pub const ReadError = error{ NotConnected, Failed };

    /// What can be read, in pieces that stay until `consume`; null at the end of what the peer sends, nothing when there is none yet. One user at a time.
    pub fn readable(connection: *Connection) ReadError!?[2][]const u8 {
        assert(!connection.flags.reading);
        if (connection.readable_bytes == 0) {
            if (connection.flags.fin_received) return null;
            if (connection.failure != .none) return error.Failed;
            if (connection.state == .closed) return error.NotConnected;
            return .{ &.{}, &.{} };
        }
        connection.flags.reading = true;
        const pieces = connection.receive.slices(0, connection.readable_bytes);
        return .{ pieces[0], pieces[1] };
    }

    pub fn consume(connection: *Connection, stack: *Stack, count: u32) void {
        assert(connection.flags.reading and count <= connection.readable_bytes);
        connection.flags.reading = false;
        connection.receive.drop(&stack.memory, count);
        connection.readable_bytes -= count;
        if (connection.readable_bytes == 0 and connection.ahead.count == 0) connection.receive.trim(&stack.memory, 0);
        if (connection.state.receives() and tcp_send.windowGrew(stack, connection)) {
            connection.owed = @max(connection.owed, 1);
            stack.schedule(&connection.output);
        }
        stack.touch(&connection.socket);
    }

    pub fn read(connection: *Connection, stack: *Stack, out: []u8) ReadError!?u32 {
        var done: u32 = 0;
        while (done < out.len) {
            const pieces = (connection.readable() catch |fault| return if (done > 0) done else fault) orelse return if (done > 0) done else null;
            var count: u32 = 0;
            for (pieces) |piece| {
                const length = @min(piece.len, out.len - done - count);
                @memcpy(out[done + count ..][0..length], piece[0..length]);
                count += @intCast(length);
            }
            if (connection.flags.reading) connection.consume(stack, count);
            if (count == 0) break;
            done += count;
        }
        return done;
    }

    /// Sends no more after what is queued.
    pub fn shutdown(connection: *Connection, stack: *Stack) void {
        if (connection.flags.fin_queued) return;
        switch (connection.state) {
            .established => connection.state = .fin_wait_1,
            .close_wait => connection.state = .last_ack,
            .syn_received => {},
            else => return,
        }
        connection.flags.fin_queued = true;
        stack.schedule(&connection.output);
        stack.touch(&connection.socket);
    }

    /// The user is done with it and may not name it again. What is queued is still sent; what was not read is a reset (RFC 2525, section 2.17).
    pub fn close(connection: *Connection, stack: *Stack, now_ns: u64) void {
        assert(!connection.flags.detached and !connection.flags.reading and !connection.flags.writing);
        connection.flags.detached = true;
        connection.socket.owner = null;
        connection.socket.change.remove();
        switch (connection.state) {
            .closed, .syn_sent => return connection.destroy(stack),
            else => {},
        }
        if (connection.readable_bytes > 0) return connection.abort(stack);
        connection.shutdown(stack);
        if (connection.state == .fin_wait_2) {
            connection.idle_ns = now_ns + limits.tcp_half_closed_ns;
            connection.arm(stack);
        }
    }

    /// Ends it at once, with a reset for the peer.
    pub fn abort(connection: *Connection, stack: *Stack) void {
        switch (connection.state) {
            .closed, .syn_sent => {},
            else => stack.sendReset(connection.flow.key, connection.send_next, connection.receive_next),
        }
        connection.end(stack, .reset);
    }

    // Its end.

    /// The connection is no more, for the network. A detached one goes; the pointer may not be used after this.
    pub fn end(connection: *Connection, stack: *Stack, failure: socket.Failure) void {
        connection.state = .closed;
        connection.failure = failure;
        stack.flows.remove(&stack.memory, &connection.flow);
        stack.timers.cancel(&connection.timer);
        connection.output.link.remove();
        if (connection.listener) |listener| {
            // Nobody accepted it, so nobody misses it.
            listener.forget(connection);
            stack.touch(&listener.socket);
            return connection.destroy(stack);
        }
        if (connection.flags.detached) return connection.destroy(stack);
        if (!connection.flags.writing) {
            connection.send.trim(&stack.memory, 0);
            connection.send_bytes = 0;
        }
        stack.touch(&connection.socket);
    }

    pub fn destroy(connection: *Connection, stack: *Stack) void {
        assert(connection.listener == null);
        stack.flows.remove(&stack.memory, &connection.flow);
        stack.timers.cancel(&connection.timer);
        connection.output.link.remove();
        connection.socket.change.remove();
        connection.send.trim(&stack.memory, 0);
        connection.receive.trim(&stack.memory, 0);
        stack.connections.destroy(&stack.memory, connection);
    }

    // Timers.

    pub fn arm(connection: *Connection, stack: *Stack) void {
        stack.timers.setBy(&connection.timer, @min(connection.retransmit_ns, connection.acknowledge_ns, connection.ahead_ns, connection.idle_ns));
    }

    pub fn advance(connection: *Connection, stack: *Stack, now_ns: u64) void {
        if (connection.acknowledge_ns <= now_ns) {
            connection.acknowledge_ns = timers.never;
            connection.owed = @max(connection.owed, 1);
            stack.schedule(&connection.output);
        }
        if (connection.ahead_ns <= now_ns) connection.dropAhead(stack);
        if (connection.retransmit_ns <= now_ns) {
            if (!tcp_send.timedOut(stack, connection, now_ns)) return connection.end(stack, .timed_out);
        }
        if (connection.idle_ns <= now_ns) {
            if (connection.flags.detached) return connection.end(stack, .timed_out);
            if (!connection.keepAlive(stack, now_ns)) return connection.abortSilent(stack);
        }
        connection.arm(stack);
    }

    /// Forgets what came ahead of a gap, as a receiver may although it reported it (RFC 2018, section 8): the peer sends it again.
    fn dropAhead(connection: *Connection, stack: *Stack) void {
        connection.ahead_ns = timers.never;
        connection.ahead = .{};
        connection.receive.trim(&stack.memory, connection.readable_bytes);
    }

    fn abortSilent(connection: *Connection, stack: *Stack) void {
        stack.sendReset(connection.flow.key, connection.send_next, connection.receive_next);
        connection.end(stack, .timed_out);
    }

    pub fn setKeepAlive(connection: *Connection, stack: *Stack, on: bool, idle_ns: u64, interval_ns: u64, now_ns: u64) void {
        connection.flags.keepalive = on;
        connection.keepalive_idle_ns = std.math.clamp(idle_ns, 1_000_000_000, limits.tcp_keepalive_max_ns);
        connection.keepalive_interval_ns = std.math.clamp(interval_ns, 1_000_000_000, limits.tcp_keepalive_max_ns);
        if (connection.flags.detached) return;
        connection.heard_ns = now_ns;
        connection.idle_ns = if (on and connection.state != .closed) now_ns + connection.keepalive_idle_ns else timers.never;
        connection.arm(stack);
    }

    /// RFC 9293, section 3.8.4; false when the peer is gone.
    fn keepAlive(connection: *Connection, stack: *Stack, now_ns: u64) bool {
        connection.idle_ns = timers.never;
        if (!connection.flags.keepalive or !connection.state.synchronized()) return true;
        const quiet_ns = now_ns -| connection.heard_ns;
        if (quiet_ns < connection.keepalive_idle_ns) {
            connection.idle_ns = connection.heard_ns + connection.keepalive_idle_ns;
            return true;
        }
        // What is in flight has a timer of its own.
        if (connection.flight() == 0) {
            const probes = (quiet_ns - connection.keepalive_idle_ns) / connection.keepalive_interval_ns;
            if (probes >= limits.tcp_keepalive_probes_max) return false;
            connection.flags.probe = true;
            stack.schedule(&connection.output);
        }
        connection.idle_ns = now_ns + connection.keepalive_interval_ns;
        return true;
    }
};
