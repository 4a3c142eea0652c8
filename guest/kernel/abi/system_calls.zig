//! abi_*, cap_*, vm_*, random_*, log_*.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const options = @import("../options.zig").chosen;
const lock = @import("../sched/lock.zig");
const capability = @import("../object/capability.zig");
const channel = @import("../object/channel.zig");
const random = @import("../object/random.zig");
const report = @import("../object/report.zig");
const stream = @import("../object/stream.zig");
const task_object = @import("../object/task.zig");
const tasks = @import("../object/tasks.zig");
const machine = @import("../machine.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

pub fn abi_version(_: *Task) u32 {
    return @as(u32, abi.version_major) << 16 | abi.version_minor;
}

pub fn abi_features(_: *Task) u64 {
    return options.features();
}

pub fn abi_feature_enabled(task: *Task, arguments: dispatch.AbiFeatureEnabled) u32 {
    if (arguments.feature >= 64) return 0;
    return @truncate(abi_features(task) >> @intCast(arguments.feature) & 1);
}

pub fn abi_stats(_: *Task, arguments: dispatch.AbiStats) Failure!void {
    tasks.settle();
    lock.acquire();
    const stats = report.statistics();
    lock.release();
    try user_copy.writeValue(abi.AbiStats, arguments.stats.address, stats);
}

pub fn err_get_last(task: *Task) u32 {
    return task.last_detail;
}

pub fn cap_acquire(task: *Task, arguments: dispatch.CapAcquire) Failure!void {
    try user_copy.writeValue(u64, arguments.capability.address, 0);
    const handle = try capability.acquire(task, @intFromEnum(arguments.kind), arguments.rights);
    user_copy.writeValue(u64, arguments.capability.address, handle) catch |failure| {
        capability.drop(handle) catch {};
        return failure;
    };
}

pub fn cap_drop(_: *Task, arguments: dispatch.CapDrop) Failure!void {
    try capability.drop(@intFromEnum(arguments.capability));
}

pub fn cap_enter(task: *Task, arguments: dispatch.CapEnter) Failure!void {
    try capability.enter(task, @intFromEnum(arguments.capability));
}

pub fn cap_exit(task: *Task, arguments: dispatch.CapExit) Failure!void {
    try capability.exit(task, @intFromEnum(arguments.capability));
}

pub fn vm_exit(_: *Task, arguments: dispatch.VmExit) Failure!void {
    machine.shutDown(arguments.status, .vm_exit, "vm_exit");
}

pub fn vm_stop_event(_: *Task, arguments: dispatch.VmStopEvent) Failure!void {
    try user_copy.writeValue(u64, arguments.event.address, 0);
    const handle = try stream.openStopEvent();
    user_copy.writeValue(u64, arguments.event.address, handle) catch |failure| {
        stream.close(handle) catch {};
        return failure;
    };
}

pub fn random_fill(_: *Task, arguments: dispatch.RandomFill) Failure!void {
    if (arguments.buffer.count > abi.random_bytes_max) return error.TooLong;
    if (arguments.buffer.count == 0) return;
    if (!user_copy.isUserRange(arguments.buffer.address, arguments.buffer.count)) return error.BadPointer;
    var done: u64 = 0;
    var bytes: [256]u8 = undefined;
    defer std.crypto.secureZero(u8, &bytes);
    while (done < arguments.buffer.count) {
        const part = bytes[0..@min(bytes.len, arguments.buffer.count - done)];
        random.fill(part);
        try user_copy.write(arguments.buffer.address + done, part);
        done += part.len;
    }
}

pub fn log_write(task: *Task, arguments: dispatch.LogWrite) Failure!void {
    if (arguments.text.count > abi.log_bytes_max) return error.TooLong;
    var text: [abi.log_bytes_max]u8 = undefined;
    const bytes = text[0..arguments.text.count];
    try user_copy.read(bytes, arguments.text.address);
    channel.log(task.id, @truncate(@intFromEnum(arguments.level)), bytes);
}
