//! The DHCP client against a server written by hand.
const std = @import("std");
const limits = @import("../limits.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const scripted = @import("scripted_peer.zig");
const stack_file = @import("stack.zig");
const udp = @import("udp.zig");
const Peer = scripted.Peer;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const second_ns = scripted.second_ns;

const server: ipv4.Address = 0x0a00_0009;
const leased: ipv4.Address = 0x0a00_0032;
const lease_seconds: u32 = 3600;

const Request = struct {
    message: u8,
    transaction: u32,
    source: ipv4.Address,
    destination: ipv4.Address,
    client: ipv4.Address,
    requested: ipv4.Address = 0,
    server: ipv4.Address = 0,
};

/// The next message of the client, past questions for stations.
fn next(peer: *Peer) ?Request {
    while (peer.nextFrame()) |frame| {
        const header, const payload = ethernet.parse(frame).?;
        if (header.kind != .ipv4) continue;
        const packet = ipv4.parse(payload).packet;
        const datagram = udp.parse(packet.payload) orelse continue;
        if (datagram.destination_port != 67) continue;
        const bytes = datagram.payload;
        var request: Request = .{
            .message = 0,
            .transaction = std.mem.readInt(u32, bytes[4..8], .big),
            .source = packet.source,
            .destination = packet.destination,
            .client = std.mem.readInt(u32, bytes[12..16], .big),
        };
        var rest = bytes[240..];
        while (rest[0] != 255) : (rest = rest[2 + @as(usize, rest[1]) ..]) switch (rest[0]) {
            53 => request.message = rest[2],
            50 => request.requested = std.mem.readInt(u32, rest[2..6], .big),
            54 => request.server = std.mem.readInt(u32, rest[2..6], .big),
            else => {},
        };
        return request;
    }
    return null;
}

fn waitNext(peer: *Peer, limit_ns: u64) ?struct { Request, u64 } {
    const start = peer.now_ns;
    while (true) {
        if (next(peer)) |request| return .{ request, peer.now_ns - start };
        const due = peer.stack.deadline();
        if (due > start + limit_ns) return null;
        peer.now_ns = @max(peer.now_ns, due);
        peer.stack.advance(peer.now_ns);
    }
}

pub fn answer(peer: *Peer, transaction: u32, message: u8, address: ipv4.Address, to: ipv4.Address) void {
    answerWithTimes(peer, transaction, message, address, to, &.{ 51, 4, 0, 0, 0x0e, 0x10 });
}

fn answerWithTimes(peer: *Peer, transaction: u32, message: u8, address: ipv4.Address, to: ipv4.Address, times: []const u8) void {
    var bytes: [300]u8 = @splat(0);
    bytes[0..4].* = .{ 2, 1, 6, 0 };
    std.mem.writeInt(u32, bytes[4..8], transaction, .big);
    std.mem.writeInt(u32, bytes[16..20], address, .big);
    bytes[28..34].* = scripted.own_mac;
    bytes[236..240].* = .{ 99, 130, 83, 99 };
    const options = [_]u8{ 53, 1, message } ++ [_]u8{ 54, 4, 10, 0, 0, 9 } ++ [_]u8{ 1, 4, 255, 255, 255, 128 } ++
        [_]u8{ 3, 4, 10, 0, 0, 1 } ++ [_]u8{ 6, 8, 10, 0, 0, 3, 10, 0, 0, 4 };
    bytes[240..][0..options.len].* = options;
    @memcpy(bytes[240 + options.len ..][0..times.len], times);
    bytes[240 + options.len + times.len] = 255;
    peer.sendUdp(67, to, 68, &bytes);
}

fn bind(peer: *Peer) !void {
    const discover, _ = waitNext(peer, 3 * second_ns).?;
    try expectEqual(1, discover.message);
    try expectEqual(0, discover.source);
    try expectEqual(ipv4.broadcast, discover.destination);
    answer(peer, discover.transaction, 2, leased, ipv4.broadcast);
    const request = next(peer).?;
    try expectEqual(3, request.message);
    try expectEqual(leased, request.requested);
    try expectEqual(server, request.server);
    try expectEqual(0, peer.stack.address);
    answer(peer, request.transaction, 5, leased, leased);
    try expectEqual(leased, peer.stack.address);
}

test "an address is asked for, taken, and what goes with it" {
    const peer = try Peer.create(.{ .addressing = .dhcp });
    defer peer.destroy();
    try std.testing.expectError(error.Unreachable, peer.stack.connect(.{ .address = server, .port = 80 }, 0, peer.now_ns));
    try bind(peer);
    try expectEqual(25, peer.stack.prefix);
    try expectEqual(0x0a00_0001, peer.stack.gateway);
    try expectEqual(0x0a00_0004, peer.stack.dhcp.name_servers[1]);
    try expectEqual(null, waitNext(peer, lease_seconds / 2 * second_ns - 1));
    try peer.expectEmpty();
}

test "without an answer it asks ever later; what is not for it, or is nonsense, is no answer" {
    const peer = try Peer.create(.{ .addressing = .dhcp });
    defer peer.destroy();
    var transaction = next(peer).?.transaction;
    var expected = limits.dhcp_retry_min_ns;
    for (0..10) |_| {
        answer(peer, transaction +% 1, 2, leased, ipv4.broadcast);
        answer(peer, transaction, 5, leased, ipv4.broadcast);
        answer(peer, transaction, 2, 0xffff_ffff, ipv4.broadcast);
        answer(peer, transaction, 2, 0x7f00_0001, ipv4.broadcast);
        peer.sendUdp(67, ipv4.broadcast, 68, "short");
        const request, const waited = waitNext(peer, 100 * second_ns).?;
        try expectEqual(1, request.message);
        try expect(waited >= expected and waited <= expected + expected / 4);
        transaction = request.transaction;
        expected = @min(expected * 2, limits.dhcp_retry_max_ns);
    }
    try expectEqual(0, peer.stack.address);
    // A server that offers and then says nothing is left for another.
    answer(peer, transaction, 2, leased, ipv4.broadcast);
    for (0..limits.dhcp_requests_max) |_| {
        const request, _ = waitNext(peer, 100 * second_ns).?;
        try expectEqual(3, request.message);
    }
    const again, _ = waitNext(peer, 100 * second_ns).?;
    try expectEqual(1, again.message);
}

test "the lease is renewed with its server, then with any; when it ends the address and its connections do" {
    const peer = try Peer.create(.{ .addressing = .dhcp });
    defer peer.destroy();
    try bind(peer);
    const listener = try peer.stack.listen(0, 80, 4);
    for (0..2) |_| {
        const renewal, const waited = waitNext(peer, lease_seconds * second_ns).?;
        try expectEqual(lease_seconds / 2 * second_ns, waited);
        try expectEqual(3, renewal.message);
        try expectEqual(leased, renewal.client);
        try expectEqual(leased, renewal.source);
        try expectEqual(server, renewal.destination);
        try expectEqual(0, renewal.requested);
        answer(peer, renewal.transaction, 5, leased, leased);
    }
    peer.drain();
    const connection = try peer.stack.connect(.{ .address = server, .port = 9 }, 0, peer.now_ns);
    var broadcasts: u32 = 0;
    var asked: u32 = 0;
    while (waitNext(peer, lease_seconds * second_ns)) |request| {
        if (request[0].message == 1) break;
        asked += 1;
        if (request[0].destination == ipv4.broadcast) broadcasts += 1;
        try expectEqual(leased, request[0].client);
    }
    try expect(asked > 4 and asked < 40 and broadcasts > 0 and broadcasts < asked);
    try expectEqual(0, peer.stack.address);
    try expectEqual(.closed, connection.state);
    connection.close(&peer.stack, peer.now_ns);
    listener.close(&peer.stack);
    try peer.expectEmpty();
}

test "a refused renewal starts over" {
    const peer = try Peer.create(.{ .addressing = .dhcp });
    defer peer.destroy();
    try bind(peer);
    const renewal, _ = waitNext(peer, lease_seconds * second_ns).?;
    answer(peer, renewal.transaction, 6, 0, leased);
    try expectEqual(0, peer.stack.address);
    try bind(peer);
}

test "a refused renewal leaves all other timers as they are" {
    const peer = try Peer.create(.{ .addressing = .dhcp });
    defer peer.destroy();
    try bind(peer);
    const renewal, _ = waitNext(peer, lease_seconds * second_ns).?;
    const listener = try peer.stack.listen(0, 80, 4);
    // To itself, so that they live on without the address; timers due before and after that of the client, in any shape of the heap.
    var connections: [16]*stack_file.Connection = undefined;
    var at: usize = 0;
    while (at < connections.len) : (at += 2) {
        connections[at] = try peer.stack.connect(.{ .address = 0x7f00_0001, .port = 80 }, 0, peer.now_ns);
        peer.drain();
        connections[at + 1] = listener.accept(&peer.stack).?;
        for (connections[at..][0..2], at..) |connection, index| connection.setKeepAlive(&peer.stack, true, (1 + index * 37 % 100) * second_ns, second_ns, peer.now_ns);
    }
    answer(peer, renewal.transaction, 6, 0, leased);
    try expectEqual(0, peer.stack.address);
    const end_ns = peer.now_ns + 300 * second_ns;
    var asked: u32 = 0;
    while (peer.stack.deadline() < end_ns) {
        peer.now_ns = @max(peer.now_ns, peer.stack.deadline());
        peer.stack.advance(peer.now_ns);
        while (next(peer)) |request| {
            try expectEqual(1, request.message);
            asked += 1;
        }
    }
    try expect(asked > 3);
    for (connections) |connection| {
        try expectEqual(.established, connection.state);
        try expect(peer.now_ns - connection.heard_ns <= connection.keepalive_idle_ns);
        connection.close(&peer.stack, peer.now_ns);
    }
    listener.close(&peer.stack);
    peer.drain();
    peer.wait(120 * second_ns);
    try peer.expectEmpty();
}

test "a server whose times make no sense is not asked all the time" {
    const all = [_]struct { times: []const u8, wanted_ns: u64 }{
        // Renewal after 0 s; both after 0 s; rebinding after the end; renewal after rebinding.
        .{ .times = &.{ 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 0, 0 }, .wanted_ns = 1800 * second_ns },
        .{ .times = &.{ 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 0, 0, 59, 4, 0, 0, 0, 0 }, .wanted_ns = 1800 * second_ns },
        .{ .times = &.{ 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 0, 60, 59, 4, 0xff, 0xff, 0xff, 0xff }, .wanted_ns = 60 * second_ns },
        .{ .times = &.{ 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 0x0e, 0, 59, 4, 0, 0, 0, 60 }, .wanted_ns = 60 * second_ns },
        .{ .times = &.{ 51, 4, 0, 0, 0, 1 }, .wanted_ns = limits.dhcp_lease_min_ns / 2 },
    };
    for (all) |each| {
        const peer = try Peer.create(.{ .addressing = .dhcp });
        defer peer.destroy();
        try bind(peer);
        for (0..3) |round| {
            const renewal, const waited = waitNext(peer, lease_seconds * second_ns).?;
            if (round > 0) try expectEqual(each.wanted_ns, waited);
            answerWithTimes(peer, renewal.transaction, 5, leased, leased, each.times);
            try expectEqual(.bound, peer.stack.dhcp.state);
        }
    }
}
