//! The serial line as a stream: output of the workload, input to it, and the host's requests, which are filtered out of the input
//! (docs/image-format.md, "Serial line").
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const serial = @import("../arch/serial.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Mutex = @import("mutex.zig").Mutex;
const driver = @import("../dev/serial.zig");
const task_object = @import("task.zig");
const stop = @import("stop.zig");
const report = @import("report.zig");
const poll = @import("poll.zig");
const clock = @import("../arch/clock.zig");

var output: Mutex = .{};
/// Interrupts are let in after this many bytes.
const burst_bytes = 64;

pub fn write(bytes: []const u8) void {
    output.acquire();
    defer output.release();
    var rest = bytes;
    while (rest.len > 0) {
        const burst = rest[0..@min(rest.len, burst_bytes)];
        serial.write(burst);
        rest = rest[burst.len..];
        x86.interruptWindow();
        scheduler.preempt();
    }
}

/// What has come in; the kernel lock protects it. When it is full, what comes is lost: a serial line has no way to refuse.
var input: driver.Input(limits.console_input_bytes_max) = .{};
pub var readers: task_object.WaitQueue = .{};
/// Every open handle.
pub var group: poll.Group = .{};

const bytes_per_interrupt_max = 256;

pub fn interrupt() void {
    lock.acquire();
    defer lock.release();
    for (0..bytes_per_interrupt_max) |_| {
        const byte = serial.readByte() orelse break;
        if (input.take(byte)) |request| switch (request) {
            .stop => stop.request(),
            .report => report.write(),
        };
    }
    // A lone escape key is held back in case it begins the stop request, for as long as the rest would take to come.
    if (input.matched > 0) scheduler.setTimer(&held, clock.nowNs() + held_key_ns) else scheduler.cancelTimer(&held);
    announce();
}

/// How long an escape key may be the beginning of the host's stop request.
const held_key_ns: u64 = 100_000_000;

var held: scheduler.Timer = .{ .due = &releaseHeld };

fn releaseHeld(_: *scheduler.Timer) void {
    input.releaseHeld();
    announce();
}

fn announce() void {
    if (input.count == 0) return;
    group.update(true);
    while (readers.first) |task| {
        if (!scheduler.wake(task, .woken)) break;
    }
}

pub fn hasInput() bool {
    std.debug.assert(lock.isHeld());
    return input.count > 0;
}

/// Takes what is there, at most the buffer's size. The lock is held.
pub fn take(buffer: []u8) usize {
    std.debug.assert(lock.isHeld());
    const count = input.read(buffer);
    group.update(input.count > 0);
    return count;
}
