//! The TSC's rate from what the LAPIC's timer counted meanwhile, on a host that may stop the CPU at any moment.
const std = @import("std");

/// Nanoseconds a TSC step, times 2^32.
pub const Multiplier = u64;

pub fn multiplierOf(elapsed_ns: u64, elapsed_tsc: u64) Multiplier {
    return (elapsed_ns << 32) / @max(1, elapsed_tsc);
}

/// Both clocks read once: the LAPIC was read some time within `width_tsc` around `tsc`.
pub const Sample = struct { left: u32, tsc: u64, width_tsc: u64 };

/// Whether the rate between two samples is wrong by 2% at most.
pub fn isSharp(start: Sample, end: Sample) bool {
    return (start.width_tsc + end.width_tsc) * 25 <= end.tsc -% start.tsc;
}

/// The rate from a timer of `ticks_ns` that was started at `start_tsc` and whose interrupt is being served at `end_tsc`; null when it is no better
/// than the present one. Interrupts come late on a busy host, so such a rate is at most the true one. One that comes while the timer still
/// counts is of the timer before, which ended just as this one was started: it says nothing.
pub fn refined(present: Multiplier, start_tsc: u64, end_tsc: u64, ticks_ns: u64, remaining_ns: u64) ?Multiplier {
    if (remaining_ns > 0 or end_tsc <= start_tsc) return null;
    const multiplier = multiplierOf(ticks_ns, end_tsc - start_tsc);
    return if (multiplier > present) multiplier else null;
}

const one_ghz: Multiplier = 1 << 32;

test "a long wait corrects a rate that was too slow, and never one that its late interrupt makes look fast" {
    try std.testing.expectEqual(one_ghz, refined(one_ghz / 2, 1_000, 300_001_000, 300_000_000, 0));
    try std.testing.expectEqual(null, refined(one_ghz, 1_000, 300_001_001, 300_000_000, 0));
}

test "an interrupt of the timer before does not make the clock run away" {
    try std.testing.expectEqual(null, refined(one_ghz, 1_000, 6_000, 300_000_000, 299_995_000));
    try std.testing.expectEqual(null, refined(one_ghz, 1_000, 1_000, 300_000_000, 0));
}

test "samples are sharp when what they may be wrong by is small beside the time between" {
    try std.testing.expect(isSharp(.{ .left = 0, .tsc = 0, .width_tsc = 2_000 }, .{ .left = 0, .tsc = 100_000, .width_tsc = 2_000 }));
    try std.testing.expect(!isSharp(.{ .left = 0, .tsc = 0, .width_tsc = 50_000 }, .{ .left = 0, .tsc = 100_000, .width_tsc = 2_000 }));
}
