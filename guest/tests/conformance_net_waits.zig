//! Sockets' readiness, and calls that wait: for room, until a deadline, an interruption, or the handle's end.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const ipc = @import("conformance_ipc.zig");
const net = @import("conformance_net.zig");
const abi = uk.abi;
const any = net.any;
const at = net.at;
const close = net.close;
const expectText = net.expectText;
const listener = net.listener;
const send = net.send;
const socket = net.socket;
const soon_ns = net.soon_ns;

const never = abi.deadline_never;

pub fn run() void {
    readiness();
    interruptions();
    waitsEndByClose();
}

fn fillUp(handle: abi.Handle, bytes: []const u8) void {
    var sent: u64 = 0;
    // Full also after the acknowledgements that the peer held back, which make room.
    while (t.call(.net_send, .{ handle, bytes.ptr, bytes.len, null, 0, &sent }) == 0) t.sleep(100_000_000);
    t.fails(@src(), .net_send, .queue_full, .{ handle, "x", 1, null, 0, &sent });
}

fn ready(handle: abi.Handle) abi.IoEvents {
    var entry: abi.IoPollEntry = .{ .handle = @intFromEnum(handle), .wanted = .{ .readable = true, .writable = true } };
    var count: u32 = 0;
    _ = t.call(.io_poll, .{ &entry, 1, 0, &count });
    return entry.ready;
}

fn expectReady(source: std.builtin.SourceLocation, handle: abi.Handle, wanted: abi.IoEvents) void {
    t.expectEqual(source, @as(u32, @bitCast(wanted)), @as(u32, @bitCast(ready(handle))), "readiness");
}

fn readiness() void {
    const listening = listener(5000, 4);
    expectReady(@src(), listening, .{});
    const client = socket(.tcp);
    expectReady(@src(), client, .{});
    t.ok(@src(), .net_connect, .{ client, &at(5000), never });
    expectReady(@src(), client, .{ .writable = true });
    expectReady(@src(), listening, .{ .readable = true });
    var server: abi.Handle = .none;
    t.ok(@src(), .net_accept, .{ listening, 0, &server, null });
    expectReady(@src(), listening, .{});
    expectReady(@src(), server, .{ .writable = true });
    send(client, "x");
    expectReady(@src(), server, .{ .readable = true, .writable = true });
    expectText(@src(), server, "x");
    expectReady(@src(), server, .{ .writable = true });
    // Full in this direction.
    const memory = uk.reserve(1 << 20) catch @panic("no memory");
    var sent: u64 = 0;
    t.ok(@src(), .net_send, .{ client, memory.ptr, 1 << 20, null, 0, &sent });
    t.expect(@src(), sent > 65_536 and sent < 1 << 20, "as much as there is room for");
    fillUp(client, memory);
    expectReady(@src(), client, .{});
    t.fails(@src(), .net_send, .timed_out, .{ client, "x", 1, null, t.now() + soon_ns, &sent });
    var left: u64 = 0;
    while (t.call(.net_recv, .{ server, memory.ptr, 1 << 20, null, t.now() + soon_ns, &left }) == 0) {}
    expectReady(@src(), client, .{ .writable = true });
    uk.release(memory);
    t.ok(@src(), .net_set_option, .{ client, abi.NetOption.shutdown, 2 });
    expectReady(@src(), server, .{ .readable = true, .writable = true });
    expectReady(@src(), client, .{});
    // Never read, so that the client's end is a reset.
    send(server, "unread");
    expectReady(@src(), client, .{ .readable = true });
    close(client);
    expectReady(@src(), server, .{ .readable = true, .writable = true, .closed = true, .failed = true });
    close(server);
    close(listening);
    const refused = socket(.tcp);
    t.fails(@src(), .net_connect, .connection_refused, .{ refused, &at(5000), never });
    expectReady(@src(), refused, .{ .readable = true, .writable = true, .closed = true, .failed = true });
    close(refused);
    const udp = socket(.udp);
    t.ok(@src(), .net_bind, .{ udp, &any(5000) });
    expectReady(@src(), udp, .{ .writable = true });
    t.ok(@src(), .net_send, .{ udp, "me", 2, &at(5000), 0, &sent });
    expectReady(@src(), udp, .{ .readable = true, .writable = true });
    close(udp);
}

fn interruptions() void {
    const listening = listener(5000, 1);
    const pair: net.Pair = .create(listening, 5000);
    var buffer: [16]u8 = undefined;
    var bytes: u64 = 0;
    var handle: abi.Handle = .none;
    const memory = uk.reserve(1 << 20) catch @panic("no memory");
    fillUp(pair.client, memory);
    var thread: t.Thread = .{};
    for (0..3) |which| {
        thread.start(ipc.interruptSoon, uk.startup().task, .{});
        switch (which) {
            0 => t.fails(@src(), .net_accept, .interrupted, .{ listening, never, &handle, null }),
            1 => t.fails(@src(), .net_recv, .interrupted, .{ pair.client, &buffer, buffer.len, null, never, &bytes }),
            else => t.fails(@src(), .net_send, .interrupted, .{ pair.client, "x", 1, null, never, &bytes }),
        }
        _ = thread.join();
    }
    thread.free();
    uk.release(memory);
    pair.end();
    close(listening);
}

var closing: abi.Handle = .none;

fn closeSoon(_: usize) void {
    t.sleep(soon_ns);
    close(closing);
}

fn waitsEndByClose() void {
    var handle: abi.Handle = .none;
    var byte: u8 = 0;
    var bytes: u64 = 0;
    var thread: t.Thread = .{};
    closing = listener(5000, 1);
    thread.start(closeSoon, 0, .{});
    t.fails(@src(), .net_accept, .bad_handle, .{ closing, never, &handle, null });
    _ = thread.join();
    const listening = listener(5000, 1);
    const pair: net.Pair = .create(listening, 5000);
    closing = pair.server;
    thread.start(closeSoon, 0, .{});
    t.fails(@src(), .net_recv, .bad_handle, .{ closing, &byte, 1, null, never, &bytes });
    _ = thread.join();
    thread.free();
    close(pair.client);
    close(listening);
}
