//! The host's request for an orderly stop, as SIGTERM.
const uk = @import("ukernel");
const signals = @import("signals.zig");
const abi = uk.abi;

/// The watcher touches no path and no workload memory: a small stack does.
var stack: [32 * 1024]u8 align(16) = undefined;
var event: abi.Handle = .none;

/// Without the capability to make a task, a stop request ends the VM as the kernel does it.
pub fn watch() void {
    if (uk.calls.vm_stop_event(&event) != .ok) return;
    const options: abi.TaskOptions = .{
        .entry = @intFromPtr(&run),
        .stack = @intFromPtr(&stack) + stack.len,
        .flags = .{ .detached = true },
        .priority = abi.priority_normal,
        .capabilities = 0xff,
        .active = 0xff,
    };
    var task: abi.Handle = .none;
    if (uk.calls.task_spawn(&options, &task) != .ok) _ = uk.calls.io_close(event);
}

fn run() callconv(.c) noreturn {
    var time_ns: u64 = 0;
    var bytes: u64 = 0;
    while (uk.calls.io_read(event, @ptrCast(&time_ns), 8, abi.offset_current, &bytes) == .ok) signals.postProcess(signals.term);
    _ = uk.calls.task_exit(0, 0);
    @trap();
}
