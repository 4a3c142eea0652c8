//! Tasks: making, ending, joining, waiting, waking, moving, interrupting and looking at them.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

pub fn run() void {
    spawn();
    joins();
    exits();
    waits();
    requeues();
    interrupts();
    prioritiesAndStats();
    contexts();
}

fn nothing(_: usize) void {}

fn spawn() void {
    var stack: [1024]u8 align(16) = undefined;
    var task: abi.Handle = .none;
    const good: abi.TaskOptions = .{ .entry = @intFromPtr(&nothing), .stack = @intFromPtr(&stack) + stack.len, .priority = 8 };
    const Change = struct { abi.Detail, abi.TaskOptions };
    var changes: [12]Change = @splat(.{ .bad_value, good });
    changes[0][1].priority = abi.priority_max + 1;
    changes[1][1].mode = @enumFromInt(2);
    changes[2][1].reserved = 1;
    changes[3][1].capabilities = 1 << 8;
    changes[4][1].active = 1;
    changes[5] = .{ .bad_flags, good };
    changes[5][1].flags.reserved = 1;
    changes[6] = .{ .misaligned, good };
    changes[6][1].stack -= 8;
    changes[7] = .{ .bad_pointer, good };
    changes[7][1].entry = 0xffff_8000_0000_0000;
    changes[8] = .{ .bad_pointer, good };
    changes[8][1].entry = 0;
    changes[9] = .{ .bad_pointer, good };
    changes[9][1].stack = 0xffff_8000_0000_0000;
    changes[10] = .{ .bad_pointer, good };
    changes[10][1].stack = 0;
    changes[11] = .{ .bad_pointer, good };
    changes[11][1].fs_base = 0x8000_0000_0000_0000;
    for (&changes) |*change| t.fails(@src(), .task_spawn, change[0], .{ &change[1], &task });

    var thread: t.Thread = .{};
    for (0..100) |index| {
        thread.start(countUp, index, .{});
        _ = thread.join();
    }
    t.expectEqual(@src(), 4950, @atomicLoad(u64, &sum, .acquire), "each task ran with its argument");
    // The same by the table, for the record of outcomes.
    const own = uk.reserve(16 << 10) catch @panic("no stack");
    const made: abi.TaskOptions = .{ .entry = @intFromPtr(&exitWith), .argument = 41, .stack = @intFromPtr(own.ptr) + own.len, .priority = 8 };
    t.ok(@src(), .task_spawn, .{ &made, &task });
    var status: i32 = 0;
    t.ok(@src(), .task_join, .{ task, abi.deadline_never, &status });
    t.expectEqual(@src(), 42, @intCast(status), "status");
    t.fails(@src(), .task_join, .bad_handle, .{ task, abi.deadline_never, &status });
    uk.release(own);
    thread.free();
}

var sum: u64 = 0;

fn countUp(argument: usize) void {
    _ = @atomicRmw(u64, &sum, .Add, argument, .acq_rel);
}

fn exitWith(argument: u64) callconv(.c) noreturn {
    // The convention at entry: as if called, with a zero return address.
    _ = uk.calls.task_exit(@intCast(argument + 1), 0);
    @trap();
}

var gate_word: u32 = 0;

fn waitForGate(_: usize) void {
    while (@atomicLoad(u32, &gate_word, .acquire) == 0) _ = uk.calls.task_wait(&gate_word, 0, abi.deadline_never);
}

fn openGate() void {
    @atomicStore(u32, &gate_word, 1, .release);
    _ = uk.calls.task_wake(@intFromPtr(&gate_word), std.math.maxInt(u32), null);
}

fn joins() void {
    var status: i32 = 0;
    t.fails(@src(), .task_join, .self_reference, .{ uk.startup().task, 0, &status });
    gate_word = 0;
    var thread: t.Thread = .{};
    thread.start(waitForGate, 0, .{});
    t.fails(@src(), .task_join, .timed_out, .{ thread.handle, 0, &status });
    t.fails(@src(), .task_join, .timed_out, .{ thread.handle, t.now() + 3_000_000, &status });
    var other: t.Thread = .{};
    joined = thread.handle;
    other.start(joinIt, 0, .{});
    while (t.call(.task_join, .{ thread.handle, 0, &status }) != @intFromEnum(abi.Result.busy)) t.sleep(100_000);
    t.fails(@src(), .task_join, .already_joined, .{ thread.handle, 0, &status });
    openGate();
    _ = other.join();
    t.fails(@src(), .task_join, .bad_handle, .{ thread.handle, 0, &status });

    gate_word = 0;
    thread.start(waitForGate, 0, .{ .detached = true });
    t.fails(@src(), .task_join, .unsupported_operation, .{ thread.handle, 0, &status });
    openGate();
    t.awaitValue(&thread.alive, 0);
    // Its handle is stale once the kernel has freed it.
    var tries: u32 = 0;
    while (t.call(.task_get_stats, .{ thread.handle, &scratch }) == 0 and tries < 1000) : (tries += 1) t.sleep(1_000_000);
    t.fails(@src(), .task_join, .bad_handle, .{ thread.handle, 0, &status });
    thread.free();
    other.free();
}

var scratch: abi.TaskStats = .{};
var joined: abi.Handle = .none;

fn joinIt(_: usize) void {
    var status: i32 = 0;
    t.ok(@src(), .task_join, .{ joined, abi.deadline_never, &status });
}

fn exits() void {
    t.fails(@src(), .task_exit, .misaligned, .{ 0, @intFromPtr(&gate_word) + 1 });
    t.fails(@src(), .task_exit, .bad_pointer, .{ 0, @as(u64, 0xffff_8000_0000_0000) });
    t.fails(@src(), .task_exit, .bad_pointer, .{ 0, @as(u64, 4096) });
    // Clearing wakes who waits for it.
    var thread: t.Thread = .{};
    thread.status = -3;
    thread.start(sleepShortly, 0, .{});
    while (@atomicLoad(u32, &thread.alive, .acquire) == 1) {
        const result = uk.calls.task_wait(&thread.alive, 1, t.now() + 5_000_000_000);
        t.expect(@src(), result == .ok or result == .would_block, "woken by the end of the task");
        if (result == .timeout) break;
    }
    t.expect(@src(), thread.join() == -3, "status");
    thread.free();
}

fn sleepShortly(_: usize) void {
    t.sleep(3_000_000);
}

fn waits() void {
    var word: u32 align(8) = 5;
    var woken: u32 = 9;
    const address = @intFromPtr(&word);
    t.fails(@src(), .task_wait, .value_changed, .{ &word, 4, abi.deadline_never });
    t.fails(@src(), .task_wait, .timed_out, .{ &word, 5, 0 });
    const before = t.now();
    t.fails(@src(), .task_wait, .timed_out, .{ &word, 5, before + 5_000_000 });
    t.expect(@src(), t.now() - before >= 5_000_000, "waited until the deadline");
    t.fails(@src(), .task_wait, .misaligned, .{ address + 2, 5, 0 });
    t.fails(@src(), .task_wake, .misaligned, .{ address + 1, 1, 0 });
    t.fails(@src(), .task_wake, .bad_pointer, .{ @as(u64, 0xffff_8000_0000_0000), 1, 0 });
    t.ok(@src(), .task_wake, .{ address, 1, &woken });
    t.expectEqual(@src(), 0, woken, "nobody waits");
    t.ok(@src(), .task_wake, .{ address, 1, 0 });

    var threads: [4]t.Thread = @splat(.{});
    hub = 0;
    through = 0;
    for (&threads) |*thread| thread.start(waitOnce, 0, .{});
    // Two first, then the rest; the count says how many there were.
    awaitWaiters(4);
    t.ok(@src(), .task_wake, .{ &hub, 2, &woken });
    t.expectEqual(@src(), 2, woken, "as many as asked for");
    t.awaitValue(&through, 2);
    t.ok(@src(), .task_wait, .{ &second, 0, waker(&second) });
    t.awaitValue(&helper.alive, 0);
    helper.free();
    t.ok(@src(), .task_wake, .{ &hub, std.math.maxInt(u32), &woken });
    t.expectEqual(@src(), 2, woken, "the rest");
    for (&threads) |*thread| {
        _ = thread.join();
        thread.free();
    }
}

var hub: u32 = 0;
var second: u32 = 0;
var entered: u32 = 0;
var through: u32 = 0;
var helper: t.Thread = .{};

/// Starts a task that wakes the word in a while; gives a deadline far behind that.
fn waker(word: *u32) u64 {
    helper = .{};
    helper.start(wakeLater, @intFromPtr(word), .{ .detached = true });
    return t.now() + 20_000_000_000;
}

fn wakeLater(word: usize) void {
    t.sleep(5_000_000);
    var woken: u32 = 0;
    while (woken == 0) {
        _ = uk.calls.task_wake(word, 1, &woken);
        t.sleep(500_000);
    }
}

fn waitOnce(_: usize) void {
    _ = @atomicRmw(u32, &entered, .Add, 1, .acq_rel);
    _ = uk.calls.task_wait(&hub, 0, abi.deadline_never);
    _ = @atomicRmw(u32, &through, .Add, 1, .acq_rel);
}

/// Waits until so many tasks are on their way into the wait, and a while more for the last steps.
fn awaitWaiters(count: u32) void {
    t.awaitValue(&entered, count);
    entered = 0;
    t.sleep(20_000_000);
}

fn requeues() void {
    var affected: u32 = 9;
    const target = @intFromPtr(&second);
    hub = 0;
    through = 0;
    t.fails(@src(), .task_requeue, .value_changed, .{ &hub, 1, 1, target, 1, &affected });
    t.fails(@src(), .task_requeue, .misaligned, .{ @intFromPtr(&hub) + 1, 0, 1, target, 1, &affected });
    t.fails(@src(), .task_requeue, .misaligned, .{ &hub, 0, 1, target + 2, 1, &affected });
    t.fails(@src(), .task_requeue, .bad_pointer, .{ &hub, 0, 1, @as(u64, 0xffff_8000_0000_0000), 1, &affected });
    t.ok(@src(), .task_requeue, .{ &hub, 0, 1, target, 1, &affected });
    t.expectEqual(@src(), 0, affected, "nobody waits");

    var threads: [5]t.Thread = @splat(.{});
    for (&threads) |*thread| thread.start(waitOnce, 0, .{});
    awaitWaiters(5);
    t.ok(@src(), .task_requeue, .{ &hub, 0, 1, target, 3, &affected });
    t.expectEqual(@src(), 4, affected, "one woken, three moved");
    t.awaitValue(&through, 1);
    var woken: u32 = 0;
    t.ok(@src(), .task_wake, .{ &hub, 10, &woken });
    t.expectEqual(@src(), 1, woken, "one stayed");
    t.ok(@src(), .task_wake, .{ target, 10, &woken });
    t.expectEqual(@src(), 3, woken, "three were moved");
    for (&threads) |*thread| {
        _ = thread.join();
        thread.free();
    }
}

fn interrupts() void {
    var thread: t.Thread = .{};
    thread.start(interruptMe, uk.startup().task, .{});
    var status: i32 = 0;
    var word: u32 = 0;
    // Each wait ends by the other task's next interrupt.
    t.fails(@src(), .task_sleep, .interrupted, .{t.now() + 20_000_000_000});
    t.fails(@src(), .task_wait, .interrupted, .{ &word, 0, abi.deadline_never });
    t.fails(@src(), .task_join, .interrupted, .{ thread.handle, abi.deadline_never, &status });
    @atomicStore(u32, &stop, 1, .release);
    // The last one may come in the middle of this.
    while (uk.calls.task_join(thread.handle, abi.deadline_never, &status) == .interrupted) {}
    thread.free();
    // Without a fault handler an interrupt of one's own ends the next wait.
    t.ok(@src(), .task_interrupt, .{uk.startup().task});
    t.fails(@src(), .task_sleep, .interrupted, .{t.now() + 20_000_000_000});
    t.ok(@src(), .task_sleep, .{t.now() + 1_000_000});
}

var stop: u32 = 0;

fn interruptMe(task: usize) void {
    while (@atomicLoad(u32, &stop, .acquire) == 0) {
        t.sleep(5_000_000);
        if (@atomicLoad(u32, &stop, .acquire) == 0) t.ok(@src(), .task_interrupt, .{@as(u64, task)});
    }
}

fn prioritiesAndStats() void {
    const me = uk.startup().task;
    var stats: abi.TaskStats = .{};
    t.fails(@src(), .task_set_priority, .bad_value, .{ me, abi.priority_max + 1, 0 });
    t.ok(@src(), .task_set_priority, .{ me, abi.priority_max, abi.TaskMode.throughput });
    t.ok(@src(), .task_get_stats, .{ me, &stats });
    t.expectEqual(@src(), abi.priority_max, stats.priority, "priority");
    t.ok(@src(), .task_set_priority, .{ me, abi.priority_normal, abi.TaskMode.latency });
    const before = stats.cpu_ns;
    const start = t.now();
    while (t.now() < start + 20_000_000) {}
    t.ok(@src(), .task_get_stats, .{ me, &stats });
    t.expect(@src(), stats.cpu_ns > before + 2_000_000, "processor time grows");
    t.expect(@src(), stats.cpu < uk.startup().cpu_count and stats.switches > 0, "processor and switches");

    // An ended task that nobody has joined.
    var thread: t.Thread = .{};
    thread.start(nothing, 0, .{});
    t.awaitValue(&thread.alive, 0);
    t.sleep(5_000_000);
    t.ok(@src(), .task_get_stats, .{ thread.handle, &stats });
    t.fails(@src(), .task_set_priority, .task_ended, .{ thread.handle, 8, 0 });
    t.fails(@src(), .task_interrupt, .task_ended, .{thread.handle});
    var frame: abi.TaskFrame = .{ .bytes = @sizeOf(abi.TaskFrame), .rip = @intFromPtr(&nothing), .rsp = 0x10000 };
    t.fails(@src(), .task_get_context, .task_ended, .{ thread.handle, &frame });
    t.fails(@src(), .task_set_context, .task_ended, .{ thread.handle, &frame });
    _ = thread.join();
    thread.free();
}

fn contexts() void {
    var frame: abi.TaskFrame = .{};
    t.fails(@src(), .task_get_context, .self_reference, .{ uk.startup().task, &frame });
    frame.bytes = @sizeOf(abi.TaskFrame);
    t.fails(@src(), .task_set_context, .self_reference, .{ uk.startup().task, &frame });

    hub = 0;
    entered = 0;
    var thread: t.Thread = .{};
    thread.start(waitOnce, 0, .{});
    awaitWaiters(1);
    t.ok(@src(), .task_get_context, .{ thread.handle, &frame });
    t.expectEqual(@src(), @sizeOf(abi.TaskFrame), frame.bytes, "size");
    t.expect(@src(), frame.kind == .context and !frame.flags.vector, "kind");
    t.expect(@src(), frame.rip >= uk.startup().gate and frame.rip < uk.startup().gate + uk.startup().gate_bytes, "it waits in the gate");
    t.expect(@src(), frame.rsp > @intFromPtr(thread.stack.ptr) and frame.rsp < @intFromPtr(thread.stack.ptr) + thread.stack.len, "its stack");
    for ([_]u8{ 0, 1, 2, 3, 4 }) |field| {
        var bad = frame;
        switch (field) {
            0 => bad.bytes = 8,
            1 => bad.rip = 0xffff_8000_0000_0000,
            2 => bad.rsp = 0x8000_0000_0000_0000,
            3 => bad.fs_base = 0x8000_0000_0000_0000,
            else => bad.gs_base = 0xffff_8000_0000_0000,
        }
        t.fails(@src(), .task_set_context, .bad_value, .{ thread.handle, &bad });
    }
    // It goes on elsewhere.
    frame.rip = @intFromPtr(&elsewhere);
    frame.rdi = @intFromPtr(&thread);
    frame.rsp = @intFromPtr(thread.stack.ptr) + thread.stack.len - 8;
    t.ok(@src(), .task_set_context, .{ thread.handle, &frame });
    t.expectEqual(@src(), 77, @intCast(thread.join()), "it went on where it was told");
    if (uk.startup().cpu_count > 1) running(&thread);
    thread.free();
}

fn elsewhere(thread: *t.Thread) callconv(.c) noreturn {
    _ = uk.calls.task_exit(77, @intFromPtr(&thread.alive));
    @trap();
}

/// A task that spins on another processor cannot be looked at.
fn running(thread: *t.Thread) void {
    @atomicStore(u32, &gate_word, 0, .release);
    spinning = 0;
    thread.start(spin, 0, .{});
    t.awaitValue(&spinning, 1);
    var frame: abi.TaskFrame = .{};
    var tries: u32 = 0;
    while (t.call(.task_get_context, .{ thread.handle, &frame }) == 0 and tries < 1000) : (tries += 1) t.sleep(100_000);
    t.fails(@src(), .task_get_context, .task_running, .{ thread.handle, &frame });
    frame = .{ .bytes = @sizeOf(abi.TaskFrame), .rip = @intFromPtr(&elsewhere), .rsp = @intFromPtr(&frame) };
    t.fails(@src(), .task_set_context, .task_running, .{ thread.handle, &frame });
    @atomicStore(u32, &gate_word, 1, .release);
    _ = thread.join();
}

var spinning: u32 = 0;

fn spin(_: usize) void {
    @atomicStore(u32, &spinning, 1, .release);
    while (@atomicLoad(u32, &gate_word, .acquire) == 0) std.atomic.spinLoopHint();
}
