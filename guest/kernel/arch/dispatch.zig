//! From an entry of the kernel to whoever answers it, and back to user mode.
const std = @import("std");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");
const smp = @import("smp.zig");
const lapic = @import("lapic.zig");
const traps = @import("traps.zig");
const kernel_panic = @import("../panic.zig");
const scheduler = @import("../sched/scheduler.zig");
const limits = @import("../limits.zig");
const Vector = traps.Vector;
const Frame = traps.Frame;

export fn trap_dispatch(frame: *Frame) callconv(.c) void {
    if (frame.vector < Vector.exceptions_end) {
        exception(frame);
    } else switch (frame.vector) {
        Vector.timer => {
            lapic.endOfInterrupt();
            scheduler.timerInterrupt();
        },
        Vector.reschedule => lapic.endOfInterrupt(),
        Vector.flush => {
            lapic.endOfInterrupt();
            smp.answerFlush();
        },
        Vector.spurious => {},
        else => {
            lapic.endOfInterrupt();
        },
    }
    if (frame.fromUser()) returnToUser(frame);
}

fn exception(frame: *Frame) void {
    const address = if (frame.vector == Vector.page_fault) x86.readCr2() else 0;
    _ = address;
    if (!frame.fromUser()) {
        if (fixUp(frame)) return;
        kernel_panic.panicWithFrame("exception in the kernel", frame);
    }
    kernel_panic.panicWithFrame("exception in user mode", frame);
}

const Fixup = extern struct { instruction: u64, target: u64 };
extern const __extable_start: Fixup;
extern const __extable_end: Fixup;

/// Instructions of the kernel that may fault, and where to go on if they do.
fn fixUp(frame: *Frame) bool {
    const count = (@intFromPtr(&__extable_end) - @intFromPtr(&__extable_start)) / @sizeOf(Fixup);
    const table: [*]const Fixup = @ptrCast(&__extable_start);
    for (table[0..count]) |fixup| {
        if (fixup.instruction != frame.rip) continue;
        frame.rip = fixup.target;
        return true;
    }
    return false;
}

export fn syscall_dispatch(frame: *Frame) callconv(.c) bool {
    @import("serial.zig").print("syscall {d}\n", .{frame.rax});
    if (frame.rax == 1) @import("../machine.zig").end();
    returnToUser(frame);
    return false;
}

/// Everything that has to happen before user mode goes on.
pub fn returnToUser(frame: *Frame) void {
    std.debug.assert(frame.fromUser());
    scheduler.preempt();
}
