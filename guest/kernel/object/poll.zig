//! Readiness, and waiting for it. Whoever changes the readiness of an object says so to the object's source; a watch carries it to the set that
//! waits for it, which keeps the list of its ready members: what is idle costs nothing. One poll of an array is a set that lives for that call.
//! The kernel lock protects everything here.
const std = @import("std");
const abi = @import("abi");
const x86 = @import("../arch/x86.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Pool = @import("../mem/pool.zig").Pool;
const Account = @import("account.zig").Account;
const handles = @import("handles.zig");
const WaitQueue = @import("task.zig").WaitQueue;
const Failure = abi.Failure;
const List = std.DoublyLinkedList;

pub const Events = abi.IoEvents;

/// What a member is ready for whether it was asked for or not.
const always: Events = .{ .closed = true, .failed = true };

fn both(a: Events, b: Events) Events {
    return @bitCast(@as(u32, @bitCast(a)) & @as(u32, @bitCast(b)));
}
fn either(a: Events, b: Events) Events {
    return @bitCast(@as(u32, @bitCast(a)) | @as(u32, @bitCast(b)));
}
fn isAny(events: Events) bool {
    return @as(u32, @bitCast(events)) != 0;
}

/// What an entry that wants some events is told, of those that are so.
pub fn reported(wanted: Events, ready: Events) Events {
    return both(ready, either(wanted, always));
}

/// Embedded in every object that can be polled; `handles.openPollable` ties it to the handle, whose end takes it out of every set.
pub const Source = struct {
    ready: Events = .{},
    watch_count: u32 = 0,
    watches: List = .{},
    in_group: List.Node = .{},

    /// The object is ready for this now, and for nothing else.
    pub fn update(source: *Source, ready: Events) void {
        std.debug.assert(lock.isHeld());
        if (source.ready == ready) return;
        source.ready = ready;
        var at = source.watches.first;
        while (at) |node| : (at = node.next) ofSource(node).refresh();
    }

    /// The handle is closed: it leaves every set, and one poll of it ends.
    pub fn close(source: *Source) void {
        std.debug.assert(lock.isHeld());
        while (source.watches.first) |node| {
            const watch = ofSource(node);
            watch.set.member_left = true;
            if (watch.set.ends_with_member) watch.set.wakeOne();
            watch.remove();
        }
    }
};

/// Sources of handles that lead to the same thing, and become readable together.
pub const Group = struct {
    members: List = .{},
    members_count: u32 = 0,
    readable: bool = false,

    pub fn isFull(group: *const Group) bool {
        return group.members_count == limits.poll_group_members_max;
    }

    pub fn add(group: *Group, source: *Source) void {
        std.debug.assert(!group.isFull());
        group.members.append(&source.in_group);
        group.members_count += 1;
        source.ready.readable = group.readable;
    }

    pub fn remove(group: *Group, source: *Source) void {
        group.members.remove(&source.in_group);
        group.members_count -= 1;
    }

    pub fn update(group: *Group, readable: bool) void {
        std.debug.assert(lock.isHeld());
        if (group.readable == readable) return;
        group.readable = readable;
        var at = group.members.first;
        while (at) |node| : (at = node.next) {
            const source: *Source = @alignCast(@fieldParentPtr("in_group", node));
            var ready = source.ready;
            ready.readable = readable;
            source.update(ready);
        }
    }
};

const Watch = struct {
    source: *Source,
    set: *Set,
    account: ?*Account,
    handle: u64,
    user: u64,
    wanted: Events,
    is_ready: bool = false,
    /// Of the set's last wait that reported it.
    round: u64 = 0,
    in_source: List.Node = .{},
    in_members: List.Node = .{},
    in_ready: List.Node = .{},

    fn refresh(watch: *Watch) void {
        const ready = isAny(reported(watch.wanted, watch.source.ready));
        if (ready == watch.is_ready) return;
        watch.is_ready = ready;
        if (!ready) return watch.set.ready.remove(&watch.in_ready);
        watch.set.ready.append(&watch.in_ready);
        watch.set.wakeOne();
    }

    fn remove(watch: *Watch) void {
        if (watch.is_ready) watch.set.ready.remove(&watch.in_ready);
        watch.set.members.remove(&watch.in_members);
        watch.source.watches.remove(&watch.in_source);
        watch.source.watch_count -= 1;
        if (watch.account) |payer| payer.credit(@sizeOf(Watch));
        watches.destroy(watch);
    }
};

fn ofSource(node: *List.Node) *Watch {
    return @alignCast(@fieldParentPtr("in_source", node));
}
fn ofMembers(node: *List.Node) *Watch {
    return @alignCast(@fieldParentPtr("in_members", node));
}
fn ofReady(node: *List.Node) *Watch {
    return @alignCast(@fieldParentPtr("in_ready", node));
}

var watches: Pool(Watch) = .{};
var sets: Pool(Set) = .{};

comptime {
    std.debug.assert(@sizeOf(Set) <= limits.handle_charge_bytes);
}

pub const Set = struct {
    members: List = .{},
    /// Level-triggered: a member stands here as long as it is ready. The one that was reported longest ago is first.
    ready: List = .{},
    waiters: WaitQueue = .{},
    /// The handle, and every task in a call on it.
    references: u32 = 1,
    closed: bool = false,
    /// One poll of an array: the end of any of its handles ends it.
    ends_with_member: bool = false,
    member_left: bool = false,
    round: u64 = 0,

    fn wakeOne(set: *Set) void {
        if (set.waiters.first) |waiter| _ = scheduler.wake(waiter, .woken);
    }

    /// Waits until a member is ready. The lock is held, and free while waiting.
    fn awaitReady(set: *Set, deadline_ns: u64) Failure!void {
        while (set.ready.first == null) {
            if (set.closed) return error.BadHandle;
            if (set.ends_with_member and set.member_left) return;
            set.waiters.append(scheduler.current());
            switch (scheduler.block(deadline_ns, true)) {
                .timeout => if (set.ready.first == null) return error.TimedOut,
                .interrupted => {
                    // It may have been the one that a member woke.
                    if (set.ready.first != null) set.wakeOne();
                    return error.Interrupted;
                },
                else => {},
            }
        }
    }

    /// Adds a member. The lock is held.
    fn add(set: *Set, entry: abi.IoPollEntry, source: *Source) Failure!void {
        if (source.watch_count == limits.watches_per_handle_max) return error.OutOfMemory;
        const account = scheduler.current().account;
        if (account) |payer| try payer.charge(@sizeOf(Watch));
        errdefer if (account) |payer| payer.credit(@sizeOf(Watch));
        const watch = try watches.create();
        watch.* = .{ .source = source, .set = set, .account = account, .handle = entry.handle, .user = entry.user, .wanted = entry.wanted };
        source.watches.append(&watch.in_source);
        source.watch_count += 1;
        set.members.append(&watch.in_members);
        watch.refresh();
    }

    /// Takes every member out. The lock is not held, and nobody can add one any more.
    fn empty(set: *Set) void {
        while (true) {
            lock.acquire();
            for (0..limits.watches_per_lock_hold) |_| ofMembers(set.members.first orelse break).remove();
            const done = set.members.first == null;
            lock.release();
            if (done) return;
            x86.interruptWindow();
            scheduler.preempt();
        }
    }
};

fn sourceOf(entry: *const abi.IoPollEntry) Failure!*Source {
    if (!entry.wanted.isKnown()) return error.BadFlags;
    return handles.source(entry.handle);
}

/// Fills in what is ready of some entries; returns how many are. The lock is not held.
pub fn look(entries: []abi.IoPollEntry) Failure!u32 {
    lock.acquire();
    defer lock.release();
    var count: u32 = 0;
    for (entries) |*entry| {
        const source = try sourceOf(entry);
        entry.ready = reported(entry.wanted, source.ready);
        if (isAny(entry.ready)) count += 1;
    }
    return count;
}

/// A set for one call. The lock is not held for any of these.
pub const Once = struct {
    set: Set = .{ .ends_with_member = true },

    pub fn add(once: *Once, entries: []const abi.IoPollEntry) Failure!void {
        lock.acquire();
        defer lock.release();
        for (entries) |*entry| try once.set.add(entry.*, try sourceOf(entry));
    }

    /// Returns when an entry is ready or its handle closed.
    pub fn wait(once: *Once, deadline_ns: u64) Failure!void {
        lock.acquire();
        defer lock.release();
        try once.set.awaitReady(deadline_ns);
    }

    pub fn end(once: *Once) void {
        once.set.empty();
    }
};

pub fn create() Failure!u64 {
    lock.acquire();
    defer lock.release();
    const set = sets.create() catch return error.OutOfHandles;
    errdefer sets.destroy(set);
    set.* = .{};
    return handles.open(.poll, set);
}

/// Adds a handle to a set, changes what is wanted of it, or takes it out where nothing is.
pub fn update(handle: u64, entry: *const abi.IoPollEntry) Failure!void {
    lock.acquire();
    defer lock.release();
    const set = try handles.get(Set, handle, .poll);
    const source = try sourceOf(entry);
    var at = source.watches.first;
    const found: ?*Watch = while (at) |node| : (at = node.next) {
        if (ofSource(node).set == set) break ofSource(node);
    } else null;
    const watch = found orelse return if (isAny(entry.wanted)) set.add(entry.*, source);
    if (!isAny(entry.wanted)) return watch.remove();
    watch.user = entry.user;
    watch.wanted = entry.wanted;
    watch.refresh();
}

pub fn hold(handle: u64) Failure!*Set {
    lock.acquire();
    defer lock.release();
    const set = try handles.get(Set, handle, .poll);
    set.references += 1;
    return set;
}

pub fn put(set: *Set) void {
    lock.acquire();
    defer lock.release();
    set.references -= 1;
    if (set.references == 0) sets.destroy(set);
}

/// Waits until a member is ready; gives the number of this wait, for `take`. The lock is held after success, so that `take` finds what was seen.
pub fn wait(set: *Set, deadline_ns: u64) Failure!u64 {
    lock.acquire();
    errdefer lock.release();
    try set.awaitReady(deadline_ns);
    set.round += 1;
    return set.round;
}

/// Fills entries with members that are ready and that this wait has not reported yet, each behind the others in line for the next. The lock is held.
pub fn take(set: *Set, round: u64, entries: []abi.IoPollEntry) usize {
    var count: usize = 0;
    while (count < entries.len) : (count += 1) {
        const node = set.ready.first orelse break;
        const watch = ofReady(node);
        if (watch.round >= round) break;
        watch.round = round;
        set.ready.remove(node);
        set.ready.append(node);
        entries[count] = .{
            .handle = watch.handle,
            .user = watch.user,
            .wanted = watch.wanted,
            .ready = reported(watch.wanted, watch.source.ready),
        };
    }
    // What is left is for who waits beside this one.
    if (set.ready.first) |node| if (ofReady(node).round < round) set.wakeOne();
    return count;
}

pub fn close(handle: u64) Failure!void {
    lock.acquire();
    const set = handles.get(Set, handle, .poll) catch |failure| {
        lock.release();
        return failure;
    };
    handles.close(handle, .poll) catch unreachable;
    set.closed = true;
    while (set.waiters.first) |waiter| {
        if (!scheduler.wake(waiter, .closed)) break;
    }
    lock.release();
    set.empty();
    put(set);
}
