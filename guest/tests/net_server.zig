//! What the network is tested with: a server in one task, over a standing poll set.
//!
//!   TCP 7  gives back what it gets          UDP 7  likewise
//!   TCP 9  takes a stream, checks it, and says how long it was: "good N" or "bad at N"
//!   TCP 13 says what the kernel holds: "handles N pages N connections N ms N"
//!   TCP 19 is told a length as a decimal line and sends a stream of so many bytes
//!   TCP 80 answers each HTTP request with a short page
//!
//! Byte N of a stream is `pattern(N)`. The host's stop request ends it with status 0.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const calls = uk.calls;

const never = abi.deadline_never;
const connections_max = 2048;

fn pattern(index: u64) u8 {
    return @truncate((index *% 0x9e37_79b9_7f4a_7c15) >> 56);
}

const Port = enum(u16) { echo = 7, discard = 9, stats = 13, chargen = 19, http = 80 };

const Connection = struct {
    used: bool = false,
    handle: abi.Handle = .none,
    port: Port = .echo,
    wanted: abi.IoEvents = .{},
    buffer: [4096]u8 = undefined,
    /// What is to be sent of the buffer.
    from: usize = 0,
    to: usize = 0,
    /// Bytes of the stream that were checked or made.
    position: u64 = 0,
    length: ?u64 = null,
    bad: ?u64 = null,
    ended: bool = false,
    shut: bool = false,
};

var connections: [connections_max]Connection = @splat(.{});
var free: [connections_max]u16 = undefined;
var free_count: usize = 0;
var set: abi.Handle = .none;

const user_stop: u64 = 1 << 32;
const user_datagrams: u64 = 2 << 32;
const user_listener: u64 = 3 << 32;

const Ended = error{Ended} || abi.Failure;

pub fn main() !u8 {
    try uk.enable(.net, @bitCast(abi.NetRights{ .connect = true, .listen = true }));
    try uk.enable(.io, @bitCast(abi.IoRights{ .read = true, .write = true }));
    for (&free, 0..) |*place, index| place.* = @intCast(index);
    free_count = connections_max;
    try calls.check(calls.io_poll_create(&set));
    var stop: abi.Handle = .none;
    try calls.check(calls.vm_stop_event(&stop));
    try watch(stop, user_stop, .{ .readable = true });
    var listeners: [5]abi.Handle = undefined;
    for (std.enums.values(Port), &listeners) |port, *listener| {
        try calls.check(calls.net_socket(.ipv4, .tcp, listener));
        try calls.check(calls.net_bind(listener.*, &.{ .family = .ipv4, .port = @intFromEnum(port) }));
        try calls.check(calls.net_listen(listener.*, 1024));
        try watch(listener.*, user_listener | @intFromEnum(port), .{ .readable = true });
    }
    var datagrams: abi.Handle = .none;
    try calls.check(calls.net_socket(.ipv4, .udp, &datagrams));
    try calls.check(calls.net_bind(datagrams, &.{ .family = .ipv4, .port = 7 }));
    try watch(datagrams, user_datagrams, .{ .readable = true });
    try uk.print("READY\n", .{});
    while (true) {
        var entries: [64]abi.IoPollEntry = undefined;
        var ready: u32 = 0;
        try calls.check(calls.io_poll_wait(set, &entries, entries.len, never, &ready));
        for (entries[0..ready]) |*entry| switch (entry.user >> 32) {
            user_stop >> 32 => return 0,
            user_datagrams >> 32 => try echoDatagrams(datagrams),
            user_listener >> 32 => try accept(@enumFromInt(entry.handle), @enumFromInt(@as(u16, @truncate(entry.user)))),
            else => {
                const connection = &connections[@intCast(entry.user)];
                // One that ended in this round may stand in it twice.
                if (!connection.used or @intFromEnum(connection.handle) != entry.handle) continue;
                serve(connection) catch {
                    connection.used = false;
                    free[free_count] = @intCast(entry.user);
                    free_count += 1;
                    try calls.check(calls.net_close(connection.handle));
                };
            },
        };
    }
}

fn watch(handle: abi.Handle, user: u64, wanted: abi.IoEvents) abi.Failure!void {
    try calls.check(calls.io_poll_update(set, &.{ .handle = @intFromEnum(handle), .user = user, .wanted = wanted }));
}

fn echoDatagrams(socket: abi.Handle) abi.Failure!void {
    var buffer: [1500]u8 = undefined;
    for (0..64) |_| {
        var peer: abi.NetAddress = .{};
        var bytes: u64 = 0;
        calls.check(calls.net_recv(socket, &buffer, buffer.len, &peer, 0, &bytes)) catch |failure| return if (failure == error.NothingReady) {} else failure;
        // One that finds no room is lost, as UDP may.
        _ = calls.net_send(socket, &buffer, bytes, &peer, 0, &bytes);
    }
}

fn accept(listener: abi.Handle, port: Port) abi.Failure!void {
    for (0..64) |_| {
        if (free_count == 0) return;
        var handle: abi.Handle = .none;
        calls.check(calls.net_accept(listener, 0, &handle, null)) catch |failure| return if (failure == error.NothingReady) {} else failure;
        free_count -= 1;
        const index = free[free_count];
        const connection = &connections[index];
        connection.used = true;
        connection.handle = handle;
        connection.port = port;
        connection.from = 0;
        connection.to = 0;
        connection.position = 0;
        connection.length = null;
        connection.bad = null;
        connection.ended = false;
        connection.shut = false;
        connection.wanted = .{ .readable = true };
        try watch(handle, index, connection.wanted);
        if (port == .stats) {
            var stats: abi.AbiStats = .{};
            try calls.check(calls.abi_stats(&stats));
            print(connection, "handles {d} pages {d} connections {d} ms {d}\n", .{
                stats.handles_used, stats.pages_kernel, connections_max - free_count - 1, calls.time_now() / 1_000_000,
            });
            connection.ended = true;
        }
        serve(connection) catch {
            connection.used = false;
            free[free_count] = index;
            free_count += 1;
            try calls.check(calls.net_close(handle));
        };
    }
}

fn print(connection: *Connection, comptime format: []const u8, values: anytype) void {
    const text = std.fmt.bufPrint(&connection.buffer, format, values) catch unreachable;
    connection.from = 0;
    connection.to = text.len;
}

/// Does what can be done without waiting, and waits for the rest in the set.
fn serve(connection: *Connection) Ended!void {
    for (0..16) |_| {
        if (connection.from < connection.to) {
            var sent: u64 = 0;
            calls.check(calls.net_send(connection.handle, connection.buffer[connection.from..].ptr, connection.to - connection.from, null, 0, &sent)) catch |failure| {
                if (failure != error.QueueFull) return failure;
                return await(connection, .{ .writable = true });
            };
            connection.from += @intCast(sent);
            continue;
        }
        if (connection.port == .chargen) if (connection.length) |length| {
            const count: usize = @intCast(@min(length - connection.position, connection.buffer.len));
            for (connection.buffer[0..count], 0..) |*byte, index| byte.* = pattern(connection.position + index);
            connection.position += count;
            connection.from = 0;
            connection.to = count;
            if (count > 0) continue;
            connection.ended = true;
        };
        if (connection.ended) {
            // The peer has it all when it closes its side.
            if (!connection.shut) try calls.check(calls.net_set_option(connection.handle, .shutdown, 2));
            connection.shut = true;
        }
        var bytes: u64 = 0;
        calls.check(calls.net_recv(connection.handle, &connection.buffer, connection.buffer.len, null, 0, &bytes)) catch |failure| {
            if (failure != error.NothingReady) return failure;
            return await(connection, .{ .readable = true });
        };
        try take(connection, connection.buffer[0..@intCast(bytes)]);
    }
    // Others have their turn.
    return await(connection, if (connection.from < connection.to) .{ .writable = true } else .{ .readable = true });
}

fn await(connection: *Connection, wanted: abi.IoEvents) abi.Failure!void {
    if (connection.wanted == wanted) return;
    connection.wanted = wanted;
    try watch(connection.handle, (@intFromPtr(connection) - @intFromPtr(&connections)) / @sizeOf(Connection), wanted);
}

fn take(connection: *Connection, bytes: []const u8) Ended!void {
    if (bytes.len == 0) {
        if (connection.shut) return error.Ended;
        connection.ended = true;
        if (connection.port != .discard) return;
        if (connection.bad) |at| print(connection, "bad at {d}\n", .{at}) else print(connection, "good {d}\n", .{connection.position});
        return;
    }
    switch (connection.port) {
        .echo => {
            connection.from = 0;
            connection.to = bytes.len;
        },
        .discard => {
            for (bytes, connection.position..) |byte, index| {
                if (byte != pattern(index) and connection.bad == null) connection.bad = index;
            }
            connection.position += bytes.len;
        },
        .chargen => {
            const line = std.mem.trimEnd(u8, bytes, "\r\n");
            connection.length = std.fmt.parseInt(u64, line, 10) catch return error.Ended;
        },
        .http => {
            const page = "hello\n";
            print(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {d}\r\n\r\n" ++ page, .{page.len});
        },
        .stats => {},
    }
}
