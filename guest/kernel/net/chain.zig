//! A byte queue in a chain of pages: it grows with use and costs nothing when empty. Bytes are named by their offset from the front, so that
//! a stream can be filled out of order and read again from the middle.
const std = @import("std");
const memory_file = @import("memory.zig");
const Memory = memory_file.Memory;
const assert = std.debug.assert;

const Link = struct {
    next: ?*Link,
    data: [data_bytes]u8,
};

pub const data_bytes: u32 = memory_file.page_bytes - @sizeOf(?*Link);
comptime {
    assert(@sizeOf(Link) == memory_file.page_bytes);
}

pub const Chain = struct {
    head: ?*Link = null,
    tail: ?*Link = null,
    pages: u32 = 0,
    /// Where in the first page offset 0 stands.
    front: u32 = 0,
    /// The page found last and its index, for what follows it: going through a chain in order costs no walk.
    hint: ?*Link = null,
    hint_index: u32 = 0,

    /// Bytes that the pages have room for, from offset 0.
    pub fn capacity(chain: *const Chain) u32 {
        return chain.pages * data_bytes - chain.front;
    }

    /// Makes room for the bytes up to `end`; false, with what there was before, when there are no pages for them.
    pub fn extend(chain: *Chain, memory: *Memory, end: u32) bool {
        const before = chain.capacity();
        while (chain.capacity() < end) {
            const page: *Link = @ptrCast(memory.allocate() orelse {
                chain.trim(memory, before);
                return false;
            });
            page.next = null;
            if (chain.tail) |tail| tail.next = page else chain.head = page;
            chain.tail = page;
            chain.pages += 1;
        }
        return true;
    }

    fn find(chain: *Chain, index: u32) *Link {
        assert(index < chain.pages);
        var page = chain.head.?;
        var found: u32 = 0;
        if (chain.hint) |hint| if (chain.hint_index <= index) {
            page = hint;
            found = chain.hint_index;
        };
        while (found < index) : (found += 1) page = page.next.?;
        chain.hint = page;
        chain.hint_index = index;
        return page;
    }

    /// The bytes from `offset` to the end of their page.
    pub fn at(chain: *Chain, offset: u32) []u8 {
        assert(offset < chain.capacity());
        const position = chain.front + offset;
        return chain.find(position / data_bytes).data[position % data_bytes ..];
    }

    pub fn write(chain: *Chain, offset: u32, bytes: []const u8) void {
        var done: u32 = 0;
        while (done < bytes.len) {
            const to = chain.at(offset + done);
            const count: u32 = @intCast(@min(to.len, bytes.len - done));
            @memcpy(to[0..count], bytes[done..][0..count]);
            done += count;
        }
    }

    pub fn read(chain: *Chain, offset: u32, out: []u8) void {
        var done: u32 = 0;
        while (done < out.len) {
            const from = chain.at(offset + done);
            const count: u32 = @intCast(@min(from.len, out.len - done));
            @memcpy(out[done..][0..count], from[0..count]);
            done += count;
        }
    }

    /// Up to two pieces that hold the `length` bytes from `offset`, or as many of them as two pages do.
    pub fn slices(chain: *Chain, offset: u32, length: u32) [2][]u8 {
        var pieces: [2][]u8 = .{ &.{}, &.{} };
        if (length == 0) return pieces;
        const first = chain.at(offset);
        pieces[0] = first[0..@min(first.len, length)];
        const rest = length - @as(u32, @intCast(pieces[0].len));
        if (rest > 0) {
            const second = chain.at(offset + @as(u32, @intCast(pieces[0].len)));
            pieces[1] = second[0..@min(second.len, rest)];
        }
        return pieces;
    }

    /// Forgets the first `count` bytes and gives back the pages that held only them.
    pub fn drop(chain: *Chain, memory: *Memory, count: u32) void {
        assert(count <= chain.capacity());
        chain.front += count;
        while (chain.front >= data_bytes) {
            const page = chain.head.?;
            chain.head = page.next;
            if (chain.head == null) chain.tail = null;
            chain.pages -= 1;
            chain.front -= data_bytes;
            if (chain.hint_index == 0) chain.hint = null else chain.hint_index -= 1;
            memory.release(@ptrCast(@alignCast(page)));
        }
    }

    /// Gives back the pages after the first `keep` bytes; all when none are kept.
    pub fn trim(chain: *Chain, memory: *Memory, keep: u32) void {
        const pages_kept = if (keep == 0) 0 else (chain.front + keep + data_bytes - 1) / data_bytes;
        if (pages_kept >= chain.pages) return;
        chain.hint = null;
        chain.hint_index = 0;
        var rest: ?*Link = undefined;
        if (pages_kept == 0) {
            rest = chain.head;
            chain.* = .{};
        } else {
            const last = chain.find(pages_kept - 1);
            rest = last.next;
            last.next = null;
            chain.tail = last;
            chain.pages = pages_kept;
        }
        while (rest) |page| {
            rest = page.next;
            memory.release(@ptrCast(@alignCast(page)));
        }
    }
};

const TestMemory = @import("test_memory.zig").TestMemory;

test "what was written out of order is read in order, and every page goes back" {
    var given: TestMemory = .{ .pages_max = 64 };
    defer given.deinit();
    var memory = given.memory();
    var chain: Chain = .{};
    var random = std.Random.DefaultPrng.init(3);
    var expected: [40_000]u8 = undefined;
    random.random().bytes(&expected);
    for (0..20) |_| {
        try std.testing.expect(chain.extend(&memory, expected.len));
        var end: u32 = expected.len;
        while (end > 0) {
            const length = @min(end, 1 + random.random().uintLessThan(u32, 5000));
            end -= length;
            chain.write(end, expected[end..][0..length]);
        }
        var done: u32 = 0;
        while (done < expected.len) {
            var pieces = chain.slices(0, @intCast(@min(expected.len - done, 1 + random.random().uintLessThan(u32, 5000))));
            for (&pieces) |piece| {
                try std.testing.expectEqualSlices(u8, expected[done..][0..piece.len], piece);
                done += @intCast(piece.len);
            }
            chain.drop(&memory, @intCast(pieces[0].len + pieces[1].len));
        }
        chain.trim(&memory, 0);
        try std.testing.expectEqual(0, memory.pages_used);
    }
    try std.testing.expectEqual(0, given.pages_given);
}

test "room that is refused changes nothing" {
    var given: TestMemory = .{ .pages_max = 3 };
    defer given.deinit();
    var memory = given.memory();
    var chain: Chain = .{};
    try std.testing.expect(chain.extend(&memory, 2 * data_bytes));
    chain.drop(&memory, 10);
    try std.testing.expect(!chain.extend(&memory, 4 * data_bytes));
    try std.testing.expectEqual(2, memory.pages_used);
    try std.testing.expectEqual(2 * data_bytes - 10, chain.capacity());
    chain.trim(&memory, 0);
    try std.testing.expectEqual(0, given.pages_given);
}
