//! Message channels: two ends, a bounded queue of messages to each. A message is taken whole and once, in the order of sending. The kernel lock
//! protects channels; a channel lives until both ends are closed and no call is under way on it.
const std = @import("std");
const abi = @import("abi");
const x86 = @import("../arch/x86.zig");
const clock = @import("../arch/clock.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const user_copy = @import("../arch/user_copy.zig");
const Pool = @import("../mem/pool.zig").Pool;
const handles = @import("handles.zig");
const message_module = @import("message.zig");
const Message = message_module.Message;
const Source = @import("poll.zig").Source;
const WaitQueue = @import("task.zig").WaitQueue;
const Failure = abi.Failure;

const End = struct {
    channel: *Channel,
    other: *End,
    is_open: bool = true,
    /// What the other end has sent.
    incoming: message_module.Queue = .{},
    readers: WaitQueue = .{},
    /// Who waits for room in the other end's queue.
    writers: WaitQueue = .{},
    source: Source = .{},

    fn hasRoom(end: *const End) bool {
        return end.incoming.count < end.channel.messages_max;
    }

    fn publish(end: *End) void {
        end.source.update(.{
            .readable = end.incoming.count > 0,
            .writable = end.other.is_open and end.other.hasRoom(),
            .closed = !end.other.is_open,
        });
    }

    /// The queue of an end has changed: both ends' readiness may have.
    fn changed(end: *End) void {
        end.publish();
        end.other.publish();
    }
};

const Channel = struct {
    messages_max: u32,
    message_bytes_max: u32,
    /// The open ends, and every call under way.
    references: u32 = 2,
    ends: [2]End = undefined,

    fn release(channel: *Channel) void {
        std.debug.assert(lock.isHeld() and channel.references > 0);
        channel.references -= 1;
        if (channel.references > 0) return;
        for (&channel.ends) |*end| std.debug.assert(!end.is_open and end.incoming.count == 0);
        pool.destroy(channel);
    }
};

var pool: Pool(Channel) = .{};

comptime {
    // Two handles pay for it.
    std.debug.assert(@sizeOf(Channel) <= 2 * limits.handle_charge_bytes);
}

pub fn create(messages_max: u32, message_bytes_max: u32) Failure![2]u64 {
    lock.acquire();
    defer lock.release();
    const channel = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(channel);
    channel.* = .{ .messages_max = messages_max, .message_bytes_max = message_bytes_max };
    for (&channel.ends, 0..) |*end, index| end.* = .{ .channel = channel, .other = &channel.ends[1 - index] };
    const left = try handles.openPollable(.ipc, &channel.ends[0], &channel.ends[0].source);
    errdefer handles.close(left, .ipc) catch unreachable;
    const right = try handles.openPollable(.ipc, &channel.ends[1], &channel.ends[1].source);
    channel.ends[0].changed();
    return .{ left, right };
}

/// The end behind a handle; it stays until `release` of its channel. The lock is held.
fn hold(handle: u64) Failure!*End {
    const end = try handles.get(End, handle, .ipc);
    end.channel.references += 1;
    return end;
}

fn wakeOne(queue: *WaitQueue) void {
    if (queue.first) |task| _ = scheduler.wake(task, .woken);
}

fn wakeAll(queue: *WaitQueue) void {
    while (queue.first) |task| {
        if (!scheduler.wake(task, .closed)) break;
    }
}

pub fn send(handle: u64, address: u64, bytes: u64, deadline_ns: u64) Failure!void {
    lock.acquire();
    const end = hold(handle) catch |failure| {
        lock.release();
        return failure;
    };
    defer lock.release();
    defer end.channel.release();
    if (bytes > end.channel.message_bytes_max) return error.TooLong;
    if (!end.other.is_open) return error.PeerClosed;
    const message = try Message.create(@intCast(bytes));
    errdefer message.destroy();
    lock.release();
    const copied = message.fill(address);
    lock.acquire();
    try copied;
    try awaitRoom(end, deadline_ns);
    end.other.incoming.append(message);
    end.other.changed();
    wakeOne(&end.other.readers);
}

fn awaitRoom(end: *End, deadline_ns: u64) Failure!void {
    if (end.is_open and end.other.is_open and !end.other.hasRoom() and deadline_ns <= clock.nowNs()) return error.QueueFull;
    while (true) {
        if (!end.is_open) return error.BadHandle;
        if (!end.other.is_open) return error.PeerClosed;
        if (end.other.hasRoom()) return;
        end.writers.append(scheduler.current());
        switch (scheduler.block(deadline_ns, true)) {
            .timeout => return error.TimedOut,
            .interrupted => return error.Interrupted,
            else => {},
        }
    }
}

/// Receives into user memory; `length_address` gets the message's size, also of one that is too long for the buffer and stays.
pub fn receive(handle: u64, address: u64, capacity: u64, deadline_ns: u64, length_address: u64) Failure!void {
    lock.acquire();
    const end = hold(handle) catch |failure| {
        lock.release();
        return failure;
    };
    defer lock.release();
    defer end.channel.release();
    try awaitMessage(end, deadline_ns);
    const first = end.incoming.first.?;
    const bytes = first.bytes;
    if (bytes > capacity) {
        // It was perhaps another reader that this one was woken in place of.
        wakeOne(&end.readers);
        lock.release();
        defer lock.acquire();
        try user_copy.writeValue(u64, length_address, bytes);
        return error.TooSmall;
    }
    const message = end.incoming.take().?;
    end.changed();
    lock.release();
    const copied = deliver(message, address, length_address);
    lock.acquire();
    copied catch |failure| {
        // Nobody loses it by this reader's fault.
        if (!end.is_open) {
            message.destroy();
            return failure;
        }
        end.incoming.putBack(message);
        end.changed();
        wakeOne(&end.readers);
        return failure;
    };
    message.destroy();
    wakeOne(&end.other.writers);
}

fn deliver(message: *Message, address: u64, length_address: u64) Failure!void {
    try message.copyOut(address);
    try user_copy.writeValue(u64, length_address, message.bytes);
}

fn awaitMessage(end: *End, deadline_ns: u64) Failure!void {
    if (end.is_open and end.other.is_open and end.incoming.first == null and deadline_ns <= clock.nowNs()) return error.NothingReady;
    while (true) {
        if (!end.is_open) return error.BadHandle;
        if (end.incoming.first != null) return;
        if (!end.other.is_open) return error.PeerClosed;
        end.readers.append(scheduler.current());
        switch (scheduler.block(deadline_ns, true)) {
            .timeout => if (end.incoming.first == null) return error.TimedOut,
            .interrupted => return error.Interrupted,
            else => {},
        }
    }
}

pub fn close(handle: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const end = try handles.get(End, handle, .ipc);
    handles.close(handle, .ipc) catch unreachable;
    end.is_open = false;
    end.other.publish();
    for ([_]*WaitQueue{ &end.readers, &end.writers, &end.other.readers, &end.other.writers }) |queue| wakeAll(queue);
    // Nobody receives these any more, and nobody adds to them.
    var count: u32 = 0;
    while (end.incoming.take()) |message| {
        message.destroy();
        count += 1;
        if (count % limits.messages_per_lock_hold != 0) continue;
        lock.release();
        x86.interruptWindow();
        scheduler.preempt();
        lock.acquire();
    }
    end.channel.release();
}
