//! Numbers that nobody outside may guess: they follow from a random seed by a keyed hash.
const std = @import("std");
const flows = @import("flows.zig");

pub const Numbers = struct {
    seed: [16]u8,
    count: u64 = 0,

    fn keyed(numbers: *const Numbers, purpose: u8, parts: [4]u64) u64 {
        var bytes: [33]u8 = undefined;
        bytes[0] = purpose;
        for (parts, 0..) |word, index| std.mem.writeInt(u64, bytes[1 + index * 8 ..][0..8], word, .little);
        return std.crypto.auth.siphash.SipHash64(2, 4).toInt(&bytes, &numbers.seed);
    }

    fn words(key: flows.Key) [2]u64 {
        return .{ @as(u64, key.local) << 32 | key.remote, @as(u64, key.local_port) << 16 | key.remote_port };
    }

    pub fn random(numbers: *Numbers) u64 {
        numbers.count += 1;
        return numbers.keyed(0, .{ numbers.count, 0, 0, 0 });
    }

    /// RFC 6528: a clock of 4 µs and a hash of the connection.
    pub fn initialSequence(numbers: *const Numbers, key: flows.Key, now_ns: u64) u32 {
        const of_key = words(key);
        return @as(u32, @truncate(now_ns >> 12)) +% @as(u32, @truncate(numbers.keyed(1, .{ of_key[0], of_key[1], 0, 0 })));
    }

    pub fn timestampOffset(numbers: *const Numbers, key: flows.Key) u32 {
        const of_key = words(key);
        return @truncate(numbers.keyed(2, .{ of_key[0], of_key[1], 0, 0 }));
    }

    /// What the timestamp of a connection shows now (RFC 7323, section 5.4): milliseconds from a number of its own.
    pub fn timestamp(numbers: *const Numbers, key: flows.Key, now_ns: u64) u32 {
        return @as(u32, @truncate(now_ns / 1_000_000)) +% numbers.timestampOffset(key);
    }

    /// 24 bits, for the cookie that answers a SYN (RFC 4987, section 3.6).
    pub fn cookieHash(numbers: *const Numbers, key: flows.Key, received: u32, period: u32, index: u32) u32 {
        const of_key = words(key);
        return @truncate(numbers.keyed(3, .{ of_key[0], of_key[1], received, @as(u64, period) << 32 | index }) & 0xff_ffff);
    }
};
