//! task_*: tasks, waiting and handlers.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const x86 = @import("../arch/x86.zig");
const cpu = @import("../arch/cpu.zig");
const smp = @import("../arch/smp.zig");
const traps = @import("../arch/traps.zig");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const kernel_options = @import("../options.zig").chosen;
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const capability = @import("../object/capability.zig");
const delivery = @import("../object/delivery.zig");
const handles = @import("../object/handles.zig");
const task_object = @import("../object/task.zig");
const tasks = @import("../object/tasks.zig");
const waiting = @import("../object/waiting.zig");
const machine = @import("../machine.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

fn isUserAddress(address: u64) bool {
    return address >= limits.user_address_min and address < limits.user_address_end;
}

fn isBase(address: u64) bool {
    return address < limits.user_address_end;
}

pub fn task_spawn(task: *Task, arguments: dispatch.TaskSpawn) Failure!void {
    const options = try user_copy.readValue(abi.TaskOptions, arguments.options.address);
    if (!options.flags.isKnown()) return error.BadFlags;
    if (options.priority > abi.priority_max or !options.mode.isKnown() or options.reserved != 0) return error.BadValue;
    if (options.capabilities >> capability.kind_count != 0 or options.active & ~options.capabilities != 0) return error.BadValue;
    if (options.stack % 16 != 0) return error.Misaligned;
    if (!isUserAddress(options.entry) or !user_copy.isUserRange(options.stack -% 16, 16)) return error.BadPointer;
    if (!isBase(options.fs_base) or !isBase(options.gs_base)) return error.BadPointer;
    // Both writes prove that the memory is there before anything exists.
    try user_copy.writeValue(u64, options.stack - 8, 0);
    try user_copy.writeValue(u64, arguments.task.address, 0);
    if (tasks.hasEnded()) tasks.reap();

    lock.acquire();
    const child = tasks.create(beginUser) catch |failure| {
        lock.release();
        return switch (failure) {
            error.NoMemory => error.OutOfMemory,
            error.TooMany => error.OutOfTasks,
        };
    };
    child.handle = handles.openPollable(.task, child, &child.source) catch {
        tasks.abandon(child);
        lock.release();
        return error.OutOfHandles;
    };
    child.detached = options.flags.detached;
    child.priority = options.priority;
    child.mode = modeOf(options.mode);
    child.fs_base = options.fs_base;
    child.gs_base = options.gs_base;
    capability.inherit(child, task, options.capabilities, options.active);
    const frame = child.frame();
    frame.rip = options.entry;
    frame.rdi = options.argument;
    frame.rsp = options.stack - 8;
    const handle = child.handle;
    scheduler.makeReady(child);
    lock.release();
    // The page was writable a moment ago; if another task has taken it away since, the handle is lost to it.
    user_copy.writeValue(u64, arguments.task.address, handle) catch {};
}

fn beginUser(_: *traps.Frame) void {}

fn modeOf(mode: abi.TaskMode) task_object.Mode {
    return if (mode == .throughput) .throughput else .latency;
}

pub fn task_self(task: *Task) u64 {
    return task.handle;
}

pub fn task_yield(_: *Task) Failure!void {
    scheduler.yield();
}

pub fn task_sleep(_: *Task, arguments: dispatch.TaskSleep) Failure!void {
    lock.acquire();
    defer lock.release();
    if (scheduler.block(arguments.deadline_ns, true) == .interrupted) return error.Interrupted;
}

pub fn task_exit(task: *Task, arguments: dispatch.TaskExit) Failure!void {
    if (arguments.clear != 0) {
        if (arguments.clear % 4 != 0) return error.Misaligned;
        try user_copy.writeValue(u32, arguments.clear, 0);
        _ = try waiting.wake(arguments.clear, std.math.maxInt(u32));
    }
    tasks.endCurrent(task, arguments.status);
}

pub fn task_join(task: *Task, arguments: dispatch.TaskJoin) Failure!void {
    try user_copy.writeValue(i32, arguments.status.address, 0);
    lock.acquire();
    const status = joinLocked(task, @intFromEnum(arguments.task), arguments.deadline_ns);
    lock.release();
    try user_copy.writeValue(i32, arguments.status.address, try status);
}

fn joinLocked(task: *Task, handle: u64, deadline_ns: u64) Failure!i32 {
    const other = try handles.get(Task, handle, .task);
    if (other == task) return error.SelfReference;
    if (other.detached) return error.UnsupportedOperation;
    if (other.joined) return error.AlreadyJoined;
    other.joined = true;
    other.references += 1;
    defer tasks.dropReference(other);
    while (other.state != .ended) {
        other.joiners.append(task);
        switch (scheduler.block(deadline_ns, true)) {
            .timeout => {
                other.joined = false;
                return error.TimedOut;
            },
            .interrupted => {
                other.joined = false;
                return error.Interrupted;
            },
            else => {},
        }
    }
    handles.close(handle, .task) catch unreachable;
    other.references -= 1;
    return other.exit_status;
}

pub fn task_set_priority(_: *Task, arguments: dispatch.TaskSetPriority) Failure!void {
    if (arguments.priority > abi.priority_max) return error.BadValue;
    lock.acquire();
    defer lock.release();
    const other = try living(@intFromEnum(arguments.task));
    other.priority = arguments.priority;
    other.mode = modeOf(arguments.mode);
}

/// The lock is held.
fn living(handle: u64) Failure!*Task {
    const other = try handles.get(Task, handle, .task);
    if (other.state == .ended) return error.TaskEnded;
    return other;
}

pub fn task_get_stats(_: *Task, arguments: dispatch.TaskGetStats) Failure!void {
    lock.acquire();
    const other = handles.get(Task, @intFromEnum(arguments.task), .task) catch |failure| {
        lock.release();
        return failure;
    };
    const stats: abi.TaskStats = .{
        .cpu_ns = scheduler.cpuTimeNs(other),
        .ticks = other.stats.ticks,
        .switches = other.stats.switches,
        .late_ns_max = other.stats.late_max_ns,
        .late_ns_total = other.stats.late_total_ns,
        .cpu = other.cpu,
        .priority = other.priority,
    };
    lock.release();
    try user_copy.writeValue(abi.TaskStats, arguments.stats.address, stats);
}

pub fn task_wait(_: *Task, arguments: dispatch.TaskWait) Failure!void {
    try waiting.wait(arguments.word.address, arguments.expected, arguments.deadline_ns);
}

pub fn task_wake(_: *Task, arguments: dispatch.TaskWake) Failure!void {
    if (arguments.woken.address != 0) try user_copy.writeValue(u32, arguments.woken.address, 0);
    const woken = try waiting.wake(arguments.word, arguments.count);
    if (arguments.woken.address != 0) try user_copy.writeValue(u32, arguments.woken.address, woken);
}

pub fn task_requeue(_: *Task, arguments: dispatch.TaskRequeue) Failure!void {
    if (arguments.affected.address != 0) try user_copy.writeValue(u32, arguments.affected.address, 0);
    const affected = try waiting.requeue(
        arguments.word.address,
        arguments.expected,
        arguments.wake_count,
        arguments.target,
        arguments.requeue_count,
    );
    if (arguments.affected.address != 0) try user_copy.writeValue(u32, arguments.affected.address, affected);
}

pub fn task_set_thread_pointer(task: *Task, arguments: dispatch.TaskSetThreadPointer) Failure!void {
    if (!isBase(arguments.base)) return error.BadPointer;
    // Interrupts are off: no switch comes between the field and the register.
    switch (arguments.which) {
        .fs => {
            task.fs_base = arguments.base;
            x86.wrmsr(x86.Msr.fs_base, arguments.base);
        },
        .gs => {
            task.gs_base = arguments.base;
            x86.wrmsr(x86.Msr.kernel_gs_base, arguments.base);
        },
        _ => return error.BadValue,
    }
}

fn handlerOf(entry: u64, stack: u64, stack_bytes: u64, flags: abi.HandlerFlags) Failure!task_object.Handler {
    if (entry == 0) return .{};
    if (!isUserAddress(entry)) return error.BadPointer;
    if (stack % 16 != 0 or stack_bytes % 16 != 0) return error.Misaligned;
    if (stack_bytes < abi.handler_stack_bytes_min) return error.TooSmall;
    if (!user_copy.isUserRange(stack, stack_bytes)) return error.BadPointer;
    return .{ .entry = entry, .stack = stack, .stack_bytes = stack_bytes, .keep_vector = flags.keep_vector };
}

pub fn task_set_foreign_handler(task: *Task, arguments: dispatch.TaskSetForeignHandler) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    task.foreign_handler = try handlerOf(arguments.handler, arguments.stack, arguments.stack_bytes, arguments.flags);
}

pub fn task_set_fault_handler(task: *Task, arguments: dispatch.TaskSetFaultHandler) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    task.fault_handler = try handlerOf(arguments.handler, arguments.stack, arguments.stack_bytes, arguments.flags);
}

pub fn task_resume(task: *Task, arguments: dispatch.TaskResume) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    try delivery.resumeFrame(task, task.frame(), arguments.frame.address);
}

pub fn task_interrupt(task: *Task, arguments: dispatch.TaskInterrupt) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    lock.acquire();
    defer lock.release();
    const other = try living(@intFromEnum(arguments.task));
    other.interrupt_pending.store(true, .release);
    if (other == task) return;
    switch (other.state) {
        .blocked => if (other.interruptible) {
            _ = scheduler.wake(other, .interrupted);
        },
        // It looks at the flag on its way out of the kernel.
        .running => smp.kick(cpu.all[other.cpu]),
        else => {},
    }
}

/// Another task that stands still. The lock is held.
fn standing(task: *Task, handle: u64) Failure!*Task {
    const other = try living(handle);
    if (other == task) return error.SelfReference;
    if (other.state == .running) return error.TaskRunning;
    return other;
}

pub fn task_get_context(task: *Task, arguments: dispatch.TaskGetContext) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    lock.acquire();
    const other = standing(task, @intFromEnum(arguments.task)) catch |failure| {
        lock.release();
        return failure;
    };
    const saved = delivery.readContext(other);
    lock.release();
    try user_copy.writeValue(abi.TaskFrame, arguments.frame.address, saved);
}

pub fn task_set_context(task: *Task, arguments: dispatch.TaskSetContext) Failure!void {
    if (!kernel_options.handlers) return error.UnsupportedOperation;
    const saved = try user_copy.readValue(abi.TaskFrame, arguments.frame.address);
    lock.acquire();
    defer lock.release();
    const other = try standing(task, @intFromEnum(arguments.task));
    try delivery.writeContext(other, &saved);
}
