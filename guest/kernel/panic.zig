//! The kernel's last words: what happened, registers, return addresses (the host's `ukernel` makes names of them), then the
//! end of the machine.
const std = @import("std");
const x86 = @import("arch/x86.zig");
const smp = @import("arch/smp.zig");
const serial = @import("arch/serial.zig");
const traps = @import("arch/traps.zig");
const options = @import("options.zig").chosen;
const layout = @import("mem/layout.zig");
const paging = @import("mem/paging.zig");
const machine = @import("machine.zig");

var entered: std.atomic.Value(bool) = .init(false);

pub fn panic(message: []const u8, first_trace_address: ?usize) noreturn {
    x86.cli();
    if (entered.swap(true, .seq_cst)) again();
    smp.stopOthers();
    serial.print("\nukernel: panic: {s}\n", .{message});
    backtrace(first_trace_address orelse @returnAddress(), @frameAddress());
    finish(message);
}

/// For an exception inside the kernel.
pub fn panicWithFrame(message: []const u8, frame: *const traps.Frame) noreturn {
    x86.cli();
    if (entered.swap(true, .seq_cst)) again();
    smp.stopOthers();
    serial.print("\nukernel: panic: {s}\n", .{message});
    printFrame(frame, x86.readCr2());
    backtrace(frame.rip, frame.rbp);
    finish(message);
}

/// A panic of the panic, or of another CPU at the same time. Whoever came first is given a moment, then the machine ends all the same.
fn again() noreturn {
    const start_tsc = x86.rdtsc();
    while (x86.rdtsc() -% start_tsc < 20_000_000_000) x86.pause();
    machine.end();
}

pub fn printFrame(frame: *const traps.Frame, cr2: u64) void {
    serial.print("  vector {d} error {x} rip {x:0>16} rflags {x} cs {x} cr2 {x:0>16}\n", .{ frame.vector, frame.error_code, frame.rip, frame.rflags, frame.cs, cr2 });
    if (!options.crash_details) return;
    serial.print("  rax {x:0>16} rbx {x:0>16} rcx {x:0>16} rdx {x:0>16}\n", .{ frame.rax, frame.rbx, frame.rcx, frame.rdx });
    serial.print("  rsi {x:0>16} rdi {x:0>16} rbp {x:0>16} rsp {x:0>16}\n", .{ frame.rsi, frame.rdi, frame.rbp, frame.rsp });
    serial.print("  r8  {x:0>16} r9  {x:0>16} r10 {x:0>16} r11 {x:0>16}\n", .{ frame.r8, frame.r9, frame.r10, frame.r11 });
    serial.print("  r12 {x:0>16} r13 {x:0>16} r14 {x:0>16} r15 {x:0>16}\n", .{ frame.r12, frame.r13, frame.r14, frame.r15 });
}

const depth_max: u32 = 24;

fn backtrace(first: u64, frame_address: u64) void {
    serial.print("  at {x:0>16}\n", .{first});
    var at = frame_address;
    var depth: u32 = 0;
    while (depth < depth_max) : (depth += 1) {
        // Only what is mapped is followed: the stack itself may be what is broken.
        if (at % 8 != 0 or !isMapped(at) or !isMapped(at + 8)) return;
        const record: *const [2]u64 = @ptrFromInt(at);
        if (record[1] < layout.kernel_base) return;
        serial.print("  by {x:0>16}\n", .{record[1]});
        if (record[0] <= at) return;
        at = record[0];
    }
}

fn isMapped(address: u64) bool {
    if (address < layout.direct_base) return false;
    // Before the final tables stand, the boot tables map the kernel and nothing that could be missing.
    if (paging.rootPhys() == 0) return address >= layout.kernel_base;
    var table: *const paging.Table = paging.root();
    inline for (.{ 39, 30, 21, 12 }) |shift| {
        const entry = table[address >> shift & 511];
        if (entry & paging.present == 0) return false;
        if (shift == 21 and entry & paging.large != 0) return true;
        if (shift != 12) table = layout.pointer(paging.Table, entry & paging.address_mask);
    }
    return true;
}

fn finish(message: []const u8) noreturn {
    machine.recordPanic(message);
    machine.end();
}
