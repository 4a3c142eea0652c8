//! Sockets over IPv4. Any task may use one; a PollSet says when it is ready.
const std = @import("std");
const uk = @import("ukernel.zig");
const abi = uk.abi;
const calls = uk.calls;

/// One capability of a kind is active at a time: whoever uses the network asks for all of it.
pub const needs: uk.Needs = .{ .kind = .net, .rights = @bitCast(abi.NetRights{ .connect = true, .listen = true }) };

/// An address from four numbers and a port.
pub fn address(numbers: [4]u8, port: u16) abi.NetAddress {
    return .{ .family = .ipv4, .port = port, .low = std.mem.readInt(u32, &numbers, .little) };
}

/// An address from text such as 10.0.2.2:80; null for any other.
pub fn parseAddress(text: []const u8) ?abi.NetAddress {
    const colon = std.mem.indexOfScalar(u8, text, ':') orelse return null;
    const numbers = parseNumbers(text[0..colon]) orelse return null;
    return address(numbers, decimal(u16, text[colon + 1 ..]) orelse return null);
}

/// Four numbers from text such as 10.0.2.2; null for any other.
pub fn parseNumbers(text: []const u8) ?[4]u8 {
    var numbers: [4]u8 = undefined;
    var parts = std.mem.splitScalar(u8, text, '.');
    for (&numbers) |*number| number.* = decimal(u8, parts.next() orelse return null) orelse return null;
    return if (parts.next() == null) numbers else null;
}

/// Digits alone, without a sign or grouping.
fn decimal(comptime Number: type, digits: []const u8) ?Number {
    for (digits) |digit| if (!std.ascii.isDigit(digit)) return null;
    return std.fmt.parseInt(Number, digits, 10) catch null;
}

/// Longest text of formatAddress.
pub const address_text_bytes_max = "255.255.255.255:65535".len;

/// The text that parseAddress takes.
pub fn formatAddress(buffer: *[address_text_bytes_max]u8, peer: abi.NetAddress) []const u8 {
    var numbers: [4]u8 = undefined;
    std.mem.writeInt(u32, &numbers, @truncate(peer.low), .little);
    return std.fmt.bufPrint(buffer, "{d}.{d}.{d}.{d}:{d}", .{ numbers[0], numbers[1], numbers[2], numbers[3], @as(u16, @truncate(peer.port)) }) catch unreachable;
}

pub const resolve = @import("names.zig").resolve;
pub const searchDomain = @import("names.zig").searchDomain;

pub const Direction = enum(u64) { receive = 1, send = 2, both = 3 };

pub const Socket = struct {
    handle: abi.Handle,

    /// A TCP socket that accepts connections on the port of every address of the VM.
    pub fn listen(port: u16, backlog: u32) abi.Failure!Socket {
        const socket: Socket = try .make(.tcp);
        errdefer socket.close();
        try uk.perform(needs, calls.net_bind, .{ socket.handle, &address(@splat(0), port) });
        try uk.perform(needs, calls.net_listen, .{ socket.handle, backlog });
        return socket;
    }

    /// A TCP connection. It is given up when the deadline passes.
    pub fn connect(peer: abi.NetAddress, deadline_ns: u64) abi.Failure!Socket {
        const socket: Socket = try .make(.tcp);
        errdefer socket.close();
        try uk.perform(needs, calls.net_connect, .{ socket.handle, &peer, deadline_ns });
        return socket;
    }

    /// A UDP socket on the port of every address of the VM; port 0 is one of the kernel's choice.
    pub fn datagrams(port: u16) abi.Failure!Socket {
        const socket: Socket = try .make(.udp);
        errdefer socket.close();
        try uk.perform(needs, calls.net_bind, .{ socket.handle, &address(@splat(0), port) });
        return socket;
    }

    /// A UDP socket of a port of the kernel's choice, for one peer alone: `send` goes there, and what others send is dropped.
    /// Waits where DHCP has brought no address yet.
    pub fn associate(peer: abi.NetAddress, deadline_ns: u64) abi.Failure!Socket {
        const socket: Socket = try .make(.udp);
        errdefer socket.close();
        try uk.perform(needs, calls.net_connect, .{ socket.handle, &peer, deadline_ns });
        return socket;
    }

    fn make(kind: abi.NetType) abi.Failure!Socket {
        var handle: abi.Handle = .none;
        try uk.perform(needs, calls.net_socket, .{ .ipv4, kind, &handle });
        return .{ .handle = handle };
    }

    /// Takes a connection. Deadline 0 does not wait: error.NothingReady where there is none.
    pub fn accept(socket: Socket, deadline_ns: u64, peer: ?*abi.NetAddress) abi.Failure!Socket {
        var handle: abi.Handle = .none;
        try uk.perform(needs, calls.net_accept, .{ socket.handle, deadline_ns, &handle, peer });
        return .{ .handle = handle };
    }

    /// What is there, at least a byte; empty at the end of what the peer sends. Deadline 0 does not wait: error.NothingReady.
    pub fn receive(socket: Socket, buffer: []u8, deadline_ns: u64) abi.Failure![]u8 {
        return socket.receiveFrom(buffer, deadline_ns, null);
    }

    /// As receive; with UDP one datagram, and who sent it. One that does not fit is cut.
    pub fn receiveFrom(socket: Socket, buffer: []u8, deadline_ns: u64, peer: ?*abi.NetAddress) abi.Failure![]u8 {
        var bytes: u64 = 0;
        try uk.perform(needs, calls.net_recv, .{ socket.handle, buffer.ptr, buffer.len, peer, deadline_ns, &bytes });
        return buffer[0..@intCast(@min(bytes, buffer.len))];
    }

    /// Sends as much as finds room before the deadline, and gives how much that is. Deadline 0 does not wait: error.QueueFull.
    pub fn send(socket: Socket, bytes: []const u8, deadline_ns: u64) abi.Failure!usize {
        var sent: u64 = 0;
        try uk.perform(needs, calls.net_send, .{ socket.handle, bytes.ptr, bytes.len, null, deadline_ns, &sent });
        return @intCast(sent);
    }

    /// Sends all of it; where that fails, some of it may have been sent.
    pub fn sendAll(socket: Socket, bytes: []const u8, deadline_ns: u64) abi.Failure!void {
        var rest = bytes;
        while (rest.len > 0) rest = rest[try socket.send(rest, deadline_ns)..];
    }

    /// One UDP datagram to a peer.
    pub fn sendTo(socket: Socket, bytes: []const u8, peer: abi.NetAddress, deadline_ns: u64) abi.Failure!void {
        var sent: u64 = 0;
        try uk.perform(needs, calls.net_send, .{ socket.handle, bytes.ptr, bytes.len, &peer, deadline_ns, &sent });
    }

    /// Ends a direction: the peer reads what was sent, then the end.
    pub fn shutdown(socket: Socket, direction: Direction) abi.Failure!void {
        try socket.setOption(.shutdown, @intFromEnum(direction));
    }

    pub fn setOption(socket: Socket, option: abi.NetOption, value: u64) abi.Failure!void {
        try uk.perform(needs, calls.net_set_option, .{ socket.handle, option, value });
    }

    pub fn localAddress(socket: Socket) abi.Failure!abi.NetAddress {
        var local: abi.NetAddress = .{};
        try uk.perform(needs, calls.net_get_address, .{ socket.handle, &local, null });
        return local;
    }

    pub fn peerAddress(socket: Socket) abi.Failure!abi.NetAddress {
        var peer: abi.NetAddress = .{};
        try uk.perform(needs, calls.net_get_address, .{ socket.handle, null, &peer });
        return peer;
    }

    /// What was sent still goes out; what was received and not read makes it a reset. `shutdown(.send)` and reading to the end avoid that.
    pub fn close(socket: Socket) void {
        uk.closed(uk.perform(needs, calls.net_close, .{socket.handle}), "Socket.close");
    }
};
