//! The retransmission time-out (RFC 6298). The least is below that RFC's second, as all current stacks have it: a loss on a path of
//! less than a millisecond should not stop a connection for a second.
const std = @import("std");
const limits = @import("../limits.zig");

pub const RoundTrip = struct {
    smoothed_ns: u64 = 0,
    variation_ns: u64 = 0,
    /// Without back-off.
    timeout_ns: u64 = limits.tcp_timeout_initial_ns,

    pub fn sample(trip: *RoundTrip, measured_ns: u64) void {
        const granularity_ns = 1_000_000;
        // A clock that jumped, or an echo of what we never sent, must not overflow what follows.
        const value = @min(measured_ns, limits.tcp_timeout_max_ns);
        if (trip.smoothed_ns == 0) {
            trip.smoothed_ns = @max(value, 1);
            trip.variation_ns = value / 2;
        } else {
            const difference = if (value > trip.smoothed_ns) value - trip.smoothed_ns else trip.smoothed_ns - value;
            trip.variation_ns = (3 * trip.variation_ns + difference) / 4;
            trip.smoothed_ns = @max((7 * trip.smoothed_ns + value) / 8, 1);
        }
        const timeout = trip.smoothed_ns + @max(granularity_ns, 4 * trip.variation_ns);
        trip.timeout_ns = std.math.clamp(timeout, limits.tcp_timeout_min_ns, limits.tcp_timeout_max_ns);
    }

    /// The time-out after `retries` without an answer.
    pub fn backedOff(trip: *const RoundTrip, retries: u8) u64 {
        return @min(trip.timeout_ns << @min(retries, 16), limits.tcp_timeout_max_ns);
    }
};

test "the time-out follows the measurements and doubles up to its limit" {
    var trip: RoundTrip = .{};
    try std.testing.expectEqual(1_000_000_000, trip.timeout_ns);
    trip.sample(400_000_000);
    // SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 * RTTVAR.
    try std.testing.expectEqual(1_200_000_000, trip.timeout_ns);
    trip.sample(480_000_000);
    // RTTVAR = 3/4 * 200 + 1/4 * 80 = 170; SRTT = 7/8 * 400 + 1/8 * 480 = 410.
    try std.testing.expectEqual(1_090_000_000, trip.timeout_ns);
    try std.testing.expectEqual(2_180_000_000, trip.backedOff(1));
    try std.testing.expectEqual(limits.tcp_timeout_max_ns, trip.backedOff(200));
    for (0..200) |_| trip.sample(100_000);
    try std.testing.expectEqual(limits.tcp_timeout_min_ns, trip.timeout_ns);
    trip.sample(std.math.maxInt(u64));
    try std.testing.expect(trip.timeout_ns <= limits.tcp_timeout_max_ns);
}
