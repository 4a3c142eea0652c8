//! Frames that need no socket, waiting to be sent: resets, ARP, ICMP errors, answers for what waits out its end. A bounded ring; what does not fit is dropped, for
//! each of them is asked for again.
const std = @import("std");
const limits = @import("../limits.zig");
const memory_file = @import("memory.zig");

pub const frame_bytes_max = 110;

pub const Reply = struct {
    bytes: [frame_bytes_max]u8,
    length: u8,
    /// To ourselves.
    local: bool,
};

pub const Replies = struct {
    ring: [limits.net_replies_max]Reply = undefined,
    first: u32 = 0,
    count: u32 = 0,

    /// The place for one more, to be filled; null when all are taken.
    pub fn push(replies: *Replies) ?*Reply {
        if (replies.count == replies.ring.len) return null;
        const place = &replies.ring[(replies.first + replies.count) % replies.ring.len];
        replies.count += 1;
        return place;
    }

    pub fn pop(replies: *Replies) ?*const Reply {
        if (replies.count == 0) return null;
        const place = &replies.ring[replies.first];
        replies.first = (replies.first + 1) % @as(u32, replies.ring.len);
        replies.count -= 1;
        return place;
    }
};

/// Echo replies, whole frames in a page each.
pub const Echoes = struct {
    ring: [limits.net_echoes_max]struct { page: memory_file.PagePointer, length: u32, local: bool } = undefined,
    first: u32 = 0,
    count: u32 = 0,

    pub fn push(echoes: *Echoes, memory: *memory_file.Memory, length: u32, local: bool) ?[]u8 {
        if (echoes.count == echoes.ring.len) return null;
        const page = memory.allocate() orelse return null;
        echoes.ring[(echoes.first + echoes.count) % echoes.ring.len] = .{ .page = page, .length = length, .local = local };
        echoes.count += 1;
        return page[0..length];
    }

    /// Copies the first out; its length and whether it is to ourselves.
    pub fn pop(echoes: *Echoes, memory: *memory_file.Memory, out: []u8) ?struct { u32, bool } {
        if (echoes.count == 0) return null;
        const echo = echoes.ring[echoes.first];
        echoes.first = (echoes.first + 1) % @as(u32, echoes.ring.len);
        echoes.count -= 1;
        @memcpy(out[0..echo.length], echo.page[0..echo.length]);
        memory.release(echo.page);
        return .{ echo.length, echo.local };
    }
};

test "a full ring takes no more and loses nothing of what it has" {
    var replies: Replies = .{};
    for (0..200) |round| {
        for (0..limits.net_replies_max) |index| replies.push().?.length = @intCast((round + index) % 100);
        try std.testing.expectEqual(null, replies.push());
        for (0..limits.net_replies_max) |index| try std.testing.expectEqual((round + index) % 100, replies.pop().?.length);
        try std.testing.expectEqual(null, replies.pop());
    }
}
