//! Waiting that a signal ends, and the notice that something pollable has changed.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;

pub const Word = std.atomic.Value(u32);
pub const never_ns = abi.deadline_never;

pub const Ended = enum { woken, timed_out, interrupted };

fn nothing() bool {
    return false;
}

/// Whether the calling thread has a signal to take; the adapter sets it.
pub var isInterrupted: *const fn () bool = &nothing;

/// Waits while the word holds `expected`. `woken` may be spurious. The kernel's interrupts are only a hint: another wait may have used one
/// up, and one may be left from a signal that has been taken.
pub fn on(word: *const Word, expected: u32, deadline_ns: u64) Ended {
    while (true) {
        if (isInterrupted()) return .interrupted;
        switch (uk.calls.task_wait(&word.raw, expected, deadline_ns)) {
            .interrupted => continue,
            .timeout => return .timed_out,
            else => return .woken,
        }
    }
}

pub fn wake(word: *const Word, count: u32) void {
    _ = uk.calls.task_wake(@intFromPtr(&word.raw), count, null);
}

/// Sleeps until the deadline or a signal.
pub fn sleep(deadline_ns: u64) Ended {
    while (true) {
        if (isInterrupted()) return .interrupted;
        if (uk.calls.task_sleep(deadline_ns) == .ok) return .timed_out;
    }
}

/// Counts changes of anything pollable; who polls waits on it.
var changes: Word = .init(0);
var pollers: Word = .init(0);

pub fn change() u32 {
    return changes.load(.seq_cst);
}

/// Says that something may have become ready.
pub fn changed() void {
    _ = changes.fetchAdd(1, .seq_cst);
    if (pollers.load(.seq_cst) != 0) wake(&changes, std.math.maxInt(u32));
}

/// Waits for a change after the one that `change` gave.
pub fn forChange(seen: u32, deadline_ns: u64) Ended {
    _ = pollers.fetchAdd(1, .seq_cst);
    defer _ = pollers.fetchSub(1, .seq_cst);
    return on(&changes, seen, deadline_ns);
}
