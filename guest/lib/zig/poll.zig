//! Waiting for whichever of many handles is ready: channels, sockets, deadlines, tasks, io handles.
const uk = @import("ukernel.zig");
const abi = uk.abi;
const calls = uk.calls;

const needs: uk.Needs = .{ .kind = .io, .rights = @bitCast(abi.IoRights{ .read = true, .write = true }) };

/// Waits until one of the handles is ready or the deadline passes, and sets `ready` in each entry; gives how many are.
/// For a few handles; a PollSet costs no more for a thousand that are idle.
pub fn poll(entries: []abi.IoPollEntry, deadline_ns: u64) abi.Failure!u32 {
    var ready: u32 = 0;
    uk.perform(needs, calls.io_poll, .{ entries.ptr, @as(u32, @intCast(entries.len)), deadline_ns, &ready }) catch |failure| switch (failure) {
        error.TimedOut => return 0,
        else => return failure,
    };
    return ready;
}

/// A standing set of handles. Level-triggered: a handle that stays ready is reported by every wait.
pub const PollSet = struct {
    handle: abi.Handle,

    pub fn create() abi.Failure!PollSet {
        var handle: abi.Handle = .none;
        try uk.perform(needs, calls.io_poll_create, .{&handle});
        return .{ .handle = handle };
    }

    /// Adds a handle, or changes what is wanted of it. `user` comes back with it. A handle that is closed leaves by itself.
    pub fn watch(set: PollSet, handle: abi.Handle, wanted: abi.IoEvents, user: u64) abi.Failure!void {
        const entry: abi.IoPollEntry = .{ .handle = @intFromEnum(handle), .user = user, .wanted = wanted };
        try uk.perform(needs, calls.io_poll_update, .{ set.handle, &entry });
    }

    /// Takes a handle out.
    pub fn forget(set: PollSet, handle: abi.Handle) abi.Failure!void {
        try set.watch(handle, .{}, 0);
    }

    /// The handles that are ready, as many as the buffer takes; none when the deadline passed.
    pub fn wait(set: PollSet, buffer: []abi.IoPollEntry, deadline_ns: u64) abi.Failure![]abi.IoPollEntry {
        var ready: u32 = 0;
        uk.perform(needs, calls.io_poll_wait, .{ set.handle, buffer.ptr, @as(u32, @intCast(buffer.len)), deadline_ns, &ready }) catch |failure| switch (failure) {
            error.TimedOut => return buffer[0..0],
            else => return failure,
        };
        return buffer[0..ready];
    }

    /// Ends the set, not its members.
    pub fn close(set: PollSet) void {
        uk.closed(uk.perform(needs, calls.io_poll_close, .{set.handle}), "PollSet.close");
    }
};
