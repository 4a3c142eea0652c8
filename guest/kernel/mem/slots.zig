//! Objects of one type in pages that go back where they came from when they are empty.
const std = @import("std");
const limits = @import("../limits.zig");
const assert = std.debug.assert;

pub const PagePointer = *align(limits.page_bytes) [limits.page_bytes]u8;

/// `Pages` gives pages by `allocate`, null when there is none, and takes them by `release`. Who calls serialises all calls.
pub fn Slots(comptime T: type, comptime Pages: type) type {
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
        pub const slots_per_page = (limits.page_bytes - slots_offset) / slot_bytes;
        comptime {
            assert(slots_per_page >= 1);
        }

        /// Pages with a free slot.
        open: ?*Page = null,
        used: u32 = 0,

        fn slot(page: *Page, index: u32) *Slot {
            return @ptrFromInt(@intFromPtr(page) + slots_offset + index * slot_bytes);
        }

        /// With undefined content.
        pub fn create(slots: *Self, pages: Pages) error{OutOfMemory}!*T {
            const page = slots.open orelse try slots.grow(pages);
            var chosen: *Slot = undefined;
            if (page.free) |first| {
                chosen = first;
                page.free = first.free;
            } else {
                chosen = slot(page, page.fresh);
                page.fresh += 1;
            }
            page.used += 1;
            slots.used += 1;
            if (page.free == null and page.fresh == slots_per_page) slots.unlink(page);
            return @ptrCast(@alignCast(chosen));
        }

        fn grow(slots: *Self, pages: Pages) error{OutOfMemory}!*Page {
            const bytes: PagePointer = pages.allocate() orelse return error.OutOfMemory;
            const page: *Page = @ptrCast(bytes);
            page.* = .{ .previous = null, .next = null, .free = null, .used = 0, .fresh = 0 };
            slots.open = page;
            return page;
        }

        pub fn destroy(slots: *Self, pages: Pages, value: *T) void {
            const chosen: *Slot = @ptrCast(@alignCast(value));
            const page: *Page = @ptrFromInt(@intFromPtr(chosen) & ~@as(usize, limits.page_bytes - 1));
            assert(page.used > 0 and slots.used > 0);
            const was_full = page.free == null and page.fresh == slots_per_page;
            chosen.* = .{ .free = page.free };
            page.free = chosen;
            page.used -= 1;
            slots.used -= 1;
            if (was_full) slots.link(page);
            if (page.used == 0) {
                slots.unlink(page);
                pages.release(@ptrCast(@alignCast(page)));
            }
        }

        fn link(slots: *Self, page: *Page) void {
            page.previous = null;
            page.next = slots.open;
            if (slots.open) |other| other.previous = page;
            slots.open = page;
        }

        fn unlink(slots: *Self, page: *Page) void {
            if (page.previous) |previous| previous.next = page.next else slots.open = page.next;
            if (page.next) |next| next.previous = page.previous;
            page.previous = null;
            page.next = null;
        }
    };
}
