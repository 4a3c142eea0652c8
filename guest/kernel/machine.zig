//! The machine as a whole: its wall clock and its end.
const std = @import("std");
const x86 = @import("arch/x86.zig");
const smp = @import("arch/smp.zig");
const clock = @import("arch/clock.zig");
const lock = @import("sched/lock.zig");
const scheduler = @import("sched/scheduler.zig");
const channel = @import("object/channel.zig");
const report = @import("object/report.zig");

/// Nanoseconds since 1970 at kernel entry, if the host said.
pub var wall_at_entry_ns: ?u64 = null;

/// Why the VM ends; the numbers are the channel's (docs/image-format.md).
pub const Cause = enum(u32) { returned = 0, vm_exit = 1, stop_request = 2, unhandled_fault = 3, kernel_panic = 4 };

/// Of a VM that the host stopped and whose workload did not take part: 128 and SIGTERM's number, as a shell shows it.
/// Of a VM whose workload could not be started, as a shell shows a program that cannot be executed.
pub const refused_status: i32 = 126;
/// See above.
pub const stop_status: i32 = 143;

var ending: std.atomic.Value(bool) = .init(false);

/// Ends the VM in order: what is under way to the channel is written, then the exit status, then nothing. Whoever comes second waits for
/// the end. The lock is not held.
pub fn shutDown(status: i32, cause: Cause, text: []const u8) noreturn {
    if (ending.swap(true, .seq_cst)) {
        lock.acquire();
        while (true) _ = scheduler.block(scheduler.forever, false);
    }
    // With the lock held nobody is in the middle of anything when the others are stopped.
    lock.acquire();
    smp.stopOthers();
    report.write();
    channel.writeExit(status, @intFromEnum(cause), text);
    end();
}

/// Called with the other CPUs standing still and locks in any state.
pub fn recordPanic(message: []const u8) void {
    channel.writeExit(125, @intFromEnum(Cause.kernel_panic), message);
}

/// Ends the VM. Firecracker ends on 0xFE to port 0x64; where nothing is there, a triple fault does (QEMU with -no-reboot).
pub fn end() noreturn {
    x86.cli();
    x86.out8(0x64, 0xfe);
    // Firecracker ends asynchronously; a triple fault in the meantime would look like a crash.
    if (x86.in8(0x64) != 0xff) {
        const start_tsc = x86.rdtsc();
        while (x86.rdtsc() -% start_tsc < 30_000_000_000) x86.pause();
    }
    x86.tripleFault();
}
