//! The VM's one table of handles. A handle is its slot's number, a generation, and a tag; a stale or made-up one meets no
//! entry: generations are used again after 2^32 handles, and then only by chance in the same slot with the same tag. The table grows and shrinks by pages. The kernel lock protects it.
const std = @import("std");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Account = @import("account.zig").Account;
const Source = @import("poll.zig").Source;

pub const Tag = enum(u8) { task = 1, io = 2, ipc = 3, net = 4, cap = 5, span = 6, time = 7, poll = 8, mem = 9 };

const Entry = extern struct {
    /// Of the object; null when the slot is free.
    object: ?*anyopaque,
    generation: u32,
    tag: u32,
    account: ?*Account,
    /// What a poll of the handle looks at, if it can be polled.
    source: ?*Source = null,
};

const entries_per_page = limits.page_bytes / @sizeOf(Entry);
const page_count = limits.handles_max / entries_per_page;
const Page = [entries_per_page]Entry;

var pages: [page_count]?*Page = .{null} ** page_count;
var used_in_page: [page_count]u16 = .{0} ** page_count;
/// Below this page none has a free slot.
var first_open: u32 = 0;
var last_generation: u32 = 0;
pub var used: u32 = 0;

/// slot in bits 0 to 23, tag in 24 to 31, generation above.
fn encode(slot: u32, tag: Tag, generation: u32) u64 {
    return @as(u64, generation) << 32 | @as(u64, @intFromEnum(tag)) << 24 | slot;
}

pub fn open(tag: Tag, object: *anyopaque) error{OutOfHandles}!u64 {
    return openWith(tag, object, null);
}

/// The handle of an object that can be polled. `close` takes it out of every poll set.
pub fn openPollable(tag: Tag, object: *anyopaque, readiness: *Source) error{OutOfHandles}!u64 {
    return openWith(tag, object, readiness);
}

fn openWith(tag: Tag, object: *anyopaque, readiness: ?*Source) error{OutOfHandles}!u64 {
    std.debug.assert(lock.isHeld());
    var index = first_open;
    while (index < page_count and used_in_page[index] == entries_per_page) index += 1;
    first_open = index;
    if (index == page_count) return error.OutOfHandles;
    const account = scheduler.current().account;
    if (account) |payer| payer.charge(limits.handle_charge_bytes) catch return error.OutOfHandles;
    errdefer if (account) |payer| payer.credit(limits.handle_charge_bytes);
    const page = pages[index] orelse blk: {
        const frame = frames.allocateUser() orelse return error.OutOfHandles;
        frames.zero(frame);
        pages[index] = @ptrCast(layout.page(frame));
        break :blk pages[index].?;
    };
    for (page, 0..) |*entry, position| {
        if (entry.object != null) continue;
        last_generation +%= 1;
        if (last_generation == 0) last_generation = 1;
        entry.* = .{ .object = object, .generation = last_generation, .tag = @intFromEnum(tag), .account = account, .source = readiness };
        used_in_page[index] += 1;
        used += 1;
        return encode(@intCast(index * entries_per_page + position), tag, last_generation);
    }
    unreachable;
}

/// The tag that a handle says it has.
pub fn tagOf(handle: u64) ?Tag {
    return std.enums.fromInt(Tag, @as(u8, @truncate(handle >> 24)));
}

fn find(handle: u64, tag: Tag) ?*Entry {
    std.debug.assert(lock.isHeld());
    const slot: u32 = @truncate(handle & 0xffffff);
    if (slot >= limits.handles_max or handle >> 24 & 0xff != @intFromEnum(tag)) return null;
    const page = pages[slot / entries_per_page] orelse return null;
    const entry = &page[slot % entries_per_page];
    if (entry.object == null or entry.generation != handle >> 32 or entry.tag != @intFromEnum(tag)) return null;
    return entry;
}

/// The object, good while the lock is held.
pub fn get(comptime T: type, handle: u64, tag: Tag) error{BadHandle}!*T {
    const entry = find(handle, tag) orelse return error.BadHandle;
    return @ptrCast(@alignCast(entry.object.?));
}

/// What a poll of the handle looks at, good while the lock is held.
pub fn source(handle: u64) error{ BadHandle, UnsupportedOperation }!*Source {
    const tag = tagOf(handle) orelse return error.BadHandle;
    const entry = find(handle, tag) orelse return error.BadHandle;
    return entry.source orelse error.UnsupportedOperation;
}

/// Makes the handle stale; the object is the caller's to release.
pub fn close(handle: u64, tag: Tag) error{BadHandle}!void {
    const entry = find(handle, tag) orelse return error.BadHandle;
    if (entry.source) |readiness| readiness.close();
    entry.object = null;
    if (entry.account) |payer| payer.credit(limits.handle_charge_bytes);
    used -= 1;
    const slot: u32 = @truncate(handle & 0xffffff);
    const index: u32 = @intCast(slot / entries_per_page);
    used_in_page[index] -= 1;
    first_open = @min(first_open, index);
    if (used_in_page[index] == 0) {
        frames.release(@intCast((@intFromPtr(pages[index].?) - layout.direct_base) >> 12));
        pages[index] = null;
    }
}
