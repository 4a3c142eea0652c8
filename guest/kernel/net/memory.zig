//! The pages that the stack lives on. The caller gives and takes them, so that it can charge and bound them; the stack
//! never holds more than `pages_max`. Nothing here blocks.
const std = @import("std");
const limits = @import("../limits.zig");
const Slots = @import("../mem/slots.zig").Slots;
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

/// Objects of one type in pages of the stack's.
pub fn Pool(comptime T: type) type {
    return Slots(T, *Memory);
}
