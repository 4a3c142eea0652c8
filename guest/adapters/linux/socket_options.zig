//! Options of sockets. Those that are only hints are taken; one that would change what a program sees is refused.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const sockets = @import("socket.zig");
const time = @import("time.zig");
const user = posix.user;
const wait = posix.wait;
const Inet = posix.inet.Inet;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const level_ip = 0;
const level_socket = 1;
const level_tcp = 6;

const Name = enum(u32) {
    reuse_address = 2,
    kind = 3,
    pending_error = 4,
    dont_route = 5,
    broadcast = 6,
    send_buffer = 7,
    receive_buffer = 8,
    keep_alive = 9,
    priority = 12,
    linger = 13,
    reuse_port = 15,
    receive_limit = 20,
    send_limit = 21,
    listens = 30,
    protocol = 38,
    family = 39,
    _,
};

const Tcp = enum(u32) {
    no_delay = 1,
    segment_bytes = 2,
    cork = 3,
    keep_idle = 4,
    keep_interval = 5,
    keep_count = 6,
    defer_accept = 9,
    quick_acknowledgement = 12,
    user_limit = 18,
    _,
};

const Ip = enum(u32) {
    service = 1,
    hops = 2,
    discovery = 10,
    errors = 11,
    _,
};

fn valueAt(call: Call) Error!u32 {
    if (call.word(4) < 4) return error.EINVAL;
    return user.get(u32, call.arg(3));
}

pub fn setsockopt(call: Call) Error!u64 {
    const open = try sockets.get(call.int(0));
    defer open.release();
    const inet = switch (open.object) {
        .inet => |inet| inet,
        else => return if (call.word(1) == level_socket) 0 else error.EOPNOTSUPP,
    };
    switch (call.word(1)) {
        level_socket => try setOfSocket(call, inet),
        level_tcp => {
            if (inet.kind != .tcp) return error.ENOPROTOOPT;
            switch (@as(Tcp, @enumFromInt(call.word(2)))) {
                .no_delay => try inet.setOption(.no_delay, @intFromBool(try valueAt(call) != 0)),
                .segment_bytes, .cork, .keep_idle, .keep_interval, .keep_count, .defer_accept, .quick_acknowledgement, .user_limit => _ = try valueAt(call),
                _ => return error.ENOPROTOOPT,
            }
        },
        level_ip => switch (@as(Ip, @enumFromInt(call.word(2)))) {
            .service, .hops, .discovery, .errors => {},
            _ => return error.ENOPROTOOPT,
        },
        else => return error.ENOPROTOOPT,
    }
    return 0;
}

fn setOfSocket(call: Call, inet: *Inet) Error!void {
    switch (@as(Name, @enumFromInt(call.word(2)))) {
        .reuse_address => try inet.setOption(.reuse_address, @intFromBool(try valueAt(call) != 0)),
        .keep_alive => if (inet.kind == .tcp) try inet.setOption(.keep_alive, @intFromBool(try valueAt(call) != 0)),
        .receive_limit => inet.receive_ns = try limitAt(call),
        .send_limit => inet.send_ns = try limitAt(call),
        .dont_route, .broadcast, .send_buffer, .receive_buffer, .priority, .linger, .reuse_port => _ = try valueAt(call),
        else => return error.ENOPROTOOPT,
    }
}

/// 0 is no limit.
fn limitAt(call: Call) Error!u64 {
    if (call.word(4) < 16) return error.EINVAL;
    const duration_ns = try time.durationOfTimeval(call.arg(3));
    return if (duration_ns == 0) wait.never_ns else duration_ns;
}

pub fn getsockopt(call: Call) Error!u64 {
    const open = try sockets.get(call.int(0));
    defer open.release();
    const inet = switch (open.object) {
        .inet => |inet| inet,
        else => return getOfPair(call),
    };
    const value: u32 = switch (call.word(1)) {
        level_socket => switch (@as(Name, @enumFromInt(call.word(2)))) {
            .reuse_address => @intCast(try inet.getOption(.reuse_address)),
            .kind => if (inet.kind == .tcp) sockets.type_stream else sockets.type_datagram,
            .pending_error => try inet.takeError(),
            .send_buffer => @intCast(try inet.getOption(.send_buffer_bytes)),
            .receive_buffer => @intCast(try inet.getOption(.receive_buffer_bytes)),
            .keep_alive => if (inet.kind == .tcp) @intCast(try inet.getOption(.keep_alive)) else 0,
            .listens => @intFromBool(inet.state == .listening),
            .protocol => if (inet.kind == .tcp) sockets.protocol_tcp else sockets.protocol_udp,
            .family => sockets.family_internet,
            .dont_route, .broadcast, .priority, .reuse_port => 0,
            .linger => return answer(call, &@as([8]u8, @splat(0))),
            .receive_limit => return answerLimit(call, inet.receive_ns),
            .send_limit => return answerLimit(call, inet.send_ns),
            else => return error.ENOPROTOOPT,
        },
        level_tcp => switch (@as(Tcp, @enumFromInt(call.word(2)))) {
            .no_delay => if (inet.kind == .tcp) @intCast(try inet.getOption(.no_delay)) else return error.ENOPROTOOPT,
            .segment_bytes => 1460,
            else => return error.ENOPROTOOPT,
        },
        level_ip => switch (@as(Ip, @enumFromInt(call.word(2)))) {
            .service, .discovery, .errors => 0,
            .hops => 64,
            _ => return error.ENOPROTOOPT,
        },
        else => return error.ENOPROTOOPT,
    };
    return answer(call, std.mem.asBytes(&value));
}

/// As much as there is room for.
fn answer(call: Call, value: []const u8) Error!u64 {
    const room = try user.get(u32, call.arg(4));
    if (room > std.math.maxInt(i32)) return error.EINVAL;
    const part = value[0..@min(value.len, room)];
    try user.write(call.arg(3), part);
    try user.put(u32, call.arg(4), @intCast(part.len));
    return 0;
}

fn answerLimit(call: Call, limit_ns: u64) Error!u64 {
    const known = if (limit_ns == wait.never_ns) 0 else limit_ns;
    return answer(call, std.mem.asBytes(&[2]u64{ known / std.time.ns_per_s, known % std.time.ns_per_s / 1000 }));
}

fn getOfPair(call: Call) Error!u64 {
    if (call.word(1) != level_socket) return error.EOPNOTSUPP;
    const value: u32 = switch (@as(Name, @enumFromInt(call.word(2)))) {
        .kind => sockets.type_stream,
        .pending_error, .listens, .protocol => 0,
        .send_buffer, .receive_buffer => posix.limits.pipe_bytes,
        .family => sockets.family_local,
        else => return error.EOPNOTSUPP,
    };
    if (try user.get(u32, call.arg(4)) < 4) return error.EINVAL;
    return answer(call, std.mem.asBytes(&value));
}
