//! The two handlers that the kernel enters, on the thread's handler stack, and the way back into the workload. Everything here is compiled
//! without vector registers, so those stay the workload's.
const uk = @import("ukernel");
const posix = @import("posix");
const table = @import("table.zig");
const signals = @import("signals.zig");
const proc = @import("proc.zig");
const abi = uk.abi;
const limits = posix.limits;
const Thread = @import("thread.zig").Thread;

/// For the calling thread.
pub fn setHandlers(thread: *const Thread) void {
    const flags: abi.HandlerFlags = .{ .keep_vector = true };
    const foreign = uk.calls.task_set_foreign_handler(@intFromPtr(&onForeignCall), thread.stack, limits.handler_stack_bytes, flags);
    const fault = uk.calls.task_set_fault_handler(@intFromPtr(&onFault), thread.stack, limits.handler_stack_bytes, flags);
    if (foreign != .ok or fault != .ok) proc.endWith("the kernel refuses the handlers", proc.status_internal);
}

pub fn resumeAt(frame: *const abi.TaskFrame) noreturn {
    _ = uk.calls.task_resume(frame);
    proc.endWith("the kernel refuses to resume a thread", proc.status_internal);
}

fn onForeignCall(frame: *abi.TaskFrame) callconv(.c) void {
    const thread = Thread.current();
    const restart = table.serve(thread, frame);
    signals.deliver(thread, frame, restart);
}

fn onFault(frame: *abi.TaskFrame) callconv(.c) void {
    const thread = Thread.current();
    if (frame.kind == .interrupt) return signals.deliver(thread, frame, null);
    if (!frame.flags.in_handler) {
        signals.fault(thread, frame);
        return signals.deliver(thread, frame, null);
    }
    if (posix.user.recover(frame)) return;
    proc.endByOwnFault(frame);
}
