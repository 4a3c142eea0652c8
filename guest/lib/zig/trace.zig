//! Trace spans and events. Tracing never fails a program: where there is none (a kernel without it, a manifest that does not allow it, no
//! handle left) a span is `none`, which every function takes.
//!
//!   const job = uk.Span.begin("job", .none);
//!   defer job.end();
//!   job.event("received", .{ .bytes = 17, .from = "10.0.2.2" });
const std = @import("std");
const uk = @import("ukernel.zig");
const abi = uk.abi;

pub const Span = enum(u64) {
    none = 0,
    /// A span's handle: any task may use it, so it may be sent by ipc.
    _,

    /// Begins a span inside another, or `.none`.
    pub fn begin(name: []const u8, parent: Span) Span {
        var handle: abi.Handle = .none;
        const bytes = @min(name.len, abi.trace_name_bytes_max);
        attempt(uk.calls.trace_span_begin, .{ name.ptr, bytes, @as(abi.Handle, @enumFromInt(@intFromEnum(parent))), &handle });
        return @enumFromInt(@intFromEnum(handle));
    }

    pub fn end(span: Span) void {
        if (span == .none) return;
        attempt(uk.calls.trace_span_end, .{@as(abi.Handle, @enumFromInt(@intFromEnum(span)))});
    }

    /// Something that happened in the span; `fields` is a struct of texts and numbers.
    pub fn event(span: Span, name: []const u8, fields: anytype) void {
        const names = @typeInfo(@TypeOf(fields)).@"struct".fields;
        var numbers: [names.len][24]u8 = undefined;
        var list: [names.len + 1]abi.TraceField = undefined;
        list[0] = field("name", name);
        inline for (names, 0..) |item, index| {
            const value = @field(fields, item.name);
            const text: []const u8 = switch (@typeInfo(item.type)) {
                .int, .comptime_int => std.fmt.bufPrint(&numbers[index], "{d}", .{value}) catch unreachable,
                else => value,
            };
            list[index + 1] = field(item.name, text);
        }
        eventFields(span, &list);
    }
};

/// Something that happened outside of every span.
pub fn event(name: []const u8, fields: anytype) void {
    Span.none.event(name, fields);
}

pub fn field(key: []const u8, value: []const u8) abi.TraceField {
    return .{ .key = @intFromPtr(key.ptr), .key_bytes = key.len, .value = @intFromPtr(value.ptr), .value_bytes = value.len };
}

pub fn eventFields(span: Span, fields: []const abi.TraceField) void {
    attempt(uk.calls.trace_event, .{ @as(abi.Handle, @enumFromInt(@intFromEnum(span))), fields.ptr, @as(u32, @intCast(fields.len)) });
}

/// Set once the kernel has said that it has no tracing: further calls would only cost.
var absent: std.atomic.Value(bool) = .init(false);

fn attempt(function: anytype, arguments: anytype) void {
    if (absent.load(.monotonic)) return;
    uk.calls.check(@call(.auto, function, arguments)) catch |failure| switch (failure) {
        error.UnsupportedOperation, error.UnsupportedFunction => absent.store(true, .monotonic),
        error.CapabilityMissing => {
            uk.enable(.trace, @bitCast(abi.TraceRights{ .write = true })) catch return;
            uk.calls.check(@call(.auto, function, arguments)) catch {};
        },
        else => {},
    };
}
