//! Event counters and timers as descriptors.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");
const user = @import("user.zig");
const wait = @import("wait.zig");
const Ready = @import("open.zig").Ready;
const Error = @import("errno.zig").Error;

pub const Event = struct {
    used: bool = false,
    lock: uk.Lock = .{},
    value: u64 = 0,
    semaphore: bool = false,
    activity: u32 = 0,

    pub fn read(event: *Event, address: u64, bytes: u64, non_block: bool) Error!u64 {
        if (bytes < 8) return error.EINVAL;
        while (true) {
            const seen = wait.change();
            event.lock.acquire();
            if (event.value > 0) {
                const taken = if (event.semaphore) 1 else event.value;
                event.value -= taken;
                event.activity +%= 1;
                event.lock.release();
                wait.changed();
                try user.put(u64, address, taken);
                return 8;
            }
            event.lock.release();
            if (non_block) return error.EAGAIN;
            if (wait.forChange(seen, wait.never_ns) == .interrupted) return error.EINTR;
        }
    }

    pub fn write(event: *Event, address: u64, bytes: u64, non_block: bool) Error!u64 {
        if (bytes < 8) return error.EINVAL;
        const added = try user.get(u64, address);
        if (added == std.math.maxInt(u64)) return error.EINVAL;
        while (true) {
            const seen = wait.change();
            event.lock.acquire();
            if (added < std.math.maxInt(u64) - event.value) {
                event.value += added;
                event.activity +%= 1;
                event.lock.release();
                wait.changed();
                return 8;
            }
            event.lock.release();
            if (non_block) return error.EAGAIN;
            if (wait.forChange(seen, wait.never_ns) == .interrupted) return error.EINTR;
        }
    }

    pub fn ready(event: *Event) u32 {
        event.lock.acquire();
        defer event.lock.release();
        return (if (event.value > 0) Ready.in else 0) | (if (event.value < std.math.maxInt(u64) - 1) Ready.out else 0);
    }

    pub fn close(event: *Event) void {
        @atomicStore(bool, &event.used, false, .release);
    }
};

pub const Timer = struct {
    used: bool = false,
    lock: uk.Lock = .{},
    /// Of the kernel's clock; 0 while disarmed.
    next_ns: u64 = 0,
    interval_ns: u64 = 0,
    /// Absolute times that set it are wall time.
    is_wall: bool = false,
    activity: u32 = 0,

    /// Expirations until now that nobody has read, taken off.
    fn take(timer: *Timer, now_ns: u64) u64 {
        if (timer.next_ns == 0 or now_ns < timer.next_ns) return 0;
        if (timer.interval_ns == 0) {
            timer.next_ns = 0;
            return 1;
        }
        const times = (now_ns - timer.next_ns) / timer.interval_ns + 1;
        timer.next_ns +|= times *| timer.interval_ns;
        return times;
    }

    pub fn read(timer: *Timer, address: u64, bytes: u64, non_block: bool) Error!u64 {
        if (bytes < 8) return error.EINVAL;
        while (true) {
            const seen = wait.change();
            timer.lock.acquire();
            const times = timer.take(uk.calls.time_now());
            if (times > 0) timer.activity +%= 1;
            const next_ns = timer.next_ns;
            timer.lock.release();
            if (times > 0) {
                try user.put(u64, address, times);
                return 8;
            }
            if (non_block) return error.EAGAIN;
            if (wait.forChange(seen, if (next_ns == 0) wait.never_ns else next_ns) == .interrupted) return error.EINTR;
        }
    }

    pub const Setting = struct { next_ns: u64, interval_ns: u64 };

    /// What is set now: the time until it next expires.
    pub fn setting(timer: *Timer) Setting {
        timer.lock.acquire();
        defer timer.lock.release();
        const now_ns = uk.calls.time_now();
        if (timer.next_ns == 0) return .{ .next_ns = 0, .interval_ns = timer.interval_ns };
        return .{ .next_ns = @max(timer.next_ns -| now_ns, 1), .interval_ns = timer.interval_ns };
    }

    pub fn set(timer: *Timer, new: Setting) void {
        timer.lock.acquire();
        timer.next_ns = new.next_ns;
        timer.interval_ns = new.interval_ns;
        timer.activity +%= 1;
        timer.lock.release();
        wait.changed();
    }

    fn isDue(timer: *Timer) bool {
        timer.lock.acquire();
        defer timer.lock.release();
        return timer.next_ns != 0 and uk.calls.time_now() >= timer.next_ns;
    }

    pub fn ready(timer: *Timer) u32 {
        return if (timer.isDue()) Ready.in else 0;
    }

    /// Falling due is a change too.
    pub fn activityNow(timer: *Timer) u32 {
        return timer.activity *% 2 +% @intFromBool(timer.isDue());
    }

    pub fn nextNs(timer: *Timer) u64 {
        timer.lock.acquire();
        defer timer.lock.release();
        return if (timer.next_ns == 0) wait.never_ns else timer.next_ns;
    }

    pub fn close(timer: *Timer) void {
        @atomicStore(bool, &timer.used, false, .release);
    }
};

var events: [limits.events_max]Event = @splat(.{});
var timers: [limits.timers_max]Timer = @splat(.{});
var pool_lock: uk.Lock = .{};

pub fn create(value: u64, semaphore: bool) Error!*Event {
    pool_lock.acquire();
    defer pool_lock.release();
    for (&events) |*each| if (!@atomicLoad(bool, &each.used, .acquire)) {
        each.* = .{ .used = true, .value = value, .semaphore = semaphore };
        return each;
    };
    return error.ENFILE;
}

pub fn createTimer() Error!*Timer {
    pool_lock.acquire();
    defer pool_lock.release();
    for (&timers) |*each| if (!@atomicLoad(bool, &each.used, .acquire)) {
        each.* = .{ .used = true };
        return each;
    };
    return error.ENFILE;
}
