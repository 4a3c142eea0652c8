//! Arithmetic of TCP sequence numbers (RFC 9293, section 3.4): they wrap, and any two that are compared lie within 2^31 of each other.
const std = @import("std");

pub inline fn before(a: u32, b: u32) bool {
    return @as(i32, @bitCast(a -% b)) < 0;
}

pub inline fn after(a: u32, b: u32) bool {
    return before(b, a);
}

pub inline fn later(a: u32, b: u32) u32 {
    return if (before(a, b)) b else a;
}

pub inline fn earlier(a: u32, b: u32) u32 {
    return if (before(a, b)) a else b;
}

pub const Range = struct { start: u32, end: u32 };

/// Up to `capacity` ranges of sequence numbers, apart and in order.
pub fn Ranges(comptime capacity: u8) type {
    return struct {
        const Self = @This();

        items: [capacity]Range = undefined,
        count: u8 = 0,

        pub fn slice(ranges: *const Self) []const Range {
            return ranges.items[0..ranges.count];
        }

        /// Adds a range, joined with what it touches; false when there is no place for another.
        pub fn insert(ranges: *Self, start: u32, end: u32) bool {
            std.debug.assert(before(start, end));
            var first: u8 = 0;
            while (first < ranges.count and before(ranges.items[first].end, start)) first += 1;
            var past = first;
            while (past < ranges.count and !after(ranges.items[past].start, end)) past += 1;
            if (past == first) {
                if (ranges.count == capacity) return false;
                var index = ranges.count;
                while (index > first) : (index -= 1) ranges.items[index] = ranges.items[index - 1];
                ranges.items[first] = .{ .start = start, .end = end };
                ranges.count += 1;
                return true;
            }
            ranges.items[first] = .{
                .start = earlier(start, ranges.items[first].start),
                .end = later(end, ranges.items[past - 1].end),
            };
            ranges.removeBetween(first + 1, past);
            return true;
        }

        fn removeBetween(ranges: *Self, first: u8, past: u8) void {
            const gone = past - first;
            if (gone == 0) return;
            for (past..ranges.count) |index| ranges.items[index - gone] = ranges.items[index];
            ranges.count -= gone;
        }

        pub fn dropBefore(ranges: *Self, sequence: u32) void {
            var gone: u8 = 0;
            while (gone < ranges.count and !after(ranges.items[gone].end, sequence)) gone += 1;
            ranges.removeBetween(0, gone);
            if (ranges.count > 0) ranges.items[0].start = later(ranges.items[0].start, sequence);
        }

        /// Bytes of the ranges that lie within `start` to `end`.
        pub fn bytesWithin(ranges: *const Self, start: u32, end: u32) u32 {
            var sum: u32 = 0;
            for (ranges.slice()) |range| {
                const from = later(range.start, start);
                const to = earlier(range.end, end);
                if (before(from, to)) sum += to -% from;
            }
            return sum;
        }

        pub fn bytes(ranges: *const Self) u32 {
            var sum: u32 = 0;
            for (ranges.slice()) |range| sum += range.end -% range.start;
            return sum;
        }

        pub fn covers(ranges: *const Self, start: u32, end: u32) bool {
            for (ranges.slice()) |range| {
                if (!after(range.start, start) and !before(range.end, end)) return true;
            }
            return false;
        }

        /// The first number from `sequence` on that no range holds.
        pub fn skip(ranges: *const Self, sequence: u32) u32 {
            for (ranges.slice()) |range| {
                if (after(range.start, sequence)) break;
                if (before(sequence, range.end)) return range.end;
            }
            return sequence;
        }

        /// Where the next range after `sequence` starts, or `otherwise`.
        pub fn nextStart(ranges: *const Self, sequence: u32, otherwise: u32) u32 {
            for (ranges.slice()) |range| {
                if (after(range.start, sequence)) return earlier(range.start, otherwise);
            }
            return otherwise;
        }

        pub fn highest(ranges: *const Self) ?u32 {
            return if (ranges.count == 0) null else ranges.items[ranges.count - 1].end;
        }
    };
}

test "ranges agree with a bitmap, across the wrap" {
    var random = std.Random.DefaultPrng.init(5);
    const base: u32 = 0xffff_ff80;
    for (0..300) |_| {
        var ranges: Ranges(16) = .{};
        var bitmap: [256]bool = @splat(false);
        for (0..30) |_| {
            const from = random.random().uintLessThan(u32, 250);
            const to = from + 1 + random.random().uintLessThan(u32, @min(12, 255 - from));
            if (random.random().uintLessThan(u32, 8) == 0) {
                ranges.dropBefore(base +% from);
                @memset(bitmap[0..from], false);
            } else if (ranges.insert(base +% from, base +% to)) @memset(bitmap[from..to], true);
            var expected: u32 = 0;
            for (bitmap) |set| expected += @intFromBool(set);
            try std.testing.expectEqual(expected, ranges.bytes());
            for (ranges.slice(), 0..) |range, index| {
                try std.testing.expect(before(range.start, range.end));
                if (index > 0) try std.testing.expect(before(ranges.items[index - 1].end, range.start));
            }
            for (0..256) |at| {
                const sequence = base +% @as(u32, @intCast(at));
                try std.testing.expectEqual(bitmap[at], ranges.covers(sequence, sequence +% 1));
                try std.testing.expectEqual(bitmap[at], ranges.skip(sequence) != sequence);
            }
            try std.testing.expectEqual(expected, ranges.bytesWithin(base, base +% 256));
        }
    }
}
