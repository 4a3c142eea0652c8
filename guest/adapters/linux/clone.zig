//! Making and ending threads.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const threads = @import("thread.zig");
const entry = @import("entry.zig");
const abi = uk.abi;
const user = posix.user;
const Thread = threads.Thread;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;
const CLONE = std.os.linux.CLONE;

/// What a thread shares with its maker; anything less would be another process.
const shared = CLONE.VM | CLONE.SIGHAND | CLONE.THREAD;
const known = shared | CLONE.FS | CLONE.FILES | CLONE.SYSVSEM | CLONE.SETTLS | CLONE.PARENT_SETTID | CLONE.CHILD_SETTID |
    CLONE.CHILD_CLEARTID | CLONE.DETACHED | CLONE.IO;

pub fn clone(call: Call) Error!u64 {
    const flags = call.arg(0) & ~@as(u64, 0xff);
    // A second process is not to be had: one VM runs one workload.
    if (flags & shared != shared) return error.ENOSYS;
    if (flags & ~@as(u64, known) != 0) return error.EINVAL;
    const thread = threads.create() orelse return error.EAGAIN;
    errdefer threads.abandon(thread);
    thread.mask = call.thread.mask;
    thread.name = call.thread.name;
    if (flags & CLONE.CHILD_CLEARTID != 0) thread.clear_tid = call.arg(3);
    thread.start = call.frame.*;
    thread.start.kind = .context;
    thread.start.flags = .{};
    thread.start.gs_base = @intFromPtr(thread);
    thread.start.rax = 0;
    if (call.arg(1) != 0) thread.start.rsp = call.arg(1);
    if (flags & CLONE.SETTLS != 0) {
        try user.check(call.arg(4), 0);
        thread.start.fs_base = call.arg(4);
    }
    if (flags & CLONE.CHILD_SETTID != 0) try user.put(i32, call.arg(3), thread.tid);
    if (flags & CLONE.PARENT_SETTID != 0) try user.put(i32, call.arg(2), thread.tid);
    return start(thread);
}

fn start(thread: *Thread) Error!u64 {
    const tid = thread.tid;
    const options: abi.TaskOptions = .{
        .entry = @intFromPtr(&begin),
        .argument = @intFromPtr(thread),
        .stack = thread.stackTop(),
        .gs_base = @intFromPtr(thread),
        .flags = .{ .detached = true },
        .priority = abi.priority_normal,
        .capabilities = 0xff,
        .active = 0xff,
    };
    var task: abi.Handle = .none;
    // From here on the thread may run, end and be another.
    uk.calls.check(uk.calls.task_spawn(&options, &task)) catch |failure| return posix.errno.of(failure);
    return @intCast(tid);
}

fn begin(thread: *Thread) callconv(.c) noreturn {
    @atomicStore(u64, &thread.task, uk.calls.task_self(), .release);
    @atomicStore(threads.State, &thread.state, .running, .release);
    entry.setHandlers(thread);
    entry.resumeAt(&thread.start);
}

pub fn exit(call: Call) Error!u64 {
    const thread = call.thread;
    const status = call.int(0) & 0xff;
    clearTid(thread);
    if (threads.end(thread)) _ = uk.calls.vm_exit(status);
    // The kernel ends the VM with the first task: it stays until the last thread is gone.
    if (thread.tid == threads.process_id) while (true) {
        _ = uk.calls.task_sleep(abi.deadline_never);
    };
    var stats: abi.TaskStats = .{};
    if (uk.calls.task_get_stats(@enumFromInt(thread.task), &stats) == .ok) _ = @atomicRmw(u64, &threads.ended_cpu_ns, .Add, stats.cpu_ns, .monotonic);
    _ = uk.calls.task_exit(status, @intFromPtr(&thread.busy));
    @trap();
}

fn clearTid(thread: *Thread) void {
    if (thread.clear_tid == 0) return;
    // As on Linux, a bad address is the workload's own loss.
    user.put(u32, thread.clear_tid, 0) catch return;
    _ = uk.calls.task_wake(thread.clear_tid, 1, null);
}

pub fn exit_group(call: Call) Error!u64 {
    _ = uk.calls.vm_exit(call.int(0) & 0xff);
    @trap();
}

pub fn set_tid_address(call: Call) Error!u64 {
    call.thread.clear_tid = call.arg(0);
    return @intCast(call.thread.tid);
}

pub fn gettid(call: Call) Error!u64 {
    return @intCast(call.thread.tid);
}

pub fn sched_yield(_: Call) Error!u64 {
    _ = uk.calls.task_yield();
    return 0;
}
