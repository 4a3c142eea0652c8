//! Nanoseconds since kernel entry, from the TSC. The reference is the LAPIC timer, which counts at 1 GHz on every supported VMM,
//! or kvmclock's own scale where the hypervisor offers it. Short calibration at start, sharpened later over longer
//! windows: the rate changes, what was counted stays.
const std = @import("std");
const x86 = @import("x86.zig");
const lapic = @import("lapic.zig");
const limits = @import("../limits.zig");
const rate = @import("rate.zig");
const Sample = rate.Sample;

/// What turns a TSC value into nanoseconds; the gate's data page carries a copy for `time_now`. `sequence` is odd while
/// the rest changes.
pub const Scale = extern struct {
    sequence: u32 = 0,
    /// The gate computes time itself; 0: it asks the kernel.
    usable: u32 = 1,
    base_tsc: u64 = 0,
    base_ns: u64 = 0,
    /// Nanoseconds a TSC step, times 2^32.
    multiplier: u64 = 0,

    pub inline fn nanoseconds(from: *const Scale, tsc: u64) u64 {
        const delta = tsc -| from.base_tsc;
        return from.base_ns + @as(u64, @truncate(@as(u128, delta) * from.multiplier >> 32));
    }
};

var own: Scale = .{};
/// Where user mode reads it; the kernel's own until the gate is mapped.
pub var scale: *volatile Scale = &own;
pub var entry_tsc: u64 = 0;
/// The hypervisor gave the rate.
var is_exact = false;

pub noinline fn nowNs() u64 {
    return at(x86.rdtsc());
}

/// Nanoseconds since kernel entry at a moment of the TSC.
pub fn at(tsc: u64) u64 {
    while (true) {
        const sequence = @atomicLoad(u32, &scale.sequence, .acquire);
        const copy: Scale = .{ .base_tsc = scale.base_tsc, .base_ns = scale.base_ns, .multiplier = scale.multiplier };
        if (sequence & 1 == 0 and @atomicLoad(u32, &scale.sequence, .acquire) == sequence) return copy.nanoseconds(tsc);
        x86.pause();
    }
}

pub fn init(tsc_at_entry: u64) void {
    @setRuntimeSafety(limits.start_checks);
    entry_tsc = tsc_at_entry;
    scale.base_tsc = tsc_at_entry;
    if (hypervisorMultiplier()) |multiplier| {
        scale.multiplier = multiplier;
        is_exact = true;
        return;
    }
    lapic.startTimer(std.math.maxInt(u32));
    const start = sample();
    var end = start;
    // A LAPIC timer that stands still would be a broken machine; the TSC bounds the wait (0.5 s at 4 GHz).
    while (end.tsc -% start.tsc < 2_000_000_000) {
        end = sample();
        const elapsed_ns = start.left -% end.left;
        if (elapsed_ns >= limits.calibration_ns and (rate.isSharp(start, end) or elapsed_ns >= limits.calibration_max_ns)) break;
    }
    lapic.startTimer(0);
    const elapsed_ns: u64 = start.left -% end.left;
    if (elapsed_ns == 0) @panic("the LAPIC timer does not count");
    scale.multiplier = rate.multiplierOf(elapsed_ns, end.tsc -% start.tsc);
}

/// Both clocks at one moment: the quickest of a few readings, the TSC taken in its middle.
noinline fn sample() Sample {
    @setRuntimeSafety(limits.start_checks);
    var best: Sample = undefined;
    best.width_tsc = std.math.maxInt(u64);
    for (0..4) |_| {
        const before = x86.rdtsc();
        const left = lapic.timerRemaining();
        const width = x86.rdtsc() -% before;
        if (width >= best.width_tsc) continue;
        best = .{ .left = left, .tsc = before + width / 2, .width_tsc = width };
    }
    return best;
}

/// How long the counter had run at kernel entry: VMMs start it with the VM.
pub fn counterAtEntryNs() u64 {
    return @truncate(@as(u128, entry_tsc) * scale.multiplier >> 32);
}

/// Improves the rate from a long window: a timer of `elapsed_ns` that was started at `start_tsc` and, so it seems, has just ended.
/// Caller holds the lock.
pub fn refine(start_tsc: u64, elapsed_ns: u64) void {
    if (is_exact) return;
    const end_tsc = x86.rdtsc();
    const multiplier = rate.refined(scale.multiplier, start_tsc, end_tsc, elapsed_ns, lapic.timerRemaining()) orelse return;
    const now_tsc = x86.rdtsc();
    const now_ns = at(now_tsc);
    @atomicStore(u32, &scale.sequence, scale.sequence +% 1, .seq_cst);
    scale.base_tsc = now_tsc;
    scale.base_ns = now_ns;
    scale.multiplier = multiplier;
    @atomicStore(u32, &scale.sequence, scale.sequence +% 1, .seq_cst);
}

pub fn tscHz() u64 {
    return @intCast((@as(u128, 1_000_000_000) << 32) / @max(1, scale.multiplier));
}

/// Moves the scale to where user mode can read it.
pub fn publish(where: *volatile Scale) void {
    where.* = .{ .base_tsc = scale.base_tsc, .base_ns = scale.base_ns, .multiplier = scale.multiplier };
    scale = where;
}

const KvmTime = extern struct {
    version: u32,
    pad: u32,
    tsc: u64,
    system_time_ns: u64,
    multiplier: u32,
    shift: i8,
    flags: u8,
    pad2: [2]u8,
};
var kvm_time: KvmTime align(64) = std.mem.zeroes(KvmTime);

fn hypervisorMultiplier() ?u64 {
    @setRuntimeSafety(limits.start_checks);
    if (x86.cpuid(1, 0).ecx & (1 << 31) == 0) return null;
    const signature = x86.cpuid(0x40000000, 0);
    if (signature.ebx != 0x4b4d564b or signature.ecx != 0x564b4d56 or signature.edx != 0x4d) return null;
    if (x86.cpuid(0x40000001, 0).eax & (1 << 3) == 0) return null;
    const address = @intFromPtr(&kvm_time) - @import("../mem/layout.zig").kernel_base;
    x86.wrmsr(x86.Msr.kvm_system_time, address | 1);
    const time: *volatile KvmTime = &kvm_time;
    const multiplier: u64 = time.multiplier;
    const shift = time.shift;
    x86.wrmsr(x86.Msr.kvm_system_time, 0);
    if (multiplier == 0 or shift < -31 or shift > 31) return null;
    if (shift < 0) return multiplier >> @intCast(-shift);
    return multiplier << @intCast(shift);
}
