//! Deadlines are absolute, in nanoseconds since the kernel's start: 0 has passed (do not wait), `abi.deadline_never` never comes.
const uk = @import("ukernel.zig");
const abi = uk.abi;
const calls = uk.calls;

const needs: uk.Needs = .{ .kind = .time, .rights = @bitCast(abi.TimeRights{ .wall = true, .deadline = true }) };

/// The deadline that comes after so long.
pub fn after(duration_ns: u64) u64 {
    return calls.time_now() +| duration_ns;
}

/// Waits so long.
pub fn sleep(duration_ns: u64) void {
    const deadline_ns = after(duration_ns);
    while (calls.task_sleep(deadline_ns) == .interrupted) {}
}

/// Nanoseconds since 1970-01-01T00:00Z.
pub fn wallNow() abi.Failure!u64 {
    var wall_ns: u64 = 0;
    try uk.perform(needs, calls.time_wall, .{&wall_ns});
    return wall_ns;
}

/// A deadline as a handle for a poll set: readable from its time until it is given another.
pub const Deadline = struct {
    handle: abi.Handle,

    pub fn create(deadline_ns: u64) abi.Failure!Deadline {
        var handle: abi.Handle = .none;
        try uk.perform(needs, calls.time_deadline, .{ deadline_ns, &handle });
        return .{ .handle = handle };
    }

    pub fn set(deadline: Deadline, deadline_ns: u64) abi.Failure!void {
        try uk.perform(needs, calls.time_deadline_set, .{ deadline.handle, deadline_ns });
    }

    pub fn close(deadline: Deadline) void {
        uk.closed(uk.perform(needs, calls.time_deadline_close, .{deadline.handle}), "Deadline.close");
    }
};
