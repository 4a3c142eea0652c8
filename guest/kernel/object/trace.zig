//! Trace spans and events: entries of the channel (docs/image-format.md, "Trace"). A span is a handle with a number that is never used
//! twice, by which its entries and its children's know it; an entry that finds no room is counted, never waited for.
const std = @import("std");
const abi = @import("abi");
const clock = @import("../arch/clock.zig");
const cpu = @import("../arch/cpu.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const Pool = @import("../mem/pool.zig").Pool;
const channel = @import("channel.zig");
const handles = @import("handles.zig");
const Task = @import("task.zig").Task;
const Failure = abi.Failure;

const Span = struct { number: u64 };

var pool: Pool(Span) = .{};
var last_number: u64 = 0;

const What = enum(u8) { span_begin = 1, span_end = 2, event = 3 };

/// The beginning of every entry.
const Header = extern struct {
    bytes: u16,
    what: u8,
    cpu: u8,
    task: u32,
    time_ns: u64,
    span: u64,

    comptime {
        std.debug.assert(@sizeOf(Header) == 24);
    }

    /// The lock is held, so that entries stand in the order of their times.
    fn of(what: What, task: *const Task, span: u64, bytes: usize) Header {
        return .{
            .bytes = @intCast(bytes),
            .what = @intFromEnum(what),
            .cpu = @intCast(cpu.this().index),
            .task = task.id,
            .time_ns = clock.nowNs(),
            .span = span,
        };
    }
};

comptime {
    std.debug.assert(@sizeOf(Span) <= limits.handle_charge_bytes);
}

pub fn begin(task: *const Task, name: []const u8, parent: u64) Failure!u64 {
    std.debug.assert(name.len > 0 and name.len <= abi.trace_name_bytes_max);
    lock.acquire();
    defer lock.release();
    const around = try numberOf(parent);
    const span = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(span);
    const handle = try handles.open(.span, span);
    last_number += 1;
    span.* = .{ .number = last_number };
    var entry: [@sizeOf(Header) + 8 + abi.trace_name_bytes_max]u8 = undefined;
    const bytes = @sizeOf(Header) + 8 + name.len;
    const header: Header = .of(.span_begin, task, span.number, bytes);
    @memcpy(entry[0..@sizeOf(Header)], std.mem.asBytes(&header));
    std.mem.writeInt(u64, entry[@sizeOf(Header)..][0..8], around, .little);
    @memcpy(entry[@sizeOf(Header) + 8 ..][0..name.len], name);
    channel.trace(.span_begin, header.time_ns, entry[0..bytes]);
    return handle;
}

/// 0 for no span. The lock is held.
fn numberOf(handle: u64) error{BadHandle}!u64 {
    if (handle == 0) return 0;
    return (try handles.get(Span, handle, .span)).number;
}

pub fn end(task: *const Task, handle: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const span = try handles.get(Span, handle, .span);
    const header: Header = .of(.span_end, task, span.number, @sizeOf(Header));
    handles.close(handle, .span) catch unreachable;
    pool.destroy(span);
    channel.trace(.span_end, header.time_ns, std.mem.asBytes(&header));
}

/// What an event's entry takes: room for the header, and each field's two sizes before its key and value.
pub const EventEntry = struct {
    bytes: [@sizeOf(Header) + abi.trace_fields_max * 4 + abi.trace_fields_bytes_max]u8 = undefined,
    used: usize = @sizeOf(Header),

    /// Room for the next field's key and value, one behind the other; null when they are too long.
    pub fn addField(entry: *EventEntry, key_bytes: u64, value_bytes: u64) ?[]u8 {
        if (key_bytes > abi.trace_fields_bytes_max or value_bytes > abi.trace_fields_bytes_max) return null;
        const bytes = key_bytes + value_bytes;
        if (entry.used + 4 + bytes > entry.bytes.len) return null;
        std.mem.writeInt(u16, entry.bytes[entry.used..][0..2], @intCast(key_bytes), .little);
        std.mem.writeInt(u16, entry.bytes[entry.used + 2 ..][0..2], @intCast(value_bytes), .little);
        const content = entry.bytes[entry.used + 4 ..][0..bytes];
        entry.used += 4 + bytes;
        return content;
    }
};

pub fn event(task: *const Task, span: u64, entry: *EventEntry) Failure!void {
    lock.acquire();
    defer lock.release();
    const header: Header = .of(.event, task, try numberOf(span), entry.used);
    @memcpy(entry.bytes[0..@sizeOf(Header)], std.mem.asBytes(&header));
    channel.trace(.event, header.time_ns, entry.bytes[0..entry.used]);
}
