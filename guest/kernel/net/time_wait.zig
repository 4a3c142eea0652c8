//! Connections that wait out their end (RFC 9293, section 3.6.1): small, bounded, the oldest goes first. All wait equally long, so a queue is enough.
const limits = @import("../limits.zig");
const ethernet = @import("ethernet.zig");
const flows = @import("flows.zig");
const list = @import("list.zig");
const memory = @import("memory.zig");
const sequence = @import("sequence.zig");
const tcp_segment = @import("tcp_segment.zig");
const timers = @import("timers.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;

pub const TimeWait = struct {
    flow: flows.Flow,
    link: list.Link = .{},
    until_ns: u64,
    send_next: u32,
    receive_next: u32,
    timestamps: bool,
    timestamp_recent: u32,
};

pub const TimeWaits = struct {
    pool: memory.Pool(TimeWait) = .{},
    queue: list.List,
    timer: timers.Timer = .{ .kind = .time_wait },

    pub fn init(waits: *TimeWaits) void {
        waits.* = .{ .queue = undefined };
        waits.queue.init();
    }

    fn first(waits: *TimeWaits) ?*TimeWait {
        return @alignCast(@fieldParentPtr("link", waits.queue.first() orelse return null));
    }

    /// Takes the place of a connection among the flows; without memory nothing waits.
    pub fn start(waits: *TimeWaits, stack: *Stack, connection: *const Connection, now_ns: u64) void {
        if (waits.pool.used >= limits.tcp_time_waits_max) waits.remove(stack, waits.first().?);
        const wait = waits.pool.create(&stack.memory) catch return;
        wait.* = .{
            .flow = .{ .key = connection.flow.key, .kind = .time_wait },
            .until_ns = now_ns + limits.tcp_time_wait_ns,
            .send_next = connection.send_next,
            .receive_next = connection.receive_next,
            .timestamps = connection.flags.timestamps,
            .timestamp_recent = connection.timestamp_recent,
        };
        stack.flows.insert(&stack.memory, &wait.flow) catch return waits.pool.destroy(&stack.memory, wait);
        waits.queue.append(&wait.link);
        stack.timers.setBy(&waits.timer, wait.until_ns);
        if (connection.owed > 0) acknowledge(stack, wait, null, now_ns);
    }

    pub fn remove(waits: *TimeWaits, stack: *Stack, wait: *TimeWait) void {
        stack.flows.remove(&stack.memory, &wait.flow);
        wait.link.remove();
        waits.pool.destroy(&stack.memory, wait);
    }

    pub fn advance(waits: *TimeWaits, stack: *Stack, now_ns: u64) void {
        while (waits.first()) |wait| {
            if (wait.until_ns > now_ns) return stack.timers.setBy(&waits.timer, wait.until_ns);
            waits.remove(stack, wait);
        }
    }

    fn acknowledge(stack: *Stack, wait: *const TimeWait, mac: ?ethernet.Mac, now_ns: u64) void {
        var header: tcp_segment.Header = .{
            .source_port = wait.flow.key.local_port,
            .destination_port = wait.flow.key.remote_port,
            .sequence = wait.send_next,
            .acknowledgement = wait.receive_next,
            .flags = .{ .ack = true },
        };
        if (wait.timestamps) header.options.timestamp = .{ .value = stack.numbers.timestamp(wait.flow.key, now_ns), .echo = wait.timestamp_recent };
        var bytes: [tcp_segment.header_bytes + tcp_segment.options_bytes_max]u8 = undefined;
        const length = tcp_segment.write(&bytes, &header);
        stack.sendSegment(wait.flow.key, bytes[0..length], mac);
    }

    /// True when a new connection may take its place (RFC 9293, section 3.6.1; RFC 6191).
    pub fn input(waits: *TimeWaits, stack: *Stack, flow: *flows.Flow, segment: *const tcp_segment.Segment, mac: ?ethernet.Mac, now_ns: u64) bool {
        const wait: *TimeWait = @alignCast(@fieldParentPtr("flow", flow));
        const header = &segment.header;
        // A reset does not cut it short (RFC 1337).
        if (header.flags.rst) return false;
        if (header.flags.syn and !header.flags.ack) {
            const newer = if (header.options.timestamp) |timestamp|
                wait.timestamps and sequence.after(timestamp.value, wait.timestamp_recent)
            else
                false;
            if (newer or sequence.after(header.sequence, wait.receive_next)) {
                waits.remove(stack, wait);
                return true;
            }
        }
        // The peer's FIN again: our acknowledgement was lost.
        if (header.flags.fin) {
            wait.until_ns = now_ns + limits.tcp_time_wait_ns;
            wait.link.remove();
            waits.queue.append(&wait.link);
        }
        if (segment.length() > 0) acknowledge(stack, wait, mac, now_ns);
        return false;
    }
};
