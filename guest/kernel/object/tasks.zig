//! All tasks: making them, counting them, and giving their memory back once they have ended and nobody refers to them.
const std = @import("std");
const limits = @import("../limits.zig");
const clock = @import("../arch/clock.zig");
const cpu = @import("../arch/cpu.zig");
const smp = @import("../arch/smp.zig");
const traps = @import("../arch/traps.zig");
const vectors = @import("../arch/vectors.zig");
const frames = @import("../mem/frames.zig");
const paging = @import("../mem/paging.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const handles = @import("handles.zig");
const machine = @import("../machine.zig");
const Account = @import("account.zig").Account;
const task_object = @import("task.zig");
const Task = task_object.Task;

pub var first: ?*Task = null;
/// The first task; its end is the VM's.
pub var main: ?*Task = null;
/// Ended tasks that nobody has joined included.
pub var alive: u32 = 0;
var last_id: u32 = 0;

const slots_max = limits.tasks_max + limits.cpus_max;
var slots: std.StaticBitSet(slots_max) = .initEmpty();
const slot_bytes = limits.kernel_stack_bytes + limits.page_bytes;
const stack_frames = limits.kernel_stack_bytes / limits.page_bytes;

/// Ended tasks whose kernel stacks still exist.
var ended: ?*Task = null;

extern fn task_first_run() callconv(.naked) void;

pub const Error = error{ NoMemory, TooMany };

fn allocateTask() Error!*Task {
    const slot = findSlot() orelse return error.TooMany;
    const frame = frames.allocateUser() orelse return error.NoMemory;
    errdefer frames.release(frame);
    const task: *Task = @ptrCast(layout.page(frame));
    task.* = .{};
    const bottom = layout.stacks_base + slot * slot_bytes + limits.page_bytes;
    var mapped: u64 = 0;
    errdefer unmapStack(bottom, mapped);
    while (mapped < stack_frames) : (mapped += 1) {
        try mapStackPage(bottom + mapped * limits.page_bytes);
    }
    slots.set(slot);
    task.stack_slot = slot;
    task.kernel_stack_top = bottom + limits.kernel_stack_bytes;
    vectors.initialise(task);
    return task;
}

noinline fn mapStackPage(address: u64) Error!void {
    const frame = frames.allocateUser() orelse return error.NoMemory;
    const leaf = paging.findOrMake(address, true) catch {
        frames.release(frame);
        return error.NoMemory;
    };
    leaf.* = @as(u64, frame) << 12 | paging.present | paging.writable | paging.no_execute;
}

/// A free place for a kernel stack.
fn findSlot() ?u32 {
    for (slots.masks, 0..) |mask, index| {
        if (mask == std.math.maxInt(usize)) continue;
        const slot = index * @bitSizeOf(usize) + @ctz(~mask);
        return if (slot < slots_max) @intCast(slot) else null;
    }
    return null;
}

/// Only for stacks that no CPU has used yet.
fn unmapStack(bottom: u64, count: u64) void {
    for (0..count) |index| {
        const leaf = paging.find(bottom + index * limits.page_bytes).?;
        frames.release(paging.frameOf(leaf.*));
        leaf.* = 0;
    }
}

/// The boot CPU's idle task, which takes over the boot stack and begins when somebody first switches to it.
pub fn createBootIdle(state: *cpu.PerCpu, stack_top: u64) Error!*Task {
    const frame = frames.allocateUser() orelse return error.NoMemory;
    const task: *Task = @ptrCast(layout.page(frame));
    task.* = .{};
    task.is_idle = true;
    task.kernel_stack_top = stack_top;
    task.cpu = state.index;
    // What context_switch pops, then the return address that a function expects above its frame.
    const stack: *[8]u64 = @ptrFromInt(stack_top - 8 * 8);
    stack.* = .{ 0, 0, 0, 0, 0, 0, @intFromPtr(&scheduler.idleBegin), 0 };
    task.saved_rsp = @intFromPtr(stack);
    return task;
}

pub fn createIdle(state: *cpu.PerCpu) Error!*Task {
    const task = try allocateTask();
    task.is_idle = true;
    task.state = .running;
    task.cpu = state.index;
    return task;
}

/// What a new task does in the kernel before it goes to user mode: fill the frame. The lock is not held.
pub const Begin = *const fn (frame: *traps.Frame) void;

const task_bytes = limits.page_bytes + limits.kernel_stack_bytes;

/// A blocked task; `scheduler.makeReady` starts it.
pub fn create(begin: Begin) Error!*Task {
    std.debug.assert(lock.isHeld());
    if (alive == limits.tasks_max) return error.TooMany;
    const account = Account.create() catch return error.NoMemory;
    errdefer account.release();
    // The first task has no spawner.
    const spawner = scheduler.current().account;
    if (spawner) |payer| payer.charge(task_bytes) catch return error.NoMemory;
    errdefer if (spawner) |payer| payer.credit(task_bytes);
    const task = try allocateTask();
    task.account = account;
    task.charged_to = spawner;
    last_id += 1;
    task.id = last_id;
    // One for the run, one for the handle.
    task.references = 2;
    task.begin = begin;
    const frame = task.frame();
    frame.* = std.mem.zeroes(traps.Frame);
    frame.cs = cpu.selector_user_code;
    frame.ss = cpu.selector_user_data;
    frame.rflags = 0x202;
    // What context_switch pops: six registers, then the return address.
    const stack: [*]u64 = @ptrFromInt(@intFromPtr(frame) - 7 * 8);
    @memset(stack[0..6], 0);
    stack[6] = @intFromPtr(&task_first_run);
    task.saved_rsp = @intFromPtr(stack);
    task.all_next = first;
    if (first) |other| other.all_previous = task;
    first = task;
    alive += 1;
    return task;
}

export fn task_begin(frame: *traps.Frame) callconv(.c) void {
    lock.release();
    cpu.this().current.begin.?(frame);
    @import("../arch/dispatch.zig").returnToUser(frame);
}

/// Undoes `create` before the task ever ran. The lock is held.
pub fn abandon(task: *Task) void {
    unlink(task);
    unmapStack(task.kernel_stack_top - limits.kernel_stack_bytes, stack_frames);
    slots.unset(task.stack_slot);
    task.references = 1;
    dropReference(task);
}

/// Ends the current task; the first takes the VM with it. The lock is not held.
pub fn endCurrent(task: *Task, status: i32) noreturn {
    if (task == main) machine.shutDown(status, .returned, "the first task ended");
    lock.acquire();
    task.exit_status = status;
    if (task.detached) {
        handles.close(task.handle, .task) catch unreachable;
        task.references -= 1;
    }
    task.source.update(.{ .readable = true });
    while (task.joiners.first) |joiner| _ = scheduler.wake(joiner, .woken);
    retire(task);
    scheduler.endCurrent();
}

fn unlink(task: *Task) void {
    if (task.all_previous) |previous| previous.all_next = task.all_next else first = task.all_next;
    if (task.all_next) |next| next.all_previous = task.all_previous;
    task.all_previous = null;
    task.all_next = null;
}

/// Moves a task that is about to end out of the list of the living.
pub fn retire(task: *Task) void {
    std.debug.assert(lock.isHeld());
    unlink(task);
    task.all_next = ended;
    ended = task;
}

/// CPUs that are giving memory of ended tasks back.
var reapers: u32 = 0;

/// Longest that `settle` waits, as others may end tasks all the time, and between two looks.
const settle_ns = 1_000_000_000;
const settle_look_ns = 100_000;

/// Returns when what had ended before the call is given back, so that counts are exact.
pub fn settle() void {
    const start_ns = clock.nowNs();
    while (clock.nowNs() - start_ns < settle_ns) {
        if (hasEnded()) reap();
        if (@atomicLoad(u32, &reapers, .acquire) == 0 and !hasEnded()) return;
        lock.acquire();
        _ = scheduler.block(clock.nowNs() + settle_look_ns, false);
        lock.release();
    }
}

/// Gives back the kernel stacks of ended tasks, and their pages where nobody refers to them. The lock is not held.
pub fn reap() void {
    lock.acquire();
    var list = ended;
    ended = null;
    if (list == null) return lock.release();
    reapers += 1;
    defer _ = @atomicRmw(u32, &reapers, .Sub, 1, .release);
    // The one that just ended may be this very CPU's previous task; the lock was held until it was off its stack.
    var pending: frames.Pending = .{};
    var at = list;
    while (at) |task| : (at = task.all_next) {
        const bottom = task.kernel_stack_top - limits.kernel_stack_bytes;
        for (0..stack_frames) |index| {
            const leaf = paging.find(bottom + index * limits.page_bytes).?;
            pending.add(paging.frameOf(leaf.*));
            leaf.* = 0;
        }
    }
    lock.release();
    smp.flushEverywhere();
    lock.acquire();
    pending.releaseAll();
    while (list) |task| {
        list = task.all_next;
        task.all_next = null;
        slots.unset(task.stack_slot);
        dropReference(task);
    }
    lock.release();
}

/// Between two sleeps of an idle CPU.
pub fn reapEnded() void {
    if (hasEnded()) reap();
}

pub fn hasEnded() bool {
    return @atomicLoad(?*Task, &ended, .monotonic) != null;
}

pub fn dropReference(task: *Task) void {
    std.debug.assert(lock.isHeld());
    task.references -= 1;
    if (task.references == 0) {
        alive -= 1;
        if (task.account) |account| account.release();
        if (task.charged_to) |payer| payer.credit(task_bytes);
        for (cpu.all[0..cpu.count]) |state| {
            if (state.fpu_owner == task) state.fpu_owner = null;
        }
        frames.release(@intCast((@intFromPtr(task) - layout.direct_base) >> 12));
    }
}
