//! Pages for tests, from the test allocator, so that one that is not given back fails the test.
const std = @import("std");
const memory_file = @import("memory.zig");

pub const TestMemory = struct {
    pages_max: u32,
    pages_given: u32 = 0,
    pages_given_max: u32 = 0,
    /// Pages given back are kept, for the test allocator is slow; `deinit` frees them.
    spare: ?*Spare = null,

    const Spare = struct { next: ?*Spare };

    pub fn memory(given: *TestMemory) memory_file.Memory {
        return .{ .context = given, .allocate_page = allocate, .release_page = release, .pages_max = given.pages_max };
    }

    fn allocate(context: *anyopaque) ?memory_file.PagePointer {
        const given: *TestMemory = @ptrCast(@alignCast(context));
        given.pages_given += 1;
        given.pages_given_max = @max(given.pages_given_max, given.pages_given);
        if (given.spare) |page| {
            given.spare = page.next;
            return @ptrCast(@alignCast(page));
        }
        const bytes = std.heap.page_allocator.alignedAlloc(u8, .fromByteUnits(memory_file.page_bytes), memory_file.page_bytes) catch return null;
        return bytes[0..memory_file.page_bytes];
    }

    fn release(context: *anyopaque, page: memory_file.PagePointer) void {
        const given: *TestMemory = @ptrCast(@alignCast(context));
        given.pages_given -= 1;
        // What is read after it was given back is wrong at once.
        @memset(page, 0xaa);
        const spare: *Spare = @ptrCast(page);
        spare.next = given.spare;
        given.spare = spare;
    }

    pub fn deinit(given: *TestMemory) void {
        while (given.spare) |page| {
            given.spare = page.next;
            const pages: memory_file.PagePointer = @ptrCast(@alignCast(page));
            std.heap.page_allocator.free(@as([]align(memory_file.page_bytes) u8, pages));
        }
    }
};
