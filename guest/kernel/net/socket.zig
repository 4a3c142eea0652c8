//! What sockets of all kinds share: what they are ready for, whose they are, and their place in the queues of the stack.
const list = @import("list.zig");

pub const Kind = enum(u8) { connection, listener, datagram };

pub const Readiness = packed struct(u8) {
    /// Reading, or accepting, does not wait.
    readable: bool = false,
    writable: bool = false,
    /// Both directions have ended.
    closed: bool = false,
    failed: bool = false,
    /// The peer sends no more.
    ended: bool = false,
    padding: u3 = 0,
};

pub const Failure = enum(u8) { none, refused, reset, timed_out, unreachable_host, too_long, address_lost };

/// Who waits to send: in the stack's queue, or in that of a neighbour whose station is not known yet.
pub const Output = struct {
    kind: enum(u8) { connection, embryo, datagram },
    link: list.Link = .{},
};

pub const Socket = struct {
    kind: Kind,
    /// The kernel's object.
    owner: ?*anyopaque = null,
    /// What `nextChanged` told last.
    reported: Readiness = .{},
    change: list.Link = .{},
};
