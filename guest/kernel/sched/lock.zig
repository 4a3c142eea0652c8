//! The one lock of the kernel's objects. It is never held across a user copy that can fault, a device wait or a wait for other CPUs. A CPU
//! that spins for it answers requests to flush its TLB, so that the holder's successor can not wait for it in vain.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const smp = @import("../arch/smp.zig");
const cpu = @import("../arch/cpu.zig");
const options = @import("../options.zig").chosen;

const unowned: u32 = 0;
var owner: std.atomic.Value(u32) = .init(unowned);

pub noinline fn acquire() void {
    const me = cpu.this().index + 1;
    std.debug.assert(owner.load(.monotonic) != me);
    if (!options.smp) return owner.store(me, .monotonic);
    while (owner.cmpxchgWeak(unowned, me, .acquire, .monotonic) != null) {
        while (owner.load(.monotonic) != unowned) {
            smp.answerFlush();
            x86.pause();
        }
    }
}

pub noinline fn release() void {
    std.debug.assert(isHeld());
    owner.store(unowned, .release);
}

pub noinline fn isHeld() bool {
    return owner.load(.monotonic) == cpu.this().index + 1;
}
