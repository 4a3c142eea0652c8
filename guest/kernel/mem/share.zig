//! Memory that is mapped at more than one place: its frames, of which each is given at the first touch through any of the places. It outlives its
//! handle until the last mapping is gone and every CPU has forgotten it; hence references are taken by anyone under the kernel lock, and given
//! back under the lock and `space.changes`.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const limits = @import("../limits.zig");
const frames = @import("frames.zig");
const layout = @import("layout.zig");
const paging = @import("paging.zig");
const space = @import("space.zig");
const Pool = @import("pool.zig").Pool;
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Account = @import("../object/account.zig").Account;

const entries_per_list = limits.page_bytes / @sizeOf(frames.Frame);
const List = [entries_per_list]frames.Frame;

/// A list of lists is a page.
pub const pages_max = entries_per_list * entries_per_list;

var pool: Pool(Share) = .{};

pub const Share = struct {
    references: u32 = 1,
    pages: u64,
    account: ?*Account,
    /// Frames of the lists; each list's entries are frames of the memory, 0 where it was never touched.
    root: *List,
    next_dead: ?*Share = null,

    fn listCount(pages: u64) usize {
        return @intCast((pages + entries_per_list - 1) / entries_per_list);
    }

    fn chargeOf(pages: u64) u64 {
        return @sizeOf(Share) + (1 + listCount(pages)) * limits.page_bytes;
    }

    /// With its lists, and no memory yet. The lock is not held.
    pub fn create(pages: u64) error{OutOfMemory}!*Share {
        std.debug.assert(pages > 0 and pages <= pages_max);
        const share = blk: {
            lock.acquire();
            defer lock.release();
            const account = scheduler.current().account;
            if (account) |payer| try payer.charge(chargeOf(pages));
            errdefer if (account) |payer| payer.credit(chargeOf(pages));
            const made = try pool.create();
            errdefer pool.destroy(made);
            made.* = .{ .pages = pages, .account = account, .root = try allocateList() };
            break :blk made;
        };
        for (0..listCount(pages)) |index| {
            lock.acquire();
            const list = allocateList();
            if (list) |made| share.root[index] = frameOf(made) else |_| {}
            lock.release();
            _ = list catch |failure| {
                share.destroy();
                return failure;
            };
        }
        return share;
    }

    fn allocateList() error{OutOfMemory}!*List {
        const frame = frames.allocateUser() orelse return error.OutOfMemory;
        frames.zero(frame);
        return @ptrCast(layout.page(frame));
    }

    fn frameOf(list: *List) frames.Frame {
        return @intCast((@intFromPtr(list) - layout.direct_base) >> 12);
    }

    fn entry(share: *Share, page: u64) *frames.Frame {
        std.debug.assert(page < share.pages);
        const list: *List = @ptrCast(layout.page(share.root[@intCast(page / entries_per_list)]));
        return &list[@intCast(page % entries_per_list)];
    }

    /// The frame of a page, filled with zeros at the first touch. The lock is held.
    pub fn obtain(share: *Share, page: u64) ?frames.Frame {
        const place = share.entry(page);
        if (place.* == 0) {
            const frame = frames.allocateUser() orelse return null;
            frames.zero(frame);
            paging.user_frames += 1;
            place.* = frame;
        }
        return place.*;
    }

    /// Makes a range of anonymous memory this share's beginning; all of it or nothing. `space.changes` and the lock are held; afterwards
    /// `adopt` takes over what is there.
    pub fn convert(share: *Share, start: u64, end: u64, executable: bool) (space.Error || error{ UnsupportedOperation, CapabilityDenied })!void {
        try space.checkReserved(start, end);
        var at = space.tree.find(start);
        while (at) |region| : (at = region.next) {
            if (region.start >= end) break;
            if (region.kind != .anonymous) return error.UnsupportedOperation;
            if (region.access.exec and !executable) return error.CapabilityDenied;
        }
        try space.splitAt(start);
        try space.splitAt(end);
        at = space.tree.find(start);
        while (at) |region| : (at = region.next) {
            if (region.start >= end) break;
            region.kind = .shared;
            region.share = share;
            region.offset = region.start - start;
            share.retain();
        }
    }

    /// Takes over the frames of the range. `space.changes` is held, the lock is not. A page that is touched meanwhile is the share's from
    /// the first.
    pub fn adopt(share: *Share, start: u64, end: u64) void {
        var at = start;
        while (at < end) {
            lock.acquire();
            for (0..limits.frames_per_lock_hold) |_| {
                if (at == end) break;
                if (paging.find(at)) |mapped| if (paging.holdsFrame(mapped.*) and mapped.* & paging.borrowed == 0) {
                    const place = share.entry((at - start) / limits.page_bytes);
                    std.debug.assert(place.* == 0);
                    place.* = paging.frameOf(mapped.*);
                    mapped.* |= paging.borrowed;
                };
                at += limits.page_bytes;
            }
            lock.release();
            x86.interruptWindow();
            scheduler.preempt();
        }
    }

    pub fn retain(share: *Share) void {
        std.debug.assert(lock.isHeld() and share.references > 0);
        share.references += 1;
    }

    /// True when the last one is gone, and `destroy` is the caller's to call.
    pub fn release(share: *Share) bool {
        std.debug.assert(lock.isHeld() and share.references > 0);
        share.references -= 1;
        return share.references == 0;
    }

    /// Gives everything back, in pieces. Nothing maps it and no CPU has a translation of it; the lock is not held.
    pub fn destroy(share: *Share) void {
        for (share.root[0..listCount(share.pages)]) |list_frame| {
            if (list_frame == 0) break;
            const list: *List = @ptrCast(layout.page(list_frame));
            var from: usize = 0;
            while (from < list.len) : (from += limits.frames_per_lock_hold) {
                lock.acquire();
                for (list[from..][0..limits.frames_per_lock_hold]) |frame| if (frame != 0) {
                    frames.release(frame);
                    paging.user_frames -= 1;
                };
                lock.release();
                x86.interruptWindow();
                scheduler.preempt();
            }
            lock.acquire();
            frames.release(list_frame);
            lock.release();
        }
        lock.acquire();
        defer lock.release();
        frames.release(frameOf(share.root));
        if (share.account) |payer| payer.credit(chargeOf(share.pages));
        pool.destroy(share);
    }
};
