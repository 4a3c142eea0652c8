//! Entering a task's handlers: foreign calls, faults and interrupts, with the registers in a frame on the handler's stack.
const std = @import("std");
const abi = @import("abi");
const x86 = @import("../arch/x86.zig");
const cpu = @import("../arch/cpu.zig");
const traps = @import("../arch/traps.zig");
const vectors = @import("../arch/vectors.zig");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const options = @import("../options.zig").chosen;
const gate = @import("gate.zig");
const scheduler = @import("../sched/scheduler.zig");
const task_object = @import("task.zig");
const Task = task_object.Task;

pub const Fault = struct {
    number: u32 = 0,
    address: u64 = 0,
    code: u64 = 0,
    detail: u64 = 0,
};

pub fn inHandler(task: *const Task, stack_pointer: u64) bool {
    if (!options.handlers) return false;
    return task.foreign_handler.holds(stack_pointer) or task.fault_handler.holds(stack_pointer);
}

fn registersOf(frame: *const traps.Frame, task: *const Task) abi.TaskFrame {
    return .{
        .bytes = @sizeOf(abi.TaskFrame),
        .fs_base = task.fs_base,
        .gs_base = task.gs_base,
        .rax = frame.rax,
        .rbx = frame.rbx,
        .rcx = frame.rcx,
        .rdx = frame.rdx,
        .rsi = frame.rsi,
        .rdi = frame.rdi,
        .rbp = frame.rbp,
        .rsp = frame.rsp,
        .r8 = frame.r8,
        .r9 = frame.r9,
        .r10 = frame.r10,
        .r11 = frame.r11,
        .r12 = frame.r12,
        .r13 = frame.r13,
        .r14 = frame.r14,
        .r15 = frame.r15,
        .rip = frame.rip,
        .rflags = frame.rflags,
    };
}

/// Changes `frame` so that the task goes on in its handler. False if there is none or no frame can be written to its
/// stack; nothing has changed then.
pub fn enter(task: *Task, frame: *traps.Frame, kind: abi.FrameKind, fault: Fault) bool {
    if (!options.handlers) return false;
    const handler = if (kind == .foreign) &task.foreign_handler else &task.fault_handler;
    if (handler.entry == 0) return false;
    var saved = registersOf(frame, task);
    saved.kind = kind;
    saved.flags.in_handler = inHandler(task, frame.rsp);
    saved.fault = @enumFromInt(fault.number);
    saved.fault_address = fault.address;
    saved.fault_code = fault.code;
    saved.fault_detail = fault.detail;

    var at = if (handler.holds(frame.rsp)) frame.rsp -| abi.red_zone_bytes else handler.stack + handler.stack_bytes;
    const vector_bytes: u64 = if (handler.keep_vector) 0 else cpu.support.vector_bytes;
    if (at < handler.stack + vector_bytes + @sizeOf(abi.TaskFrame) + 256) return false;
    if (!handler.keep_vector) {
        at = (at - vector_bytes) & ~@as(u64, 63);
        // The kernel uses no vector register, so the task's stand as it left them.
        vectors.saveTo(&task.vector_state);
        user_copy.write(at, task.vector_state[0..vector_bytes]) catch return false;
        saved.flags.vector = true;
        saved.vector_address = at;
        saved.vector_bytes = vector_bytes;
    }
    at = (at - @sizeOf(abi.TaskFrame)) & ~@as(u64, 15);
    user_copy.writeValue(abi.TaskFrame, at, saved) catch return false;
    user_copy.writeValue(u64, at - 8, gate.handlerReturn()) catch return false;
    frame.rsp = at - 8;
    frame.rdi = at;
    frame.rip = handler.entry;
    frame.rflags = x86.Flags.always_one | x86.Flags.interrupt;
    return true;
}

fn isUserAddress(address: u64) bool {
    return address < limits.user_address_end;
}

fn isValid(saved: *const abi.TaskFrame) bool {
    return saved.bytes == @sizeOf(abi.TaskFrame) and isUserAddress(saved.rip) and isUserAddress(saved.rsp) and
        isUserAddress(saved.fs_base) and isUserAddress(saved.gs_base);
}

fn install(frame: *traps.Frame, task: *Task, saved: *const abi.TaskFrame) void {
    frame.rax = saved.rax;
    frame.rbx = saved.rbx;
    frame.rcx = saved.rcx;
    frame.rdx = saved.rdx;
    frame.rsi = saved.rsi;
    frame.rdi = saved.rdi;
    frame.rbp = saved.rbp;
    frame.rsp = saved.rsp;
    frame.r8 = saved.r8;
    frame.r9 = saved.r9;
    frame.r10 = saved.r10;
    frame.r11 = saved.r11;
    frame.r12 = saved.r12;
    frame.r13 = saved.r13;
    frame.r14 = saved.r14;
    frame.r15 = saved.r15;
    frame.rip = saved.rip;
    frame.rflags = (saved.rflags & x86.Flags.user_mask) | x86.Flags.always_one | x86.Flags.interrupt;
    frame.cs = cpu.selector_user_code;
    frame.ss = cpu.selector_user_data;
    task.fs_base = saved.fs_base;
    task.gs_base = saved.gs_base;
}

/// The current task goes on with the frame at `address`.
pub fn resumeFrame(task: *Task, frame: *traps.Frame, address: u64) abi.Failure!void {
    if (address % 8 != 0) return error.Misaligned;
    const saved = try user_copy.readValue(abi.TaskFrame, address);
    if (!isValid(&saved)) return error.BadValue;
    if (saved.flags.vector) try loadVectors(task, &saved);
    const old_fs = task.fs_base;
    const old_gs = task.gs_base;
    install(frame, task, &saved);
    if (task.fs_base != old_fs) x86.wrmsr(x86.Msr.fs_base, task.fs_base);
    if (task.gs_base != old_gs) x86.wrmsr(x86.Msr.kernel_gs_base, task.gs_base);
    task.stays_in_handler = saved.flags.in_handler;
}

fn loadVectors(task: *Task, saved: *const abi.TaskFrame) abi.Failure!void {
    if (saved.vector_bytes != cpu.support.vector_bytes) return error.BadValue;
    if (saved.vector_address % 64 != 0) return error.Misaligned;
    // A task switch during the copy would write the registers over what was copied: the area it is saved to is told apart.
    var area: [cpu.vector_bytes_max]u8 align(64) = undefined;
    try user_copy.read(area[0..saved.vector_bytes], saved.vector_address);
    if (!vectors.loadFrom(&area)) {
        vectors.initialise(task);
        _ = vectors.loadFrom(&task.vector_state);
        return error.BadValue;
    }
}

/// The registers of a task that stands still. The lock is held.
pub fn readContext(task: *const Task) abi.TaskFrame {
    var saved = registersOf(task.frame(), task);
    saved.kind = .context;
    saved.flags.in_handler = inHandler(task, saved.rsp);
    return saved;
}

/// Gives a task that stands still other registers. The lock is held.
pub fn writeContext(task: *Task, saved: *const abi.TaskFrame) abi.Failure!void {
    if (!isValid(saved)) return error.BadValue;
    install(task.frame(), task, saved);
    task.context_replaced = task.frame().vector == traps.Vector.syscall;
    if (task.state == .blocked and task.interruptible) _ = scheduler.wake(task, .interrupted);
}
