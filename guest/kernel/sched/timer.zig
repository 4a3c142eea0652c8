//! Something that happens at a time: the end of a task's wait, or what an object of the kernel does then.
const heap = @import("heap.zig");

pub const Timer = struct {
    deadline_ns: u64 = 0,
    links: heap.Links = .{},
    /// The CPU on whose heap it stands.
    cpu: u32 = 0,
    /// Called once, under the kernel lock, at or after the deadline; the timer is not set any more. It may set it again.
    due: *const fn (timer: *Timer) void,

    pub fn isSet(timer: *const Timer) bool {
        return timer.links.queued;
    }

    pub fn isBefore(a: *const Timer, b: *const Timer) bool {
        return a.deadline_ns < b.deadline_ns;
    }
};

pub const Heap = heap.Heap(Timer, "links", Timer.isBefore);
