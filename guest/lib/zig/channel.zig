//! Message channels between tasks: each message whole, once, and in its sender's order. Bounded both ways.
const uk = @import("ukernel.zig");
const abi = uk.abi;
const calls = uk.calls;

const needs: uk.Needs = .{ .kind = .ipc, .rights = @bitCast(abi.IpcRights{ .use = true }) };

/// One end of a channel. Any task may use it; several may receive on one end, and each message goes to one of them.
pub const Channel = struct {
    handle: abi.Handle,

    pub const Pair = struct { left: Channel, right: Channel };

    /// Makes a channel that holds at most `messages_max` messages of at most `message_bytes_max` bytes in each direction.
    pub fn create(messages_max: u32, message_bytes_max: u32) abi.Failure!Pair {
        var left: abi.Handle = .none;
        var right: abi.Handle = .none;
        try uk.perform(needs, calls.ipc_channel_create, .{ messages_max, message_bytes_max, &left, &right });
        return .{ .left = .{ .handle = left }, .right = .{ .handle = right } };
    }

    /// Sends one message. Deadline 0 does not wait: error.QueueFull where there is no room. error.PeerClosed when nobody can receive it.
    pub fn send(channel: Channel, message: []const u8, deadline_ns: u64) abi.Failure!void {
        try uk.perform(needs, calls.ipc_send, .{ channel.handle, message.ptr, message.len, deadline_ns });
    }

    /// Receives one message into the buffer. Deadline 0 does not wait: error.NothingReady where there is none. error.PeerClosed when
    /// the other end is closed and all that it sent has been received.
    pub fn receive(channel: Channel, buffer: []u8, deadline_ns: u64) abi.Failure![]u8 {
        var bytes: u64 = 0;
        try uk.perform(needs, calls.ipc_recv, .{ channel.handle, buffer.ptr, buffer.len, deadline_ns, &bytes });
        return buffer[0..@intCast(bytes)];
    }

    /// What this end has not received is lost; the other is told.
    pub fn close(channel: Channel) void {
        uk.closed(uk.perform(needs, calls.ipc_close, .{channel.handle}), "Channel.close");
    }
};
