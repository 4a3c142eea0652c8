//! Other CPUs: starting them, interrupting them, and making them forget translations.
const std = @import("std");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");
const lapic = @import("lapic.zig");
const traps = @import("traps.zig");
const lock = @import("../sched/lock.zig");
const clock = @import("clock.zig");

/// Flushes this CPU's TLB if another asked for it.
pub fn answerFlush() void {
    if (!cpu.areSeveral()) return;
    const me = cpu.this();
    const wanted = me.flush_wanted.load(.seq_cst);
    if (me.flush_done.load(.monotonic) == wanted) return;
    x86.writeCr3(x86.readCr3());
    me.flush_done.store(wanted, .seq_cst);
}

/// How long a CPU may take to answer before the machine is declared broken.
const flush_answer_ns: u64 = 30_000_000_000;

/// Returns when no CPU uses a translation that was removed or narrowed before the call. The lock is not held.
pub fn flushEverywhere() void {
    std.debug.assert(!lock.isHeld());
    x86.writeCr3(x86.readCr3());
    if (!cpu.areSeveral()) return;
    const me = cpu.this();
    var wanted: [@import("../limits.zig").cpus_max]u64 = undefined;
    for (cpu.all[0..cpu.count]) |other| {
        wanted[other.index] = 0;
        if (other == me or !other.online.load(.acquire)) continue;
        const number = other.flush_wanted.fetchAdd(1, .seq_cst) + 1;
        // A sleeping CPU flushes before it does anything else (see leaveIdle).
        if (other.idle.load(.seq_cst)) continue;
        wanted[other.index] = number;
        lapic.sendInterrupt(other.lapic_id, traps.Vector.flush);
    }
    const start_ns = clock.nowNs();
    for (cpu.all[0..cpu.count]) |other| {
        if (wanted[other.index] == 0) continue;
        while (other.flush_done.load(.acquire) < wanted[other.index]) {
            if (other.idle.load(.seq_cst)) break;
            answerFlush();
            x86.pause();
            if (clock.nowNs() - start_ns > flush_answer_ns) @panic("a CPU does not answer a TLB flush");
        }
    }
}

/// Called by a CPU that stops sleeping, before it touches the workload's memory.
pub fn leaveIdle() void {
    cpu.this().idle.store(false, .seq_cst);
    answerFlush();
}

/// The other CPUs stand still from here, whatever they do: one of them may hold the kernel lock, and nothing may take it any more. Those that
/// still start could not take an interrupt, and the machine would end by it: they stand still when they arrive.
pub fn stopOthers() void {
    if (!cpu.areSeveral()) return;
    @atomicStore(u32, &traps.panic_halt, 1, .seq_cst);
    const own = lapic.id();
    for (cpu.all[0..cpu.count]) |other| {
        if (!other.online.load(.seq_cst) or other.lapic_id == own) continue;
        lapic.sendNmi(other.lapic_id);
    }
}

/// Of a CPU that has just said that it is there.
pub fn standStillIfStopped() void {
    if (@atomicLoad(u32, &traps.panic_halt, .seq_cst) != 0) x86.haltForever();
}

pub fn kick(other: *cpu.PerCpu) void {
    other.reschedule.store(true, .release);
    if (other != cpu.this()) lapic.sendInterrupt(other.lapic_id, traps.Vector.reschedule);
}
