//! The gate's own code, and the stubs that a workload links to reach it.
const std = @import("std");
const schema = @import("model.zig");
const Model = schema.Model;
const Writer = std.Io.Writer;
const Allocator = std.mem.Allocator;

/// One exported C function for each ABI function: it loads the private number and goes to the gate's one `syscall`.
pub fn gate(model: Model, allocator: Allocator, out: *Writer) !void {
    _ = allocator;
    try out.writeAll(
        \\# The gate: the ABI as C functions. Generated from guest/abi/abi.zon.
        \\# A call's number is in eax, its arguments in rdi, rsi, rdx, r10, r8, r9, what it gives in rax.
        \\
        \\    .text
        \\    .hidden gate_clock
        \\
        \\    .balign 64
        \\    .globl gate_call
        \\    .hidden gate_call
        \\    .type gate_call, @function
        \\gate_call:
        \\    movq %rcx, %r10
        \\    .globl gate_syscall
        \\    .hidden gate_syscall
        \\gate_syscall:
        \\    syscall
        \\    ret
        \\    .size gate_call, . - gate_call
        \\
        \\# A handler returns here with rsp at its frame.
        \\    .balign 16
        \\    .globl gate_handler_return
        \\    .hidden gate_handler_return
        \\    .type gate_handler_return, @function
        \\gate_handler_return:
        \\    movq %rsp, %rdi
        \\    andq $-16, %rsp
        \\    call task_resume_private
        \\    ud2
        \\    .size gate_handler_return, . - gate_handler_return
        \\
    );
    var number: u32 = 0;
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        if (function.in_gate) {
            if (!std.mem.eql(u8, function.name, "time_now")) return error.NoGateCodeForFunction;
            try timeNow(model, out, number);
        } else {
            const is_resume = std.mem.eql(u8, function.name, "task_resume");
            try out.print(
                \\
                \\    .balign 16
                \\    .globl {0s}
                \\    .type {0s}, @function
                \\{0s}:
                \\{2s}    movl ${1d}, %eax
                \\    jmp gate_call
                \\    .size {0s}, . - {0s}
                \\
            , .{ function.name, number, if (is_resume) "task_resume_private:\n" else "" });
        }
        number += 1;
    };
    try out.writeAll(
        \\
        \\# The clock page: the kernel's own page stands here in the mapping.
        \\    .section .clock, "a", @progbits
        \\    .balign 4096
        \\    .globl gate_clock
        \\    .type gate_clock, @object
        \\gate_clock:
        \\    .fill 4096, 1, 0
        \\    .size gate_clock, 4096
        \\    .section .note.GNU-stack, "", @progbits
        \\
    );
}

/// Offset of a field in a structure of the file.
fn offsetOf(model: Model, structure: []const u8, name: []const u8) !u32 {
    var offset: u32 = 0;
    for (model.findStructure(structure).?.fields) |field| {
        if (std.mem.eql(u8, field.name, name)) return offset;
        offset += model.sizeOf(field.type).?;
    }
    return error.NoSuchField;
}

fn timeNow(model: Model, out: *Writer, number: u32) !void {
    const page = "clock_page";
    try out.print(
        \\
        \\    .balign 16
        \\    .globl time_now
        \\    .type time_now, @function
        \\time_now:
        \\1:  movl gate_clock+{0d}(%rip), %r8d
        \\    testl $1, %r8d
        \\    jnz 3f
        \\    cmpl $0, gate_clock+{1d}(%rip)
        \\    je 2f
        \\    lfence
        \\    rdtsc
        \\    shlq $32, %rdx
        \\    orq %rdx, %rax
        \\    subq gate_clock+{2d}(%rip), %rax
        \\    mulq gate_clock+{3d}(%rip)
        \\    shrdq $32, %rdx, %rax
        \\    addq gate_clock+{4d}(%rip), %rax
        \\    cmpl %r8d, gate_clock+{0d}(%rip)
        \\    jne 1b
        \\    ret
        \\2:  movl ${5d}, %eax
        \\    jmp gate_call
        \\3:  pause
        \\    jmp 1b
        \\    .size time_now, . - time_now
        \\
    , .{
        try offsetOf(model, page, "sequence"),
        try offsetOf(model, page, "usable"),
        try offsetOf(model, page, "tsc_base"),
        try offsetOf(model, page, "multiplier"),
        try offsetOf(model, page, "ns_base"),
        number,
    });
}

/// Functions of the ABI's names that jump through a table, which the start-up code fills from the gate.
pub fn stubs(model: Model, allocator: Allocator, out: *Writer) !void {
    _ = allocator;
    try out.writeAll(
        \\# The ABI's functions for a workload to link. Generated from guest/abi/abi.zon.
        \\    .text
        \\    .hidden uk_gate_table
        \\
    );
    var index: u32 = 0;
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        try out.print(
            \\
            \\    .globl {0s}
            \\    .type {0s}, @function
            \\{0s}:
            \\    jmp *uk_gate_table+{1d}(%rip)
            \\    .size {0s}, . - {0s}
            \\
        , .{ function.name, index * 8 });
        index += 1;
    };
    try out.print(
        \\
        \\    .bss
        \\    .balign 8
        \\    .globl uk_gate_table
        \\    .type uk_gate_table, @object
        \\uk_gate_table:
        \\    .skip {0d}
        \\    .size uk_gate_table, {0d}
        \\    .section .note.GNU-stack, "", @progbits
        \\
    , .{index * 8});
}
