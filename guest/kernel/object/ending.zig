//! A workload that ends by its own fault: a message that says what and where, in the channel and on the console, then the VM's end
//! with a status of its own.
const std = @import("std");
const abi = @import("abi");
const x86 = @import("../arch/x86.zig");
const serial = @import("../arch/serial.zig");
const traps = @import("../arch/traps.zig");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const options = @import("../options.zig").chosen;
const space = @import("../mem/space.zig");
const channel = @import("channel.zig");
const delivery = @import("delivery.zig");
const machine = @import("../machine.zig");
const Task = @import("task.zig").Task;

/// Exit statuses as a shell shows them: 128 and the number of the signal that Unix would have sent.
const status_illegal = 128 + 4;
const status_trap = 128 + 5;
const status_arithmetic = 128 + 8;
const status_memory = 128 + 11;
const status_foreign = 128 + 31;

pub fn byFault(task: *Task, frame: *const traps.Frame, fault: delivery.Fault) noreturn {
    var buffer: [160]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    describe(&writer, frame, fault) catch {};
    end(task, frame, fault, statusOf(fault.number), writer.buffered());
}

fn statusOf(vector: u32) i32 {
    return switch (vector) {
        0, 16, 19 => status_arithmetic,
        1, 3, 4 => status_trap,
        6 => status_illegal,
        else => status_memory,
    };
}

fn describe(writer: *std.Io.Writer, frame: *const traps.Frame, fault: delivery.Fault) !void {
    if (fault.number != traps.Vector.page_fault) {
        const name = switch (fault.number) {
            0 => "division error",
            1 => "single step",
            3 => "breakpoint",
            4 => "overflow",
            6 => "illegal instruction",
            12 => "stack access outside the address range",
            13 => "privileged instruction or an address outside the address range",
            16 => "x87 floating-point error",
            17 => "misaligned access",
            19 => "SIMD floating-point error",
            else => "processor exception",
        };
        return writer.print("{s} at {x}", .{ name, frame.rip });
    }
    const action = if (fault.code & 16 != 0) "execution" else if (fault.code & 2 != 0) "write" else "read";
    const why = switch (@as(abi.Detail, @enumFromInt(@as(u32, @truncate(fault.detail))))) {
        .out_of_memory => "no memory left for the page",
        .device_error => "the image's device failed",
        .corrupt_image => "the image is corrupt there",
        .bad_pointer => if (isStackOverflow(frame, fault))
            "the guard page below the stack; a stack overflow"
        else
            "the mapping does not allow it",
        else => if (fault.address < limits.user_address_min)
            "null pointer"
        else if (fault.address >= limits.user_address_end)
            "not the workload's memory"
        else if (isStackOverflow(frame, fault))
            "nothing is mapped there; a stack overflow, by the stack pointer"
        else
            "nothing is mapped there",
    };
    return writer.print("{s} of {x} at {x}: {s}", .{ action, fault.address, frame.rip, why });
}

/// The access is near the stack pointer, in memory without any access.
fn isStackOverflow(frame: *const traps.Frame, fault: delivery.Fault) bool {
    if (fault.address -% (frame.rsp -% 65536) >= 65536 + 256) return false;
    const region = space.query(fault.address) orelse return true;
    return region.start > fault.address or !region.access.read;
}

pub fn byForeignEntry(task: *Task, frame: *const traps.Frame, what: []const u8) noreturn {
    var buffer: [160]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    writer.print("{s} at {x} with rax {d}: not a call of this kernel's ABI, and no handler of foreign calls", .{ what, frame.rip, frame.rax }) catch {};
    end(task, frame, .{}, status_foreign, writer.buffered());
}

/// An interrupt could not be delivered.
pub fn byHandlerStack(task: *Task, frame: *const traps.Frame) noreturn {
    end(task, frame, .{}, status_memory, "the fault handler's stack cannot be written");
}

fn end(task: *Task, frame: *const traps.Frame, fault: delivery.Fault, status: i32, text: []const u8) noreturn {
    var buffer: [1500]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    report(&writer, task, frame, fault, text) catch {};
    serial.write(writer.buffered());
    channel.fault(task.id, writer.buffered());
    machine.shutDown(status, .unhandled_fault, text);
}

fn report(writer: *std.Io.Writer, task: *Task, frame: *const traps.Frame, fault: delivery.Fault, text: []const u8) !void {
    try writer.print("ukernel: task {d} ended: {s}\n", .{ task.id, text });
    if (options.crash_details) try describeState(writer, task, frame, fault);
    try backtrace(writer, frame);
}

fn describeState(writer: *std.Io.Writer, task: *Task, frame: *const traps.Frame, fault: delivery.Fault) !void {
    try writer.print("  rip {x:0>16} rsp {x:0>16} rbp {x:0>16} rflags {x}\n", .{ frame.rip, frame.rsp, frame.rbp, frame.rflags });
    try writer.print("  rax {x:0>16} rbx {x:0>16} rcx {x:0>16} rdx {x:0>16}\n", .{ frame.rax, frame.rbx, frame.rcx, frame.rdx });
    try writer.print("  rsi {x:0>16} rdi {x:0>16} r8  {x:0>16} r9  {x:0>16}\n", .{ frame.rsi, frame.rdi, frame.r8, frame.r9 });
    try writer.print("  r10 {x:0>16} r11 {x:0>16} r12 {x:0>16} r13 {x:0>16}\n", .{ frame.r10, frame.r11, frame.r12, frame.r13 });
    try writer.print("  r14 {x:0>16} r15 {x:0>16} fs  {x:0>16} gs  {x:0>16}\n", .{ frame.r14, frame.r15, task.fs_base, task.gs_base });
    try describeMap(writer, "code", frame.rip);
    try describeMap(writer, "stack", frame.rsp);
    if (fault.number == traps.Vector.page_fault) try describeMap(writer, "fault", fault.address);
}

/// The region at an address, or the next above.
fn describeMap(writer: *std.Io.Writer, what: []const u8, address: u64) !void {
    const region = space.query(address) orelse return writer.print("  {s}: {x} has no mapping at or above\n", .{ what, address });
    try writer.print("  {s}: {x} {s} {x}-{x} {s}{s}{s}\n", .{
        what,
        address,
        if (region.start <= address) "in" else "below",
        region.start,
        region.start + region.bytes,
        if (region.access.read) "r" else "-",
        if (region.access.write) "w" else "-",
        if (region.access.exec) "x" else "-",
    });
}

const depth_max = 16;

/// Return addresses by frame pointers, as far as the workload has them.
fn backtrace(writer: *std.Io.Writer, frame: *const traps.Frame) !void {
    try writer.print("  at {x:0>16}\n", .{frame.rip});
    var at = frame.rbp;
    for (0..depth_max) |_| {
        if (at % 8 != 0) return;
        const record = user_copy.readValue([2]u64, at) catch return;
        if (record[1] == 0 or record[1] >= limits.user_address_end) return;
        try writer.print("  by {x:0>16}\n", .{record[1]});
        if (record[0] <= at) return;
        at = record[0];
    }
}
