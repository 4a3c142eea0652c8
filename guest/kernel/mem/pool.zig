//! Small kernel objects of one type, in pages that go back to the frame allocator when they are empty. The kernel
//! lock protects every pool.
const std = @import("std");
const frames = @import("frames.zig");
const layout = @import("layout.zig");
const limits = @import("../limits.zig");

pub fn Pool(comptime T: type) type {
    return struct {
        const Self = @This();
        /// A free slot's first bytes; one that is used is all T.
        const Slot = struct { free: ?*Slot };
        const slot_align = @max(@alignOf(T), @alignOf(Slot));
        const slot_bytes = std.mem.alignForward(usize, @max(@sizeOf(T), @sizeOf(Slot)), slot_align);
        const Page = struct {
            previous: ?*Page,
            next: ?*Page,
            free: ?*Slot,
            used: u32,
            /// Slots from here on were never used.
            fresh: u32,
        };
        const slots_offset = std.mem.alignForward(usize, @sizeOf(Page), slot_align);
        const slots_per_page = (limits.page_bytes - slots_offset) / slot_bytes;
        comptime {
            std.debug.assert(slots_per_page >= 1);
        }

        /// Pages with a free slot.
        open: ?*Page = null,
        used: u32 = 0,

        fn slot(page: *Page, index: u32) *Slot {
            return @ptrFromInt(@intFromPtr(page) + slots_offset + index * slot_bytes);
        }

        /// With undefined content.
        pub fn create(pool: *Self) error{OutOfMemory}!*T {
            const page = pool.open orelse try pool.grow();
            var chosen: *Slot = undefined;
            if (page.free) |first| {
                chosen = first;
                page.free = first.free;
            } else {
                chosen = slot(page, page.fresh);
                page.fresh += 1;
            }
            page.used += 1;
            pool.used += 1;
            if (page.free == null and page.fresh == slots_per_page) pool.unlink(page);
            return @ptrCast(@alignCast(chosen));
        }

        fn grow(pool: *Self) error{OutOfMemory}!*Page {
            const frame = frames.allocateUser() orelse return error.OutOfMemory;
            const page: *Page = @ptrCast(layout.page(frame));
            page.* = .{ .previous = null, .next = null, .free = null, .used = 0, .fresh = 0 };
            pool.open = page;
            return page;
        }

        pub fn destroy(pool: *Self, value: *T) void {
            const chosen: *Slot = @ptrCast(@alignCast(value));
            const page: *Page = @ptrFromInt(@intFromPtr(chosen) & ~(limits.page_bytes - 1));
            std.debug.assert(page.used > 0);
            const was_full = page.free == null and page.fresh == slots_per_page;
            chosen.* = .{ .free = page.free };
            page.free = chosen;
            page.used -= 1;
            pool.used -= 1;
            if (was_full) pool.link(page);
            if (page.used == 0) {
                pool.unlink(page);
                frames.release(@intCast((@intFromPtr(page) - layout.direct_base) >> 12));
            }
        }

        fn link(pool: *Self, page: *Page) void {
            page.previous = null;
            page.next = pool.open;
            if (pool.open) |other| other.previous = page;
            pool.open = page;
        }

        fn unlink(pool: *Self, page: *Page) void {
            if (page.previous) |previous| previous.next = page.next else pool.open = page.next;
            if (page.next) |next| next.previous = page.previous;
            page.previous = null;
            page.next = null;
        }
    };
}
