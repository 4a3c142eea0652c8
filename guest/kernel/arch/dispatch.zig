//! From an entry of the kernel to whoever answers it, and back to user mode.
const std = @import("std");
const abi = @import("abi");
const abi_dispatch = @import("dispatch");
const x86 = @import("x86.zig");
const cpu = @import("cpu.zig");
const smp = @import("smp.zig");
const lapic = @import("lapic.zig");
const traps = @import("traps.zig");
const user_copy = @import("user_copy.zig");
const kernel_panic = @import("../panic.zig");
const limits = @import("../limits.zig");
const space = @import("../mem/space.zig");
const scheduler = @import("../sched/scheduler.zig");
const calls = @import("../abi/calls.zig");
const console = @import("../object/console.zig");
const delivery = @import("../object/delivery.zig");
const disk = @import("../object/disk.zig");
const ending = @import("../object/ending.zig");
const gate = @import("../object/gate.zig");
const network = @import("../object/network.zig");
const options = @import("../options.zig").chosen;
const task_object = @import("../object/task.zig");
const machine = @import("../machine.zig");
const Vector = traps.Vector;
const Frame = traps.Frame;
const Task = task_object.Task;

const serial_input: u32 = 4;

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
        Vector.legacy_call => endForeign(frame, "int 0x80"),
        else => {
            const input: u32 = @intCast(frame.vector - Vector.irq_first);
            if (input == serial_input) {
                console.interrupt();
            } else if (options.net and network.ownsInput(input)) {
                network.interrupt();
            } else disk.interrupt(input);
            lapic.endOfInterrupt();
        },
    }
    if (frame.fromUser()) returnToUser(frame);
}

fn exception(frame: *Frame) void {
    const address = if (frame.vector == Vector.page_fault) x86.readCr2() else 0;
    if (frame.vector == Vector.double_fault) kernel_panic.panicWithFrame("double fault", frame);
    if (frame.vector == Vector.machine_check) kernel_panic.panicWithFrame("machine check", frame);
    if (frame.fromUser()) return userException(frame, address);
    if (kernelException(frame, address)) return;
    kernel_panic.panicWithFrame("exception in the kernel", frame);
}

const error_write: u64 = 1 << 1;
const error_fetch: u64 = 1 << 4;
const error_reserved: u64 = 1 << 3;

fn touchOf(error_code: u64) space.Touch {
    return .{ .write = error_code & error_write != 0, .exec = error_code & error_fetch != 0 };
}

/// Only a guarded access of user memory may fault in the kernel.
fn kernelException(frame: *Frame, address: u64) bool {
    const target = fixupOf(frame.rip) orelse return false;
    if (frame.vector == Vector.page_fault and user_copy.isUserRange(address, 1) and frame.error_code & error_reserved == 0) {
        const outcome = space.resolve(address, touchOf(frame.error_code));
        if (outcome == .ok) return true;
        if (outcome == .out_of_memory) scheduler.current().copy_out_of_memory = true;
    }
    frame.rip = target;
    return true;
}

const Fixup = extern struct { instruction: u64, target: u64 };
extern const __extable_start: Fixup;
extern const __extable_end: Fixup;

/// Instructions of the kernel that may fault, and where to go on if they do.
fn fixupOf(rip: u64) ?u64 {
    const count = (@intFromPtr(&__extable_end) - @intFromPtr(&__extable_start)) / @sizeOf(Fixup);
    const table: [*]const Fixup = @ptrCast(&__extable_start);
    for (table[0..count]) |fixup| if (fixup.instruction == rip) return fixup.target;
    return null;
}

fn userException(frame: *Frame, address: u64) void {
    const task = scheduler.current();
    var fault: delivery.Fault = .{ .number = @intCast(frame.vector), .address = address, .code = frame.error_code };
    if (frame.vector == Vector.page_fault) {
        const outcome: space.Resolution = if (user_copy.isUserRange(address, 1)) space.resolve(address, touchOf(frame.error_code)) else .not_mapped;
        if (outcome == .ok) return;
        fault.detail = @intFromEnum(detailOf(outcome));
    }
    if (isSysenter(frame)) return endForeign(frame, "sysenter");
    if (delivery.enter(task, frame, .fault, fault)) return;
    ending.byFault(task, frame, fault);
}

fn detailOf(outcome: space.Resolution) abi.Detail {
    return switch (outcome) {
        .ok => .none,
        .not_mapped => .not_mapped,
        .denied => .bad_pointer,
        .out_of_memory => .out_of_memory,
        .device_error => .device_error,
        .corrupt_image => .corrupt_image,
    };
}

/// `sysenter` is no way into this kernel: its segment is left null, so that it faults here.
fn isSysenter(frame: *const Frame) bool {
    if (frame.vector != Vector.general_protection and frame.vector != Vector.invalid_opcode) return false;
    const bytes = user_copy.readValue([2]u8, frame.rip) catch return false;
    return bytes[0] == 0x0f and bytes[1] == 0x34;
}

fn endForeign(frame: *Frame, what: []const u8) void {
    ending.byForeignEntry(scheduler.current(), frame, what);
}

/// True: `sysret` is allowed, nothing but rax has changed.
export fn syscall_dispatch(frame: *Frame) callconv(.c) bool {
    const task = scheduler.current();
    task.context_replaced = false;
    if (!gate.isCall(frame.rip)) {
        foreignCall(task, frame);
        returnToUser(frame);
        return false;
    }
    const rsp = frame.rsp;
    const number: u32 = @truncate(frame.rax);
    const registers: abi_dispatch.Registers = .{ frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9 };
    var replaced = false;
    switch (abi_dispatch.dispatch(calls, task, number, &registers)) {
        .value => |value| {
            if (number != @intFromEnum(abi_dispatch.Call.err_get_last)) task.last_detail = 0;
            if (!task.context_replaced) frame.rax = value;
        },
        .failed => |detail| {
            task.last_detail = @intFromEnum(detail);
            if (!task.context_replaced) frame.rax = @intFromEnum(detail.result());
        },
        .resumed => replaced = true,
    }
    if (task.context_replaced) {
        task.context_replaced = false;
        replaced = true;
    }
    returnToUser(frame);
    // sysret with what it came from only: anything else goes back by iret.
    return !replaced and gate.isCall(frame.rip) and frame.rsp == rsp and !task.context_replaced;
}

fn foreignCall(task: *Task, frame: *Frame) void {
    if (delivery.enter(task, frame, .foreign, .{})) return;
    ending.byForeignEntry(task, frame, "syscall");
}

/// Everything that has to happen before user mode goes on.
pub fn returnToUser(frame: *Frame) void {
    std.debug.assert(frame.fromUser());
    while (true) {
        scheduler.preempt();
        const task = scheduler.current();
        if (task.end_requested.load(.acquire)) machine.shutDown(machine.stop_status, .stop_request, "the host asked for a stop");
        if (!task.interrupt_pending.load(.acquire)) break;
        if (task.fault_handler.entry == 0 or task.stays_in_handler or delivery.inHandler(task, frame.rsp)) break;
        task.interrupt_pending.store(false, .release);
        if (!delivery.enter(task, frame, .interrupt, .{})) ending.byHandlerStack(task, frame);
    }
    // The flag was for the first look after task_resume; the next entry of the kernel judges by the stack pointer.
    scheduler.current().stays_in_handler = false;
}
