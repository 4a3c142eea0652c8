//! Who gets the processors: that all are used, that a task of any priority runs within the bound that the kernel states, that equals get
//! equal parts. The times are the VM's own, so bounds hold where the VM's clock counts what it executes alone (QEMU's -icount);
//! elsewhere what the host takes from its processors comes on top, and the figures are for bench/scheduler to print.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("kernel_limits");
const t = @import("harness.zig");
const abi = uk.abi;

var going: u32 = 0;
var begun: u32 = 0;

fn spinWhileGoing(_: usize) void {
    _ = @atomicRmw(u32, &begun, .Add, 1, .release);
    while (@atomicLoad(u32, &going, .acquire) == 1) spin();
}

/// Some microseconds. A pause lets QEMU go on with another processor where one thread executes all of them; alone it would be slow there.
fn spin() void {
    for (0..200) |_| asm volatile ("");
    std.atomic.spinLoopHint();
}

fn processors() usize {
    return uk.startup().cpu_count;
}

fn taskStats(handle: abi.Handle) abi.TaskStats {
    var result: abi.TaskStats = .{};
    uk.calls.check(uk.calls.task_get_stats(handle, &result)) catch t.expect(@src(), false, "task_get_stats");
    return result;
}

/// Tasks that never stop until `end`.
const Spinners = struct {
    threads: [33]t.Thread = @splat(.{}),
    count: usize = 0,

    fn add(all: *Spinners, count: usize, options: t.Thread.Options) void {
        @atomicStore(u32, &going, 1, .release);
        for (all.threads[all.count..][0..count]) |*thread| thread.start(spinWhileGoing, 0, options);
        all.count += count;
    }

    fn awaitBegun(all: *Spinners) void {
        while (@atomicLoad(u32, &begun, .acquire) < all.count) t.sleep(1_000_000);
    }

    fn end(all: *Spinners) void {
        @atomicStore(u32, &going, 0, .release);
        for (all.threads[0..all.count]) |*thread| {
            _ = thread.join();
            thread.free();
        }
        begun = 0;
    }
};

/// One spinning task for each processor: each gets one for itself.
pub fn spinners() u8 {
    const count = processors();
    var all: Spinners = .{};
    all.add(count, .{});
    all.awaitBegun();
    const before_ns = totalNs(&all);
    const start = t.now();
    t.sleep(1_000_000_000);
    const total_ns = totalNs(&all) - before_ns;
    const elapsed = t.now() - start;
    all.end();
    const percent = total_ns * 100 / (elapsed * count);
    t.say("{d} processors, {d}% of their time\n", .{ count, percent });
    t.expect(@src(), percent >= 80 and percent <= 101, "their time");
    return t.finish();
}

fn totalNs(all: *Spinners) u64 {
    var total_ns: u64 = 0;
    for (all.threads[0..all.count]) |*thread| total_ns += taskStats(thread.handle).cpu_ns;
    return total_ns;
}

fn sliceNs(mode: abi.TaskMode) u64 {
    return if (mode == .latency) limits.slice_latency_ns else limits.slice_throughput_ns;
}

/// A task that sleeps and runs in turn, and how late it came back.
const Sleeper = struct {
    const sleeps_max = 200;
    thread: t.Thread = .{},
    sleeps: usize,
    /// Between two sleeps.
    run_ns: u64,
    /// Runs before the first sleep until so many others have begun.
    run_first_until: u32 = 0,
    late_ns: [sleeps_max]u64 = undefined,

    fn run(argument: usize) void {
        const sleeper: *Sleeper = @ptrFromInt(argument);
        while (@atomicLoad(u32, &begun, .acquire) < sleeper.run_first_until) spin();
        for (sleeper.late_ns[0..sleeper.sleeps]) |*late_ns| {
            const deadline = t.now() + 1_000_000;
            _ = uk.calls.task_sleep(deadline);
            late_ns.* = t.now() -| deadline;
            burn(sleeper.run_ns);
        }
    }

    fn burn(duration_ns: u64) void {
        if (duration_ns == 0) return;
        const me: abi.Handle = @enumFromInt(uk.calls.task_self());
        const start = taskStats(me).cpu_ns;
        while (taskStats(me).cpu_ns - start < duration_ns) {
            spin();
        }
    }

    fn max(sleeper: *const Sleeper) u64 {
        return std.mem.max(u64, sleeper.late_ns[0..sleeper.sleeps]);
    }

    fn median(sleeper: *Sleeper) u64 {
        std.mem.sort(u64, sleeper.late_ns[0..sleeper.sleeps], {}, std.sort.asc(u64));
        return sleeper.late_ns[sleeper.sleeps / 2];
    }
};

/// The timer's interrupt, the entry of the kernel and the switch.
const entry_ns = 2_000_000;

/// The lowest priority runs within the kernel's bound although every processor has a task of the highest that never stops.
pub fn fair() u8 {
    for ([_]abi.TaskMode{ .latency, .throughput }) |mode| {
        lateBeside(mode, "sleeps", .{ .sleeps = 40, .run_ns = 0 });
        lateBeside(mode, "runs for more than a slice", .{ .sleeps = 4, .run_ns = sliceNs(mode) * 3 / 2 });
        lateBeside(mode, "ran alone before", .{ .sleeps = 10, .run_ns = 0, .run_first_until = @intCast(processors()) });
    }
    newcomer();
    shares();
    return t.finish();
}

fn lateBeside(mode: abi.TaskMode, comptime what: []const u8, prepared: Sleeper) void {
    var sleeper = prepared;
    var all: Spinners = .{};
    sleeper.thread.start(Sleeper.run, @intFromPtr(&sleeper), .{ .priority = 0, .mode = mode });
    // One that ran while processors were free owes those that come later nothing.
    if (sleeper.run_first_until != 0) t.sleep(500_000_000);
    all.add(processors(), .{ .priority = abi.priority_max, .mode = mode });
    _ = sleeper.thread.join();
    all.end();
    const bound_ns = limits.latenessMaxNs(sliceNs(mode), limits.weights[0], limits.weights[abi.priority_max]) + entry_ns;
    t.say("{s} mode, {s}: at most {d} us late, bound {d} us\n", .{ @tagName(mode), what, sleeper.max() / 1000, bound_ns / 1000 });
    t.expect(@src(), sleeper.max() <= bound_ns, "within the bound");
    sleeper.thread.free();
}

/// One that comes to processors that others have had for long takes its part, no more.
fn newcomer() void {
    var all: Spinners = .{};
    all.add(processors(), .{});
    all.awaitBegun();
    t.sleep(500_000_000);
    all.add(processors(), .{});
    all.awaitBegun();
    t.sleep(500_000_000);
    var late_ns: u64 = 0;
    for (all.threads[0..all.count]) |*thread| late_ns = @max(late_ns, taskStats(thread.handle).late_ns_max);
    all.end();
    // Twice as many as processors, each newcomer one slice ahead of who ran before, and the first task between them.
    const bound_ns = 3 * limits.latenessMaxNs(limits.slice_latency_ns, limits.weight_one, limits.weight_one);
    t.say("two for each processor: at most {d} us late, bound {d} us\n", .{ late_ns / 1000, bound_ns / 1000 });
    t.expect(@src(), late_ns <= bound_ns, "nobody waits for newcomers");
}

/// One more than there are processors: each gets its part, whatever it began on.
fn shares() void {
    var all: Spinners = .{};
    all.add(processors() + 1, .{});
    all.awaitBegun();
    var before_ns: [33]u64 = undefined;
    for (before_ns[0..all.count], all.threads[0..all.count]) |*before, *thread| before.* = taskStats(thread.handle).cpu_ns;
    t.sleep(1_000_000_000);
    var least_ns: u64 = std.math.maxInt(u64);
    var most_ns: u64 = 0;
    for (before_ns[0..all.count], all.threads[0..all.count]) |before, *thread| {
        const ran_ns = taskStats(thread.handle).cpu_ns - before;
        least_ns = @min(least_ns, ran_ns);
        most_ns = @max(most_ns, ran_ns);
    }
    all.end();
    t.say("one more than processors: {d} to {d} ms of 1000\n", .{ least_ns / 1_000_000, most_ns / 1_000_000 });
    t.expect(@src(), least_ns * 10 >= most_ns * 8, "equal parts");
}

/// For bench/scheduler: how late by the clock on the wall, for which the host must be idle.
pub fn late() u8 {
    for ([_]abi.TaskMode{ .latency, .throughput }) |mode| {
        var sleeper: Sleeper = .{ .sleeps = Sleeper.sleeps_max, .run_ns = 0 };
        var all: Spinners = .{};
        all.add(processors(), .{ .priority = abi.priority_max, .mode = mode });
        all.awaitBegun();
        sleeper.thread.start(Sleeper.run, @intFromPtr(&sleeper), .{ .priority = 0, .mode = mode });
        _ = sleeper.thread.join();
        all.end();
        sleeper.thread.free();
        t.say("figure late.{s} {d} {d}\n", .{ @tagName(mode), sleeper.median() / 1000, sleeper.max() / 1000 });
    }
    return t.finish();
}

const Worker = struct {
    thread: t.Thread = .{},
    rounds: u64,
    elapsed_ns: u64 = 0,

    fn run(argument: usize) void {
        const worker: *Worker = @ptrFromInt(argument);
        const start = t.now();
        var value: u64 = 1;
        for (0..worker.rounds) |_| value = asm volatile ("imulq %[factor], %[value]; incq %[value]"
            : [value] "=r" (-> u64),
            : [factor] "r" (@as(u64, 6364136223846793005)),
              [_] "0" (value),
        );
        worker.elapsed_ns = t.now() - start;
    }
};

/// For bench/scheduler: a task for each processor does so many rounds; prints the rounds in a millisecond of all together.
pub fn work(rounds: u64) u8 {
    var workers: [32]Worker = @splat(.{ .rounds = rounds });
    const count = processors();
    for (workers[0..count]) |*worker| worker.thread.start(Worker.run, @intFromPtr(worker), .{});
    var rate: u64 = 0;
    for (workers[0..count]) |*worker| {
        _ = worker.thread.join();
        rate += rounds * 1_000_000 / @max(1, worker.elapsed_ns);
    }
    t.say("figure work {d}\n", .{rate});
    return t.finish();
}
