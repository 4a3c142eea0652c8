//! Access to memory that the workload named. A bad address is EFAULT: the instructions that may fault stand in a table, and the fault
//! handler goes on behind them (`recover`).
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const limits = @import("limits.zig");
const Error = @import("errno.zig").Error;

/// Set at start from the start-up block.
pub var base: u64 = 0x10000;
pub var end: u64 = 0x0000_7fff_ffff_f000;

extern fn user_copy(destination: u64, source: u64, bytes: u64) callconv(.c) u64;
extern fn user_fill(destination: u64, value: u8, bytes: u64) callconv(.c) u64;
extern fn user_swap(address: u64, old: u32, new: u32, seen: *u32) callconv(.c) u64;
extern fn user_save_vectors(area: u64, mask: u64) callconv(.c) u64;
extern fn user_load_vectors(area: u64, mask: u64) callconv(.c) u64;

comptime {
    asm (
        \\.pushsection .text
        \\.globl user_copy
        \\user_copy:
        \\ movq %rdx, %rcx
        \\1: rep movsb
        \\ xorl %eax, %eax
        \\ ret
        \\.globl user_fill
        \\user_fill:
        \\ movl %esi, %eax
        \\ movq %rdx, %rcx
        \\2: rep stosb
        \\ xorl %eax, %eax
        \\ ret
        \\.globl user_swap
        \\user_swap:
        \\ movl %esi, %eax
        \\ movq %rcx, %r8
        \\3: lock cmpxchgl %edx, (%rdi)
        \\ movl %eax, (%r8)
        \\ xorl %eax, %eax
        \\ ret
        \\.globl user_save_vectors
        \\user_save_vectors:
        \\ testq %rsi, %rsi
        \\ jz 8f
        \\ movl %esi, %eax
        \\ movq %rsi, %rdx
        \\ shrq $32, %rdx
        \\4: xsave64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\8:
        \\5: fxsave64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\.globl user_load_vectors
        \\user_load_vectors:
        \\ testq %rsi, %rsi
        \\ jz 8f
        \\ movl %esi, %eax
        \\ movq %rsi, %rdx
        \\ shrq $32, %rdx
        \\6: xrstor64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\8:
        \\7: fxrstor64 (%rdi)
        \\ xorl %eax, %eax
        \\ ret
        \\user_failed:
        \\ movl $1, %eax
        \\ ret
        \\.popsection
        \\.pushsection .data.rel.ro, "aw", @progbits
        \\.balign 8
        \\.globl user_fault_table
        \\user_fault_table:
        \\ .quad 1b, 2b, 3b, 4b, 5b, 6b, 7b, user_failed
        \\.popsection
    );
}

extern const user_fault_table: [8]u64;

/// True when the fault was in one of the accesses above: the frame goes on in its failure path.
pub fn recover(frame: *abi.TaskFrame) bool {
    for (user_fault_table[0..7]) |address| {
        if (frame.rip != address) continue;
        frame.rip = user_fault_table[7];
        return true;
    }
    return false;
}

pub fn isRange(address: u64, bytes: u64) bool {
    return address >= base and address <= end and bytes <= end - address;
}

pub fn check(address: u64, bytes: u64) Error!void {
    if (!isRange(address, bytes)) return error.EFAULT;
}

pub fn read(destination: []u8, source: u64) Error!void {
    if (destination.len == 0) return;
    try check(source, destination.len);
    if (user_copy(@intFromPtr(destination.ptr), source, destination.len) != 0) return error.EFAULT;
}

pub fn write(destination: u64, source: []const u8) Error!void {
    if (source.len == 0) return;
    try check(destination, source.len);
    if (user_copy(destination, @intFromPtr(source.ptr), source.len) != 0) return error.EFAULT;
}

pub fn fill(destination: u64, value: u8, bytes: u64) Error!void {
    if (bytes == 0) return;
    try check(destination, bytes);
    if (user_fill(destination, value, bytes) != 0) return error.EFAULT;
}

pub fn get(comptime T: type, address: u64) Error!T {
    var value: T = undefined;
    try read(std.mem.asBytes(&value), address);
    return value;
}

pub fn put(comptime T: type, address: u64, value: T) Error!void {
    return write(address, std.mem.asBytes(&value));
}

/// Compares and exchanges a word; gives what was there.
pub fn swap(address: u64, old: u32, new: u32) Error!u32 {
    try check(address, 4);
    if (address % 4 != 0) return error.EINVAL;
    var seen: u32 = undefined;
    if (user_swap(address, old, new, &seen) != 0) return error.EFAULT;
    return seen;
}

/// A string that ends with NUL within the buffer.
pub fn string(buffer: []u8, address: u64) Error![]u8 {
    var done: usize = 0;
    while (done < buffer.len) {
        const at = address +% done;
        // Never beyond a page that may be the last one mapped.
        const part = @min(buffer.len - done, abi.page_bytes - at % abi.page_bytes);
        try read(buffer[done..][0..part], at);
        if (std.mem.indexOfScalar(u8, buffer[done..][0..part], 0)) |index| return buffer[0 .. done + index];
        done += part;
    }
    return error.ENAMETOOLONG;
}

pub fn path(buffer: *[limits.path_bytes_max]u8, address: u64) Error![]u8 {
    return string(buffer, address);
}

/// Saves the vector registers, which nothing here touches, to an area aligned to 64.
pub fn saveVectors(area: u64, bytes: u64, mask: u64) Error!void {
    try check(area, bytes);
    if (user_save_vectors(area, mask) != 0) return error.EFAULT;
}

pub fn loadVectors(area: u64, bytes: u64, mask: u64) Error!void {
    try check(area, bytes);
    if (area % 64 != 0 or user_load_vectors(area, mask) != 0) return error.EFAULT;
}
