//! Message channels: order, bounds, waiting, closing.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const abi = uk.abi;

const never = abi.deadline_never;
const soon_ns = 20_000_000;

pub fn run() void {
    const before = conformance.stats();
    creation();
    sizes();
    bounds();
    refusals();
    interruptions();
    lastMessages();
    waitsEndByClose();
    crowd();
    const after = conformance.stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.pages_kernel, after.pages_kernel, "the kernel's pages as before");
}

pub const Pair = struct {
    left: abi.Handle = .none,
    right: abi.Handle = .none,

    pub fn create(messages_max: u32, message_bytes_max: u32) Pair {
        var pair: Pair = .{};
        t.ok(@src(), .ipc_channel_create, .{ messages_max, message_bytes_max, &pair.left, &pair.right });
        return pair;
    }

    pub fn close(pair: Pair) void {
        t.ok(@src(), .ipc_close, .{pair.left});
        t.ok(@src(), .ipc_close, .{pair.right});
    }
};

pub fn send(end: abi.Handle, text: []const u8) void {
    t.ok(@src(), .ipc_send, .{ end, text.ptr, text.len, 0 });
}

/// Receives what must be there.
pub fn expectMessage(source: std.builtin.SourceLocation, end: abi.Handle, text: []const u8) void {
    var buffer: [64]u8 = undefined;
    var bytes: u64 = 0;
    t.ok(source, .ipc_recv, .{ end, &buffer, buffer.len, 0, &bytes });
    t.expect(source, bytes == text.len and std.mem.eql(u8, buffer[0..text.len], text), "the message");
}

fn creation() void {
    var left: abi.Handle = .none;
    var right: abi.Handle = .none;
    for ([_][2]u64{ .{ 0, 1 }, .{ 1, 0 }, .{ abi.ipc_messages_max + 1, 1 }, .{ 1, abi.ipc_message_bytes_max + 1 }, .{ 0xffff_ffff, 0xffff_ffff } }) |pair| {
        t.fails(@src(), .ipc_channel_create, .bad_value, .{ pair[0], pair[1], &left, &right });
    }
    const pair: Pair = .create(abi.ipc_messages_max, abi.ipc_message_bytes_max);
    t.expect(@src(), pair.left != pair.right, "two handles");
    pair.close();
    t.fails(@src(), .ipc_close, .bad_handle, .{pair.left});
    t.fails(@src(), .ipc_send, .bad_handle, .{ pair.left, "x", 1, 0 });
}

/// Every way in which the kernel stores a message, and the sizes around its edges.
fn sizes() void {
    const list = [_]u32{ 0, 1, 479, 480, 481, 4095, 4096, 4097, 8192, 65_535, 65_536 };
    const memory = uk.reserve(2 * 65_536) catch @panic("no memory");
    const out = memory[0..65_536];
    const back = memory[65_536..];
    for (out, 0..) |*byte, index| byte.* = @truncate(index *% 31 +% index >> 8);
    const pair: Pair = .create(list.len, 65_536);
    for (list) |size| t.ok(@src(), .ipc_send, .{ pair.left, out.ptr, size, 0 });
    // The other direction has a queue of its own.
    send(pair.right, "back");
    for (list) |size| {
        @memset(back, 0xee);
        var bytes: u64 = 1;
        t.ok(@src(), .ipc_recv, .{ pair.right, back.ptr, back.len, 0, &bytes });
        t.expectEqual(@src(), size, bytes, "the size");
        t.expect(@src(), std.mem.eql(u8, out[0..size], back[0..size]) and (size == back.len or back[size] == 0xee), "the bytes and no more");
    }
    expectMessage(@src(), pair.left, "back");
    pair.close();
    uk.release(memory);
}

fn bounds() void {
    const pair: Pair = .create(2, 8);
    var buffer: [8]u8 = undefined;
    var bytes: u64 = 0;
    t.fails(@src(), .ipc_recv, .nothing_ready, .{ pair.right, &buffer, buffer.len, 0, &bytes });
    t.fails(@src(), .ipc_recv, .timed_out, .{ pair.right, &buffer, buffer.len, t.now() + soon_ns, &bytes });
    t.fails(@src(), .ipc_send, .too_long, .{ pair.left, "123456789", 9, 0 });
    send(pair.left, "one");
    send(pair.left, "two");
    t.fails(@src(), .ipc_send, .queue_full, .{ pair.left, "three", 5, 0 });
    t.fails(@src(), .ipc_send, .timed_out, .{ pair.left, "three", 5, t.now() + soon_ns });
    // Too small a buffer takes nothing and says what it needs.
    t.fails(@src(), .ipc_recv, .too_small, .{ pair.right, &buffer, 2, 0, &bytes });
    t.expectEqual(@src(), 3, bytes, "the size of what is there");
    expectMessage(@src(), pair.right, "one");
    send(pair.left, "three");
    expectMessage(@src(), pair.right, "two");
    expectMessage(@src(), pair.right, "three");
    pair.close();
}

/// A message that cannot be copied is not lost, and half a message is never sent.
fn refusals() void {
    const pair: Pair = .create(4, 64);
    var buffer: [64]u8 = undefined;
    var bytes: u64 = 0;
    const kernel: u64 = 0xffff_8000_0000_0000;
    t.fails(@src(), .ipc_send, .bad_pointer, .{ pair.left, kernel, 5, 0 });
    t.fails(@src(), .ipc_recv, .nothing_ready, .{ pair.right, &buffer, buffer.len, 0, &bytes });
    send(pair.left, "first");
    send(pair.left, "second");
    // The kernel's pages for the workload can be read only.
    t.fails(@src(), .ipc_recv, .bad_pointer, .{ pair.right, uk.startup().gate, 64, 0, &bytes });
    t.fails(@src(), .ipc_recv, .bad_pointer, .{ pair.right, &buffer, buffer.len, 0, uk.startup().gate });
    expectMessage(@src(), pair.right, "first");
    expectMessage(@src(), pair.right, "second");
    pair.close();
}

fn interruptions() void {
    const pair: Pair = .create(1, 8);
    var buffer: [8]u8 = undefined;
    var bytes: u64 = 0;
    var thread: t.Thread = .{};
    thread.start(interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .ipc_recv, .interrupted, .{ pair.right, &buffer, buffer.len, never, &bytes });
    _ = thread.join();
    send(pair.left, "full");
    thread.start(interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .ipc_send, .interrupted, .{ pair.left, "more", 4, never });
    _ = thread.join();
    thread.free();
    expectMessage(@src(), pair.right, "full");
    pair.close();
}

pub fn interruptSoon(task: usize) void {
    t.sleep(soon_ns);
    t.ok(@src(), .task_interrupt, .{@as(u64, task)});
}

fn lastMessages() void {
    const pair: Pair = .create(4, 64);
    var buffer: [8]u8 = undefined;
    var bytes: u64 = 0;
    send(pair.left, "last");
    send(pair.left, "words");
    send(pair.right, "never read");
    t.ok(@src(), .ipc_close, .{pair.left});
    t.fails(@src(), .ipc_send, .peer_closed, .{ pair.right, "x", 1, never });
    expectMessage(@src(), pair.right, "last");
    expectMessage(@src(), pair.right, "words");
    t.fails(@src(), .ipc_recv, .peer_closed, .{ pair.right, &buffer, buffer.len, never, &bytes });
    t.ok(@src(), .ipc_close, .{pair.right});
}

var ending: Pair = .{};

fn closeLeftSoon(_: usize) void {
    t.sleep(soon_ns);
    t.ok(@src(), .ipc_close, .{ending.left});
}

/// A task that waits on either end learns that an end is closed.
fn waitsEndByClose() void {
    var buffer: [8]u8 = undefined;
    var bytes: u64 = 0;
    for ([_]bool{ false, true }) |own| for ([_]bool{ false, true }) |sends| {
        ending = .create(1, 8);
        const end = if (own) ending.left else ending.right;
        const detail: abi.Detail = if (own) .bad_handle else .peer_closed;
        if (sends) send(end, "full");
        var thread: t.Thread = .{};
        thread.start(closeLeftSoon, 0, .{});
        if (sends) {
            t.fails(@src(), .ipc_send, detail, .{ end, "more", 4, never });
        } else t.fails(@src(), .ipc_recv, detail, .{ end, &buffer, buffer.len, never, &bytes });
        _ = thread.join();
        thread.free();
        t.ok(@src(), .ipc_close, .{ending.right});
    };
}

const senders = 4;
const receivers = 3;
const messages_each = 1000;
const Job = extern struct { sender: u32, number: u32 };

var crowded: Pair = .{};
var received: std.atomic.Value(u32) = .init(0);
var disorder: std.atomic.Value(u32) = .init(0);

fn sendJobs(sender: usize) void {
    for (0..messages_each) |number| {
        const job: Job = .{ .sender = @intCast(sender), .number = @intCast(number) };
        if (t.call(.ipc_send, .{ crowded.left, &job, @sizeOf(Job), never }) != 0) _ = disorder.fetchAdd(1, .monotonic);
    }
}

fn receiveJobs(_: usize) void {
    var last: [senders]i64 = @splat(-1);
    var job: Job = undefined;
    var bytes: u64 = 0;
    while (t.call(.ipc_recv, .{ crowded.right, &job, @sizeOf(Job), never, &bytes }) == 0) {
        if (bytes != @sizeOf(Job) or job.number <= last[job.sender]) _ = disorder.fetchAdd(1, .monotonic);
        last[job.sender] = job.number;
        _ = received.fetchAdd(1, .monotonic);
    }
}

/// Several tasks on each end of a short queue: none is forgotten, nothing lost or twice there, each sender's messages in order.
fn crowd() void {
    crowded = .create(3, @sizeOf(Job));
    var threads: [senders + receivers]t.Thread = @splat(.{});
    for (threads[0..senders], 0..) |*thread, index| thread.start(sendJobs, index, .{});
    for (threads[senders..]) |*thread| thread.start(receiveJobs, 0, .{});
    for (threads[0..senders]) |*thread| _ = thread.join();
    t.ok(@src(), .ipc_close, .{crowded.left});
    for (threads[senders..]) |*thread| _ = thread.join();
    for (&threads) |*thread| thread.free();
    t.ok(@src(), .ipc_close, .{crowded.right});
    t.expectEqual(@src(), senders * messages_each, received.load(.monotonic), "every message once");
    t.expectEqual(@src(), 0, disorder.load(.monotonic), "in each sender's order");
}
