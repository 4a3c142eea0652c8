//! Copies between the kernel and user memory. A fault on the way is resolved as the workload's own would be (lazy memory); one that
//! can not be is an error, never a fault of the kernel. The kernel lock is not held.
const std = @import("std");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");

pub const Error = error{ BadPointer, OutOfMemory };

pub fn isUserRange(address: u64, bytes: u64) bool {
    return address >= limits.user_address_min and address <= limits.user_address_end and
        bytes <= limits.user_address_end - address;
}

extern fn copy_guarded(destination: u64, source: u64, bytes: u64) callconv(.c) u64;

comptime {
    asm (
        \\.pushsection .text
        \\.globl copy_guarded
        \\copy_guarded:
        \\ movq %rdx, %rcx
        \\ shrq $3, %rcx
        \\1: rep movsq
        \\ movl %edx, %ecx
        \\ andl $7, %ecx
        \\2: rep movsb
        \\ movq %rcx, %rax
        \\ ret
        \\3: movq $-1, %rax
        \\ ret
        \\.pushsection .extable, "a", @progbits
        \\ .quad 1b, 3b, 2b, 3b
        \\.popsection
        \\.popsection
    );
}

/// Most that is copied before interrupts are let in.
const chunk_bytes: u64 = 64 * 1024;

fn copy(destination: u64, source: u64, bytes: u64) Error!void {
    std.debug.assert(!lock.isHeld());
    var done: u64 = 0;
    while (done < bytes) {
        const chunk = @min(bytes - done, chunk_bytes);
        const task = scheduler.current();
        task.copy_out_of_memory = false;
        if (cpu.support.smap) x86.stac();
        const left = copy_guarded(destination + done, source + done, chunk);
        if (cpu.support.smap) x86.clac();
        if (left != 0) return if (task.copy_out_of_memory) error.OutOfMemory else error.BadPointer;
        done += chunk;
        if (done < bytes) {
            x86.interruptWindow();
            scheduler.preempt();
        }
    }
}

/// Fills kernel memory from user memory.
pub noinline fn read(destination: []u8, source: u64) Error!void {
    if (destination.len == 0) return;
    if (!isUserRange(source, destination.len)) return error.BadPointer;
    return copy(@intFromPtr(destination.ptr), source, destination.len);
}

pub noinline fn write(destination: u64, source: []const u8) Error!void {
    if (source.len == 0) return;
    if (!isUserRange(destination, source.len)) return error.BadPointer;
    return copy(destination, @intFromPtr(source.ptr), source.len);
}

pub fn readValue(comptime T: type, source: u64) Error!T {
    var value: T = undefined;
    try read(std.mem.asBytes(&value), source);
    return value;
}

pub fn writeValue(comptime T: type, destination: u64, value: T) Error!void {
    return write(destination, std.mem.asBytes(&value));
}
