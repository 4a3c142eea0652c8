//! Clocks and sleeping.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const threads = @import("thread.zig");
const abi = uk.abi;
const user = posix.user;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const second_ns = std.time.ns_per_s;

pub const Timespec = extern struct { seconds: i64, nanoseconds: i64 };
const Timeval = extern struct { seconds: i64, microseconds: i64 };

/// Wall time at the kernel's entry; 0 where the host gave none.
var wall_base_ns: u64 = 0;

pub fn start() void {
    var wall_ns: u64 = 0;
    if (uk.calls.time_wall(&wall_ns) != .ok) return;
    wall_base_ns = wall_ns -| uk.calls.time_now();
}

pub fn wallNow() u64 {
    return wallAt(uk.calls.time_now());
}

/// Wall time of a moment on the kernel's clock.
pub fn wallAt(time_ns: u64) u64 {
    return wall_base_ns +| time_ns;
}

pub fn toTimespec(ns: u64) Timespec {
    return .{ .seconds = @intCast(ns / second_ns), .nanoseconds = @intCast(ns % second_ns) };
}

/// A struct timespec in the workload's memory, in nanoseconds.
pub fn durationAt(address: u64) Error!u64 {
    return nanoseconds(try user.get(Timespec, address));
}

pub fn nanoseconds(value: Timespec) Error!u64 {
    if (value.seconds < 0 or value.nanoseconds < 0 or value.nanoseconds >= second_ns) return error.EINVAL;
    return @as(u64, @intCast(value.seconds)) *| second_ns +| @as(u64, @intCast(value.nanoseconds));
}

/// A struct timeval, as select has it.
pub fn durationOfTimeval(address: u64) Error!u64 {
    const value = try user.get(Timeval, address);
    if (value.seconds < 0 or value.microseconds < 0) return error.EINVAL;
    return @as(u64, @intCast(value.seconds)) *| second_ns +| @as(u64, @intCast(value.microseconds)) *| 1000;
}

/// An absolute time on the kernel's clock.
pub fn monotonicOf(is_wall: bool, time_ns: u64) u64 {
    return if (is_wall) time_ns -| wall_base_ns else time_ns;
}

pub fn isWall(clock: u32) Error!bool {
    return switch (clock) {
        // Real time, coarse, alarm, TAI.
        0, 5, 8, 11 => true,
        // Monotonic, raw, coarse, boot time, boot time alarm.
        1, 4, 6, 7, 9 => false,
        else => error.EINVAL,
    };
}

fn cpuTime(task: u64) u64 {
    var stats: abi.TaskStats = .{};
    return if (uk.calls.task_get_stats(@enumFromInt(task), &stats) == .ok) stats.cpu_ns else 0;
}

/// CPU time of all threads.
pub fn processCpuTime() u64 {
    var total_ns = @atomicLoad(u64, &threads.ended_cpu_ns, .monotonic);
    threads.forEach(&total_ns, struct {
        fn visit(total: *u64, thread: *threads.Thread) bool {
            total.* += cpuTime(@atomicLoad(u64, &thread.task, .acquire));
            return true;
        }
    }.visit);
    return total_ns;
}

fn read(clock: u32, thread: *threads.Thread) Error!u64 {
    return switch (clock) {
        2 => processCpuTime(),
        3 => cpuTime(thread.task),
        else => if (try isWall(clock)) wallNow() else uk.calls.time_now(),
    };
}

pub fn clock_gettime(call: Call) Error!u64 {
    try user.put(Timespec, call.arg(1), toTimespec(try read(call.word(0), call.thread)));
    return 0;
}

pub fn clock_getres(call: Call) Error!u64 {
    _ = try read(call.word(0), call.thread);
    if (call.arg(1) != 0) try user.put(Timespec, call.arg(1), .{ .seconds = 0, .nanoseconds = 1 });
    return 0;
}

pub fn gettimeofday(call: Call) Error!u64 {
    const now_ns = wallNow();
    if (call.arg(0) != 0) try user.put(Timeval, call.arg(0), .{ .seconds = @intCast(now_ns / second_ns), .microseconds = @intCast(now_ns % second_ns / 1000) });
    if (call.arg(1) != 0) try user.put(u64, call.arg(1), 0);
    return 0;
}

pub fn time(call: Call) Error!u64 {
    const seconds = wallNow() / second_ns;
    if (call.arg(0) != 0) try user.put(u64, call.arg(0), seconds);
    return seconds;
}

/// Sleeps; after a signal the rest goes to `rest` where there is one.
fn sleep(deadline_ns: u64, rest: u64) Error!u64 {
    if (posix.wait.sleep(deadline_ns) == .timed_out) return 0;
    if (rest != 0) try user.put(Timespec, rest, toTimespec(deadline_ns -| uk.calls.time_now()));
    return error.EINTR;
}

pub fn nanosleep(call: Call) Error!u64 {
    return sleep(uk.calls.time_now() +| try durationAt(call.arg(0)), call.arg(1));
}

pub fn clock_nanosleep(call: Call) Error!u64 {
    const wall = try isWall(call.word(0));
    const value = try durationAt(call.arg(2));
    if (call.word(1) & 1 != 0) return sleep(monotonicOf(wall, value), 0);
    return sleep(uk.calls.time_now() +| value, call.arg(3));
}

const ticks_per_second = 100;

pub fn times(call: Call) Error!u64 {
    const ticks: i64 = @intCast(processCpuTime() / (second_ns / ticks_per_second));
    if (call.arg(0) != 0) try user.put([4]i64, call.arg(0), .{ ticks, 0, 0, 0 });
    return uk.calls.time_now() / (second_ns / ticks_per_second);
}
