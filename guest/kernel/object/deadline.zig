//! A deadline as an object: a handle that becomes readable at a time and stays so until it is given another.
const std = @import("std");
const abi = @import("abi");
const clock = @import("../arch/clock.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Pool = @import("../mem/pool.zig").Pool;
const handles = @import("handles.zig");
const Source = @import("poll.zig").Source;
const Failure = abi.Failure;

const Deadline = struct {
    source: Source = .{},
    timer: scheduler.Timer = .{ .due = &arrive },

    fn start(deadline: *Deadline, deadline_ns: u64) void {
        scheduler.cancelTimer(&deadline.timer);
        const is_past = deadline_ns <= clock.nowNs();
        deadline.source.update(.{ .readable = is_past });
        if (!is_past) scheduler.setTimer(&deadline.timer, deadline_ns);
    }

    fn arrive(timer: *scheduler.Timer) void {
        const deadline: *Deadline = @alignCast(@fieldParentPtr("timer", timer));
        deadline.source.update(.{ .readable = true });
    }
};

var pool: Pool(Deadline) = .{};

comptime {
    std.debug.assert(@sizeOf(Deadline) <= limits.handle_charge_bytes);
}

pub fn create(deadline_ns: u64) Failure!u64 {
    lock.acquire();
    defer lock.release();
    const deadline = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(deadline);
    deadline.* = .{};
    const handle = try handles.openPollable(.time, deadline, &deadline.source);
    deadline.start(deadline_ns);
    return handle;
}

pub fn set(handle: u64, deadline_ns: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const deadline = try handles.get(Deadline, handle, .time);
    deadline.start(deadline_ns);
}

pub fn close(handle: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const deadline = try handles.get(Deadline, handle, .time);
    handles.close(handle, .time) catch unreachable;
    scheduler.cancelTimer(&deadline.timer);
    pool.destroy(deadline);
}
