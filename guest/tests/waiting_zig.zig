//! Channels, poll sets, deadlines, sockets and tasks of guest/lib's Zig part, used as they say. Ends with 0 when all is so.
const std = @import("std");
const uk = @import("ukernel");

const second_ns = std.time.ns_per_s;
const jobs = 200;

fn expect(good: bool) !void {
    if (!good) return error.NotAsExpected;
}

fn expectEqual(wanted: anytype, found: anytype) !void {
    if (wanted == found) return;
    try uk.print("wanted {d}, found {d}\n", .{ wanted, found });
    return error.NotAsExpected;
}

fn double(end: uk.Channel, done: *u32) !void {
    var buffer: [4]u8 = undefined;
    while (true) {
        const message = end.receive(&buffer, uk.abi.deadline_never) catch |failure| {
            if (failure == error.PeerClosed) return;
            return failure;
        };
        const number = std.mem.readInt(u32, message[0..4], .little) * 2;
        try end.send(std.mem.asBytes(&number), uk.abi.deadline_never);
        done.* += 1;
    }
}

fn channels() !void {
    const pair = try uk.Channel.create(8, 4);
    var tasks: [4]uk.Task = undefined;
    var done: [4]u32 = @splat(0);
    for (&tasks, &done) |*task, *count| task.* = try uk.Task.spawn(.{}, double, .{ pair.right, count });
    const set: uk.PollSet = try .create();
    var sent: u32 = 0;
    var received: u32 = 0;
    var sum: u64 = 0;
    try set.watch(pair.left.handle, .{ .readable = true, .writable = true }, 7);
    while (received < jobs) {
        var buffer: [2]uk.abi.IoPollEntry = undefined;
        const ready = try set.wait(&buffer, uk.time.after(20 * second_ns));
        try expect(ready.len == 1 and ready[0].user == 7);
        while (sent < jobs) : (sent += 1) pair.left.send(std.mem.asBytes(&sent), 0) catch |failure| if (failure == error.QueueFull) break else return failure;
        if (sent == jobs) try set.watch(pair.left.handle, .{ .readable = true }, 7);
        while (received < jobs) : (received += 1) {
            var number: [4]u8 = undefined;
            _ = pair.left.receive(&number, 0) catch |failure| if (failure == error.NothingReady) break else return failure;
            sum += std.mem.readInt(u32, &number, .little);
        }
    }
    try expectEqual(jobs * (jobs - 1), sum);
    pair.left.close();
    var all: u32 = 0;
    for (tasks, &done) |task, *count| {
        try expectEqual(0, try task.join(uk.time.after(20 * second_ns)));
        all += count.*;
    }
    try expectEqual(jobs, all);
    pair.right.close();
    set.close();
}

fn deadlines() !void {
    const begun = uk.calls.time_now();
    const deadline: uk.Deadline = try .create(uk.abi.deadline_never);
    defer deadline.close();
    var entries = [_]uk.abi.IoPollEntry{.{ .handle = @intFromEnum(deadline.handle), .wanted = .{ .readable = true } }};
    try expectEqual(0, try uk.poll(&entries, uk.time.after(second_ns / 100)));
    try deadline.set(uk.time.after(second_ns / 100));
    try expectEqual(1, try uk.poll(&entries, uk.time.after(20 * second_ns)));
    uk.time.sleep(second_ns / 100);
    try expect(uk.calls.time_now() - begun >= 3 * (second_ns / 100));
}

fn echo(listener: uk.Socket) !void {
    const connection = try listener.accept(uk.time.after(20 * second_ns), null);
    defer connection.close();
    var buffer: [1000]u8 = undefined;
    while (true) {
        const bytes = try connection.receive(&buffer, uk.time.after(20 * second_ns));
        if (bytes.len == 0) return;
        try connection.sendAll(bytes, uk.time.after(20 * second_ns));
    }
}

fn sockets() !void {
    const listener: uk.Socket = try .listen(7778, 4);
    defer listener.close();
    const task = try uk.Task.spawn(.{ .stack_bytes = 64 << 10 }, echo, .{listener});
    const connection: uk.Socket = try .connect(uk.net.parseAddress("127.0.0.1:7778").?, uk.time.after(20 * second_ns));
    try expectEqual(7778, (try connection.peerAddress()).port);
    try connection.sendAll("to and fro", uk.time.after(20 * second_ns));
    try connection.shutdown(.send);
    var text: [32]u8 = undefined;
    var length: usize = 0;
    while (true) {
        const bytes = try connection.receive(text[length..], uk.time.after(20 * second_ns));
        if (bytes.len == 0) break;
        length += bytes.len;
    }
    try expect(std.mem.eql(u8, "to and fro", text[0..length]));
    connection.close();
    try expectEqual(0, try task.join(uk.time.after(20 * second_ns)));

    const left: uk.Socket = try .datagrams(7778);
    defer left.close();
    const right: uk.Socket = try .datagrams(0);
    defer right.close();
    try right.sendTo("datagram", uk.net.address(.{ 127, 0, 0, 1 }, 7778), uk.time.after(second_ns));
    var peer: uk.abi.NetAddress = .{};
    try expectEqual(8, (try left.receiveFrom(&text, uk.time.after(20 * second_ns), &peer)).len);
    try expectEqual((try right.localAddress()).port, peer.port);
}

pub fn main() !void {
    try channels();
    try deadlines();
    try sockets();
    try uk.print("all good\n", .{});
}
