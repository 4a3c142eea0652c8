//! Sets of descriptions to wait on. A wait looks at every member after each change of anything pollable.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");
const wait = @import("wait.zig");
const open_file = @import("open.zig");
const Open = open_file.Open;
const Error = @import("errno.zig").Error;

pub const Flags = struct {
    pub const one_shot: u32 = 1 << 30;
    pub const edge: u32 = 1 << 31;
    /// Reported whether asked for or not.
    pub const always: u32 = open_file.Ready.err | open_file.Ready.hup;
};

pub const Report = extern struct { events: u32 align(1), data: u64 align(1) };

const Member = struct {
    number: i32,
    open: *Open,
    events: u32,
    data: u64,
    /// Activity at the last report, for edges; none yet.
    seen: ?u32 = null,
};

pub const Epoll = struct {
    used: bool = false,
    lock: uk.Lock = .{},
    count: u32 = 0,
    members: [limits.epoll_entries_max]Member = undefined,

    fn find(set: *Epoll, number: i32, open: *Open) ?*Member {
        for (set.members[0..set.count]) |*each| if (each.number == number and each.open == open) return each;
        return null;
    }

    pub fn add(set: *Epoll, number: i32, open: *Open, events: u32, data: u64) Error!void {
        if (depthOf(open, 0) >= limits.epoll_depth_max) return error.ELOOP;
        set.lock.acquire();
        defer set.lock.release();
        if (set.find(number, open) != null) return error.EEXIST;
        if (set.count == limits.epoll_entries_max) return error.ENOSPC;
        set.members[set.count] = .{ .number = number, .open = open, .events = events, .data = data };
        set.count += 1;
        wait.changed();
    }

    pub fn change(set: *Epoll, number: i32, open: *Open, events: u32, data: u64) Error!void {
        set.lock.acquire();
        defer set.lock.release();
        const member = set.find(number, open) orelse return error.ENOENT;
        member.events = events;
        member.data = data;
        member.seen = null;
        wait.changed();
    }

    pub fn remove(set: *Epoll, number: i32, open: *Open) Error!void {
        set.lock.acquire();
        defer set.lock.release();
        const member = set.find(number, open) orelse return error.ENOENT;
        set.count -= 1;
        member.* = set.members[set.count];
    }

    fn readyOf(member: *const Member) u32 {
        const wanted = member.events & ~(Flags.one_shot | Flags.edge);
        // One that has fired once is disarmed, for errors too.
        if (wanted == 0) return 0;
        const now = member.open.ready() & (wanted | Flags.always);
        member.open.expect(wanted & ~now);
        if (now == 0) return 0;
        if (member.events & Flags.edge != 0 and member.seen != null and member.seen.? == member.open.activity()) return 0;
        return now;
    }

    /// Fills what is ready; a report of an edge or of a one-shot member is its last until something happens.
    pub fn collect(set: *Epoll, reports: []Report) usize {
        set.lock.acquire();
        defer set.lock.release();
        var filled: usize = 0;
        for (set.members[0..set.count]) |*member| {
            if (filled == reports.len) break;
            const activity = member.open.activity();
            const now = readyOf(member);
            if (now == 0) continue;
            reports[filled] = .{ .events = now, .data = member.data };
            filled += 1;
            member.seen = activity;
            if (member.events & Flags.one_shot != 0) member.events = 0;
        }
        return filled;
    }

    pub fn hasReady(set: *Epoll) bool {
        set.lock.acquire();
        defer set.lock.release();
        for (set.members[0..set.count]) |*member| if (readyOf(member) != 0) return true;
        return false;
    }

    /// When a member becomes ready by itself. One that is due and was reported is waited for no more.
    pub fn deadlineNs(set: *Epoll) u64 {
        set.lock.acquire();
        defer set.lock.release();
        var first = wait.never_ns;
        for (set.members[0..set.count]) |*member| {
            if (member.events & ~(Flags.one_shot | Flags.edge) == 0) continue;
            if (member.open.ready() & open_file.Ready.in != 0) continue;
            first = @min(first, member.open.deadlineNs());
        }
        return first;
    }

    pub fn close(set: *Epoll) void {
        @atomicStore(bool, &set.used, false, .release);
    }
};

fn depthOf(open: *const Open, depth: u32) u32 {
    if (open.object != .epoll or depth >= limits.epoll_depth_max) return depth;
    const set = open.object.epoll;
    var most = depth + 1;
    set.lock.acquire();
    defer set.lock.release();
    for (set.members[0..set.count]) |*member| most = @max(most, depthOf(member.open, depth + 1));
    return most;
}

/// Only those below `pool_used` have ever been given out; the others cost no memory.
var pool: [limits.epolls_max]Epoll = undefined;
var pool_used: u32 = 0;
var pool_lock: uk.Lock = .{};

pub fn create() Error!*Epoll {
    pool_lock.acquire();
    defer pool_lock.release();
    const set = for (pool[0..pool_used]) |*each| {
        if (!@atomicLoad(bool, &each.used, .acquire)) break each;
    } else if (pool_used < pool.len) &pool[pool_used] else return error.ENFILE;
    set.used = true;
    set.lock = .{};
    set.count = 0;
    if (pool_used < pool.len and set == &pool[pool_used]) @atomicStore(u32, &pool_used, pool_used + 1, .release);
    return set;
}

/// A description that is closed leaves every set.
pub fn forget(open: *Open) void {
    for (pool[0..@atomicLoad(u32, &pool_used, .acquire)]) |*set| {
        if (!@atomicLoad(bool, &set.used, .acquire)) continue;
        set.lock.acquire();
        defer set.lock.release();
        var index: u32 = 0;
        while (index < set.count) {
            if (set.members[index].open == open) {
                set.count -= 1;
                set.members[index] = set.members[set.count];
            } else index += 1;
        }
    }
}
