//! What a wait in a poll set costs: the time of a message there and back, through a set that holds one handle and one that holds a thousand idle
//! ones beside it. Run in a VM whose clock counts instructions, so that work is what is compared.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

const never = abi.deadline_never;
const idle_count = 1000;
const rounds = 1000;
/// Most that the idle handles may add, in percent.
const addition_max = 5;

const Pair = struct { left: abi.Handle = .none, right: abi.Handle = .none };

fn channel() Pair {
    var pair: Pair = .{};
    t.ok(@src(), .ipc_channel_create, .{ 4, 64, &pair.left, &pair.right });
    return pair;
}

var set: abi.Handle = .none;
var active: Pair = .{};

fn watch(handle: abi.Handle) void {
    t.ok(@src(), .io_poll_update, .{ set, &abi.IoPollEntry{ .handle = @intFromEnum(handle), .wanted = .{ .readable = true } } });
}

fn answer(_: usize) void {
    var entries: [16]abi.IoPollEntry = undefined;
    var buffer: [64]u8 = undefined;
    var ready: u32 = 0;
    var bytes: u64 = 0;
    while (t.call(.io_poll_wait, .{ set, &entries, entries.len, never, &ready }) == 0) {
        if (t.call(.ipc_recv, .{ entries[0].handle, &buffer, buffer.len, never, &bytes }) != 0) return;
        if (t.call(.ipc_send, .{ entries[0].handle, &buffer, bytes, never }) != 0) return;
    }
}

fn roundTrips() u64 {
    var buffer: [64]u8 = undefined;
    var bytes: u64 = 0;
    const start_ns = t.now();
    for (0..rounds) |_| {
        t.ok(@src(), .ipc_send, .{ active.left, "a job to do", 11, never });
        t.ok(@src(), .ipc_recv, .{ active.left, &buffer, buffer.len, never, &bytes });
    }
    return t.now() - start_ns;
}

pub fn run() u8 {
    uk.enable(.io, 3) catch {};
    uk.enable(.ipc, 1) catch {};
    t.ok(@src(), .io_poll_create, .{&set});
    active = channel();
    watch(active.right);
    var thread: t.Thread = .{};
    thread.start(answer, 0, .{});
    _ = roundTrips();
    const alone_ns = roundTrips();
    var idle: [idle_count]Pair = undefined;
    for (&idle) |*pair| {
        pair.* = channel();
        watch(pair.right);
    }
    const beside_ns = roundTrips();
    t.say("{d} ns there and back with one handle, {d} ns with {d} idle ones beside it\n", .{ alone_ns / rounds, beside_ns / rounds, idle_count });
    t.expect(@src(), beside_ns * 100 <= alone_ns * (100 + addition_max), "idle handles cost a wait nothing");
    t.ok(@src(), .io_poll_close, .{set});
    _ = thread.join();
    return t.finish();
}
