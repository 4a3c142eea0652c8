//! The Internet checksum (RFC 1071). Sums are kept in the machine's byte order, which the ones' complement sum allows.
const std = @import("std");
const builtin = @import("builtin");

comptime {
    std.debug.assert(builtin.cpu.arch.endian() == .little);
}

/// Adds bytes to a running sum; only the last piece of what is summed may have an odd length.
pub fn add(initial: u64, bytes: []const u8) u64 {
    var sum = initial;
    var rest = bytes;
    while (rest.len >= 16) : (rest = rest[16..]) {
        sum += std.mem.readInt(u32, rest[0..4], .little);
        sum += std.mem.readInt(u32, rest[4..8], .little);
        sum += std.mem.readInt(u32, rest[8..12], .little);
        sum += std.mem.readInt(u32, rest[12..16], .little);
    }
    while (rest.len >= 2) : (rest = rest[2..]) sum += std.mem.readInt(u16, rest[0..2], .little);
    if (rest.len == 1) sum += rest[0];
    return sum;
}

/// The sum over the pseudo header of UDP and TCP.
pub fn pseudo(source: u32, destination: u32, protocol: u8, length: u32) u64 {
    return @as(u64, @byteSwap(source)) + @byteSwap(destination) + @byteSwap(@as(u32, protocol)) + @byteSwap(length);
}

fn fold(sum: u64) u16 {
    var value = sum;
    while (value >> 16 != 0) value = (value & 0xffff) + (value >> 16);
    return @intCast(value);
}

/// What goes into the checksum field, as a number: to be written in network order.
pub fn finish(sum: u64) u16 {
    return @byteSwap(~fold(sum));
}

/// What goes into the field when the device adds the sum of the bytes after it: the sum so far, not complemented.
pub fn partial(sum: u64) u16 {
    return @byteSwap(fold(sum));
}

/// Whether bytes with their checksum field sum up.
pub fn valid(sum: u64) bool {
    return fold(sum) == 0xffff;
}

test "the example of RFC 1071, in pieces and of odd length" {
    const bytes = [_]u8{ 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    try std.testing.expectEqual(0xddf2, partial(add(0, &bytes)));
    try std.testing.expectEqual(0x220d, finish(add(add(0, bytes[0..4]), bytes[4..])));
    try std.testing.expectEqual(~@as(u16, 0x0100), finish(add(0, &.{1})));
}

test "a slow sum agrees, whatever the length, and a flipped bit is seen" {
    var random = std.Random.DefaultPrng.init(11);
    var bytes: [1500]u8 = undefined;
    random.random().bytes(&bytes);
    for (0..bytes.len) |length| {
        var slow: u32 = 0;
        for (bytes[0..length], 0..) |byte, index| slow += if (index % 2 == 0) @as(u32, byte) << 8 else byte;
        while (slow >> 16 != 0) slow = (slow & 0xffff) + (slow >> 16);
        try std.testing.expectEqual(~@as(u16, @intCast(slow)), finish(add(0, bytes[0..length])));
    }
    std.mem.writeInt(u16, bytes[0..2], 0, .big);
    std.mem.writeInt(u16, bytes[0..2], finish(add(0, &bytes)), .big);
    try std.testing.expect(valid(add(0, &bytes)));
    bytes[777] ^= 0x10;
    try std.testing.expect(!valid(add(0, &bytes)));
}
