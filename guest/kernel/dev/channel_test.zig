//! The channel's writer against a reader that follows docs/image-format.md.
const std = @import("std");
const channel = @import("channel.zig");
const testing = std.testing;

const device_slots = 64;

const Record = struct { number: u64, kind: u16, first: bool, last: bool, payload: []const u8 };

/// The file as the host sees it.
const File = struct {
    slots: [device_slots]channel.Slot = std.mem.zeroes([device_slots]channel.Slot),

    fn write(file: *File, batch: channel.Batch) !void {
        try testing.expect(batch.slots.len > 0 and batch.slots.len <= channel.batch_max);
        try testing.expect(batch.sector >= 1 and batch.sector + batch.slots.len <= device_slots + 1);
        @memcpy(file.slots[@intCast(batch.sector - 1)..][0..batch.slots.len], batch.slots);
    }

    fn read(file: *const File, number: u64) !Record {
        const slot = &file.slots[@intCast((number - 1) % device_slots)];
        try testing.expectEqual(channel.crc32c(std.mem.asBytes(slot)[4..]), slot.checksum);
        try testing.expectEqual(number, slot.number);
        try testing.expect(std.mem.allEqual(u8, slot.payload[slot.payload_bytes..], 0));
        try testing.expectEqual(@as(u16, 0), slot.zero);
        return .{
            .number = slot.number,
            .kind = slot.kind,
            .first = slot.flags & 1 != 0,
            .last = slot.flags & 2 != 0,
            .payload = slot.payload[0..slot.payload_bytes],
        };
    }

    fn drain(file: *File, writer: *channel.Writer) !void {
        while (writer.take()) |batch| {
            try testing.expectEqual(null, writer.take());
            try file.write(batch);
            writer.written();
        }
        try testing.expect(writer.isIdle());
    }
};

test "the checksum is CRC-32C" {
    try testing.expectEqual(@as(u32, 0xe3069283), channel.crc32c("123456789"));
}

test "messages of all lengths come out whole and in order, over many turns of ring and device" {
    var ring: [37]channel.Slot = undefined;
    var writer: channel.Writer = .init(&ring, device_slots);
    var file: File = .{};
    var text: [3000]u8 = undefined;
    for (&text, 0..) |*byte, index| byte.* = @truncate('a' + index % 26);
    var number: u64 = 1;
    for ([_]usize{ 0, 1, 479, 480, 481, 960, 961, 3000 } ** 40) |bytes| {
        try testing.expect(writer.append(.log, .{ .time_ns = 7, .task = 3, .level = 1 }, text[0..bytes]));
        try file.drain(&writer);
        var got: [3000]u8 = undefined;
        var length: usize = 0;
        while (true) {
            const record = try file.read(number);
            try testing.expectEqual(@as(u16, 1), record.kind);
            try testing.expectEqual(length == 0, record.first);
            @memcpy(got[length..][0..record.payload.len], record.payload);
            length += record.payload.len;
            number += 1;
            if (record.last) break;
        }
        try testing.expectEqualSlices(u8, text[0..bytes], got[0..length]);
    }
    try testing.expectEqual(number - 1, writer.recordsWritten());
}

test "what finds no room is counted and told, and the end still fits" {
    var ring: [16]channel.Slot = undefined;
    var writer: channel.Writer = .init(&ring, device_slots);
    var file: File = .{};
    const origin: channel.Origin = .{ .time_ns = 1 };
    var accepted: u32 = 0;
    while (writer.append(.log, origin, "x")) accepted += 1;
    try testing.expectEqual(@as(u32, 12), accepted);
    try testing.expect(!writer.append(.log, origin, "y"));
    try testing.expectEqual(@as(u64, 2), writer.lostCount());
    try file.drain(&writer);
    try testing.expect(writer.append(.log, origin, "z"));
    try file.drain(&writer);
    const loss = try file.read(13);
    try testing.expectEqual(@as(u16, 7), loss.kind);
    try testing.expectEqual(@as(u64, 2), std.mem.readInt(u64, loss.payload[0..8], .little));
    try testing.expectEqualStrings("z", (try file.read(14)).payload);

    while (writer.append(.log, origin, "x")) {}
    writer.end(origin, -5, .unhandled_fault, "ä" ** 2000);
    try testing.expect(!writer.append(.log, origin, "after"));
    const last = writer.next_number - 1;
    try file.drain(&writer);
    const tail = try file.read(last);
    try testing.expect(tail.last and tail.kind == 2);
    const head = try file.read(last - 2);
    try testing.expect(head.first and head.kind == 2);
    try testing.expectEqual(@as(i32, -5), std.mem.readInt(i32, head.payload[0..4], .little));
    try testing.expectEqual(@as(u32, 3), std.mem.readInt(u32, head.payload[4..8], .little));
    try testing.expectEqual(@as(u16, 7), (try file.read(last - 3)).kind);
    // The text was cut between two characters.
    try testing.expect(std.unicode.utf8ValidateSlice(tail.payload[tail.payload.len % 2 ..]));
}

test "trace entries share records, in order with other messages" {
    var ring: [16]channel.Slot = undefined;
    var writer: channel.Writer = .init(&ring, device_slots);
    var file: File = .{};
    // Eight of these fill a record to its last byte.
    for (0..9) |index| try testing.expect(writer.trace(.span_begin, 100 + index, &@as([60]u8, @splat(@intCast('a' + index)))));
    try testing.expectEqual(@as(u64, 1), writer.pending());
    try testing.expect(writer.append(.log, .{ .time_ns = 200 }, "between"));
    try testing.expect(writer.trace(.event, 300, "e" ** 1000));
    try testing.expect(writer.trace(.span_end, 400, "end"));
    try testing.expectEqual(@as(u64, 3 + 3), writer.pending());
    writer.seal();
    writer.seal();
    try file.drain(&writer);
    const full = try file.read(1);
    try testing.expectEqual(@as(u16, 3), full.kind);
    try testing.expect(full.first and full.last and full.payload.len == 480 and full.payload[60] == 'b');
    try testing.expectEqualStrings("i" ** 60, (try file.read(2)).payload);
    try testing.expectEqualStrings("between", (try file.read(3)).payload);
    try testing.expect((try file.read(4)).first and (try file.read(6)).last);
    try testing.expectEqualStrings("end", (try file.read(7)).payload);
}

test "lost trace entries are counted by what they were, and the end still fits" {
    var ring: [16]channel.Slot = undefined;
    var writer: channel.Writer = .init(&ring, device_slots);
    var file: File = .{};
    const entry: [60]u8 = @splat('x');
    var accepted: u32 = 0;
    while (writer.trace(.span_begin, 1, &entry)) accepted += 1;
    // Twelve records of eight entries: the ring without what is kept for the end.
    try testing.expectEqual(@as(u32, 12 * 8), accepted);
    for (0..2) |_| try testing.expect(!writer.trace(.span_end, 1, &entry));
    for (0..3) |_| try testing.expect(!writer.trace(.event, 1, &entry));
    try testing.expect(!writer.append(.log, .{ .time_ns = 1 }, "x"));
    writer.end(.{ .time_ns = 2 }, 0, .returned, "bye");
    try file.drain(&writer);
    const loss = try file.read(13);
    try testing.expectEqual(@as(u16, 7), loss.kind);
    for ([_]u64{ 7, 1, 1, 2, 3, 0 }, 0..) |count, index| {
        try testing.expectEqual(count, std.mem.readInt(u64, loss.payload[8 * index ..][0..8], .little));
    }
    try testing.expectEqualStrings("bye", (try file.read(14)).payload[8..]);
}

test "a failed device loses what waited and takes nothing more" {
    var ring: [16]channel.Slot = undefined;
    var writer: channel.Writer = .init(&ring, device_slots);
    const origin: channel.Origin = .{ .time_ns = 1 };
    for (0..3) |_| try testing.expect(writer.append(.log, origin, "x" ** 600));
    _ = writer.take().?;
    writer.fail();
    try testing.expectEqual(@as(u64, 3), writer.lostCount());
    try testing.expect(!writer.append(.log, origin, "x"));
    try testing.expectEqual(@as(u64, 4), writer.lostCount());
    writer.end(origin, 0, .returned, "");
    try testing.expectEqual(null, writer.take());
    try testing.expect(writer.isIdle());
}

test "a channel is known by its first sector" {
    var sector: [512]u8 = @splat(0);
    @memcpy(sector[0..8], "UKCHAN01");
    std.mem.writeInt(u32, sector[8..12], 64, .little);
    std.mem.writeInt(u32, sector[12..16], channel.crc32c(sector[0..12]), .little);
    try testing.expectEqual(@as(?u32, 64), channel.slotCount(&sector, 65));
    try testing.expectEqual(null, channel.slotCount(&sector, 64));
    for (0..16) |index| {
        sector[index] ^= 1;
        try testing.expectEqual(null, channel.slotCount(&sector, 1 << 20));
        sector[index] ^= 1;
    }
    for ([_]u32{ 0, 63, 262_145, std.math.maxInt(u32) }) |count| {
        std.mem.writeInt(u32, sector[8..12], count, .little);
        std.mem.writeInt(u32, sector[12..16], channel.crc32c(sector[0..12]), .little);
        try testing.expectEqual(null, channel.slotCount(&sector, 1 << 40));
    }
}
