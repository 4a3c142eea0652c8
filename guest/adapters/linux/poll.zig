//! poll, select, epoll, event counters and timers.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const signals = @import("signals.zig");
const time = @import("time.zig");
const limits = posix.limits;
const user = posix.user;
const wait = posix.wait;
const open_file = posix.open;
const epoll = posix.epoll;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const invalid: u32 = 0x20;
const Entry = extern struct { number: i32, wanted: u16, ready: u16 };

fn deadlineOfMilliseconds(value: i32) u64 {
    if (value < 0) return wait.never_ns;
    return uk.calls.time_now() +| @as(u64, @intCast(value)) * std.time.ns_per_ms;
}

/// The deadline of a struct timespec; 0 for none.
fn deadlineAt(address: u64) Error!u64 {
    if (address == 0) return wait.never_ns;
    return uk.calls.time_now() +| try time.durationAt(address);
}

/// What of `wanted` is so, and in `first_ns` when that may change by itself.
fn look(number: i32, wanted: u32, first_ns: *u64) u32 {
    const open = open_file.get(number) catch return invalid;
    defer open.release();
    const now = open.ready() & (wanted | epoll.Flags.always);
    if (now == 0) {
        open.expect(wanted);
        first_ns.* = @min(first_ns.*, open.deadlineNs());
    }
    return now;
}

fn pollUntil(address: u64, count: u64, deadline_ns: u64) Error!u64 {
    if (count > limits.poll_entries_max) return error.EINVAL;
    while (true) {
        const seen = wait.change();
        var first_ns = deadline_ns;
        var ready: u64 = 0;
        for (0..@intCast(count)) |index| {
            const at = address +% index * @sizeOf(Entry);
            var entry = try user.get(Entry, at);
            entry.ready = if (entry.number < 0) 0 else @truncate(look(entry.number, entry.wanted, &first_ns));
            if (entry.ready != 0) ready += 1;
            try user.put(u16, at + @offsetOf(Entry, "ready"), entry.ready);
        }
        if (ready > 0 or uk.calls.time_now() >= deadline_ns) return ready;
        if (wait.forChange(seen, first_ns) == .interrupted) return error.EINTR;
    }
}

pub fn poll(call: Call) Error!u64 {
    return pollUntil(call.arg(0), call.arg(1), deadlineOfMilliseconds(call.int(2)));
}

pub fn ppoll(call: Call) Error!u64 {
    const deadline_ns = try deadlineAt(call.arg(2));
    try signals.replaceMaskFrom(call.thread, call.arg(3), call.arg(4));
    return pollUntil(call.arg(0), call.arg(1), deadline_ns);
}

const sets_bytes_max = limits.descriptors_max / 8;

/// Three sets of bits: to read, to write, exceptions.
fn selectUntil(call: Call, deadline_ns: u64) Error!u64 {
    const count = call.int(0);
    if (count < 0 or count > limits.descriptors_max) return error.EINVAL;
    const bytes: usize = @intCast(@divTrunc(count + 63, 64) * 8);
    const addresses = [3]u64{ call.arg(1), call.arg(2), call.arg(3) };
    var wanted: [3][sets_bytes_max]u8 = @splat(@splat(0));
    for (addresses, &wanted) |address, *set| if (address != 0) try user.read(set[0..bytes], address);
    while (true) {
        const seen = wait.change();
        var first_ns = deadline_ns;
        var ready: [3][sets_bytes_max]u8 = @splat(@splat(0));
        var total: u64 = 0;
        for (0..@intCast(count)) |number| {
            const events = [3]u32{ open_file.Ready.in, open_file.Ready.out, 0 };
            for (0..3) |which| {
                const bit = @as(u8, 1) << @intCast(number % 8);
                if (wanted[which][number / 8] & bit == 0) continue;
                const now = look(@intCast(number), events[which], &first_ns);
                if (now == invalid) return error.EBADF;
                const counts = if (which == 0) now & (events[0] | open_file.Ready.hup | open_file.Ready.err) else now & events[which];
                if (counts == 0) continue;
                ready[which][number / 8] |= bit;
                total += 1;
            }
        }
        if (total > 0 or uk.calls.time_now() >= deadline_ns) {
            for (addresses, &ready) |address, *set| if (address != 0) try user.write(address, set[0..bytes]);
            return total;
        }
        if (wait.forChange(seen, first_ns) == .interrupted) return error.EINTR;
    }
}

pub fn select(call: Call) Error!u64 {
    const deadline_ns = if (call.arg(4) == 0) wait.never_ns else uk.calls.time_now() +| try time.durationOfTimeval(call.arg(4));
    return selectUntil(call, deadline_ns);
}

pub fn pselect6(call: Call) Error!u64 {
    const deadline_ns = try deadlineAt(call.arg(4));
    if (call.arg(5) != 0) {
        const mask = try user.get([2]u64, call.arg(5));
        try signals.replaceMaskFrom(call.thread, mask[0], mask[1]);
    }
    return selectUntil(call, deadline_ns);
}

fn install(object: open_file.Object, flags: u32, path: []const u8) Error!u64 {
    const open = try open_file.create(object, 2 | (flags & open_file.Status.non_block), path);
    return open_file.install(open, 0, flags & 0o2000000 != 0);
}

pub fn epoll_create(call: Call) Error!u64 {
    if (call.int(0) <= 0) return error.EINVAL;
    return install(.{ .epoll = try epoll.create() }, 0, "anon_inode:[eventpoll]");
}

pub fn epoll_create1(call: Call) Error!u64 {
    if (call.word(0) & ~@as(u32, 0o2000000) != 0) return error.EINVAL;
    return install(.{ .epoll = try epoll.create() }, call.word(0), "anon_inode:[eventpoll]");
}

fn setOf(number: i32) Error!*open_file.Open {
    const open = try open_file.get(number);
    if (open.object == .epoll) return open;
    open.release();
    return error.EINVAL;
}

pub fn epoll_ctl(call: Call) Error!u64 {
    const owner = try setOf(call.int(0));
    defer owner.release();
    const open = try open_file.get(call.int(2));
    defer open.release();
    if (open == owner) return error.EINVAL;
    switch (open.object) {
        // As on Linux, what is always ready cannot be waited for.
        .image, .memory, .text => return error.EPERM,
        else => {},
    }
    const set = owner.object.epoll;
    if (call.word(1) == 2) {
        try set.remove(call.int(2), open);
        return 0;
    }
    const wanted = try user.get(epoll.Report, call.arg(3));
    switch (call.word(1)) {
        1 => try set.add(call.int(2), open, wanted.events | epoll.Flags.always, wanted.data),
        3 => try set.change(call.int(2), open, wanted.events | epoll.Flags.always, wanted.data),
        else => return error.EINVAL,
    }
    return 0;
}

fn epollUntil(call: Call, deadline_ns: u64) Error!u64 {
    if (call.int(2) <= 0) return error.EINVAL;
    const owner = try setOf(call.int(0));
    defer owner.release();
    var reports: [64]epoll.Report = undefined;
    const room = reports[0..@min(reports.len, call.word(2))];
    while (true) {
        const seen = wait.change();
        const count = owner.object.epoll.collect(room);
        if (count > 0) {
            try user.write(call.arg(1), std.mem.sliceAsBytes(room[0..count]));
            return count;
        }
        if (uk.calls.time_now() >= deadline_ns) return 0;
        if (wait.forChange(seen, @min(deadline_ns, owner.object.epoll.deadlineNs())) == .interrupted) return error.EINTR;
    }
}

pub fn epoll_wait(call: Call) Error!u64 {
    return epollUntil(call, deadlineOfMilliseconds(call.int(3)));
}

pub fn epoll_pwait(call: Call) Error!u64 {
    try signals.replaceMaskFrom(call.thread, call.arg(4), call.arg(5));
    return epollUntil(call, deadlineOfMilliseconds(call.int(3)));
}

pub fn epoll_pwait2(call: Call) Error!u64 {
    const deadline_ns = try deadlineAt(call.arg(3));
    try signals.replaceMaskFrom(call.thread, call.arg(4), call.arg(5));
    return epollUntil(call, deadline_ns);
}

fn makeEvent(value: u32, flags: u32) Error!u64 {
    if (flags & ~@as(u32, 0o2004001) != 0) return error.EINVAL;
    return install(.{ .event = try posix.event.create(value, flags & 1 != 0) }, flags, "anon_inode:[eventfd]");
}

pub fn eventfd(call: Call) Error!u64 {
    return makeEvent(call.word(0), 0);
}

pub fn eventfd2(call: Call) Error!u64 {
    return makeEvent(call.word(0), call.word(1));
}

pub fn timerfd_create(call: Call) Error!u64 {
    if (call.word(1) & ~@as(u32, 0o2004000) != 0) return error.EINVAL;
    const timer = try posix.event.createTimer();
    timer.is_wall = time.isWall(call.word(0)) catch |failure| {
        timer.close();
        return failure;
    };
    return install(.{ .timer = timer }, call.word(1), "anon_inode:[timerfd]");
}

const Setting = extern struct { interval: time.Timespec, value: time.Timespec };

fn settingOf(timer: *posix.event.Timer) Setting {
    const setting = timer.setting();
    return .{ .interval = time.toTimespec(setting.interval_ns), .value = time.toTimespec(setting.next_ns) };
}

pub fn timerfd_settime(call: Call) Error!u64 {
    if (call.word(1) & ~@as(u32, 3) != 0) return error.EINVAL;
    const open = try open_file.get(call.int(0));
    defer open.release();
    if (open.object != .timer) return error.EINVAL;
    const timer = open.object.timer;
    const new = try user.get(Setting, call.arg(2));
    const value_ns = try time.nanoseconds(new.value);
    const interval_ns = try time.nanoseconds(new.interval);
    if (call.arg(3) != 0) try user.put(Setting, call.arg(3), settingOf(timer));
    const next_ns = if (value_ns == 0)
        0
    else if (call.word(1) & 1 != 0)
        @max(time.monotonicOf(timer.is_wall, value_ns), 1)
    else
        uk.calls.time_now() +| value_ns;
    timer.set(.{ .next_ns = next_ns, .interval_ns = interval_ns });
    return 0;
}

pub fn timerfd_gettime(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    if (open.object != .timer) return error.EINVAL;
    try user.put(Setting, call.arg(1), settingOf(open.object.timer));
    return 0;
}
