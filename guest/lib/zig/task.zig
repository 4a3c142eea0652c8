//! Tasks with a stack of their own, and the host's request to stop.
const std = @import("std");
const uk = @import("ukernel.zig");
const abi = uk.abi;
const calls = uk.calls;

const needs: uk.Needs = .{ .kind = .task, .rights = @bitCast(abi.TaskRights{ .spawn = true, .control = true }) };

pub const Task = struct {
    handle: abi.Handle,
    stack: []align(4096) u8,

    pub const Options = struct {
        stack_bytes: usize = 256 << 10,
        priority: u32 = abi.priority_normal,
        mode: abi.TaskMode = .latency,
    };

    /// Runs the function as a task, on whichever processor is free, with the capabilities that the caller has active.
    /// A result of the function is ignored; an error of its ends the task with status 1.
    pub fn spawn(options: Options, comptime function: anytype, values: std.meta.ArgsTuple(@TypeOf(function))) abi.Failure!Task {
        const Values = @TypeOf(values);
        const Entry = struct {
            fn run(place: *const Values) callconv(.c) noreturn {
                const result = @call(.auto, function, place.*);
                var status: i32 = 0;
                if (@typeInfo(@TypeOf(result)) == .error_union) {
                    if (result) |_| {} else |_| status = 1;
                }
                _ = calls.task_exit(status, 0);
                @trap();
            }
        };
        if (options.stack_bytes > 1 << 40) return error.OutOfAddressSpace;
        const stack = try uk.reserve(std.mem.alignForward(usize, @max(options.stack_bytes, 16384), 4096));
        errdefer uk.release(stack);
        // The arguments lie at the stack's upper end, the task's own frames below them.
        const top = std.mem.alignBackward(usize, @intFromPtr(stack.ptr) + stack.len - @sizeOf(Values), @max(16, @alignOf(Values)));
        @as(*Values, @ptrFromInt(top)).* = values;
        const wanted: abi.TaskOptions = .{
            .entry = @intFromPtr(&Entry.run),
            .argument = top,
            .stack = top,
            .priority = options.priority,
            .mode = options.mode,
            .capabilities = 0xff,
            .active = 0xff,
        };
        var handle: abi.Handle = .none;
        try uk.perform(needs, calls.task_spawn, .{ &wanted, &handle });
        return .{ .handle = handle, .stack = stack };
    }

    /// Waits for the task's end, gives back its stack and tells its status. On error.TimedOut the task runs on and can be joined again.
    pub fn join(task: Task, deadline_ns: u64) abi.Failure!i32 {
        var status: i32 = 0;
        try uk.perform(needs, calls.task_join, .{ task.handle, deadline_ns, &status });
        uk.release(task.stack);
        return status;
    }
};

/// From now on the host's stop request does not end the VM but makes this handle readable, for a poll set.
pub fn stopEvent() abi.Failure!abi.Handle {
    var event: abi.Handle = .none;
    try calls.check(calls.vm_stop_event(&event));
    return event;
}
