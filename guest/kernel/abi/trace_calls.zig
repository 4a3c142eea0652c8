//! trace_*: spans and events.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const options = @import("../options.zig").chosen;
const task_object = @import("../object/task.zig");
const trace = @import("../object/trace.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

pub fn trace_span_begin(task: *Task, arguments: dispatch.TraceSpanBegin) Failure!void {
    if (!options.tracing) return error.UnsupportedOperation;
    if (arguments.name.count == 0) return error.BadValue;
    if (arguments.name.count > abi.trace_name_bytes_max) return error.TooLong;
    var name: [abi.trace_name_bytes_max]u8 = undefined;
    const bytes = name[0..arguments.name.count];
    try user_copy.read(bytes, arguments.name.address);
    try user_copy.writeValue(u64, arguments.span.address, 0);
    const handle = try trace.begin(task, bytes, @intFromEnum(arguments.parent));
    user_copy.writeValue(u64, arguments.span.address, handle) catch |failure| {
        trace.end(task, handle) catch {};
        return failure;
    };
}

pub fn trace_span_end(task: *Task, arguments: dispatch.TraceSpanEnd) Failure!void {
    if (!options.tracing) return error.UnsupportedOperation;
    try trace.end(task, @intFromEnum(arguments.span));
}

pub fn trace_event(task: *Task, arguments: dispatch.TraceEvent) Failure!void {
    if (!options.tracing) return error.UnsupportedOperation;
    const fields = arguments.fields;
    if (fields.count == 0) return error.BadValue;
    if (fields.count > abi.trace_fields_max) return error.TooLong;
    var list: [abi.trace_fields_max]abi.TraceField = undefined;
    try user_copy.read(std.mem.sliceAsBytes(list[0..fields.count]), fields.address);
    var entry: trace.EventEntry = .{};
    var total: u64 = 0;
    for (list[0..fields.count]) |field| {
        if (field.key_bytes == 0) return error.BadValue;
        total +|= field.key_bytes +| field.value_bytes;
        if (total > abi.trace_fields_bytes_max) return error.TooLong;
        const content = entry.addField(field.key_bytes, field.value_bytes) orelse return error.TooLong;
        try user_copy.read(content[0..field.key_bytes], field.key);
        if (field.value_bytes > 0) try user_copy.read(content[field.key_bytes..], field.value);
    }
    try trace.event(task, @intFromEnum(arguments.span), &entry);
}
