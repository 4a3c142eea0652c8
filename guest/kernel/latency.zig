//! How long something took, counted by powers of two.
const std = @import("std");

pub const buckets_max = 40;

/// The n-th bucket counts from 2^n to 2^(n+1) nanoseconds; the last one all above, nine minutes.
pub const Histogram = struct {
    count: u64 = 0,
    sum_ns: u64 = 0,
    max_ns: u64 = 0,
    buckets: [buckets_max]u32 = @splat(0),

    pub fn add(histogram: *Histogram, elapsed_ns: u64) void {
        histogram.count += 1;
        histogram.sum_ns +|= elapsed_ns;
        histogram.max_ns = @max(histogram.max_ns, elapsed_ns);
        histogram.buckets[@min(std.math.log2_int(u64, @max(1, elapsed_ns)), buckets_max - 1)] +|= 1;
    }
};

test "each time falls into the bucket of its power of two" {
    var histogram: Histogram = .{};
    for ([_]u64{ 0, 1, 2, 3, 4, 1023, 1024, 1 << 39, std.math.maxInt(u64) }) |elapsed_ns| histogram.add(elapsed_ns);
    try std.testing.expectEqual(@as(u64, 9), histogram.count);
    try std.testing.expectEqual(@as(u64, std.math.maxInt(u64)), histogram.max_ns);
    const wanted = [_]struct { usize, u32 }{ .{ 0, 2 }, .{ 1, 2 }, .{ 2, 1 }, .{ 9, 1 }, .{ 10, 1 }, .{ 39, 2 } };
    for (wanted) |pair| try std.testing.expectEqual(pair[1], histogram.buckets[pair[0]]);
}
