//! io_poll, poll sets, and what each kind of handle is ready for.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const ipc = @import("conformance_ipc.zig");
const Pair = ipc.Pair;
const abi = uk.abi;
const Entry = abi.IoPollEntry;
const Events = abi.IoEvents;

const never = abi.deadline_never;
const soon_ns = 20_000_000;
const readable: Events = .{ .readable = true };

pub fn run() void {
    const before = conformance.stats();
    kinds();
    arrays();
    waits();
    members();
    turns();
    severalSets();
    leaving();
    sharing();
    interruptions();
    manyIdle();
    const after = conformance.stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.pages_kernel, after.pages_kernel, "the kernel's pages as before");
}

fn entryOf(handle: abi.Handle, wanted: Events) Entry {
    return .{ .handle = @intFromEnum(handle), .user = 7, .wanted = wanted };
}

/// What a handle is ready for at this moment, of everything.
pub fn readinessOf(handle: abi.Handle) Events {
    var entry = [_]Entry{entryOf(handle, .{ .readable = true, .writable = true })};
    var count: u32 = 9;
    const result = t.call(.io_poll, .{ &entry, 1, 0, &count });
    t.expect(@src(), (result == 0) == (count == 1), "the number of ready entries");
    return entry[0].ready;
}

fn expectReady(source: std.builtin.SourceLocation, handle: abi.Handle, ready: Events) void {
    t.expectEqual(source, @as(u32, @bitCast(ready)), @as(u32, @bitCast(readinessOf(handle))), "readiness");
}

fn kinds() void {
    var handle: abi.Handle = .none;
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app/start", 10, 0, &handle });
    expectReady(@src(), handle, .{ .readable = true });
    t.ok(@src(), .io_close, .{handle});
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .write = true }, &handle });
    expectReady(@src(), handle, .{ .writable = true });
    t.ok(@src(), .io_close, .{handle});
    t.ok(@src(), .vm_stop_event, .{&handle});
    // The host has asked before, if it ever does.
    expectReady(@src(), handle, .{ .readable = conformance.provided.input });
    t.ok(@src(), .io_close, .{handle});

    const pair: Pair = .create(1, 8);
    expectReady(@src(), pair.left, .{ .writable = true });
    ipc.send(pair.left, "one");
    expectReady(@src(), pair.left, .{});
    expectReady(@src(), pair.right, .{ .readable = true, .writable = true });
    ipc.expectMessage(@src(), pair.right, "one");
    expectReady(@src(), pair.left, .{ .writable = true });
    ipc.send(pair.left, "two");
    t.ok(@src(), .ipc_close, .{pair.left});
    expectReady(@src(), pair.right, .{ .readable = true, .closed = true });
    ipc.expectMessage(@src(), pair.right, "two");
    expectReady(@src(), pair.right, .{ .closed = true });
    t.ok(@src(), .ipc_close, .{pair.right});

    var thread: t.Thread = .{};
    thread.start(sleepSoon, 0, .{});
    expectReady(@src(), thread.handle, .{});
    var entry = [_]Entry{entryOf(thread.handle, readable)};
    var count: u32 = 0;
    t.ok(@src(), .io_poll, .{ &entry, 1, never, &count });
    t.expect(@src(), entry[0].ready == readable and entry[0].user == 7, "a task that has ended is readable");
    _ = thread.join();
    thread.free();
}

fn sleepSoon(_: usize) void {
    t.sleep(soon_ns);
}

fn arrays() void {
    const a: Pair = .create(4, 8);
    const b: Pair = .create(4, 8);
    var entries: [abi.poll_entries_max + 1]Entry = undefined;
    // One handle may stand in an array more than once, but in no more than 256 places.
    for (&entries, 0..) |*entry, index| entry.* = entryOf(if (index % 2 == 0) a.right else b.right, readable);
    var count: u32 = 9;
    t.fails(@src(), .io_poll, .too_long, .{ &entries, abi.poll_entries_max + 1, 0, &count });
    t.fails(@src(), .io_poll, .timed_out, .{ &entries, abi.poll_entries_max, 0, &count });
    t.expectEqual(@src(), 0, count, "none ready");
    t.fails(@src(), .io_poll, .out_of_memory, .{ &entries, abi.poll_entries_max, t.now() + soon_ns, &count });
    t.fails(@src(), .io_poll, .timed_out, .{ &entries, 500, t.now() + soon_ns, &count });
    t.fails(@src(), .io_poll, .timed_out, .{ 0, 0, t.now() + soon_ns, &count });
    ipc.send(a.left, "x");
    t.ok(@src(), .io_poll, .{ &entries, abi.poll_entries_max, never, &count });
    t.expectEqual(@src(), abi.poll_entries_max / 2, count, "half are ready");
    t.expect(@src(), entries[0].ready == readable and entries[1].ready == Events{} and entries[1022].ready == readable, "those of one channel");
    entries[1].wanted = @bitCast(@as(u32, 16));
    t.fails(@src(), .io_poll, .bad_flags, .{ &entries, 2, 0, &count });
    entries[1] = entryOf(conformanceCapability(), readable);
    t.fails(@src(), .io_poll, .unsupported_operation, .{ &entries, 2, 0, &count });
    t.ok(@src(), .cap_drop, .{entries[1].handle});
    t.fails(@src(), .io_poll, .bad_handle, .{ &entries, 2, 0, &count });
    entries[1].handle = 0;
    t.fails(@src(), .io_poll, .bad_handle, .{ &entries, 2, never, &count });
    // Wants nothing: only what is always told.
    entries[0].wanted = .{};
    t.fails(@src(), .io_poll, .timed_out, .{ &entries, 1, 0, &count });
    t.ok(@src(), .ipc_close, .{a.left});
    t.ok(@src(), .io_poll, .{ &entries, 1, 0, &count });
    t.expect(@src(), entries[0].ready == Events{ .closed = true }, "closed is told unasked");
    t.ok(@src(), .ipc_close, .{a.right});
    b.close();
}

/// A handle that cannot be polled.
fn conformanceCapability() abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &handle });
    return handle;
}

var other: Pair = .{};

fn sendSoon(_: usize) void {
    t.sleep(soon_ns);
    ipc.send(other.left, "soon");
}

fn closeSoon(handle: usize) void {
    t.sleep(soon_ns);
    t.ok(@src(), .ipc_close, .{@as(u64, handle)});
}

/// A poll of an array sleeps until something happens to one of its handles.
fn waits() void {
    other = .create(4, 8);
    const idle: Pair = .create(4, 8);
    var entries = [_]Entry{ entryOf(idle.left, readable), entryOf(other.right, readable), entryOf(idle.right, readable) };
    var count: u32 = 0;
    var thread: t.Thread = .{};
    thread.start(sendSoon, 0, .{});
    t.ok(@src(), .io_poll, .{ &entries, entries.len, never, &count });
    t.expect(@src(), count == 1 and entries[1].ready == readable and entries[0].ready == Events{}, "the one that was sent to");
    _ = thread.join();
    ipc.expectMessage(@src(), other.right, "soon");
    thread.start(closeSoon, @intFromEnum(other.right), .{});
    t.fails(@src(), .io_poll, .bad_handle, .{ &entries, entries.len, never, &count });
    _ = thread.join();
    t.ok(@src(), .ipc_close, .{other.left});
    idle.close();
    thread.free();
}

fn makeSet() abi.Handle {
    var set: abi.Handle = .none;
    t.ok(@src(), .io_poll_create, .{&set});
    return set;
}

fn put(source: std.builtin.SourceLocation, set: abi.Handle, handle: abi.Handle, user: u64, wanted: Events) void {
    t.ok(source, .io_poll_update, .{ set, &Entry{ .handle = @intFromEnum(handle), .user = user, .wanted = wanted } });
}

/// The users of the members that are ready now, in order.
fn expectUsers(source: std.builtin.SourceLocation, set: abi.Handle, room: u32, users: []const u64) void {
    var entries: [128]Entry = undefined;
    var count: u32 = 9;
    if (users.len == 0) return t.fails(source, .io_poll_wait, .timed_out, .{ set, &entries, room, 0, &count });
    t.ok(source, .io_poll_wait, .{ set, &entries, room, 0, &count });
    t.expectEqual(source, users.len, count, "the number of ready members");
    for (users, entries[0..users.len]) |user, entry| t.expectEqual(source, user, entry.user, "the member");
}

fn members() void {
    const set = makeSet();
    const pair: Pair = .create(4, 8);
    var entries: [2]Entry = undefined;
    var count: u32 = 0;
    t.fails(@src(), .io_poll_wait, .bad_value, .{ set, &entries, 0, 0, &count });
    t.fails(@src(), .io_poll_wait, .too_long, .{ set, &entries, abi.poll_entries_max + 1, 0, &count });
    t.fails(@src(), .io_poll_wait, .timed_out, .{ set, &entries, 2, t.now() + soon_ns, &count });
    t.fails(@src(), .io_poll_update, .bad_flags, .{ set, &Entry{ .handle = @intFromEnum(pair.right), .wanted = @bitCast(@as(u32, 32)) } });
    t.fails(@src(), .io_poll_update, .unsupported_operation, .{ set, &Entry{ .handle = @intFromEnum(set), .wanted = readable } });
    t.fails(@src(), .io_poll_update, .bad_handle, .{ set, &Entry{ .handle = 1, .wanted = readable } });
    put(@src(), set, pair.right, 1, readable);
    expectUsers(@src(), set, 2, &.{});
    ipc.send(pair.left, "x");
    expectUsers(@src(), set, 2, &.{1});
    // Level-triggered: it is so until the message is taken.
    expectUsers(@src(), set, 2, &.{1});
    put(@src(), set, pair.right, 2, .{ .writable = true });
    t.ok(@src(), .io_poll_wait, .{ set, &entries, 2, never, &count });
    t.expect(@src(), entries[0].user == 2 and entries[0].ready == Events{ .writable = true } and entries[0].handle == @intFromEnum(pair.right), "as changed");
    put(@src(), set, pair.right, 3, readable);
    ipc.expectMessage(@src(), pair.right, "x");
    expectUsers(@src(), set, 2, &.{});
    ipc.send(pair.left, "y");
    expectUsers(@src(), set, 2, &.{3});
    put(@src(), set, pair.right, 3, .{});
    expectUsers(@src(), set, 2, &.{});
    // What is not there is taken out as well.
    put(@src(), set, pair.right, 3, .{});
    pair.close();
    t.ok(@src(), .io_poll_close, .{set});
    t.fails(@src(), .io_poll_close, .bad_handle, .{set});
}

/// With less room than ready members each has its turn; with more than a page of them all are there.
fn turns() void {
    const set = makeSet();
    var pairs: [100]Pair = undefined;
    for (&pairs, 0..) |*pair, index| {
        pair.* = .create(1, 8);
        put(@src(), set, pair.right, index, readable);
    }
    for ([_]usize{ 5, 3, 8 }) |index| ipc.send(pairs[index].left, "x");
    expectUsers(@src(), set, 1, &.{5});
    expectUsers(@src(), set, 1, &.{3});
    expectUsers(@src(), set, 2, &.{ 8, 5 });
    expectUsers(@src(), set, 100, &.{ 3, 8, 5 });
    for (pairs[0..], 0..) |pair, index| if (index != 5 and index != 3 and index != 8) ipc.send(pair.left, "x");
    var entries: [128]Entry = undefined;
    var count: u32 = 0;
    t.ok(@src(), .io_poll_wait, .{ set, &entries, 128, never, &count });
    t.expectEqual(@src(), 100, count, "all of them");
    var seen: u128 = 0;
    for (entries[0..100]) |entry| seen |= @as(u128, 1) << @intCast(entry.user);
    t.expect(@src(), seen == (1 << 100) - 1, "each once");
    for (pairs) |pair| pair.close();
    expectUsers(@src(), set, 2, &.{});
    t.ok(@src(), .io_poll_close, .{set});
}

fn severalSets() void {
    const pair: Pair = .create(4, 8);
    var sets: [256]abi.Handle = undefined;
    for (&sets, 0..) |*set, index| {
        set.* = makeSet();
        put(@src(), set.*, pair.right, index, readable);
    }
    const one_more = makeSet();
    t.fails(@src(), .io_poll_update, .out_of_memory, .{ one_more, &entryOf(pair.right, readable) });
    ipc.send(pair.left, "x");
    for (sets, 0..) |set, index| expectUsers(@src(), set, 4, &.{index});
    t.ok(@src(), .io_poll_close, .{sets[0]});
    put(@src(), one_more, pair.right, 9, readable);
    expectUsers(@src(), one_more, 4, &.{9});
    ipc.expectMessage(@src(), pair.right, "x");
    for (sets[1..]) |set| expectUsers(@src(), set, 4, &.{});
    pair.close();
    for (sets[1..]) |set| t.ok(@src(), .io_poll_close, .{set});
    t.ok(@src(), .io_poll_close, .{one_more});
}

/// A handle that is closed leaves the sets it is in; a later one is another, whatever its number.
fn leaving() void {
    const set = makeSet();
    const first: Pair = .create(4, 8);
    put(@src(), set, first.right, 1, readable);
    ipc.send(first.left, "x");
    t.ok(@src(), .ipc_close, .{first.right});
    expectUsers(@src(), set, 2, &.{});
    t.fails(@src(), .io_poll_update, .bad_handle, .{ set, &entryOf(first.right, readable) });
    put(@src(), set, first.left, 2, readable);
    expectUsers(@src(), set, 2, &.{2});
    t.ok(@src(), .ipc_close, .{first.left});
    t.ok(@src(), .io_poll_close, .{set});
}

var shared: abi.Handle = .none;
var jobs: [3]Pair = undefined;
var taken: std.atomic.Value(u32) = .init(0);
var refused: std.atomic.Value(u32) = .init(0);

/// Takes messages from whatever is ready until the set is closed.
fn work(_: usize) void {
    var entries: [2]Entry = undefined;
    var count: u32 = 0;
    var buffer: [8]u8 = undefined;
    var bytes: u64 = 0;
    while (t.call(.io_poll_wait, .{ shared, &entries, entries.len, never, &count }) == 0) {
        for (entries[0..count]) |entry| {
            // Another may have been quicker.
            if (t.call(.ipc_recv, .{ entry.handle, &buffer, buffer.len, 0, &bytes }) == 0) _ = taken.fetchAdd(1, .monotonic);
        }
    }
    if (uk.calls.err_get_last() == @intFromEnum(abi.Detail.bad_handle)) _ = refused.fetchAdd(1, .monotonic);
}

/// Several tasks serve one set: every message is taken, and all learn of its end.
fn sharing() void {
    shared = makeSet();
    for (&jobs, 0..) |*pair, index| {
        pair.* = .create(4, 8);
        put(@src(), shared, pair.right, index, readable);
    }
    var workers: [4]t.Thread = @splat(.{});
    for (&workers) |*worker| worker.start(work, 0, .{});
    for (0..1500) |index| t.ok(@src(), .ipc_send, .{ jobs[index % jobs.len].left, "job", 3, never });
    while (taken.load(.monotonic) < 1500) t.sleep(200_000);
    t.ok(@src(), .io_poll_close, .{shared});
    for (&workers) |*worker| {
        _ = worker.join();
        worker.free();
    }
    t.expectEqual(@src(), 1500, taken.load(.monotonic), "every message once");
    t.expectEqual(@src(), workers.len, refused.load(.monotonic), "a closed set is a bad handle to all");
    for (jobs) |pair| pair.close();
}

fn interruptions() void {
    const set = makeSet();
    var entries: [1]Entry = undefined;
    var count: u32 = 0;
    var thread: t.Thread = .{};
    thread.start(ipc.interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .io_poll_wait, .interrupted, .{ set, &entries, 1, never, &count });
    _ = thread.join();
    thread.start(ipc.interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .io_poll, .interrupted, .{ 0, 0, never, &count });
    _ = thread.join();
    thread.free();
    t.ok(@src(), .io_poll_close, .{set});
}

/// A set that holds a thousand handles goes away whole, in one call.
fn manyIdle() void {
    const set = makeSet();
    const memory = uk.reserve(16 << 12) catch @panic("no memory");
    const pairs = @as([*]Pair, @ptrCast(memory.ptr))[0..1000];
    for (pairs, 0..) |*pair, index| {
        pair.* = .create(1, 8);
        put(@src(), set, pair.right, index, readable);
    }
    ipc.send(pairs[777].left, "x");
    expectUsers(@src(), set, 8, &.{777});
    t.ok(@src(), .io_poll_close, .{set});
    for (pairs) |pair| pair.close();
    uk.release(memory);
}
