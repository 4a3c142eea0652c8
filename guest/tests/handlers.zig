//! Foreign, fault and interrupt handlers for tests.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;

pub const stack_bytes = 64 << 10;

/// Where a guarded access goes on after its fault; 0 while none is guarded. Per task in a test that uses it; the tests use it in one.
var recover_at: u64 = 0;
pub var last: abi.TaskFrame = .{};
pub var count: std.atomic.Value(u32) = .init(0);

/// Skips a guarded access: the handler continues at its recovery label with rax = 1.
pub fn onFault(frame: *abi.TaskFrame) callconv(.c) void {
    last = frame.*;
    _ = count.fetchAdd(1, .monotonic);
    if (frame.kind != .fault) return;
    if (recover_at == 0) {
        uk.print("unexpected fault {d} at {x}, address {x}\n", .{ @intFromEnum(frame.fault), frame.rip, frame.fault_address }) catch {};
        _ = uk.calls.vm_exit(99);
    }
    frame.rip = recover_at;
    frame.rax = 1;
}

/// Answers a foreign call with the sum of its number and first argument, so that the way there and back shows.
pub fn onForeign(frame: *abi.TaskFrame) callconv(.c) void {
    last = frame.*;
    _ = count.fetchAdd(1, .monotonic);
    frame.rax +%= frame.rdi;
}

pub fn install(fault: bool, foreign: bool, stack: []align(4096) u8) abi.Failure!void {
    const flags: abi.HandlerFlags = .{};
    if (fault) try uk.calls.check(uk.calls.task_set_fault_handler(@intFromPtr(&onFault), @intFromPtr(stack.ptr), stack.len, flags));
    if (foreign) try uk.calls.check(uk.calls.task_set_foreign_handler(@intFromPtr(&onForeign), @intFromPtr(stack.ptr), stack.len, flags));
}

/// Reads a byte; false when that faults.
pub noinline fn canRead(address: u64) bool {
    return guarded(.read, address);
}

/// Writes a byte; false when that faults.
pub noinline fn canWrite(address: u64) bool {
    return guarded(.write, address);
}

/// Calls code; false when its first instruction faults.
pub noinline fn canExecute(address: u64) bool {
    return guarded(.execute, address);
}

const Access = enum { read, write, execute };

fn guarded(comptime access: Access, address: u64) bool {
    defer recover_at = 0;
    const faulted = switch (access) {
        .read => asm volatile (
            \\ leaq 1f(%%rip), %%rcx
            \\ movq %%rcx, (%[recover])
            \\ xorl %%eax, %%eax
            \\ movb (%[address]), %%cl
            \\1:
            : [ret] "=&{rax}" (-> u64),
            : [address] "r" (address),
              [recover] "r" (&recover_at),
            : .{ .rcx = true, .memory = true }),
        .write => asm volatile (
            \\ leaq 1f(%%rip), %%rcx
            \\ movq %%rcx, (%[recover])
            \\ xorl %%eax, %%eax
            \\ movb $0x5a, (%[address])
            \\1:
            : [ret] "=&{rax}" (-> u64),
            : [address] "r" (address),
              [recover] "r" (&recover_at),
            : .{ .rcx = true, .memory = true }),
        // A fault of the first instruction leaves the return address on the stack: the label is before its removal.
        .execute => asm volatile (
            \\ subq $136, %%rsp
            \\ leaq 1f(%%rip), %%rcx
            \\ movq %%rcx, (%[recover])
            \\ xorl %%eax, %%eax
            \\ movq %%rsp, %%rbx
            \\ callq *%[address]
            \\1: movq %%rbx, %%rsp
            \\ addq $136, %%rsp
            : [ret] "=&{rax}" (-> u64),
            : [address] "r" (address),
              [recover] "r" (&recover_at),
            : .{ .rbx = true, .rcx = true, .rdx = true, .rsi = true, .rdi = true, .r8 = true, .r9 = true, .r10 = true, .r11 = true, .memory = true }),
    };
    return faulted == 0;
}

/// Executes `syscall` outside the gate.
pub noinline fn foreignCall(number: u64, argument: u64) u64 {
    return asm volatile ("syscall"
        : [ret] "={rax}" (-> u64),
        : [number] "{rax}" (number),
          [argument] "{rdi}" (argument),
        : .{ .rcx = true, .r11 = true, .memory = true });
}
