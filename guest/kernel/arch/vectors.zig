//! The workload's vector registers: saved when a task leaves a CPU, loaded when it comes to one that does not hold them still.
const std = @import("std");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");
const Task = @import("../object/task.zig").Task;

/// The state a new task starts with, as the processor's reset leaves it.
pub fn initialise(task: *Task) void {
    @memset(&task.vector_state, 0);
    const control: *align(2) u16 = @ptrCast(&task.vector_state);
    control.* = 0x37f;
    const mxcsr: *align(4) u32 = @ptrCast(@alignCast(&task.vector_state[24]));
    mxcsr.* = 0x1f80;
}

pub fn save(task: *Task) void {
    saveTo(&task.vector_state);
    cpu.this().fpu_owner = task;
}

pub fn load(task: *Task) void {
    const me = cpu.this();
    if (me.fpu_owner == task and task.vector_cpu == me.index) return;
    _ = loadFrom(&task.vector_state);
    me.fpu_owner = task;
    task.vector_cpu = me.index;
}

pub fn saveTo(area: [*]align(64) u8) void {
    const mask = cpu.support.vector_mask;
    if (!cpu.support.xsave) {
        asm volatile ("fxsave64 (%[area])"
            :
            : [area] "r" (area),
            : .{ .memory = true });
        return;
    }
    asm volatile ("xsave64 (%[area])"
        :
        : [area] "r" (area),
          [low] "{eax}" (@as(u32, @truncate(mask))),
          [high] "{edx}" (@as(u32, @truncate(mask >> 32))),
        : .{ .memory = true });
}

/// False if the processor refuses what stands there (reserved bits set by the workload); the registers are then unchanged or
/// initial.
pub fn loadFrom(area: [*]align(64) u8) bool {
    const mask = cpu.support.vector_mask;
    if (!cpu.support.xsave) return restore_fx(area) == 0;
    return restore_x(area, mask) == 0;
}

extern fn restore_fx(area: [*]u8) callconv(.c) u64;
extern fn restore_x(area: [*]u8, mask: u64) callconv(.c) u64;

comptime {
    asm (
        \\.pushsection .text
        \\.globl restore_fx
        \\restore_fx:
        \\1: fxrstor64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\2: movl $1, %eax
        \\ ret
        \\.pushsection .extable, "a", @progbits
        \\ .quad 1b, 2b
        \\.popsection
        \\.globl restore_x
        \\restore_x:
        \\ movl %esi, %eax
        \\ movq %rsi, %rdx
        \\ shrq $32, %rdx
        \\1: xrstor64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\2: movl $1, %eax
        \\ ret
        \\.pushsection .extable, "a", @progbits
        \\ .quad 1b, 2b
        \\.popsection
        \\.popsection
    );
}
