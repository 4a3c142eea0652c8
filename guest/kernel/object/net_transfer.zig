//! Bytes between sockets and user memory: copied without the kernel lock, by one user of a socket in each direction at a time.
const std = @import("std");
const abi = @import("abi");
const clock = @import("../arch/clock.zig");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const net = @import("../net/stack.zig");
const ipv4 = @import("../net/ipv4.zig");
const net_socket = @import("net_socket.zig");
const network = @import("network.zig");
const Failure = abi.Failure;
const Connection = net.Connection;
const Datagrams = net.Datagrams;
const Endpoint = net.Endpoint;
const Socket = net_socket.Socket;

/// Sends all of it, or what finds room until the deadline.
pub fn send(handle: u64, address: u64, bytes: u64, to: ?Endpoint, deadline_ns: u64) Failure!u64 {
    const socket = try net_socket.begin(handle);
    defer net_socket.end(socket);
    if (socket.kind == .udp) return sendDatagram(socket, address, bytes, to, deadline_ns);
    if (to != null) return error.UnsupportedOperation;
    const connection = socket.connection() orelse return error.NotConnected;
    var done: u64 = 0;
    sendAll(socket, connection, address, bytes, deadline_ns, &done) catch |failure| {
        network.settle();
        return if (done > 0) done else failure;
    };
    network.settle();
    return done;
}

fn sendAll(socket: *Socket, connection: *Connection, address: u64, bytes: u64, deadline_ns: u64, done: *u64) Failure!void {
    var waited = false;
    while (done.* < bytes) {
        if (!socket.writing) {
            const wanted: u32 = @intCast(@min(bytes - done.*, limits.tcp_send_bytes_max));
            const pieces = connection.reserve(&network.stack, wanted) catch |failure| return switch (failure) {
                error.NotConnected => error.NotConnected,
                error.Closed => error.PeerClosed,
                error.Failed => net_socket.failureOf(connection.failure),
                error.OutOfMemory => error.OutOfMemory,
            };
            if (pieces[0].len > 0) {
                socket.writing = true;
                lock.release();
                var copied: u32 = 0;
                const outcome = for (pieces) |piece| {
                    user_copy.read(piece, address + done.* + copied) catch |failure| break failure;
                    copied += @intCast(piece.len);
                } else {};
                lock.acquire();
                socket.writing = false;
                connection.commit(&network.stack, copied);
                done.* += copied;
                net_socket.wakeAll(&socket.writers, .woken);
                try outcome;
                if (!socket.open) return error.BadHandle;
                continue;
            }
        }
        const state = connection.state;
        const queued = connection.send_bytes;
        network.settle();
        // Sending may have made the room. Where it did not, to try at once again would find no more and keep the lock.
        if (!socket.writing and (connection.send_bytes < queued or connection.state != state)) continue;
        if (deadline_ns <= clock.nowNs()) return if (waited) error.TimedOut else error.QueueFull;
        waited = true;
        try socket.awaitRoom(deadline_ns);
    }
}

/// Longest datagram that a frame holds.
const datagram_bytes_max = 1500 - ipv4.header_bytes - @import("../net/udp.zig").header_bytes;

fn sendDatagram(socket: *Socket, address: u64, bytes: u64, to: ?Endpoint, deadline_ns: u64) Failure!u64 {
    if (bytes > datagram_bytes_max) return error.TooLong;
    var payload: [datagram_bytes_max]u8 = undefined;
    const content = payload[0..@intCast(bytes)];
    lock.release();
    const copied = user_copy.read(content, address);
    lock.acquire();
    try copied;
    if (to) |remote| {
        if (remote.port == 0 or remote.address == ipv4.any) return error.BadValue;
        try net_socket.awaitAddress(socket, remote, deadline_ns);
    }
    if (socket.base == null) {
        if (to == null) return error.NotConnected;
        try net_socket.openDatagrams(socket, socket.local);
    }
    const datagrams = socket.datagrams().?;
    try takeFailure(datagrams);
    var waited = false;
    while (true) {
        datagrams.send(&network.stack, to, content) catch |failure| switch (failure) {
            error.TooLong => return error.TooLong,
            error.NotConnected => return error.NotConnected,
            error.Unreachable => return error.Unreachable,
            error.WouldBlock => {
                network.settle();
                if (deadline_ns <= clock.nowNs()) return if (waited) error.TimedOut else error.QueueFull;
                waited = true;
                try socket.awaitRoom(deadline_ns);
                continue;
            },
        };
        network.settle();
        return bytes;
    }
}

/// What became of the last datagram is told to the next call.
fn takeFailure(datagrams: *Datagrams) Failure!void {
    if (datagrams.failure == .none) return;
    const failure = datagrams.takeFailure(&network.stack);
    network.settle();
    return net_socket.failureOf(failure);
}

pub const Received = struct { bytes: u64, from: Endpoint };

pub fn receive(handle: u64, address: u64, capacity: u64, deadline_ns: u64) Failure!Received {
    const socket = try net_socket.begin(handle);
    defer net_socket.end(socket);
    if (socket.kind == .udp) return receiveDatagram(socket, address, capacity, deadline_ns);
    const connection = socket.connection() orelse return error.NotConnected;
    var result: Received = .{ .bytes = 0, .from = connection.remote() };
    receiveSome(socket, connection, address, capacity, deadline_ns, &result.bytes) catch |failure| if (result.bytes == 0) return failure;
    return result;
}

fn receiveSome(socket: *Socket, connection: *Connection, address: u64, capacity: u64, deadline_ns: u64, done: *u64) Failure!void {
    while (done.* < capacity) {
        if (socket.read_shut) return;
        if (!socket.reading) {
            const found = connection.readable() catch |failure| return switch (failure) {
                error.NotConnected => error.NotConnected,
                error.Failed => net_socket.failureOf(connection.failure),
            };
            const pieces = found orelse return;
            if (pieces[0].len > 0) {
                socket.reading = true;
                lock.release();
                var copied: u32 = 0;
                const outcome = for (pieces) |piece| {
                    const part = piece[0..@intCast(@min(piece.len, capacity - done.* - copied))];
                    user_copy.write(address + done.* + copied, part) catch |failure| break failure;
                    copied += @intCast(part.len);
                } else {};
                lock.acquire();
                socket.reading = false;
                connection.consume(&network.stack, copied);
                done.* += copied;
                network.settle();
                net_socket.wakeAll(&socket.readers, .woken);
                try outcome;
                if (!socket.open) return error.BadHandle;
                continue;
            }
        }
        if (done.* > 0) return;
        if (deadline_ns <= clock.nowNs()) return error.NothingReady;
        socket.awaitInput(deadline_ns) catch |failure| {
            if (failure == error.TimedOut and net.Stack.readiness(&connection.socket).readable) continue;
            return failure;
        };
    }
}

fn receiveDatagram(socket: *Socket, address: u64, capacity: u64, deadline_ns: u64) Failure!Received {
    const datagrams = socket.datagrams() orelse return error.NotConnected;
    var first = true;
    while (true) : (first = false) {
        try takeFailure(datagrams);
        if (!socket.reading) if (datagrams.receive()) |datagram| {
            socket.reading = true;
            lock.release();
            var length: u64 = 0;
            var outcome: user_copy.Error!void = {};
            for (datagram.pieces) |piece| {
                const part = piece[0..@intCast(@min(piece.len, capacity -| length))];
                if (outcome) |_| outcome = user_copy.write(address + length, part) else |_| {}
                length += piece.len;
            }
            lock.acquire();
            socket.reading = false;
            // Also one that could not be copied: it is as if the network had lost it.
            datagrams.consume(&network.stack);
            network.settle();
            net_socket.wakeAll(&socket.readers, .woken);
            try outcome;
            return .{ .bytes = length, .from = datagram.from };
        };
        if (first and deadline_ns <= clock.nowNs()) return error.NothingReady;
        try socket.awaitInput(deadline_ns);
    }
}
