//! Which task runs where. One queue for all CPUs, ordered by weighted run time: the task that has had least of its
//! share runs next, so every priority runs, in proportion to its weight. All under the kernel lock.
//!
//! A task that blocks or is preempted switches straight to the next; a CPU without work runs its idle task.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const cpu = @import("../arch/cpu.zig");
const smp = @import("../arch/smp.zig");
const lapic = @import("../arch/lapic.zig");
const clock = @import("../arch/clock.zig");
const vectors = @import("../arch/vectors.zig");
const lock = @import("lock.zig");
const Heap = @import("heap.zig").Heap;
const timer_module = @import("timer.zig");
pub const Timer = timer_module.Timer;
const task_object = @import("../object/task.zig");
const tasks = @import("../object/tasks.zig");
const limits = @import("../limits.zig");
const Task = task_object.Task;
const WakeReason = task_object.WakeReason;

var ready: Heap(Task, "run_links", Task.runsBefore) = .{};
var timers: [limits.cpus_max]timer_module.Heap = @splat(.{});
/// Weighted run time that every task that wants to run has had at least; it never falls.
var virtual_floor_ns: u64 = 0;

/// Where the last accounting of each CPU and the queue leave the floor. The task that just stops counts still, so that it stands
/// where the last one stopped when nobody wants to run.
fn raiseFloor(now_ns: u64) void {
    var least_ns: u64 = if (ready.min()) |task| task.virtual_ns else forever;
    for (cpu.all[0..cpu.count]) |state| {
        if (!state.online.load(.acquire) or state.current.is_idle) continue;
        least_ns = @min(least_ns, state.current.virtual_ns + sinceNs(state.current, now_ns));
    }
    if (least_ns != forever) virtual_floor_ns = @max(virtual_floor_ns, least_ns);
}

/// Into the queue, as one that owes the others one slice of its own at most: what it ran while a CPU was free, or what the host took
/// from it, is no debt. limits.latenessMaxNs follows from this.
fn enqueue(task: *Task, now_ns: u64) void {
    task.state = .ready;
    task.ready_since_ns = now_ns;
    task.virtual_ns = @min(task.virtual_ns, virtual_floor_ns + limits.weighted(task.sliceNs(), task.weight()));
    ready.insert(task);
}

extern fn context_switch(save_rsp: *u64, load_rsp: u64) callconv(.c) void;

pub inline fn current() *Task {
    return cpu.this().current;
}

/// Makes a task that waits for nothing runnable for the first time or again.
pub fn makeReady(task: *Task) void {
    std.debug.assert(lock.isHeld());
    std.debug.assert(task.state == .blocked);
    const now_ns = clock.nowNs();
    raiseFloor(now_ns);
    // Who slept gets ahead of who ran, by at most one slice: a sleeper can not save up time.
    task.virtual_ns = @max(task.virtual_ns, virtual_floor_ns -| limits.slice_latency_ns);
    enqueue(task, now_ns);
    chooseCpu(task, now_ns);
}

fn chooseCpu(task: *Task, now_ns: u64) void {
    if (!cpu.areSeveral()) {
        cpu.this().reschedule.store(true, .monotonic);
        return;
    }
    const last = cpu.all[task.cpu];
    if (last.online.load(.acquire) and last.current.is_idle and !last.reschedule.load(.monotonic)) return smp.kick(last);
    var victim: ?*cpu.PerCpu = null;
    var most: u64 = 0;
    for (cpu.all[0..cpu.count]) |candidate| {
        if (!candidate.online.load(.acquire)) continue;
        if (candidate.reschedule.load(.monotonic)) continue;
        if (candidate.current.is_idle) return smp.kick(candidate);
        const ran_ns = candidate.current.virtual_ns + sinceNs(candidate.current, now_ns);
        if (ran_ns >= most) {
            most = ran_ns;
            victim = candidate;
        }
    }
    const chosen = victim orelse return;
    const preempts = task.mode == .latency and chosen.current.mode == .latency and task.virtual_ns < most;
    // Otherwise it only has to know that somebody waits for the end of its slice.
    if (preempts or chosen.slice_end_ns == 0) smp.kick(chosen);
}

fn sinceNs(task: *const Task, now_ns: u64) u64 {
    return limits.weighted(now_ns -| task.run_since_ns, task.weight());
}

/// Ends a blocked task's wait. False if it did not wait.
pub fn wake(task: *Task, reason: WakeReason) bool {
    std.debug.assert(lock.isHeld());
    if (task.state != .blocked or task.wake_reason != .none) return false;
    cancelTimer(&task.timer);
    if (task.wait_queue) |queue| queue.remove(task);
    task.wake_reason = reason;
    makeReady(task);
    return true;
}

pub const forever: u64 = std.math.maxInt(u64);

/// Blocks the current task until `wake` or the deadline. The lock is held before and after, and free in between.
pub fn block(deadline_ns: u64, interruptible: bool) WakeReason {
    std.debug.assert(lock.isHeld());
    const me = cpu.this();
    const task = me.current;
    std.debug.assert(!task.is_idle);
    if (interruptible and (task.interrupt_pending.load(.acquire) or task.end_requested.load(.acquire))) {
        if (task.wait_queue) |queue| queue.remove(task);
        task.interrupt_pending.store(false, .release);
        return .interrupted;
    }
    if (deadline_ns <= clock.nowNs()) {
        if (task.wait_queue) |queue| queue.remove(task);
        return .timeout;
    }
    task.state = .blocked;
    task.wake_reason = .none;
    task.interruptible = interruptible;
    if (deadline_ns != forever) {
        task.timer.deadline_ns = deadline_ns;
        task.timer.cpu = me.index;
        timers[me.index].insert(&task.timer);
    }
    switchAway();
    task.interruptible = false;
    std.debug.assert(task.wake_reason != .none);
    const reason = task.wake_reason;
    // An interrupt that ended a wait is spent.
    if (reason == .interrupted) task.interrupt_pending.store(false, .release);
    return reason;
}

/// Gives the CPU to the next ready task, if there is one.
pub fn yield() void {
    lock.acquire();
    const task = current();
    account(task, clock.nowNs());
    // Behind everyone who waits with no more than one slice less.
    if (ready.min()) |next| task.virtual_ns = @max(task.virtual_ns, next.virtual_ns + 1);
    requeueAndSwitch(task);
    lock.release();
}

fn requeueAndSwitch(task: *Task) void {
    const next = ready.min() orelse return;
    const now_ns = clock.nowNs();
    raiseFloor(now_ns);
    enqueue(task, now_ns);
    shareQueue(next);
    switchAway();
}

/// A CPU whose task began its slice when nobody waited does not look at the queue. As long as somebody waits, each slice that ends
/// makes one more look: the one whose task is furthest ahead of who waits.
fn shareQueue(next: *const Task) void {
    if (!cpu.areSeveral()) return;
    const now_ns = clock.nowNs();
    var furthest: ?*cpu.PerCpu = null;
    var most_ns: u64 = next.virtual_ns;
    for (cpu.all[0..cpu.count]) |other| {
        if (other == cpu.this() or !other.online.load(.acquire) or other.reschedule.load(.monotonic)) continue;
        if (other.slice_end_ns != 0 or other.current.is_idle) continue;
        const ran_ns = other.current.virtual_ns + sinceNs(other.current, now_ns);
        if (ran_ns < most_ns) continue;
        most_ns = ran_ns;
        furthest = other;
    }
    if (furthest) |other| smp.kick(other);
}

/// The current task never runs again. Its memory is given back by whoever runs next (object/reaper).
pub fn endCurrent() noreturn {
    std.debug.assert(lock.isHeld());
    const task = current();
    task.state = .ended;
    switchAway();
    unreachable;
}

fn account(task: *Task, now_ns: u64) void {
    const ran_ns = now_ns -| task.run_since_ns;
    task.run_since_ns = now_ns;
    task.stats.cpu_ns += ran_ns;
    task.virtual_ns += limits.weighted(ran_ns, task.weight());
}

/// CPU time of a task until now.
pub fn cpuTimeNs(task: *const Task) u64 {
    const running_ns = if (task.state == .running) clock.nowNs() -| task.run_since_ns else 0;
    return task.stats.cpu_ns + running_ns;
}

fn switchAway() void {
    const me = cpu.this();
    const previous = me.current;
    const now_ns = clock.nowNs();
    // Who went back into the queue was accounted before: its place there depends on it.
    if (previous.state != .ready) {
        account(previous, now_ns);
        raiseFloor(now_ns);
    }
    me.reschedule.store(false, .monotonic);
    const next = ready.removeMin() orelse me.idle_task;
    if (next == previous) {
        next.state = .running;
        startSlice(me, next, now_ns);
        return;
    }
    if (previous.is_idle) me.idle_ns += now_ns -| me.idle_since_ns;
    if (next.is_idle) me.idle_since_ns = now_ns;
    previous.stats.switches += 1;
    next.state = .running;
    next.cpu = me.index;
    next.run_since_ns = now_ns;
    if (!next.is_idle) {
        const late_ns = now_ns -| next.ready_since_ns;
        next.stats.late_total_ns += late_ns;
        next.stats.late_max_ns = @max(next.stats.late_max_ns, late_ns);
    }
    startSlice(me, next, now_ns);
    if (!previous.is_idle and previous.state != .ended) vectors.save(previous);
    me.current = next;
    me.kernel_rsp = next.kernel_stack_top;
    me.task_state.rsp0 = next.kernel_stack_top;
    if (!next.is_idle) {
        vectors.load(next);
        x86.wrmsr(x86.Msr.fs_base, next.fs_base);
        x86.wrmsr(x86.Msr.kernel_gs_base, next.gs_base);
    }
    context_switch(&previous.saved_rsp, next.saved_rsp);
}

/// A slice ends only for somebody who waits.
fn startSlice(me: *cpu.PerCpu, task: *Task, now_ns: u64) void {
    me.slice_end_ns = 0;
    if (!task.is_idle and ready.min() != null) me.slice_end_ns = now_ns + task.sliceNs();
    armTimer(me, now_ns);
}

fn armTimer(me: *cpu.PerCpu, now_ns: u64) void {
    // Here and nowhere else: a timer that has fired and counts as armed would never be started again.
    if (me.timer_fired) {
        me.timer_fired = false;
        me.armed_ns = forever;
        me.current.stats.ticks += 1;
        // A long wait that ended by the timer measures the TSC better than the short one at start did.
        if (me.armed_ticks >= refine_ticks_min) clock.refine(me.armed_tsc, me.armed_ticks);
        if (soon) |function| if (soon_cpu == me.index) {
            soon = null;
            function();
        };
    }
    var wanted_ns: u64 = forever;
    if (timers[me.index].min()) |timer| wanted_ns = timer.deadline_ns;
    if (me.slice_end_ns != 0) wanted_ns = @min(wanted_ns, me.slice_end_ns);
    // An early interrupt does no harm, so a timer is only ever moved forward.
    if (wanted_ns >= me.armed_ns) return;
    startTimer(me, now_ns, wanted_ns -| now_ns);
}

fn startTimer(me: *cpu.PerCpu, now_ns: u64, delay_ns: u64) void {
    me.armed_ns = now_ns + delay_ns;
    me.armed_ticks = @intCast(std.math.clamp(delay_ns, 1, timer_delay_max_ns));
    me.armed_tsc = x86.rdtsc();
    lapic.startTimer(me.armed_ticks);
}

const timer_delay_max_ns: u64 = 4_000_000_000;
const refine_ticks_min: u32 = 200_000_000;

/// The timer interrupt, in whatever mode the CPU was: real work waits for `onReturnToUser` or the idle loop.
pub fn timerInterrupt() void {
    const me = cpu.this();
    me.timer_fired = true;
    me.reschedule.store(true, .monotonic);
}

/// Expired waits, then the choice who runs: called with the lock held at every preemption point where `reschedule` is set.
fn serve(me: *cpu.PerCpu) void {
    const now_ns = clock.nowNs();
    me.reschedule.store(false, .monotonic);
    // What is left makes the timer fire at once.
    for (0..limits.timers_per_lock_hold) |_| {
        const timer = timers[me.index].min() orelse break;
        if (timer.deadline_ns > now_ns) break;
        timers[me.index].remove(timer);
        timer.due(timer);
    }
}

/// Ends a task's wait at its deadline.
pub fn endWait(timer: *Timer) void {
    const task: *Task = @alignCast(@fieldParentPtr("timer", timer));
    _ = wake(task, .timeout);
}

/// Has `timer.due` called at the deadline; one that is set already is moved. The lock is held.
pub fn setTimer(timer: *Timer, deadline_ns: u64) void {
    std.debug.assert(lock.isHeld());
    cancelTimer(timer);
    if (deadline_ns == forever) return;
    const me = cpu.this();
    timer.deadline_ns = deadline_ns;
    timer.cpu = me.index;
    timers[me.index].insert(timer);
    armTimer(me, clock.nowNs());
}

pub fn cancelTimer(timer: *Timer) void {
    std.debug.assert(lock.isHeld());
    if (timer.isSet()) timers[timer.cpu].remove(timer);
}

/// On the way back to user mode, or at a preemption point inside the kernel. The lock is not held.
pub fn preempt() void {
    const me = cpu.this();
    if (!me.reschedule.load(.monotonic)) return;
    lock.acquire();
    serve(me);
    const now_ns = clock.nowNs();
    const task = me.current;
    account(task, now_ns);
    if (ready.min()) |next| {
        const slice_over = me.slice_end_ns != 0 and now_ns >= me.slice_end_ns;
        const overtaken = next.virtual_ns < task.virtual_ns and next.mode == .latency and task.mode == .latency and
            task.virtual_ns - next.virtual_ns > preemption_margin_ns;
        if (slice_over or overtaken) {
            requeueAndSwitch(task);
        } else {
            if (me.slice_end_ns == 0) me.slice_end_ns = now_ns + task.sliceNs();
            armTimer(me, now_ns);
        }
    } else {
        me.slice_end_ns = 0;
        armTimer(me, now_ns);
    }
    // It may have moved to another CPU meanwhile.
    lock.release();
}

/// A woken task must be this far behind to interrupt another, or two equals would switch at every wake-up.
const preemption_margin_ns: u64 = 50_000;

/// Called once, under the lock, when the timer of one CPU fires.
var soon: ?*const fn () void = null;
var soon_cpu: u32 = 0;
const soon_ns: u64 = 1_000_000;

/// Lets something that would only delay the workload's start be done a moment after it.
pub fn callSoon(function: *const fn () void) void {
    const me = cpu.this();
    soon_cpu = me.index;
    soon = function;
    startTimer(me, clock.nowNs(), soon_ns);
}

/// The boot CPU's first task runs at once, on its own stack. The lock is held.
pub fn startFirst(task: *Task) noreturn {
    std.debug.assert(lock.isHeld());
    const me = cpu.this();
    task.state = .running;
    me.current = task;
    me.kernel_rsp = task.kernel_stack_top;
    me.task_state.rsp0 = task.kernel_stack_top;
    vectors.load(task);
    var nowhere: u64 = undefined;
    context_switch(&nowhere, task.saved_rsp);
    unreachable;
}

/// What the boot CPU's idle task does first: whoever switched to it held the lock.
pub fn idleBegin() callconv(.c) noreturn {
    cpu.this().idle.store(true, .seq_cst);
    lock.release();
    idleLoop(tasks.reapEnded);
}

/// The life of a CPU that has nothing to run. Entered once, as its idle task.
pub fn idleLoop(between: *const fn () void) noreturn {
    const me = cpu.this();
    me.idle_since_ns = clock.nowNs();
    while (true) {
        lock.acquire();
        serve(me);
        if (ready.min() != null) {
            smp.leaveIdle();
            switchAway();
            me.idle.store(true, .seq_cst);
            lock.release();
            continue;
        }
        armTimer(me, clock.nowNs());
        lock.release();
        between();
        if (!me.reschedule.load(.monotonic)) x86.waitForInterrupt();
    }
}
