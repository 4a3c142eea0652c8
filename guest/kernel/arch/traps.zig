//! Entry and exit of the kernel: exceptions, interrupts and `syscall`, all with one frame.
//!
//! The kernel runs with interrupts off; they are let in only while a CPU sleeps and at preemption points
//! (x86.interruptWindow), so an interrupt never meets a held lock.
const std = @import("std");
const limits = @import("../limits.zig");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");

pub const Frame = extern struct {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,

    pub fn fromUser(frame: *const Frame) bool {
        return frame.cs & 3 == 3;
    }
};
comptime {
    std.debug.assert(@sizeOf(Frame) == 176);
}

pub const Vector = struct {
    pub const debug: u8 = 1;
    pub const nmi: u8 = 2;
    pub const invalid_opcode: u8 = 6;
    pub const double_fault: u8 = 8;
    pub const general_protection: u8 = 13;
    pub const page_fault: u8 = 14;
    pub const machine_check: u8 = 18;
    pub const exceptions_end: u8 = 32;
    /// IOAPIC inputs 0 to 23.
    pub const irq_first: u8 = 32;
    pub const timer: u8 = 56;
    pub const reschedule: u8 = 57;
    pub const flush: u8 = 58;
    pub const spurious: u8 = 63;
    pub const legacy_call: u8 = 0x80;
    /// Marks a frame made by `syscall`; no interrupt has it.
    pub const syscall: u64 = 256;
};

const gate_count = 0x81;
var table: [gate_count * 2]u64 align(16) = .{0} ** (gate_count * 2);

extern const trap_stub_table: [64]u64;
extern fn trap_stub_legacy() callconv(.naked) void;
extern fn nmi_entry() callconv(.naked) void;
extern fn syscall_entry() callconv(.naked) void;

pub fn buildTable() void {
    @setRuntimeSafety(limits.start_checks);
    for (&trap_stub_table, 0..) |address, vector| setGate(vector, address);
    setGate(Vector.nmi, @intFromPtr(&nmi_entry));
    setGate(Vector.legacy_call, @intFromPtr(&trap_stub_legacy));
    // Breakpoint and overflow instructions are the workload's to use.
    for ([_]usize{ 3, 4, Vector.legacy_call }) |vector| table[vector * 2] |= 3 << 45;
    // Stacks of their own for what may come at any moment.
    table[Vector.double_fault * 2] |= 1 << 32;
    table[Vector.machine_check * 2] |= 1 << 32;
    table[Vector.nmi * 2] |= 2 << 32;
}

inline fn setGate(vector: usize, address: u64) void {
    table[vector * 2] = (address & 0xffff) | @as(u64, cpu.selector_kernel_code) << 16 | @as(u64, 0x8e) << 40 | (address >> 16 & 0xffff) << 48;
    table[vector * 2 + 1] = address >> 32;
}

pub fn install() void {
    const pointer: x86.TablePointer = .{ .limit = @sizeOf(@TypeOf(table)) - 1, .base = @intFromPtr(&table) };
    x86.lidt(&pointer);
    x86.wrmsr(x86.Msr.lstar, @intFromPtr(&syscall_entry));
    x86.wrmsr(x86.Msr.cstar, @intFromPtr(&syscall_entry));
}

/// Set before the NMI that makes the other CPUs stand still for the end.
pub export var panic_halt: u32 = 0;

comptime {
    asm (
        \\.pushsection .text
        \\.altmacro
        \\.macro trap_stub number
        \\ .balign 16
        \\ trap_stub_\number:
        \\ .if (\number == 8) || (\number == 10) || (\number == 11) || (\number == 12) || (\number == 13) || (\number == 14) || (\number == 17) || (\number == 21)
        \\ .else
        \\ pushq $0
        \\ .endif
        \\ pushq $\number
        \\ jmp trap_common
        \\.endm
        \\.set i, 0
        \\.rept 64
        \\ trap_stub %i
        \\ .set i, i + 1
        \\.endr
        \\
        \\.globl trap_stub_legacy
        \\trap_stub_legacy:
        \\ pushq $0
        \\ pushq $0x80
        \\ jmp trap_common
        \\
        \\.globl nmi_entry
        \\nmi_entry:
        \\ cmpl $0, panic_halt
        \\ jne 1f
        \\ iretq
        \\1: cli
        \\ hlt
        \\ jmp 1b
        \\
        \\.macro push_registers
        \\ pushq %rax
        \\ pushq %rbx
        \\ pushq %rcx
        \\ pushq %rdx
        \\ pushq %rsi
        \\ pushq %rdi
        \\ pushq %rbp
        \\ pushq %r8
        \\ pushq %r9
        \\ pushq %r10
        \\ pushq %r11
        \\ pushq %r12
        \\ pushq %r13
        \\ pushq %r14
        \\ pushq %r15
        \\.endm
        \\.macro pop_registers
        \\ popq %r15
        \\ popq %r14
        \\ popq %r13
        \\ popq %r12
        \\ popq %r11
        \\ popq %r10
        \\ popq %r9
        \\ popq %r8
        \\ popq %rbp
        \\ popq %rdi
        \\ popq %rsi
        \\ popq %rdx
        \\ popq %rcx
        \\ popq %rbx
        \\ popq %rax
        \\.endm
        \\
        \\.balign 16
        \\trap_common:
        \\ cld
        \\ testb $3, 24(%rsp)
        \\ jz 1f
        \\ swapgs
        \\1:
        \\ push_registers
        \\ xorl %ebp, %ebp
        \\ movq %rsp, %rdi
        \\ call trap_dispatch
        \\.globl trap_return
        \\trap_return:
        \\ pop_registers
        \\ addq $16, %rsp
        \\ testb $3, 8(%rsp)
        \\ jz 1f
        \\ swapgs
        \\1:
        \\ iretq
        \\
        \\.balign 16
        \\.globl syscall_entry
        \\syscall_entry:
        \\ swapgs
        \\ movq %rsp, %gs:16
        \\ movq %gs:8, %rsp
        \\ pushq $0x23
        \\ pushq %gs:16
        \\ pushq %r11
        \\ pushq $0x2b
        \\ pushq %rcx
        \\ pushq $0
        \\ pushq $256
        \\ push_registers
        \\ xorl %ebp, %ebp
        \\ movq %rsp, %rdi
        \\ call syscall_dispatch
        \\ testb %al, %al
        \\ jz trap_return
        \\ pop_registers
        \\ movq 40(%rsp), %rsp
        \\ swapgs
        \\ sysretq
        \\
        \\.balign 16
        \\.globl context_switch
        \\context_switch:
        \\ pushq %rbp
        \\ pushq %rbx
        \\ pushq %r12
        \\ pushq %r13
        \\ pushq %r14
        \\ pushq %r15
        \\ movq %rsp, (%rdi)
        \\ movq %rsi, %rsp
        \\ popq %r15
        \\ popq %r14
        \\ popq %r13
        \\ popq %r12
        \\ popq %rbx
        \\ popq %rbp
        \\ ret
        \\
        \\.globl task_first_run
        \\task_first_run:
        \\ movq %rsp, %rdi
        \\ call task_begin
        \\ jmp trap_return
        \\.popsection
        \\
        \\.pushsection .rodata
        \\.balign 8
        \\.globl trap_stub_table
        \\trap_stub_table:
        \\.macro trap_stub_address number
        \\ .quad trap_stub_\number
        \\.endm
        \\.set i, 0
        \\.rept 64
        \\ trap_stub_address %i
        \\ .set i, i + 1
        \\.endr
        \\.popsection
        \\.noaltmacro
    );
}
