//! From an unsorted memory map with reserved pieces to sorted ranges of whole usable frames.
const std = @import("std");
const limits = @import("../limits.zig");
const MapEntry = @import("pvh.zig").MapEntry;
const kind_usable = @import("pvh.zig").kind_usable;

pub const Range = struct { start: u64, end: u64 };

pub const Ranges = struct {
    items: [limits.memory_ranges_max]Range = undefined,
    count: usize = 0,

    pub fn slice(ranges: *const Ranges) []const Range {
        return ranges.items[0..ranges.count];
    }

    noinline fn add(ranges: *Ranges, range: Range) void {
        @setRuntimeSafety(limits.start_checks);
        if (range.start >= range.end or ranges.count == ranges.items.len) return;
        ranges.items[ranges.count] = range;
        ranges.count += 1;
    }

    /// Cuts `hole` out. A hole in the middle makes two ranges; when there is no room for the second, it is given up.
    pub noinline fn exclude(ranges: *Ranges, hole: Range) void {
        @setRuntimeSafety(limits.start_checks);
        const start = hole.start & ~(limits.page_bytes - 1);
        const end = std.mem.alignForward(u64, @min(hole.end, address_end), limits.page_bytes);
        if (start >= end) return;
        const old = ranges.*;
        ranges.count = 0;
        for (old.slice()) |range| {
            ranges.add(.{ .start = range.start, .end = @min(range.end, start) });
            ranges.add(.{ .start = @max(range.start, end), .end = range.end });
        }
    }
};

/// Memory above this is left alone: frame numbers have 32 bits.
const address_end: u64 = 1 << 44;

pub fn usable(map: []const MapEntry) Ranges {
    @setRuntimeSafety(limits.start_checks);
    var ranges: Ranges = .{};
    for (map) |entry| {
        if (entry.kind != kind_usable) continue;
        const start = std.mem.alignForward(u64, @min(entry.address, address_end), limits.page_bytes);
        const end = (@min(entry.address +| entry.bytes, address_end)) & ~(limits.page_bytes - 1);
        ranges.add(.{ .start = start, .end = end });
    }
    std.sort.insertion(Range, ranges.items[0..ranges.count], {}, struct {
        fn less(_: void, a: Range, b: Range) bool {
            return a.start < b.start;
        }
    }.less);
    mergeOverlaps(&ranges);
    for (map) |entry| {
        if (entry.kind == kind_usable) continue;
        ranges.exclude(.{ .start = entry.address, .end = entry.address +| entry.bytes });
    }
    return ranges;
}

fn mergeOverlaps(ranges: *Ranges) void {
    @setRuntimeSafety(limits.start_checks);
    if (ranges.count == 0) return;
    var last: usize = 0;
    for (1..ranges.count) |index| {
        const range = ranges.items[index];
        if (range.start <= ranges.items[last].end) {
            ranges.items[last].end = @max(ranges.items[last].end, range.end);
        } else {
            last += 1;
            ranges.items[last] = range;
        }
    }
    ranges.count = last + 1;
}

test "sorts, merges and cuts reserved pieces out" {
    const map = [_]MapEntry{
        .{ .address = 0x200000, .bytes = 0x100000, .kind = 1, .reserved = 0 },
        .{ .address = 0, .bytes = 0x9fc00, .kind = 1, .reserved = 0 },
        .{ .address = 0x100000, .bytes = 0x100000, .kind = 1, .reserved = 0 },
        .{ .address = 0x180000, .bytes = 0x1001, .kind = 2, .reserved = 0 },
        .{ .address = 0xffff_ffff_ffff_f000, .bytes = 0x5000, .kind = 2, .reserved = 0 },
    };
    const ranges = usable(&map);
    try std.testing.expectEqualSlices(Range, &.{
        .{ .start = 0, .end = 0x9f000 },
        .{ .start = 0x100000, .end = 0x180000 },
        .{ .start = 0x182000, .end = 0x300000 },
    }, ranges.slice());
}

test "a hole beyond every range changes nothing, one over a range removes it" {
    const map = [_]MapEntry{.{ .address = 0x1000, .bytes = 0x2000, .kind = 1, .reserved = 0 }};
    var ranges = usable(&map);
    ranges.exclude(.{ .start = 0x8000, .end = 0x9000 });
    try std.testing.expectEqual(1, ranges.count);
    ranges.exclude(.{ .start = 0, .end = 0x9000 });
    try std.testing.expectEqual(0, ranges.count);
}
