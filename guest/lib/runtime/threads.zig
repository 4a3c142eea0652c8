//! Tasks with a stack of their own, for C.
const uk = @import("ukernel");
const abi = uk.abi;

/// As struct uk_thread in uk.h.
const Thread = extern struct {
    task: abi.Handle,
    stack: ?[*]u8,
    stack_bytes: usize,
    run: *const fn (?*anyopaque) callconv(.c) void,
    argument: ?*anyopaque,
};

const stack_bytes_usual = 256 << 10;

/// Runs run(argument) as a task; `thread` stays until uk_thread_join.
export fn uk_thread_start(thread: *Thread, run: *const fn (?*anyopaque) callconv(.c) void, argument: ?*anyopaque, stack_bytes: usize) callconv(.c) abi.Result {
    return if (begin(thread, run, argument, stack_bytes)) .ok else |failure| abi.detailOf(failure).result();
}

fn begin(thread: *Thread, run: *const fn (?*anyopaque) callconv(.c) void, argument: ?*anyopaque, stack_bytes: usize) abi.Failure!void {
    try uk.enable(.task, @bitCast(abi.TaskRights{ .spawn = true, .control = true }));
    const wanted = if (stack_bytes == 0) stack_bytes_usual else stack_bytes;
    if (wanted > 1 << 40) return error.OutOfAddressSpace;
    const stack = try uk.reserve(@max((wanted + 4095) & ~@as(usize, 4095), 16384));
    errdefer uk.release(stack);
    thread.* = .{ .task = .none, .stack = stack.ptr, .stack_bytes = stack.len, .run = run, .argument = argument };
    const options: abi.TaskOptions = .{
        .entry = @intFromPtr(&enter),
        .argument = @intFromPtr(thread),
        .stack = @intFromPtr(stack.ptr) + stack.len,
        .priority = abi.priority_normal,
        .capabilities = 0xff,
        .active = 0xff,
    };
    try uk.calls.check(uk.calls.task_spawn(&options, &thread.task));
}

fn enter(thread: *Thread) callconv(.c) noreturn {
    thread.run(thread.argument);
    _ = uk.calls.task_exit(0, 0);
    @trap();
}

/// Waits for its end and frees its stack.
export fn uk_thread_join(thread: *Thread) callconv(.c) abi.Result {
    var status: i32 = 0;
    while (true) {
        const result = uk.calls.task_join(thread.task, abi.deadline_never, &status);
        if (result == .interrupted) continue;
        if (result != .ok) return result;
        break;
    }
    uk.release(thread.stack.?[0..thread.stack_bytes]);
    thread.stack = null;
    return .ok;
}
