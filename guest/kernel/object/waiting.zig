//! Waiting on a user word: what futexes are built from. Comparing and queueing happen under the kernel lock, through
//! the kernel's own mapping of the page, so that no fault can come between.
const std = @import("std");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const space = @import("../mem/space.zig");
const user_copy = @import("../arch/user_copy.zig");
const task_object = @import("task.zig");
const Task = task_object.Task;

pub const Error = error{ BadPointer, OutOfMemory, Misaligned, ValueChanged, TimedOut, Interrupted };

const bucket_count = 64;
var buckets: [bucket_count]task_object.WaitQueue = .{task_object.WaitQueue{}} ** bucket_count;

fn bucketOf(address: u64) *task_object.WaitQueue {
    return &buckets[(address >> 2) *% 0x9e3779b97f4a7c15 >> 58];
}

fn check(address: u64) error{ BadPointer, Misaligned }!void {
    if (address % 4 != 0) return error.Misaligned;
    if (!user_copy.isUserRange(address, 4)) return error.BadPointer;
}

/// Tries to find the page this often before the word is called unreadable: another task takes it away each time.
const attempts_max = 16;

/// The word's value with the lock held, so that it can be acted on in one step.
fn lockAndRead(address: u64) Error!u32 {
    for (0..attempts_max) |_| {
        lock.acquire();
        if (space.peek(address)) |word| return @atomicLoad(u32, word, .seq_cst);
        lock.release();
        _ = try user_copy.readValue(u32, address);
    }
    return error.BadPointer;
}

pub fn wait(address: u64, expected: u32, deadline_ns: u64) Error!void {
    try check(address);
    const value = try lockAndRead(address);
    defer lock.release();
    if (value != expected) return error.ValueChanged;
    const task = scheduler.current();
    task.wait_address = address;
    bucketOf(address).append(task);
    return switch (scheduler.block(deadline_ns, true)) {
        .woken, .closed => {},
        .timeout => error.TimedOut,
        .interrupted => error.Interrupted,
        .none => unreachable,
    };
}

/// The lock is held.
fn wakeLocked(address: u64, count: u32) u32 {
    var woken: u32 = 0;
    var at = bucketOf(address).first;
    while (at) |task| {
        if (woken == count) break;
        at = task.wait_next;
        if (task.wait_address == address and scheduler.wake(task, .woken)) woken += 1;
    }
    return woken;
}

pub fn wake(address: u64, count: u32) Error!u32 {
    try check(address);
    lock.acquire();
    defer lock.release();
    return wakeLocked(address, count);
}

pub fn requeue(address: u64, expected: u32, wake_count: u32, target: u64, requeue_count: u32) Error!u32 {
    try check(address);
    try check(target);
    const value = try lockAndRead(address);
    defer lock.release();
    if (value != expected) return error.ValueChanged;
    var affected = wakeLocked(address, wake_count);
    if (address == target) return affected;
    const from = bucketOf(address);
    const to = bucketOf(target);
    var moved: u32 = 0;
    var at = from.first;
    while (at) |task| {
        if (moved == requeue_count) break;
        at = task.wait_next;
        if (task.wait_address != address) continue;
        task.wait_address = target;
        if (from != to) {
            from.remove(task);
            to.append(task);
        }
        moved += 1;
    }
    affected += moved;
    return affected;
}
