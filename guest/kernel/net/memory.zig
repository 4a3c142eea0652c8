//! The pages that the stack lives on. The caller gives and takes them, so that it can charge and bound them; the stack
//! never holds more than `pages_max`. Nothing here blocks.
const std = @import("std");
const limits = @import("../limits.zig");
const assert = std.debug.assert;

pub const page_bytes = limits.page_bytes;
pub const Page = [page_bytes]u8;
pub const PagePointer = *align(page_bytes) Page;

pub const Memory = struct {
    context: *anyopaque,
    allocate_page: *const fn (context: *anyopaque) ?PagePointer,
    release_page: *const fn (context: *anyopaque, page: PagePointer) void,
    pages_max: u32,
    pages_used: u32 = 0,
    /// Pages that were asked for and not given.
    refused: u64 = 0,

    pub fn allocate(memory: *Memory) ?PagePointer {
        if (memory.pages_used < memory.pages_max) {
            if (memory.allocate_page(memory.context)) |page| {
                memory.pages_used += 1;
                return page;
            }
        }
        memory.refused += 1;
        return null;
    }

    pub fn release(memory: *Memory, page: PagePointer) void {
        assert(memory.pages_used > 0);
        memory.pages_used -= 1;
        memory.release_page(memory.context, page);
    }

    /// Little is left, and that is for what arrives in order: nothing new begins, nothing more is queued to be sent, and windows stop growing. So what is under
    /// way can end, and two sides that are both full of what they want to send still take what the other does.
    pub fn scarce(memory: *const Memory) bool {
        return memory.pages_max - memory.pages_used < @max(memory.pages_max / limits.net_scarce_divisor, limits.net_scarce_pages_min);
    }

    /// So much is left that some may be spent on what nobody can use yet.
    pub fn plenty(memory: *const Memory) bool {
        return memory.pages_used <= memory.pages_max / limits.tcp_ahead_divisor and !memory.scarce();
    }
};

/// Objects of one type in pages that go back when they are empty.
pub fn Pool(comptime T: type) type {
    return struct {
        const Self = @This();
        const Slot = union { free: ?*Slot, value: T };
        const Header = struct {
            previous: ?*Header,
            next: ?*Header,
            free: ?*Slot,
            used: u32,
            /// Slots from here on were never used.
            fresh: u32,
        };
        const slots_offset = std.mem.alignForward(usize, @sizeOf(Header), @alignOf(Slot));
        pub const slots_per_page = (page_bytes - slots_offset) / @sizeOf(Slot);
        comptime {
            assert(slots_per_page >= 1);
        }

        /// Pages with a free slot.
        open: ?*Header = null,
        used: u32 = 0,

        fn slotAt(page: *Header, index: u32) *Slot {
            return @ptrFromInt(@intFromPtr(page) + slots_offset + index * @sizeOf(Slot));
        }

        pub fn create(pool: *Self, memory: *Memory) error{OutOfMemory}!*T {
            const page = pool.open orelse try pool.grow(memory);
            var chosen: *Slot = undefined;
            if (page.free) |first| {
                chosen = first;
                page.free = first.free;
            } else {
                chosen = slotAt(page, page.fresh);
                page.fresh += 1;
            }
            page.used += 1;
            pool.used += 1;
            if (page.free == null and page.fresh == slots_per_page) pool.unlink(page);
            chosen.* = .{ .value = undefined };
            return &chosen.value;
        }

        fn grow(pool: *Self, memory: *Memory) error{OutOfMemory}!*Header {
            const page: *Header = @ptrCast(memory.allocate() orelse return error.OutOfMemory);
            page.* = .{ .previous = null, .next = null, .free = null, .used = 0, .fresh = 0 };
            pool.open = page;
            return page;
        }

        pub fn destroy(pool: *Self, memory: *Memory, value: *T) void {
            const chosen: *Slot = @ptrCast(@alignCast(value));
            const page: *Header = @ptrFromInt(@intFromPtr(chosen) & ~@as(usize, page_bytes - 1));
            assert(page.used > 0 and pool.used > 0);
            const was_full = page.free == null and page.fresh == slots_per_page;
            chosen.* = .{ .free = page.free };
            page.free = chosen;
            page.used -= 1;
            pool.used -= 1;
            if (was_full) pool.link(page);
            if (page.used == 0) {
                pool.unlink(page);
                memory.release(@ptrCast(@alignCast(page)));
            }
        }

        fn link(pool: *Self, page: *Header) void {
            page.previous = null;
            page.next = pool.open;
            if (pool.open) |other| other.previous = page;
            pool.open = page;
        }

        fn unlink(pool: *Self, page: *Header) void {
            if (page.previous) |previous| previous.next = page.next else pool.open = page.next;
            if (page.next) |next| next.previous = page.previous;
            page.previous = null;
            page.next = null;
        }
    };
}
