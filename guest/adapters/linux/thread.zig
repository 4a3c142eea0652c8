//! A thread of the workload: what the adapter keeps of it, found through GS, and the stack its calls are served on.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const limits = @import("posix").limits;

pub const State = enum(u32) { free, starting, running, ended };

pub const SignalStack = extern struct { address: u64 = 0, flags: u32 = 2, pad: u32 = 0, bytes: u64 = 0 };

pub const Thread = extern struct {
    /// GS points here: must stay the first field.
    self: *Thread,
    /// 1 while the task may still touch its handler stack; the kernel clears it when the task is gone.
    busy: u32 = 0,
    state: State = .free,
    tid: i32 = 0,
    slot: u32 = 0,
    task: u64 = 0,
    stack: u64 = 0,
    /// Word that is cleared and woken when the thread ends; 0 for none.
    clear_tid: u64 = 0,
    /// Bit n - 1 stands for signal n.
    mask: u64 = 0,
    pending: u64 = 0,
    /// The mask that a call has replaced while it waits.
    saved_mask: u64 = 0,
    has_saved_mask: bool = false,
    signal_stack: SignalStack = .{},
    /// Where a new thread begins.
    start: abi.TaskFrame = .{},
    name: [16]u8 = @splat(0),

    pub fn current() *Thread {
        return asm ("movq %%gs:0, %[self]"
            : [self] "=r" (-> *Thread),
        );
    }

    pub fn stackTop(thread: *const Thread) u64 {
        return thread.stack + limits.handler_stack_bytes;
    }
};

var threads: [limits.threads_max]Thread = undefined;
/// Slots below this have been used.
var used_count: u32 = 0;
var stacks: u64 = 0;
var lock: uk.Lock = .{};
var last_tid: i32 = 0;
var living: u32 = 0;
/// CPU time of threads that have ended.
pub var ended_cpu_ns: u64 = 0;

/// Process and main thread share the number.
pub const process_id: i32 = 1;

const stack_stride = limits.handler_stack_bytes + abi.page_bytes;

pub fn reserveStacks() abi.Failure!void {
    try uk.calls.check(uk.calls.mem_alloc(stack_stride * limits.threads_max, .{}, &stacks));
}

/// A slot with a stack, in state starting; null when all are in use.
pub fn create() ?*Thread {
    lock.acquire();
    defer lock.release();
    const slot = for (0..used_count) |index| {
        const each = &threads[index];
        if (each.state == .free or (each.state == .ended and @atomicLoad(u32, &each.busy, .acquire) == 0)) break index;
    } else blk: {
        if (used_count == limits.threads_max) return null;
        const bottom = stacks + used_count * stack_stride + abi.page_bytes;
        if (uk.calls.mem_protect(bottom, limits.handler_stack_bytes, .{ .read = true, .write = true }) != .ok) return null;
        used_count += 1;
        break :blk used_count - 1;
    };
    const thread = &threads[slot];
    last_tid = if (last_tid == std.math.maxInt(i32)) 2 else last_tid + 1;
    thread.* = .{
        .self = thread,
        .busy = 1,
        .state = .starting,
        .tid = last_tid,
        .slot = @intCast(slot),
        .stack = stacks + slot * stack_stride + abi.page_bytes,
    };
    living += 1;
    return thread;
}

/// Undoes `create` when no task came of it.
pub fn abandon(thread: *Thread) void {
    lock.acquire();
    defer lock.release();
    thread.state = .free;
    thread.busy = 0;
    living -= 1;
}

/// The thread takes part no more; true when it was the last.
pub fn end(thread: *Thread) bool {
    lock.acquire();
    defer lock.release();
    thread.state = .ended;
    living -= 1;
    return living == 0;
}

pub fn find(tid: i32) ?*Thread {
    lock.acquire();
    defer lock.release();
    for (threads[0..used_count]) |*each| {
        if (each.tid == tid and (each.state == .running or each.state == .starting)) return each;
    }
    return null;
}

pub fn count() u32 {
    return living;
}

/// Calls with each living thread until the callback says stop; the list cannot change meanwhile.
pub fn forEach(context: anytype, comptime visit: fn (@TypeOf(context), *Thread) bool) void {
    lock.acquire();
    defer lock.release();
    for (threads[0..used_count]) |*each| {
        if (each.state == .running and !visit(context, each)) return;
    }
}
