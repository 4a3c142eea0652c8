//! A lock that a task sleeps for. Held across device waits and waits for other CPUs, never by an idle task.
const std = @import("std");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const task_object = @import("task.zig");

pub const Mutex = struct {
    owner: ?*task_object.Task = null,
    waiters: task_object.WaitQueue = .{},

    /// The kernel lock is not held.
    pub fn acquire(mutex: *Mutex) void {
        lock.acquire();
        defer lock.release();
        const me = scheduler.current();
        std.debug.assert(mutex.owner != me);
        if (mutex.owner == null) {
            mutex.owner = me;
            return;
        }
        mutex.waiters.append(me);
        // Ownership is handed over by `release`.
        _ = scheduler.block(scheduler.forever, false);
        std.debug.assert(mutex.owner == me);
    }

    pub fn release(mutex: *Mutex) void {
        lock.acquire();
        defer lock.release();
        std.debug.assert(mutex.owner == scheduler.current());
        mutex.owner = mutex.waiters.first;
        if (mutex.waiters.first) |next| std.debug.assert(scheduler.wake(next, .woken));
    }
};
