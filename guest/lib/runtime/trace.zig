//! Trace spans and events, for C.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;

fn spanOf(text: ?[*:0]const u8) []const u8 {
    return if (text) |some| std.mem.span(some) else "";
}

/// 0 where there is no tracing.
export fn uk_span_begin(name: [*:0]const u8, parent: uk.Span) callconv(.c) uk.Span {
    return .begin(std.mem.span(name), parent);
}

export fn uk_span_end(span: uk.Span) callconv(.c) void {
    span.end();
}

export fn uk_span_event(span: uk.Span, name: [*:0]const u8) callconv(.c) void {
    span.event(std.mem.span(name), .{});
}

export fn uk_span_text(span: uk.Span, name: [*:0]const u8, key: [*:0]const u8, value: ?[*:0]const u8) callconv(.c) void {
    uk.trace.eventFields(span, &.{ uk.trace.field("name", std.mem.span(name)), uk.trace.field(std.mem.span(key), spanOf(value)) });
}

export fn uk_span_number(span: uk.Span, name: [*:0]const u8, key: [*:0]const u8, value: u64) callconv(.c) void {
    var digits: [20]u8 = undefined;
    const text = std.fmt.bufPrint(&digits, "{d}", .{value}) catch unreachable;
    uk.trace.eventFields(span, &.{ uk.trace.field("name", std.mem.span(name)), uk.trace.field(std.mem.span(key), text) });
}
