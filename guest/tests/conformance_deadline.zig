//! Deadlines as handles: when they become readable, and when they are moved.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const poll = @import("conformance_poll.zig");
const abi = uk.abi;

const never = abi.deadline_never;
const soon_ns = 20_000_000;
const readable: abi.IoEvents = .{ .readable = true };

pub fn run() void {
    const before = conformance.stats();
    single();
    moved();
    inOrder();
    otherTask();
    const after = conformance.stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.pages_kernel, after.pages_kernel, "the kernel's pages as before");
}

fn make(deadline_ns: u64) abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .time_deadline, .{ deadline_ns, &handle });
    return handle;
}

fn close(handle: abi.Handle) void {
    t.ok(@src(), .time_deadline_close, .{handle});
}

fn isReadable(handle: abi.Handle) bool {
    return poll.readinessOf(handle) == readable;
}

fn awaitOne(handle: abi.Handle, deadline_ns: u64) u64 {
    var entry: abi.IoPollEntry = .{ .handle = @intFromEnum(handle), .wanted = readable };
    var count: u32 = 0;
    return t.call(.io_poll, .{ &entry, 1, deadline_ns, &count });
}

fn single() void {
    const past = make(0);
    t.expect(@src(), isReadable(past), "a past one is readable at once");
    close(past);
    t.fails(@src(), .time_deadline_close, .bad_handle, .{past});
    t.fails(@src(), .time_deadline_set, .bad_handle, .{ past, 0 });
    const end_ns = t.now() + soon_ns;
    const handle = make(end_ns);
    t.expect(@src(), !isReadable(handle) or t.now() >= end_ns, "not before its time");
    t.expectEqual(@src(), 0, awaitOne(handle, never), "ready");
    t.expect(@src(), t.now() >= end_ns, "not early");
    t.expect(@src(), isReadable(handle) and isReadable(handle), "and stays so");
    close(handle);
    const last = make(never);
    t.expectEqual(@src(), @intFromEnum(abi.Result.timeout), awaitOne(last, t.now() + soon_ns), "never");
    close(last);
}

fn moved() void {
    const handle = make(0);
    t.ok(@src(), .time_deadline_set, .{ handle, never });
    t.expect(@src(), !isReadable(handle), "another time begins anew");
    const far_ns = t.now() + 3_600_000_000_000;
    t.ok(@src(), .time_deadline_set, .{ handle, far_ns });
    const near_ns = t.now() + soon_ns;
    t.ok(@src(), .time_deadline_set, .{ handle, near_ns });
    t.expectEqual(@src(), 0, awaitOne(handle, far_ns), "at the nearer time");
    t.expect(@src(), t.now() >= near_ns and t.now() < far_ns, "and not the other");
    t.ok(@src(), .time_deadline_set, .{ handle, far_ns });
    t.expect(@src(), !isReadable(handle), "put off");
    // One that is set is closed.
    close(handle);
}

const several = 100;

/// A set reports deadlines that came at different times in their order, more at one time than are served at once among them.
fn inOrder() void {
    var set: abi.Handle = .none;
    t.ok(@src(), .io_poll_create, .{&set});
    var handles: [several]abi.Handle = undefined;
    const base_ns = t.now() + soon_ns;
    for (&handles, 0..) |*handle, index| {
        // The first half at one time, the others each at its own, from the last to the first.
        handle.* = make(if (index < several / 2) base_ns else base_ns + (several - index) * 10_000);
        t.ok(@src(), .io_poll_update, .{ set, &abi.IoPollEntry{ .handle = @intFromEnum(handle.*), .user = index, .wanted = readable } });
    }
    var entries: [several]abi.IoPollEntry = undefined;
    var count: u32 = 0;
    var seen: u128 = 0;
    t.ok(@src(), .task_sleep, .{base_ns + several * 10_000});
    while (@popCount(seen) < several) {
        t.ok(@src(), .io_poll_wait, .{ set, &entries, several, never, &count });
        for (entries[0..count]) |entry| seen |= @as(u128, 1) << @intCast(entry.user);
    }
    t.ok(@src(), .io_poll_wait, .{ set, &entries, several, never, &count });
    t.expectEqual(@src(), several, count, "all have come");
    for (handles) |handle| close(handle);
    t.ok(@src(), .io_poll_close, .{set});
}

var waiting: abi.Handle = .none;
var woken: u32 = 0;

fn waitForIt(_: usize) void {
    t.expectEqual(@src(), 0, awaitOne(waiting, never), "ready");
    @atomicStore(u32, &woken, 1, .release);
}

/// A deadline that another task moves ends the wait of this one.
fn otherTask() void {
    waiting = make(never);
    var thread: t.Thread = .{};
    thread.start(waitForIt, 0, .{});
    t.sleep(soon_ns);
    t.expectEqual(@src(), 0, @atomicLoad(u32, &woken, .acquire), "still waits");
    t.ok(@src(), .time_deadline_set, .{ waiting, t.now() + 1_000_000 });
    _ = thread.join();
    thread.free();
    close(waiting);
}
