//! Tasks, time and memory under pressure, on as many CPUs as there are. Prints what it measured; its status is 0 when all held.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const calls = uk.calls;

const cpus_max = 4;
const page = 4096;
/// Lateness that a loaded test machine may add to what the kernel promises.
const host_late_ns = 2_000_000_000;

pub fn main() !u8 {
    try uk.enable(.task, @bitCast(abi.TaskRights{ .spawn = true, .control = true }));
    try uk.enable(.mem, @bitCast(abi.MemRights{ .map = true, .exec_write = true }));
    try uk.enable(.io, @bitCast(abi.IoRights{ .read = true, .write = true }));
    const cpus: u32 = @min(cpus_max, uk.startup().cpu_count);
    const rounds: u32 = if (uk.environment("ROUNDS")) |text| try std.fmt.parseInt(u32, text, 10) else 20_000;
    try wakePairs(rounds);
    try spinning(cpus);
    try lowest(cpus, .latency);
    try lowest(cpus, .throughput);
    try memory();
    try memory();
    return 0;
}

fn stats() !abi.AbiStats {
    var result: abi.AbiStats = .{};
    try calls.check(calls.abi_stats(&result));
    return result;
}

const Task = struct {
    handle: abi.Handle,
    stack: []align(page) u8,

    fn spawn(entry: *const fn (u64) callconv(.c) noreturn, argument: u64, priority: u32, mode: abi.TaskMode) !Task {
        const stack = try uk.reserve(64 << 10);
        const options: abi.TaskOptions = .{
            .entry = @intFromPtr(entry),
            .argument = argument,
            .stack = @intFromPtr(stack.ptr) + stack.len,
            .priority = priority,
            .mode = mode,
            .capabilities = 0xff,
            .active = 0x1c,
        };
        var handle: abi.Handle = .none;
        try calls.check(calls.task_spawn(&options, &handle));
        return .{ .handle = handle, .stack = stack };
    }

    fn join(task: Task) !i32 {
        var status: i32 = 0;
        try calls.check(calls.task_join(task.handle, abi.deadline_never, &status));
        uk.release(task.stack);
        return status;
    }
};

fn exit(status: i32) noreturn {
    _ = calls.task_exit(status, 0);
    @trap();
}

var ball: std.atomic.Value(u32) = .init(0);

fn partner(rounds: u64) callconv(.c) noreturn {
    for (0..rounds) |_| {
        while (ball.load(.seq_cst) != 1) _ = calls.task_wait(&ball.raw, 0, abi.deadline_never);
        ball.store(0, .seq_cst);
        _ = calls.task_wake(@intFromPtr(&ball.raw), 1, null);
    }
    exit(7);
}

/// Two tasks wake each other in turn: a lost wake-up hangs for ever.
fn wakePairs(rounds: u32) !void {
    const start_ns = calls.time_now();
    const other = try Task.spawn(&partner, rounds, abi.priority_normal, .latency);
    for (0..rounds) |_| {
        ball.store(1, .seq_cst);
        _ = calls.task_wake(@intFromPtr(&ball.raw), 1, null);
        while (ball.load(.seq_cst) != 0) _ = calls.task_wait(&ball.raw, 1, abi.deadline_never);
    }
    if (try other.join() != 7) return error.WrongStatus;
    try uk.print("wake pairs: {d} rounds, {d} ns each\n", .{ rounds, (calls.time_now() - start_ns) / rounds });
}

var stop: std.atomic.Value(u32) = .init(0);

fn spinner(_: u64) callconv(.c) noreturn {
    while (stop.load(.monotonic) == 0) std.atomic.spinLoopHint();
    exit(0);
}

/// As many spinning tasks as CPUs use every CPU.
fn spinning(cpus: u32) !void {
    stop.store(0, .seq_cst);
    var all: [cpus_max]Task = undefined;
    for (all[0..cpus]) |*task| task.* = try Task.spawn(&spinner, 0, abi.priority_normal, .latency);
    _ = calls.task_sleep(calls.time_now() + 500_000_000);
    var used: u32 = 0;
    var cpu_ns: u64 = 0;
    for (all[0..cpus]) |task| {
        var result: abi.TaskStats = .{};
        try calls.check(calls.task_get_stats(task.handle, &result));
        used |= @as(u32, 1) << @intCast(result.cpu);
        cpu_ns += result.cpu_ns;
    }
    stop.store(1, .seq_cst);
    for (all[0..cpus]) |task| _ = try task.join();
    try uk.print("spinning: {d} tasks on {d} processors, {d} ms of processor time\n", .{ cpus, @popCount(used), cpu_ns / 1_000_000 });
    if (@popCount(used) != cpus) return error.ProcessorsIdle;
}

var worst_ns: u64 = 0;

fn sleeper(_: u64) callconv(.c) noreturn {
    worst_ns = 0;
    for (0..50) |_| {
        const due_ns = calls.time_now() + 1_000_000;
        _ = calls.task_sleep(due_ns);
        worst_ns = @max(worst_ns, calls.time_now() - due_ns);
    }
    exit(0);
}

/// Spinning tasks of the highest priority on every CPU do not keep the lowest from running.
fn lowest(cpus: u32, mode: abi.TaskMode) !void {
    stop.store(0, .seq_cst);
    var all: [cpus_max]Task = undefined;
    for (all[0..cpus]) |*task| task.* = try Task.spawn(&spinner, 0, abi.priority_max, mode);
    const low = try Task.spawn(&sleeper, 0, 0, mode);
    _ = try low.join();
    stop.store(1, .seq_cst);
    for (all[0..cpus]) |task| _ = try task.join();
    try uk.print("lowest priority, {s} mode: at most {d} us late\n", .{ if (mode == .latency) "latency" else "throughput", worst_ns / 1000 });
    if (worst_ns > host_late_ns) return error.Starved;
}

fn toggler(address: u64) callconv(.c) noreturn {
    for (0..200) |round| {
        if (calls.mem_protect(address, 8 * page, .{ .read = true, .write = true }) != .ok) exit(1);
        for (0..8) |index| @as(*volatile u64, @ptrFromInt(address + index * page)).* = round;
        @as(*volatile u8, @ptrFromInt(address)).* = 0xc3;
        if (calls.mem_protect(address, 8 * page, .{ .read = true, .exec = true }) != .ok) exit(2);
        @as(*const fn () callconv(.c) void, @ptrFromInt(address))();
    }
    exit(0);
}

/// Reservations far larger than memory, protection by halves, write and execute in turn on all CPUs; then every page and handle is back.
fn memory() !void {
    const before = try stats();
    const access: abi.MemFlags = .{ .read = true, .write = true };
    const large = try uk.reserve(1 << 40);
    for (0..16) |index| std.mem.writeInt(u64, large[index << 36 ..][0..8], index, .little);
    for (0..16) |index| if (std.mem.readInt(u64, large[index << 36 ..][0..8], .little) != index) return error.ContentLost;

    const fixed = 0xc0_0000_0000;
    var mapped: u64 = 0;
    try calls.check(calls.mem_map(fixed, 512 << 20, .{ .read = true, .write = true, .fixed_no_replace = true }, .none, 0, &mapped));
    const words: [*]volatile u64 = @ptrFromInt(fixed);
    for (0..64) |index| words[index * page / 8] = index;
    try calls.check(calls.mem_protect(fixed, 256 << 20, .{}));
    try calls.check(calls.mem_protect(fixed, 256 << 20, access));
    for (0..64) |index| if (words[index * page / 8] != index) return error.ContentLost;

    var areas: [4][]align(page) u8 = undefined;
    var togglers: [4]Task = undefined;
    for (&areas, &togglers) |*area, *task| {
        area.* = try uk.reserve(8 * page);
        task.* = try Task.spawn(&toggler, @intFromPtr(area.ptr), abi.priority_normal, .latency);
    }
    for (areas, togglers) |area, task| {
        if (try task.join() != 0) return error.ProtectFailed;
        uk.release(area);
    }
    uk.release(large);
    try calls.check(calls.mem_free(fixed, 512 << 20));
    const after = try stats();
    try uk.print("memory: {d} pages free, {d} handles, {d} regions before; {d}, {d}, {d} after\n", .{
        before.pages_free, before.handles_used, before.regions_used, after.pages_free, after.handles_used, after.regions_used,
    });
    if (before.handles_used != after.handles_used or before.regions_used != after.regions_used) return error.Leak;
    // The image's cache may have grown by a cluster meanwhile.
    if (before.pages_free > after.pages_free + 16) return error.Leak;
}
