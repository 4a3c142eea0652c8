//! Sockets: connected pairs of local ones, and the network's over IPv4. Messages of several parts: message.zig; options: socket_options.zig.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const signals = @import("signals.zig");
const abi = uk.abi;
const user = posix.user;
const open_file = posix.open;
const Inet = posix.inet.Inet;
const Open = open_file.Open;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

pub const family_local = 1;
pub const family_internet = 2;
pub const type_stream = 1;
pub const type_datagram = 2;
const type_raw = 3;
const flag_non_block = 0o4000;
const flag_close_on_exec = 0o2000000;
const flags_known = flag_non_block | flag_close_on_exec;
pub const protocol_tcp = 6;
pub const protocol_udp = 17;

pub fn socket(call: Call) Error!u64 {
    if (call.word(0) != family_internet) return error.EAFNOSUPPORT;
    const kind: abi.NetType = switch (call.word(1) & ~@as(u32, flags_known)) {
        type_stream => .tcp,
        type_datagram => .udp,
        type_raw => return error.EPERM,
        else => return error.EINVAL,
    };
    if (call.word(2) != 0 and call.word(2) != @as(u32, if (kind == .tcp) protocol_tcp else protocol_udp)) return error.EPROTONOSUPPORT;
    return install(try posix.inet.create(kind), call.word(1));
}

fn install(inet: *Inet, flags: u32) Error!u64 {
    const open = try open_file.create(.{ .inet = inet }, 2 | (flags & flag_non_block), "socket:");
    return open_file.install(open, 0, flags & flag_close_on_exec != 0);
}

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

/// A socket of either kind.
pub fn get(number: i32) Error!*Open {
    const open = try open_file.get(number);
    if (open.object == .pair or open.object == .inet) return open;
    open.release();
    return error.ENOTSOCK;
}

/// One of the network; of a pair nothing can be asked that is the network's.
fn getInet(number: i32) Error!*Open {
    const open = try get(number);
    if (open.object == .inet) return open;
    open.release();
    return error.EOPNOTSUPP;
}

/// struct sockaddr_in.
const Address = extern struct {
    family: u16 = family_internet,
    port: [2]u8,
    numbers: u32,
    zero: [8]u8 = @splat(0),
};

comptime {
    std.debug.assert(@sizeOf(Address) == 16);
}

pub fn readAddress(address: u64, bytes: u32) Error!abi.NetAddress {
    if (bytes < @sizeOf(Address)) return error.EINVAL;
    const given = try user.get(Address, address);
    if (given.family != family_internet) return error.EAFNOSUPPORT;
    return .{ .family = .ipv4, .port = std.mem.readInt(u16, &given.port, .big), .low = given.numbers };
}

/// As much as there is room for; gives the whole length.
pub fn writeAddress(address: u64, room: u32, value: abi.NetAddress) Error!u32 {
    var given: Address = .{ .port = undefined, .numbers = @truncate(value.low) };
    std.mem.writeInt(u16, &given.port, @truncate(value.port), .big);
    try user.write(address, std.mem.asBytes(&given)[0..@min(@sizeOf(Address), room)]);
    return @sizeOf(Address);
}

/// An address with its length beside it, where it is asked for.
fn answerAddress(address: u64, length: u64, value: abi.NetAddress) Error!void {
    if (address == 0) return;
    const room = try user.get(u32, length);
    if (room > std.math.maxInt(i32)) return error.EINVAL;
    try user.put(u32, length, try writeAddress(address, room, value));
}

pub fn bind(call: Call) Error!u64 {
    const open = try getInet(call.int(0));
    defer open.release();
    try open.object.inet.bind(&try readAddress(call.arg(1), call.word(2)));
    return 0;
}

pub fn listen(call: Call) Error!u64 {
    const open = try getInet(call.int(0));
    defer open.release();
    try open.object.inet.listen(@intCast(@max(call.int(1), 1)));
    return 0;
}

fn acceptWith(call: Call, flags: u32) Error!u64 {
    if (flags & ~@as(u32, flags_known) != 0) return error.EINVAL;
    const open = try getInet(call.int(0));
    defer open.release();
    const inet = open.object.inet;
    if (inet.kind != .tcp) return error.EOPNOTSUPP;
    var peer: abi.NetAddress = .{};
    const accepted = try inet.accept(inet.receiveDeadline(open.isNonBlock()), &peer);
    const number = try install(accepted, flags);
    errdefer open_file.close(@intCast(number)) catch {};
    try answerAddress(call.arg(1), call.arg(2), peer);
    return number;
}

pub fn accept(call: Call) Error!u64 {
    return acceptWith(call, 0);
}

pub fn accept4(call: Call) Error!u64 {
    return acceptWith(call, call.word(3));
}

pub fn connect(call: Call) Error!u64 {
    const open = try getInet(call.int(0));
    defer open.release();
    var peer = try readAddress(call.arg(1), call.word(2));
    // Linux takes it for the loopback.
    if (peer.low == 0) peer.low = std.mem.readInt(u32, &.{ 127, 0, 0, 1 }, .little);
    try open.object.inet.connect(&peer, open.isNonBlock());
    return 0;
}

pub fn getsockname(call: Call) Error!u64 {
    const open = try get(call.int(0));
    defer open.release();
    if (open.object == .inet) {
        try answerAddress(call.arg(1), call.arg(2), try open.object.inet.localAddress());
        return 0;
    }
    // Both ends of a pair are unnamed.
    const room = try user.get(u32, call.arg(2));
    const family = std.mem.toBytes(@as(u16, family_local));
    try user.write(call.arg(1), family[0..@min(family.len, room)]);
    try user.put(u32, call.arg(2), family.len);
    return 0;
}

pub fn getpeername(call: Call) Error!u64 {
    const open = try get(call.int(0));
    defer open.release();
    if (open.object != .inet) return getsockname(call);
    const inet = open.object.inet;
    const peer = try inet.peerAddress();
    // One that is being opened has none yet.
    if (inet.kind == .tcp and inet.state != .connected and inet.ready() & open_file.Ready.out == 0) return error.ENOTCONN;
    try answerAddress(call.arg(1), call.arg(2), peer);
    return 0;
}

pub const Message = struct {
    const no_signal = 0x4000;
    const dont_wait = 0x40;
    const whole_size = 0x20;
    const wait_all = 0x100;
    const errors = 0x2000;
    pub const for_exec = 0x4000_0000;
    /// More to come, and that the way was found good: hints.
    const hints = 0x8000 | 0x800;
};

/// One piece, from the workload's memory or the adapter's.
pub fn sendPiece(call: Call, open: *Open, address: u64, bytes: u64, flags: u32, to: ?*const abi.NetAddress) Error!u64 {
    if (flags & ~@as(u32, Message.no_signal | Message.dont_wait | Message.hints) != 0) return error.EOPNOTSUPP;
    // An empty message may be nowhere.
    const empty: u8 = 0;
    const from = if (bytes == 0) @intFromPtr(&empty) else address;
    try user.check(from, bytes);
    const non_block = open.isNonBlock() or flags & Message.dont_wait != 0;
    const result = switch (open.object) {
        .pair => |pair| pair.out.write(from, bytes, non_block),
        // To whom a connection goes is known.
        .inet => |inet| inet.send(from, bytes, inet.sendDeadline(non_block), if (inet.kind == .udp) to else null),
        else => unreachable,
    };
    return result catch |failure| {
        if (failure == error.EPIPE and flags & Message.no_signal == 0) signals.post(call.thread, signals.pipe);
        return failure;
    };
}

/// How much was put there, and how much there was.
pub const Received = struct { bytes: u64, whole: u64 };

pub fn receivePiece(open: *Open, address: u64, bytes: u64, flags: u32, from: *abi.NetAddress) Error!Received {
    const known = Message.dont_wait | Message.whole_size | Message.wait_all | Message.no_signal | Message.for_exec | Message.errors;
    if (flags & ~@as(u32, known) != 0) return error.EOPNOTSUPP;
    if (flags & Message.errors != 0) return error.EAGAIN;
    try user.check(address, bytes);
    const non_block = open.isNonBlock() or flags & Message.dont_wait != 0;
    switch (open.object) {
        .pair => |pair| {
            if (bytes == 0) return .{ .bytes = 0, .whole = 0 };
            const count = try pair.in.read(address, bytes, non_block);
            return .{ .bytes = count, .whole = count };
        },
        .inet => |inet| {
            const deadline_ns = inet.receiveDeadline(non_block);
            var whole = try inet.receive(address, bytes, deadline_ns, from);
            if (inet.kind == .tcp and flags & Message.wait_all != 0) while (whole > 0 and whole < bytes) {
                const more = inet.receive(address + whole, bytes - whole, deadline_ns, from) catch break;
                if (more == 0) break;
                whole += more;
            };
            return .{ .bytes = @min(whole, bytes), .whole = if (flags & Message.whole_size != 0) whole else @min(whole, bytes) };
        },
        else => unreachable,
    }
}

pub fn sendto(call: Call) Error!u64 {
    const open = try get(call.int(0));
    defer open.release();
    const to: ?abi.NetAddress = if (call.arg(4) != 0 and open.object == .inet and open.object.inet.kind == .udp) try readAddress(call.arg(4), call.word(5)) else null;
    return sendPiece(call, open, call.arg(1), call.arg(2), call.word(3), if (to) |*peer| peer else null);
}

pub fn recvfrom(call: Call) Error!u64 {
    const open = try get(call.int(0));
    defer open.release();
    var from: abi.NetAddress = .{};
    const received = try receivePiece(open, call.arg(1), call.arg(2), call.word(3), &from);
    if (call.arg(4) != 0 and call.arg(5) != 0) {
        // A stream names no sender.
        if (isDatagram(open)) try answerAddress(call.arg(4), call.arg(5), from) else try user.put(u32, call.arg(5), 0);
    }
    return received.whole;
}

pub fn isDatagram(open: *const Open) bool {
    return open.object == .inet and open.object.inet.kind == .udp;
}

pub fn shutdown(call: Call) Error!u64 {
    if (call.word(1) > 2) return error.EINVAL;
    const open = try get(call.int(0));
    defer open.release();
    switch (open.object) {
        .inet => |inet| try inet.setOption(.shutdown, call.word(1) + 1),
        .pair => |pair| {
            if (call.word(1) != 1) pair.in.endReading();
            if (call.word(1) != 0) pair.out.endWriting();
        },
        else => unreachable,
    }
    return 0;
}
