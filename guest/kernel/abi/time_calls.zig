//! time_*: clocks and deadlines.
const abi = @import("abi");
const dispatch = @import("dispatch");
const clock = @import("../arch/clock.zig");
const user_copy = @import("../arch/user_copy.zig");
const deadline = @import("../object/deadline.zig");
const task_object = @import("../object/task.zig");
const machine = @import("../machine.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

pub fn time_now(_: *Task) u64 {
    return clock.nowNs();
}

pub fn time_wall(_: *Task, arguments: dispatch.TimeWall) Failure!void {
    const start_ns = machine.wall_at_entry_ns orelse return error.NoWallClock;
    try user_copy.writeValue(u64, arguments.wall_ns.address, start_ns +| clock.nowNs());
}

pub fn time_deadline(_: *Task, arguments: dispatch.TimeDeadline) Failure!void {
    try user_copy.writeValue(u64, arguments.deadline.address, 0);
    const handle = try deadline.create(arguments.deadline_ns);
    user_copy.writeValue(u64, arguments.deadline.address, handle) catch |failure| {
        deadline.close(handle) catch {};
        return failure;
    };
}

pub fn time_deadline_set(_: *Task, arguments: dispatch.TimeDeadlineSet) Failure!void {
    try deadline.set(@intFromEnum(arguments.deadline), arguments.deadline_ns);
}

pub fn time_deadline_close(_: *Task, arguments: dispatch.TimeDeadlineClose) Failure!void {
    try deadline.close(@intFromEnum(arguments.deadline));
}
