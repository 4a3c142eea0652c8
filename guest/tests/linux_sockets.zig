//! Sockets of the network by Linux's calls, over the loopback: a part of linux_calls.zig.
const std = @import("std");
const calls = @import("linux_calls.zig");
const linux = std.os.linux;
const ok = calls.ok;
const errorIs = calls.errorIs;

const Address = linux.sockaddr.in;
const loopback: u32 = @bitCast([4]u8{ 127, 0, 0, 1 });

fn make(kind: u32) i32 {
    return @intCast(linux.socket(linux.AF.INET, kind | linux.SOCK.CLOEXEC, 0));
}

fn addressOf(number: i32) Address {
    var address: Address = .{ .port = 0, .addr = 0 };
    var bytes: linux.socklen_t = @sizeOf(Address);
    errorIs("getsockname", linux.getsockname(number, @ptrCast(&address), &bytes), .SUCCESS);
    ok("its length", bytes == @sizeOf(Address));
    return address;
}

fn bindAny(number: i32) Address {
    errorIs("bind", linux.bind(number, @ptrCast(&Address{ .port = 0, .addr = loopback }), @sizeOf(Address)), .SUCCESS);
    return addressOf(number);
}

fn connectTo(number: i32, address: Address) usize {
    return linux.connect(number, @ptrCast(&address), @sizeOf(Address));
}

fn polled(number: i32, wanted: i16, limit_ms: i32) i16 {
    var entry: [1]linux.pollfd = .{.{ .fd = number, .events = wanted, .revents = 0 }};
    const count = linux.poll(&entry, 1, limit_ms);
    return if (count == 1) entry[0].revents else 0;
}

fn option(number: i32, level: i32, name: u32) u32 {
    var value: u32 = 0xffff_ffff;
    var bytes: linux.socklen_t = 4;
    errorIs("getsockopt", linux.getsockopt(number, level, name, @ptrCast(&value), &bytes), .SUCCESS);
    return value;
}

fn set(number: i32, level: i32, name: u32, value: u32) usize {
    return linux.setsockopt(number, level, name, @ptrCast(&value), 4);
}

const non_block = linux.SOCK.NONBLOCK;
const pair_wanted = linux.POLL.IN | linux.POLL.OUT;

pub fn run() void {
    errorIs("a family that there is not", linux.socket(99, linux.SOCK.STREAM, 0), .AFNOSUPPORT);
    errorIs("UDP over a stream", linux.socket(linux.AF.INET, linux.SOCK.STREAM, 17), .PROTONOSUPPORT);
    streams();
    refusals();
    datagrams();
    edges();
}

fn streams() void {
    const listener = make(linux.SOCK.STREAM | non_block);
    errorIs("reuse", set(listener, linux.SOL.SOCKET, linux.SO.REUSEADDR, 1), .SUCCESS);
    const bound = blk: {
        errorIs("bind", linux.bind(listener, @ptrCast(&Address{ .port = 0, .addr = loopback }), @sizeOf(Address)), .SUCCESS);
        errorIs("listen", linux.listen(listener, 16), .SUCCESS);
        break :blk addressOf(listener);
    };
    ok("a port of the system's", bound.port != 0 and bound.addr == loopback);
    ok("it listens", option(listener, linux.SOL.SOCKET, linux.SO.ACCEPTCONN) == 1);
    ok("a stream", option(listener, linux.SOL.SOCKET, linux.SO.TYPE) == linux.SOCK.STREAM);
    errorIs("nobody there", linux.accept4(listener, null, null, 0), .AGAIN);
    ok("nobody to poll for", polled(listener, linux.POLL.IN, 20) == 0);

    const client = make(linux.SOCK.STREAM);
    var peer: Address = .{ .port = 0, .addr = 0 };
    var peer_bytes: linux.socklen_t = 6;
    errorIs("no peer", linux.getpeername(client, @ptrCast(&peer), &peer_bytes), .NOTCONN);
    errorIs("connect", connectTo(client, bound), .SUCCESS);
    errorIs("again", connectTo(client, bound), .ISCONN);
    ok("somebody to poll for", polled(listener, linux.POLL.IN, 2000) == linux.POLL.IN);
    var from: Address = .{ .port = 0, .addr = 0 };
    var from_bytes: linux.socklen_t = @sizeOf(Address);
    const server: i32 = @intCast(linux.accept4(listener, @ptrCast(&from), &from_bytes, non_block));
    ok("from whom", from.addr == loopback and from.port == addressOf(client).port and from_bytes == @sizeOf(Address));
    errorIs("a name that does not fit", linux.getpeername(client, @ptrCast(&peer), &peer_bytes), .SUCCESS);
    ok("is cut", peer_bytes == 16 and peer.port == bound.port and peer.addr != loopback);

    var buffer: [64]u8 = undefined;
    errorIs("nothing there", linux.recvfrom(server, &buffer, buffer.len, 0, null, null), .AGAIN);
    ok("nothing to read, room to write", polled(server, pair_wanted, 0) == linux.POLL.OUT);
    const parts = [_]std.posix.iovec_const{ .{ .base = "one ", .len = 4 }, .{ .base = "", .len = 0 }, .{ .base = "two", .len = 3 } };
    ok("writev", linux.writev(client, &parts, parts.len) == 7);
    ok("something to read", polled(server, pair_wanted, 2000) == pair_wanted);
    var first: [2]u8 = undefined;
    var room = [_]std.posix.iovec{ .{ .base = &first, .len = 2 }, .{ .base = &buffer, .len = buffer.len } };
    ok("readv takes what is there", linux.readv(server, &room, room.len) == 7 and std.mem.eql(u8, &first, "on") and std.mem.eql(u8, buffer[0..5], "e two"));
    var message: linux.msghdr_const = std.mem.zeroes(linux.msghdr_const);
    message.iov = &parts;
    message.iovlen = parts.len;
    ok("sendmsg", linux.sendmsg(server, &message, linux.MSG.NOSIGNAL) == 7);
    var into: linux.msghdr = std.mem.zeroes(linux.msghdr);
    into.iov = &room;
    into.iovlen = room.len;
    ok("recvmsg", linux.recvmsg(client, &into, 0) == 7 and std.mem.eql(u8, buffer[0..5], "e two"));
    errorIs("not to be waited for", linux.recvfrom(client, &buffer, 1, linux.MSG.DONTWAIT, null, null), .AGAIN);
    const limit = [2]u64{ 0, 20_000 };
    errorIs("a limit", linux.setsockopt(client, linux.SOL.SOCKET, linux.SO.RCVTIMEO, @ptrCast(&limit), 16), .SUCCESS);
    errorIs("waited for so long", linux.recvfrom(client, &buffer, 1, 0, null, null), .AGAIN);
    errorIs("no delay", set(client, linux.IPPROTO.TCP, linux.TCP.NODELAY, 1), .SUCCESS);
    ok("no delay now", option(client, linux.IPPROTO.TCP, linux.TCP.NODELAY) != 0);
    errorIs("half an end", linux.shutdown(client, linux.SHUT.WR), .SUCCESS);
    errorIs("nothing more goes", linux.sendto(client, "x", 1, linux.MSG.NOSIGNAL, null, 0), .PIPE);
    ok("the end to poll for", polled(server, linux.POLL.IN, 2000) & linux.POLL.IN != 0);
    ok("the end", linux.recvfrom(server, &buffer, buffer.len, 0, null, null) == 0);
    ok("the other way still", linux.sendto(server, "bye", 3, 0, null, 0) == 3 and linux.read(client, &buffer, buffer.len) == 3);
    for ([_]i32{ server, client, listener }) |each| errorIs("close", linux.close(each), .SUCCESS);
}

fn refusals() void {
    const nobody = make(linux.SOCK.STREAM);
    const unused = bindAny(nobody);
    _ = linux.close(nobody);
    const client = make(linux.SOCK.STREAM);
    errorIs("nobody listens", connectTo(client, unused), .CONNREFUSED);
    _ = linux.close(client);
    errorIs("not its address", linux.bind(make(linux.SOCK.STREAM), @ptrCast(&Address{ .port = 0, .addr = 0x01020304 }), 16), .ADDRNOTAVAIL);
    errorIs("half an address", linux.bind(make(linux.SOCK.STREAM), @ptrCast(&unused), 8), .INVAL);
    errorIs("a pipe is none", linux.listen(1, 1), .NOTSOCK);
    const late = make(linux.SOCK.STREAM | non_block);
    const answer = connectTo(late, unused);
    ok("begun, or refused at once", linux.errno(answer) == .INPROGRESS or linux.errno(answer) == .CONNREFUSED);
    if (linux.errno(answer) == .INPROGRESS) {
        ok("how it ended", polled(late, linux.POLL.OUT, 2000) & linux.POLL.ERR != 0);
        ok("refused", option(late, linux.SOL.SOCKET, linux.SO.ERROR) == @intFromEnum(linux.E.CONNREFUSED));
        ok("told once", option(late, linux.SOL.SOCKET, linux.SO.ERROR) == 0);
    } else for (0..5) |_| ok("nothing to ask", true);
    _ = linux.close(late);
}

fn datagrams() void {
    const one = make(linux.SOCK.DGRAM);
    const other = make(linux.SOCK.DGRAM | non_block);
    ok("room at once", polled(other, pair_wanted, 0) == linux.POLL.OUT);
    errorIs("to nobody", linux.sendto(other, "x", 1, 0, null, 0), .DESTADDRREQ);
    const at = bindAny(one);
    ok("sendto", linux.sendto(other, "hello", 5, 0, @ptrCast(&at), @sizeOf(Address)) == 5);
    var buffer: [64]u8 = undefined;
    var from: Address = .{ .port = 0, .addr = 0 };
    var from_bytes: linux.socklen_t = @sizeOf(Address);
    ok("recvfrom", linux.recvfrom(one, &buffer, buffer.len, 0, @ptrCast(&from), &from_bytes) == 5 and from.port == addressOf(other).port and from.addr == loopback);
    errorIs("connect", connectTo(other, at), .SUCCESS);
    const parts = [_]std.posix.iovec_const{ .{ .base = "one ", .len = 4 }, .{ .base = "two", .len = 3 } };
    var messages: [2]linux.mmsghdr = std.mem.zeroes([2]linux.mmsghdr);
    for (&messages) |*each| {
        each.hdr.iov = @ptrCast(@constCast(&parts));
        each.hdr.iovlen = parts.len;
    }
    ok("sendmmsg", linux.syscall4(.sendmmsg, @intCast(other), @intFromPtr(&messages), 2, linux.MSG.NOSIGNAL) == 2 and messages[1].len == 7);
    ok("to poll for", polled(one, linux.POLL.IN, 2000) == linux.POLL.IN);
    ok("a datagram is one", linux.recvfrom(one, &buffer, buffer.len, 0, null, null) == 7);
    var room = [_]std.posix.iovec{ .{ .base = &buffer, .len = 2 }, .{ .base = buffer[8..], .len = 3 } };
    var into: linux.msghdr = std.mem.zeroes(linux.msghdr);
    into.name = @ptrCast(&from);
    into.namelen = @sizeOf(Address);
    into.iov = &room;
    into.iovlen = room.len;
    ok("recvmsg cuts it, and says so", linux.recvmsg(one, &into, 0) == 5 and into.flags & linux.MSG.TRUNC != 0 and into.namelen == @sizeOf(Address));
    ok("in its parts", std.mem.eql(u8, buffer[0..2], "on") and std.mem.eql(u8, buffer[8..11], "e t"));
    ok("back", linux.sendto(one, "back", 4, 0, @ptrCast(&from), @sizeOf(Address)) == 4);
    ok("and there", polled(other, linux.POLL.IN, 2000) == linux.POLL.IN and linux.read(other, &buffer, buffer.len) == 4);
    _ = linux.close(one);
    ok("to one that is gone", linux.write(other, "x", 1) == 1);
    ok("an error to poll for", polled(other, linux.POLL.IN, 2000) & linux.POLL.ERR != 0);
    errorIs("refused", linux.read(other, &buffer, buffer.len), .CONNREFUSED);
    errorIs("told once", linux.read(other, &buffer, buffer.len), .AGAIN);
    _ = linux.close(other);
}

/// As Go's and Node's runtimes wait: in both directions, and only for what changes.
fn edges() void {
    const listener = make(linux.SOCK.STREAM);
    const bound = bindAny(listener);
    _ = linux.listen(listener, 4);
    const client = make(linux.SOCK.STREAM);
    _ = connectTo(client, bound);
    const server: i32 = @intCast(linux.accept4(listener, null, null, non_block));
    const epoll: i32 = @intCast(linux.epoll_create1(0));
    var wanted: linux.epoll_event = .{ .events = linux.EPOLL.IN | linux.EPOLL.OUT | linux.EPOLL.RDHUP | linux.EPOLL.ET, .data = .{ .u64 = 7 } };
    errorIs("epoll_ctl", linux.epoll_ctl(epoll, linux.EPOLL.CTL_ADD, server, &wanted), .SUCCESS);
    var events: [4]linux.epoll_event = undefined;
    ok("room to write", linux.epoll_wait(epoll, &events, 4, 1000) == 1 and events[0].events == linux.EPOLL.OUT and events[0].data.u64 == 7);
    ok("told once", linux.epoll_wait(epoll, &events, 4, 20) == 0);
    var buffer: [16]u8 = undefined;
    for (0..3) |_| {
        _ = linux.write(client, "ping", 4);
        ok("something to read", linux.epoll_wait(epoll, &events, 4, 2000) == 1 and events[0].events & linux.EPOLL.IN != 0);
        ok("all of it", linux.read(server, &buffer, buffer.len) == 4);
        errorIs("no more", linux.read(server, &buffer, buffer.len), .AGAIN);
    }
    ok("quiet", linux.epoll_wait(epoll, &events, 4, 20) == 0);
    // As much as there is room for, then again when the other side has read.
    const many: [4096]u8 = @splat('x');
    var sent: usize = 0;
    while (true) {
        const count = linux.write(server, &many, many.len);
        if (linux.errno(count) != .SUCCESS) break;
        sent += count;
    }
    ok("much", sent > 64 * 1024);
    var got: usize = 0;
    var taken: [65536]u8 = undefined;
    while (got < sent) {
        const count = linux.read(client, &taken, taken.len);
        if (linux.errno(count) != .SUCCESS or count == 0) break;
        got += count;
    }
    ok("all arrives", got == sent);
    ok("room again", linux.epoll_wait(epoll, &events, 4, 2000) == 1 and events[0].events & linux.EPOLL.OUT != 0);
    for ([_]i32{ client, server, listener, epoll }) |each| _ = linux.close(each);
}
