//! A task: one thread of the workload. It owns its page (this struct and its vector state) and its kernel stack; the
//! kernel lock protects the fields unless a comment says otherwise.
const std = @import("std");
const heap = @import("../sched/heap.zig");
const scheduler = @import("../sched/scheduler.zig");
const Timer = scheduler.Timer;
const cpu = @import("../arch/cpu.zig");
const traps = @import("../arch/traps.zig");
const limits = @import("../limits.zig");
const Source = @import("poll.zig").Source;
const Account = @import("account.zig").Account;

pub const State = enum(u8) { ready, running, blocked, ended };

/// Why a blocked task goes on.
pub const WakeReason = enum(u8) { none, woken, timeout, interrupted, closed };

pub const Mode = enum(u8) { latency, throughput };

pub const priority_count: u32 = limits.weights.len;
pub const priority_normal: u32 = 8;

/// User code that the kernel enters on a stack of its own.
pub const Handler = struct {
    entry: u64 = 0,
    stack: u64 = 0,
    stack_bytes: u64 = 0,
    /// It never touches vector registers, so its frame need not hold them.
    keep_vector: bool = false,

    pub fn holds(handler: *const Handler, stack_pointer: u64) bool {
        return handler.entry != 0 and stack_pointer > handler.stack and stack_pointer <= handler.stack + handler.stack_bytes;
    }
};

pub const Stats = struct {
    cpu_ns: u64 = 0,
    ticks: u64 = 0,
    switches: u64 = 0,
    late_total_ns: u64 = 0,
    late_max_ns: u64 = 0,
};

pub const Task = struct {
    kernel_stack_top: u64 = 0,
    begin: ?*const fn (frame: *traps.Frame) void = null,
    saved_rsp: u64 = 0,
    stack_slot: u32 = 0,
    /// Unique over the machine's life, from 1; 0 is the kernel.
    id: u32 = 0,
    references: u32 = 1,
    state: State = .blocked,
    is_idle: bool = false,
    /// Runs or ran on this CPU.
    cpu: u32 = 0,

    mode: Mode = .latency,
    priority: u32 = priority_normal,
    virtual_ns: u64 = 0,
    run_since_ns: u64 = 0,
    ready_since_ns: u64 = 0,
    run_links: heap.Links = .{},
    stats: Stats = .{},

    timer: Timer = .{ .due = &scheduler.endWait },

    wake_reason: WakeReason = .none,
    /// A wait that `task_interrupt` may end.
    interruptible: bool = false,
    /// Queue this task waits in, and its neighbours there.
    wait_queue: ?*WaitQueue = null,
    wait_next: ?*Task = null,
    wait_previous: ?*Task = null,
    wait_address: u64 = 0,

    /// The CPU whose registers were last loaded for this task.
    vector_cpu: u32 = std.math.maxInt(u32),
    fs_base: u64 = 0,
    gs_base: u64 = 0,
    foreign_handler: Handler = .{},
    /// Of faults and interrupts.
    fault_handler: Handler = .{},
    /// Set by others; looked at on each return to user mode.
    interrupt_pending: std.atomic.Value(bool) = .init(false),
    end_requested: std.atomic.Value(bool) = .init(false),

    /// Rights by capability kind: what it may acquire, the capabilities in its active set, and theirs.
    may_acquire: [8]u32 = .{0} ** 8,
    active: [8]u64 = .{0} ** 8,
    active_rights: [8]u32 = .{0} ** 8,
    capability_epoch: u32 = 0,
    handle: u64 = 0,
    /// What it makes is charged here; what it is itself, to who spawned it.
    account: ?*Account = null,
    charged_to: ?*Account = null,
    /// Its registers were set from outside while it stood in a call, whose result is lost.
    context_replaced: bool = false,
    /// task_resume went on with a frame that was made inside a handler.
    stays_in_handler: bool = false,
    /// Its end frees it; nobody joins it.
    detached: bool = false,
    joined: bool = false,
    last_detail: u32 = 0,
    /// The last user copy failed because no memory was left for a page.
    copy_out_of_memory: bool = false,
    exit_status: i32 = 0,
    joiners: WaitQueue = .{},
    /// Readable once it has ended.
    source: Source = .{},
    /// Entry of the all-tasks list.
    all_next: ?*Task = null,
    all_previous: ?*Task = null,

    vector_state: [cpu.vector_bytes_max]u8 align(64) = undefined,

    pub fn weight(task: *const Task) u64 {
        return limits.weights[task.priority];
    }

    pub fn sliceNs(task: *const Task) u64 {
        return switch (task.mode) {
            .latency => limits.slice_latency_ns,
            .throughput => limits.slice_throughput_ns,
        };
    }

    /// The frame of the task's last entry from user mode.
    pub fn frame(task: *const Task) *traps.Frame {
        return @ptrFromInt(task.kernel_stack_top - @sizeOf(traps.Frame));
    }

    pub fn runsBefore(a: *const Task, b: *const Task) bool {
        return a.virtual_ns < b.virtual_ns;
    }
};

comptime {
    std.debug.assert(@sizeOf(Task) <= limits.page_bytes);
}

/// Tasks in order of arrival.
pub const WaitQueue = struct {
    first: ?*Task = null,
    last: ?*Task = null,

    pub fn append(queue: *WaitQueue, task: *Task) void {
        std.debug.assert(task.wait_queue == null);
        task.wait_queue = queue;
        task.wait_previous = queue.last;
        task.wait_next = null;
        if (queue.last) |last| last.wait_next = task else queue.first = task;
        queue.last = task;
    }

    pub fn remove(queue: *WaitQueue, task: *Task) void {
        std.debug.assert(task.wait_queue == queue);
        if (task.wait_previous) |previous| previous.wait_next = task.wait_next else queue.first = task.wait_next;
        if (task.wait_next) |next| next.wait_previous = task.wait_previous else queue.last = task.wait_previous;
        task.wait_queue = null;
        task.wait_next = null;
        task.wait_previous = null;
    }
};
