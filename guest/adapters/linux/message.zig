//! Messages in several parts: sendmsg, recvmsg, sendmmsg. What goes beside the bytes (descriptors, times) is not there.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const sockets = @import("socket.zig");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const Open = posix.open.Open;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

/// struct msghdr.
const Header = extern struct {
    name: u64,
    name_bytes: u32,
    pad: u32 = 0,
    parts: u64,
    parts_count: u64,
    control: u64,
    control_bytes: u64,
    flags: u32,
    pad2: u32 = 0,
};

const Part = extern struct { address: u64, bytes: u64 };

/// Longer than any that goes into a frame.
const datagram_bytes_max = 1500;
const flag_cut = 0x20;

comptime {
    std.debug.assert(@sizeOf(Header) == 56);
}

fn partAt(header: *const Header, index: u64) Error!Part {
    const part = try user.get(Part, header.parts +% index * @sizeOf(Part));
    if (part.bytes > std.math.maxInt(i64)) return error.EINVAL;
    return part;
}

fn sendOne(call: Call, open: *Open, header: *const Header, flags: u32) Error!u64 {
    if (header.parts_count > limits.vectors_max) return error.EMSGSIZE;
    if (header.control_bytes != 0) return error.EOPNOTSUPP;
    const is_datagram = sockets.isDatagram(open);
    const to: ?abi.NetAddress = if (is_datagram and header.name != 0) try sockets.readAddress(header.name, header.name_bytes) else null;
    if (!is_datagram) return sendStream(call, open, header, flags);
    var datagram: [datagram_bytes_max]u8 = undefined;
    var bytes: usize = 0;
    for (0..@intCast(header.parts_count)) |index| {
        const part = try partAt(header, index);
        if (part.bytes > datagram.len - bytes) return error.EMSGSIZE;
        try user.read(datagram[bytes..][0..@intCast(part.bytes)], part.address);
        bytes += @intCast(part.bytes);
    }
    return sockets.sendPiece(call, open, @intFromPtr(&datagram), bytes, flags, if (to) |*peer| peer else null);
}

fn sendStream(call: Call, open: *Open, header: *const Header, flags: u32) Error!u64 {
    return sendParts(call, open, header.parts, header.parts_count, flags);
}

/// Parts of a stream, together: one alone would wait until what went before it is acknowledged (Nagle's algorithm).
pub fn sendParts(call: Call, open: *Open, parts: u64, count: u64, flags: u32) Error!u64 {
    var joined: [16 * 1024]u8 = undefined;
    var filled: usize = 0;
    var done: u64 = 0;
    for (0..@intCast(count)) |index| {
        const part = user.get(Part, parts +% index * @sizeOf(Part)) catch |failure| return if (done > 0) done else failure;
        if (part.bytes > std.math.maxInt(i64)) return if (done > 0) done else error.EINVAL;
        var at: u64 = 0;
        while (at < part.bytes) {
            const piece: usize = @intCast(@min(part.bytes - at, joined.len - filled));
            user.read(joined[filled..][0..piece], part.address +% at) catch |failure| return if (done > 0) done else failure;
            filled += piece;
            at += piece;
            if (filled < joined.len) continue;
            const sent = sockets.sendPiece(call, open, @intFromPtr(&joined), filled, flags, null) catch |failure| return if (done > 0) done else failure;
            done += sent;
            if (sent < filled) return done;
            filled = 0;
        }
    }
    if (filled == 0) return done;
    const sent = sockets.sendPiece(call, open, @intFromPtr(&joined), filled, flags, null) catch |failure| return if (done > 0) done else failure;
    return done + sent;
}

pub fn sendmsg(call: Call) Error!u64 {
    const open = try sockets.get(call.int(0));
    defer open.release();
    const header = try user.get(Header, call.arg(1));
    return sendOne(call, open, &header, call.word(2));
}

/// struct mmsghdr: a message, and how much of it was sent.
const Entry = extern struct { header: Header, bytes: u32, pad: u32 = 0 };

pub fn sendmmsg(call: Call) Error!u64 {
    const open = try sockets.get(call.int(0));
    defer open.release();
    const count = @min(call.word(2), limits.vectors_max);
    for (0..count) |index| {
        const at = call.arg(1) +% index * @sizeOf(Entry);
        const bytes = sendEntry(call, open, at, call.word(3)) catch |failure| return if (index > 0) index else failure;
        try user.put(u32, at + @offsetOf(Entry, "bytes"), @intCast(bytes));
    }
    return count;
}

fn sendEntry(call: Call, open: *Open, at: u64, flags: u32) Error!u64 {
    const header = try user.get(Header, at);
    return sendOne(call, open, &header, flags);
}

pub fn recvmsg(call: Call) Error!u64 {
    const open = try sockets.get(call.int(0));
    defer open.release();
    var header = try user.get(Header, call.arg(1));
    if (header.parts_count > limits.vectors_max) return error.EMSGSIZE;
    var from: abi.NetAddress = .{};
    const is_datagram = sockets.isDatagram(open);
    var cut = false;
    const count = if (is_datagram) try receiveDatagram(open, &header, call.word(2), &from, &cut) else try receiveStream(open, &header, call.word(2));
    if (header.name != 0) header.name_bytes = if (is_datagram) try sockets.writeAddress(header.name, header.name_bytes, from) else 0;
    header.control_bytes = 0;
    header.flags = if (cut) flag_cut else 0;
    try user.put(Header, call.arg(1), header);
    return count;
}

fn receiveDatagram(open: *Open, header: *const Header, flags: u32, from: *abi.NetAddress, cut: *bool) Error!u64 {
    var datagram: [datagram_bytes_max]u8 = undefined;
    const received = try sockets.receivePiece(open, @intFromPtr(&datagram), datagram.len, flags, from);
    var done: usize = 0;
    for (0..@intCast(header.parts_count)) |index| {
        const part = try partAt(header, index);
        const bytes: usize = @intCast(@min(part.bytes, received.bytes - done));
        try user.write(part.address, datagram[done..][0..bytes]);
        done += bytes;
    }
    cut.* = done < received.bytes;
    return if (flags & flag_cut != 0) received.whole else done;
}

/// Only the first part is waited for.
fn receiveStream(open: *Open, header: *const Header, flags: u32) Error!u64 {
    const dont_wait = 0x40;
    var from: abi.NetAddress = .{};
    var done: u64 = 0;
    for (0..@intCast(header.parts_count)) |index| {
        const part = partAt(header, index) catch |failure| return if (done > 0) done else failure;
        if (part.bytes == 0) continue;
        const more = if (done > 0) flags | dont_wait else flags;
        const received = sockets.receivePiece(open, part.address, part.bytes, more, &from) catch |failure| return if (done > 0) done else failure;
        done += received.bytes;
        if (received.bytes < part.bytes) break;
    }
    return done;
}
