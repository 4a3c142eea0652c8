//! Connected pairs of local stream sockets. Sockets of a network wait for the kernel's net functions.
const std = @import("std");
const posix = @import("posix");
const signals = @import("signals.zig");
const user = posix.user;
const open_file = posix.open;
const Open = open_file.Open;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const family_local = 1;
const type_stream = 1;
const flag_non_block = 0o4000;
const flag_close_on_exec = 0o2000000;
const flags_known = flag_non_block | flag_close_on_exec;

pub fn socketpair(call: Call) Error!u64 {
    if (call.word(0) != family_local) return error.EAFNOSUPPORT;
    if (call.word(1) & ~@as(u32, flags_known) != type_stream or call.word(2) > 1) return error.EOPNOTSUPP;
    const there = try posix.pipe.create();
    const back = posix.pipe.create() catch |failure| {
        there.closeReader();
        there.closeWriter();
        return failure;
    };
    const status = 2 | (call.word(1) & flag_non_block);
    const first = open_file.create(.{ .pair = .{ .in = back, .out = there } }, status, "socket:") catch |failure| {
        there.closeReader();
        back.closeWriter();
        return failure;
    };
    const second = open_file.create(.{ .pair = .{ .in = there, .out = back } }, status, "socket:") catch |failure| {
        first.release();
        return failure;
    };
    const close_on_exec = call.word(1) & flag_close_on_exec != 0;
    const first_number = open_file.install(first, 0, close_on_exec) catch |failure| {
        second.release();
        return failure;
    };
    errdefer open_file.close(@intCast(first_number)) catch {};
    const second_number = try open_file.install(second, 0, close_on_exec);
    errdefer open_file.close(@intCast(second_number)) catch {};
    try user.put([2]u32, call.arg(3), .{ @intCast(first_number), @intCast(second_number) });
    return 0;
}

fn pairOf(number: i32) Error!*Open {
    const open = try open_file.get(number);
    if (open.object == .pair) return open;
    open.release();
    return error.ENOTSOCK;
}

const message_no_signal = 0x4000;
const message_dont_wait = 0x40;

pub fn sendto(call: Call) Error!u64 {
    if (call.word(3) & ~@as(u32, message_no_signal | message_dont_wait) != 0) return error.EOPNOTSUPP;
    const open = try pairOf(call.int(0));
    defer open.release();
    try user.check(call.arg(1), call.arg(2));
    const non_block = open.isNonBlock() or call.word(3) & message_dont_wait != 0;
    return open.object.pair.out.write(call.arg(1), call.arg(2), non_block) catch |failure| {
        if (failure == error.EPIPE and call.word(3) & message_no_signal == 0) signals.post(call.thread, signals.pipe);
        return failure;
    };
}

pub fn recvfrom(call: Call) Error!u64 {
    if (call.word(3) & ~@as(u32, message_dont_wait) != 0) return error.EOPNOTSUPP;
    const open = try pairOf(call.int(0));
    defer open.release();
    try user.check(call.arg(1), call.arg(2));
    if (call.arg(2) == 0) return 0;
    const non_block = open.isNonBlock() or call.word(3) & message_dont_wait != 0;
    const count = try open.object.pair.in.read(call.arg(1), call.arg(2), non_block);
    // A connected stream names no sender.
    if (call.arg(4) != 0 and call.arg(5) != 0) try user.put(u32, call.arg(5), 0);
    return count;
}

pub fn shutdown(call: Call) Error!u64 {
    if (call.word(1) > 2) return error.EINVAL;
    const open = try pairOf(call.int(0));
    defer open.release();
    if (call.word(1) != 1) open.object.pair.in.endReading();
    if (call.word(1) != 0) open.object.pair.out.endWriting();
    return 0;
}

/// Both ends are unnamed.
pub fn getsockname(call: Call) Error!u64 {
    (try pairOf(call.int(0))).release();
    const room = try user.get(u32, call.arg(2));
    const family = std.mem.toBytes(@as(u16, family_local));
    try user.write(call.arg(1), family[0..@min(family.len, room)]);
    try user.put(u32, call.arg(2), family.len);
    return 0;
}

const level_socket = 1;

pub fn setsockopt(call: Call) Error!u64 {
    (try pairOf(call.int(0))).release();
    return if (call.word(1) == level_socket) 0 else error.EOPNOTSUPP;
}

pub fn getsockopt(call: Call) Error!u64 {
    (try pairOf(call.int(0))).release();
    if (call.word(1) != level_socket) return error.EOPNOTSUPP;
    const value: u32 = switch (call.word(2)) {
        3 => type_stream,
        4 => 0,
        7, 8 => posix.limits.pipe_bytes,
        30 => 0,
        38 => 0,
        39 => family_local,
        else => return error.EOPNOTSUPP,
    };
    if (try user.get(u32, call.arg(4)) < 4) return error.EINVAL;
    try user.put(u32, call.arg(3), value);
    try user.put(u32, call.arg(4), 4);
    return 0;
}
