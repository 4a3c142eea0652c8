//! The host's request for an orderly stop: an event that the workload may take, or else the end of the VM.
const std = @import("std");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const clock = @import("../arch/clock.zig");
const cpu = @import("../arch/cpu.zig");
const smp = @import("../arch/smp.zig");
const poll = @import("poll.zig");
const tasks = @import("tasks.zig");
const task_object = @import("task.zig");

/// When the host asked, in nanoseconds; 0 while it has not.
pub var requested_ns: u64 = 0;
/// A listener has read it.
pub var taken: bool = false;
/// Open stop events; while there is one, a request does not end the VM.
pub var listeners: u32 = 0;
pub var readers: task_object.WaitQueue = .{};
/// Every open stop event.
pub var group: poll.Group = .{};

/// The lock is held.
pub fn request() void {
    std.debug.assert(lock.isHeld());
    if (requested_ns == 0) requested_ns = @max(1, clock.nowNs());
    group.update(true);
    if (listeners > 0) {
        while (readers.first) |task| {
            if (!scheduler.wake(task, .woken)) break;
        }
        return;
    }
    endFirstTask();
}

/// The first task ends the VM on its next way to user mode. The lock is held.
fn endFirstTask() void {
    const first = tasks.main orelse return;
    first.end_requested.store(true, .release);
    switch (first.state) {
        .blocked => if (first.interruptible) {
            _ = scheduler.wake(first, .interrupted);
        },
        .running => smp.kick(cpu.all[first.cpu]),
        else => {},
    }
}

/// A listener goes. When the last does with the request unread, it is as if nobody had listened. The lock is held.
pub fn dropListener() void {
    std.debug.assert(lock.isHeld() and listeners > 0);
    listeners -= 1;
    if (listeners == 0 and requested_ns != 0 and !taken) endFirstTask();
}
