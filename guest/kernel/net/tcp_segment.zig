//! TCP segments on the wire (RFC 9293, section 3.1), with the options of RFC 2018 and RFC 7323.
const std = @import("std");
const ipv4 = @import("ipv4.zig");
const sequence = @import("sequence.zig");

pub const header_bytes = 20;
pub const options_bytes_max = 40;

pub const Flags = packed struct(u8) {
    fin: bool = false,
    syn: bool = false,
    rst: bool = false,
    psh: bool = false,
    ack: bool = false,
    urg: bool = false,
    ece: bool = false,
    cwr: bool = false,
};

pub const Timestamp = struct { value: u32, echo: u32 };

pub const Options = struct {
    /// 0 where there is none.
    segment_bytes_max: u16 = 0,
    scale: ?u8 = null,
    selective_permitted: bool = false,
    timestamp: ?Timestamp = null,
    blocks: [4]sequence.Range = undefined,
    blocks_count: u8 = 0,

    pub fn bytes(options: *const Options) u32 {
        var sum: u32 = 0;
        if (options.segment_bytes_max != 0) sum += 4;
        if (options.scale != null) sum += 4;
        if (options.timestamp != null) sum += 12 else if (options.selective_permitted) sum += 4;
        if (options.blocks_count > 0) sum += 4 + @as(u32, options.blocks_count) * 8;
        return sum;
    }
};

pub const Header = struct {
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32 = 0,
    flags: Flags,
    window: u16 = 0,
    options: Options = .{},
};

pub const Segment = struct {
    source: ipv4.Address,
    destination: ipv4.Address,
    header: Header,
    payload: []const u8,

    /// Of the sequence space.
    pub fn length(segment: *const Segment) u32 {
        return @as(u32, @intCast(segment.payload.len)) + @intFromBool(segment.header.flags.syn) + @intFromBool(segment.header.flags.fin);
    }
};

/// The checksum is the caller's to verify.
pub fn parse(source: ipv4.Address, destination: ipv4.Address, bytes: []const u8) ?Segment {
    if (bytes.len < header_bytes) return null;
    const length = @as(usize, bytes[12] >> 4) * 4;
    if (length < header_bytes or length > bytes.len) return null;
    return .{
        .source = source,
        .destination = destination,
        .header = .{
            .source_port = std.mem.readInt(u16, bytes[0..2], .big),
            .destination_port = std.mem.readInt(u16, bytes[2..4], .big),
            .sequence = std.mem.readInt(u32, bytes[4..8], .big),
            .acknowledgement = std.mem.readInt(u32, bytes[8..12], .big),
            .flags = @bitCast(bytes[13]),
            .window = std.mem.readInt(u16, bytes[14..16], .big),
            .options = parseOptions(bytes[header_bytes..length]),
        },
        .payload = bytes[length..],
    };
}

/// What follows an option of an impossible length is not read.
fn parseOptions(bytes: []const u8) Options {
    var options: Options = .{};
    var rest = bytes;
    while (rest.len > 0) {
        if (rest[0] == 0) break;
        if (rest[0] == 1) {
            rest = rest[1..];
            continue;
        }
        if (rest.len < 2 or rest[1] < 2 or rest[1] > rest.len) break;
        const value = rest[2..rest[1]];
        switch (rest[0]) {
            2 => if (value.len == 2) {
                options.segment_bytes_max = std.mem.readInt(u16, value[0..2], .big);
            },
            // RFC 7323, section 2.3: more than 14 counts as 14.
            3 => if (value.len == 1) {
                options.scale = @min(value[0], 14);
            },
            4 => if (value.len == 0) {
                options.selective_permitted = true;
            },
            5 => if (value.len % 8 == 0 and value.len <= 32) {
                options.blocks_count = @intCast(value.len / 8);
                for (options.blocks[0..options.blocks_count], 0..) |*block, index| block.* = .{
                    .start = std.mem.readInt(u32, value[index * 8 ..][0..4], .big),
                    .end = std.mem.readInt(u32, value[index * 8 + 4 ..][0..4], .big),
                };
            },
            8 => if (value.len == 8) {
                options.timestamp = .{
                    .value = std.mem.readInt(u32, value[0..4], .big),
                    .echo = std.mem.readInt(u32, value[4..8], .big),
                };
            },
            else => {},
        }
        rest = rest[rest[1]..];
    }
    return options;
}

/// Writes the header with its options, checksum 0; the length of both.
pub fn write(out: []u8, header: *const Header) u32 {
    const options_bytes = header.options.bytes();
    std.debug.assert(options_bytes % 4 == 0 and options_bytes <= options_bytes_max);
    const length = header_bytes + options_bytes;
    std.mem.writeInt(u16, out[0..2], header.source_port, .big);
    std.mem.writeInt(u16, out[2..4], header.destination_port, .big);
    std.mem.writeInt(u32, out[4..8], header.sequence, .big);
    std.mem.writeInt(u32, out[8..12], header.acknowledgement, .big);
    out[12] = @intCast(length / 4 << 4);
    out[13] = @bitCast(header.flags);
    std.mem.writeInt(u16, out[14..16], header.window, .big);
    out[16..20].* = @splat(0);
    writeOptions(out[header_bytes..length], &header.options);
    return length;
}

fn writeOptions(out: []u8, options: *const Options) void {
    var at: usize = 0;
    if (options.segment_bytes_max != 0) {
        out[0..2].* = .{ 2, 4 };
        std.mem.writeInt(u16, out[2..4], options.segment_bytes_max, .big);
        at += 4;
    }
    if (options.timestamp) |timestamp| {
        out[at..][0..4].* = if (options.selective_permitted) .{ 4, 2, 8, 10 } else .{ 1, 1, 8, 10 };
        std.mem.writeInt(u32, out[at + 4 ..][0..4], timestamp.value, .big);
        std.mem.writeInt(u32, out[at + 8 ..][0..4], timestamp.echo, .big);
        at += 12;
    } else if (options.selective_permitted) {
        out[at..][0..4].* = .{ 1, 1, 4, 2 };
        at += 4;
    }
    if (options.scale) |scale| {
        out[at..][0..4].* = .{ 1, 3, 3, scale };
        at += 4;
    }
    if (options.blocks_count > 0) {
        out[at..][0..4].* = .{ 1, 1, 5, 2 + 8 * options.blocks_count };
        at += 4;
        for (options.blocks[0..options.blocks_count]) |block| {
            std.mem.writeInt(u32, out[at..][0..4], block.start, .big);
            std.mem.writeInt(u32, out[at + 4 ..][0..4], block.end, .big);
            at += 8;
        }
    }
    std.debug.assert(at == out.len);
}

test "what is written is read, with every option" {
    var bytes: [80]u8 = undefined;
    var header: Header = .{
        .source_port = 80,
        .destination_port = 50000,
        .sequence = 0xfffffff0,
        .acknowledgement = 7,
        .flags = .{ .syn = true, .ack = true },
        .window = 999,
        .options = .{ .segment_bytes_max = 1460, .scale = 5, .selective_permitted = true, .timestamp = .{ .value = 1, .echo = 2 } },
    };
    try std.testing.expectEqual(40, write(&bytes, &header));
    try std.testing.expectEqualDeep(header.options.timestamp, parse(1, 2, bytes[0..40]).?.header.options.timestamp);
    const read = parse(1, 2, bytes[0..45]).?;
    try std.testing.expectEqual(6, read.length());
    try std.testing.expectEqual(5, read.header.options.scale.?);
    try std.testing.expectEqual(1460, read.header.options.segment_bytes_max);
    try std.testing.expect(read.header.options.selective_permitted);
    header.options = .{ .timestamp = .{ .value = 1, .echo = 2 }, .blocks_count = 3, .blocks = .{
        .{ .start = 1, .end = 2 }, .{ .start = 3, .end = 4 }, .{ .start = 5, .end = 6 }, .{ .start = 0, .end = 0 },
    } };
    try std.testing.expectEqual(60, write(&bytes, &header));
    const blocks = parse(1, 2, bytes[0..60]).?.header.options;
    try std.testing.expectEqual(3, blocks.blocks_count);
    try std.testing.expectEqual(sequence.Range{ .start = 5, .end = 6 }, blocks.blocks[2]);
}
