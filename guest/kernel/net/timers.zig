//! What is due when. Setting a timer later costs nothing: it fires at the earlier time and its owner sets it again, so that a
//! timer that every acknowledgement moves is queued once per period.
const std = @import("std");
const heap = @import("../sched/heap.zig");

pub const never: u64 = std.math.maxInt(u64);

pub const Kind = enum(u8) { connection, embryo, time_wait, neighbours, dhcp };

pub const Timer = struct {
    kind: Kind,
    due_ns: u64 = never,
    links: heap.Links = .{},

    fn less(a: *const Timer, b: *const Timer) bool {
        return a.due_ns < b.due_ns;
    }
};

pub const Timers = struct {
    heap: heap.Heap(Timer, "links", Timer.less) = .{},

    /// Fires at `due_ns` or before: the owner looks what is due, and sets it again.
    pub fn setBy(timers: *Timers, timer: *Timer, due_ns: u64) void {
        if (due_ns == never) return;
        if (timer.links.queued) {
            if (timer.due_ns <= due_ns) return;
            timers.heap.remove(timer);
        }
        timer.due_ns = due_ns;
        timers.heap.insert(timer);
    }

    pub fn cancel(timers: *Timers, timer: *Timer) void {
        if (timer.links.queued) timers.heap.remove(timer);
    }

    pub fn deadline(timers: *const Timers) u64 {
        return if (timers.heap.min()) |timer| timer.due_ns else never;
    }

    /// Takes out the first timer that is due.
    pub fn takeDue(timers: *Timers, now_ns: u64) ?*Timer {
        const timer = timers.heap.min() orelse return null;
        return if (timer.due_ns <= now_ns) timers.heap.removeMin() else null;
    }
};
