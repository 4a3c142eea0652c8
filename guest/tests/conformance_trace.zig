//! Trace spans and events: what they take and refuse. That the channel has them is tested by trace.sh.
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const abi = uk.abi;

const name_bytes_max = abi.trace_name_bytes_max;
const fields_bytes_max = abi.trace_fields_bytes_max;
const text: [fields_bytes_max + 1]u8 = @splat('t');

pub fn run() void {
    t.expectEqual(@src(), 1, uk.calls.abi_feature_enabled(@intFromEnum(abi.Feature.tracing)), "the feature");
    const before = conformance.stats();
    names();
    nesting();
    events();
    otherTask();
    wrappers();
    const after = conformance.stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
}

fn begin(parent: abi.Handle) abi.Handle {
    var span: abi.Handle = .none;
    t.ok(@src(), .trace_span_begin, .{ "span", 4, parent, &span });
    return span;
}

fn end(span: abi.Handle) void {
    t.ok(@src(), .trace_span_end, .{span});
}

fn names() void {
    var span: abi.Handle = .none;
    t.fails(@src(), .trace_span_begin, .bad_value, .{ &text, 0, 0, &span });
    t.fails(@src(), .trace_span_begin, .too_long, .{ &text, name_bytes_max + 1, 0, &span });
    for ([_]u64{ 1, name_bytes_max }) |bytes| {
        t.ok(@src(), .trace_span_begin, .{ &text, bytes, 0, &span });
        end(span);
    }
}

fn nesting() void {
    const outer = begin(.none);
    const inner = begin(outer);
    // In whichever order they end.
    end(outer);
    var span: abi.Handle = .none;
    t.fails(@src(), .trace_span_begin, .bad_handle, .{ "late", 4, outer, &span });
    t.fails(@src(), .trace_span_end, .bad_handle, .{outer});
    end(begin(inner));
    end(inner);
}

fn field(key: []const u8, value: []const u8) abi.TraceField {
    return uk.trace.field(key, value);
}

fn events() void {
    const span = begin(.none);
    var fields: [abi.trace_fields_max]abi.TraceField = @splat(field("key", "value"));
    for ([_]abi.Handle{ .none, span }) |where| {
        t.ok(@src(), .trace_event, .{ where, &fields, 1 });
        t.ok(@src(), .trace_event, .{ where, &fields, fields.len });
    }
    t.fails(@src(), .trace_event, .bad_value, .{ span, &fields, 0 });
    t.fails(@src(), .trace_event, .too_long, .{ span, &fields, fields.len + 1 });
    fields[1] = field("k", "");
    fields[1].value = 0;
    t.ok(@src(), .trace_event, .{ span, &fields, 2 });
    fields[1] = field("", "value");
    t.fails(@src(), .trace_event, .bad_value, .{ span, &fields, 2 });
    fields[0] = field("k", text[0 .. fields_bytes_max - 1]);
    t.ok(@src(), .trace_event, .{ span, &fields, 1 });
    fields[0].value_bytes += 1;
    t.fails(@src(), .trace_event, .too_long, .{ span, &fields, 1 });
    for ([_]u64{ 1 << 16, 1 << 32, 0 -% @as(u64, 1) }) |bytes| {
        fields[0] = field("k", "v");
        fields[0].value_bytes = bytes;
        t.fails(@src(), .trace_event, .too_long, .{ span, &fields, 1 });
        fields[0] = field("k", "v");
        fields[0].key_bytes = bytes;
        t.fails(@src(), .trace_event, .too_long, .{ span, &fields, 1 });
    }
    fields[0] = field("k", "v");
    fields[0].key = 8;
    t.fails(@src(), .trace_event, .bad_pointer, .{ span, &fields, 1 });
    fields[0] = field("k", "v");
    fields[0].value = 0xffff_8000_0000_0000;
    t.fails(@src(), .trace_event, .bad_pointer, .{ span, &fields, 1 });
    end(span);
    fields[0] = field("k", "v");
    t.fails(@src(), .trace_event, .bad_handle, .{ span, &fields, 1 });
}

var given: abi.Handle = .none;

fn endsIt(_: usize) void {
    end(begin(given));
    end(given);
}

/// A span is the VM's, not its task's.
fn otherTask() void {
    given = begin(.none);
    var thread: t.Thread = .{};
    thread.start(endsIt, 0, .{});
    _ = thread.join();
    t.fails(@src(), .trace_span_end, .bad_handle, .{given});
    // One that its task leaves open stays.
    thread.start(leavesOpen, 0, .{});
    _ = thread.join();
    end(given);
    // A task that may not trace goes on without.
    thread.start(refused, 0, .{ .active = 1 << 4, .capabilities = 1 << 4 });
    _ = thread.join();
    thread.free();
}

fn leavesOpen(_: usize) void {
    given = begin(.none);
}

fn refused(_: usize) void {
    const span = uk.Span.begin("refused", .none);
    t.expect(@src(), span == .none, "no span");
    span.event("refused", .{});
    span.end();
}

fn wrappers() void {
    const outer = uk.Span.begin("outer", .none);
    t.expect(@src(), outer != .none, "a span");
    const inner = uk.Span.begin(&text, outer);
    t.expect(@src(), inner != .none, "a name that is cut");
    inner.event("event", .{ .number = @as(u64, 17), .text = "text", .negative = -1 });
    uk.trace.event("outside", .{});
    inner.end();
    outer.end();
    uk.Span.none.end();
}
