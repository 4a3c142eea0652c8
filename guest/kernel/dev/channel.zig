//! The channel's writer: messages become numbered, checksummed 512-byte records, which wait in a bounded ring until the block
//! device has taken them. A message that finds no room is counted, never waited for.
//!
//! Trace entries are short and many: they are collected in one record until it is full, another message follows, or the caller seals it.
//!
//! Pure: the caller gives memory and time, asks for what is to be written and says when it was. It holds one lock over all calls.
//! Format: docs/image-format.md, "Channel".
const std = @import("std");

pub const slot_bytes = 512;
pub const payload_bytes_max = 480;
pub const slots_min = 64;
pub const slots_max = 262_144;
/// Records that only the end may take: its text can have that many times payload_bytes_max bytes.
pub const slots_reserved = 4;
/// Records in one write.
pub const batch_max = 64;

pub const Kind = enum(u16) { log = 1, exit = 2, trace = 3, boot_phase = 6, loss = 7, fault = 8, statistics = 9, latency = 10 };

/// What losses are counted by.
pub const Subject = enum(u8) { log, span_begin, span_end, event, other };
pub const Losses = [std.enums.values(Subject).len]u64;

const no_losses: Losses = @splat(0);

pub const Cause = enum(u32) { returned = 0, vm_exit = 1, stop_request = 2, unhandled_fault = 3, kernel_panic = 4 };

pub const Slot = extern struct {
    checksum: u32,
    kind: u16,
    flags: u8,
    level: u8,
    number: u64,
    time_ns: u64,
    task: u32,
    payload_bytes: u16,
    zero: u16,
    payload: [payload_bytes_max]u8,

    comptime {
        std.debug.assert(@sizeOf(Slot) == slot_bytes);
        std.debug.assert(@offsetOf(Slot, "payload") == 32);
    }
};

const flag_first: u8 = 1;
const flag_last: u8 = 2;

/// Reads sector 0 of a block device: the number of slots if it is a channel that the device has room for.
pub fn slotCount(sector: *const [slot_bytes]u8, device_sectors: u64) ?u32 {
    if (!std.mem.eql(u8, sector[0..8], "UKCHAN01")) return null;
    if (std.mem.readInt(u32, sector[12..16], .little) != crc32c(sector[0..12])) return null;
    const count = std.mem.readInt(u32, sector[8..12], .little);
    if (count < slots_min or count > slots_max or @as(u64, count) + 1 > device_sectors) return null;
    return count;
}

/// What a message says of itself.
pub const Origin = struct { time_ns: u64, task: u32 = 0, level: u8 = 0 };

/// Records to write, one behind the other, from a sector on.
pub const Batch = struct { sector: u64, slots: []const Slot };

pub const Writer = struct {
    ring: []Slot,
    device_slots: u32,
    /// Number of the next record; the first is 1.
    next_number: u64 = 1,
    /// Number of the oldest record that the device has not taken.
    first_pending: u64 = 1,
    /// Records of the batch that the device has.
    writing: u32 = 0,
    /// Messages lost since the last loss record, and altogether.
    lost: Losses = no_losses,
    lost_total: Losses = no_losses,
    /// Trace entries that wait for more of them; a record is kept free for them.
    open: [payload_bytes_max]u8 = undefined,
    open_bytes: u16 = 0,
    open_time_ns: u64 = 0,
    broken: bool = false,
    ended: bool = false,

    /// `ring` holds at least 16 slots.
    pub fn init(ring: []Slot, device_slots: u32) Writer {
        std.debug.assert(ring.len >= 4 * slots_reserved);
        std.debug.assert(device_slots >= slots_min and device_slots <= slots_max);
        return .{ .ring = ring, .device_slots = device_slots };
    }

    fn free(writer: *const Writer) u64 {
        return writer.ring.len - (writer.next_number - writer.first_pending);
    }

    /// Records that a message may take now.
    fn room(writer: *const Writer) u64 {
        if (writer.broken or writer.ended) return 0;
        return writer.free() -| (slots_reserved + @as(u64, @intFromBool(writer.open_bytes > 0)) + @intFromBool(writer.hasLosses()));
    }

    fn hasLosses(writer: *const Writer) bool {
        return !std.mem.allEqual(u64, &writer.lost, 0);
    }

    /// Adds a message of any length, in as many records as it takes; false when it was lost.
    pub fn append(writer: *Writer, kind: Kind, origin: Origin, payload: []const u8) bool {
        if (recordsOf(payload.len) > writer.room()) {
            writer.lose(if (kind == .log) .log else .other);
            return false;
        }
        writer.seal();
        writer.reportLoss(origin.time_ns);
        writer.put(kind, origin, payload);
        return true;
    }

    /// Adds an entry to the trace record that is open; false when it was lost.
    pub fn trace(writer: *Writer, subject: Subject, time_ns: u64, entry: []const u8) bool {
        std.debug.assert(entry.len > 0);
        if (!writer.broken and !writer.ended and writer.open_bytes > 0 and writer.open_bytes + entry.len <= payload_bytes_max) {
            @memcpy(writer.open[writer.open_bytes..][0..entry.len], entry);
            writer.open_bytes += @intCast(entry.len);
            return true;
        }
        // What is open keeps its own record, and this entry needs the next.
        if (recordsOf(entry.len) > writer.room()) {
            writer.lose(subject);
            return false;
        }
        writer.seal();
        writer.reportLoss(time_ns);
        if (entry.len > payload_bytes_max) {
            writer.put(.trace, .{ .time_ns = time_ns }, entry);
        } else {
            @memcpy(writer.open[0..entry.len], entry);
            writer.open_bytes = @intCast(entry.len);
            writer.open_time_ns = time_ns;
        }
        return true;
    }

    /// Makes a record of the trace entries that wait for more.
    pub fn seal(writer: *Writer) void {
        if (writer.open_bytes == 0) return;
        const bytes = writer.open_bytes;
        writer.open_bytes = 0;
        writer.put(.trace, .{ .time_ns = writer.open_time_ns }, writer.open[0..bytes]);
    }

    fn lose(writer: *Writer, subject: Subject) void {
        writer.lost[@intFromEnum(subject)] += 1;
        writer.lost_total[@intFromEnum(subject)] += 1;
    }

    /// Messages lost so far.
    pub fn lostCount(writer: *const Writer) u64 {
        var sum: u64 = 0;
        for (writer.lost_total) |count| sum += count;
        return sum;
    }

    fn recordsOf(bytes: usize) u64 {
        return @max(1, (bytes + payload_bytes_max - 1) / payload_bytes_max);
    }

    /// Says how many were lost: altogether, then by subject.
    fn reportLoss(writer: *Writer, time_ns: u64) void {
        if (!writer.hasLosses()) return;
        var payload: [8 * (1 + no_losses.len)]u8 = undefined;
        var sum: u64 = 0;
        for (writer.lost, 1..) |count, index| {
            sum += count;
            std.mem.writeInt(u64, payload[8 * index ..][0..8], count, .little);
        }
        std.mem.writeInt(u64, payload[0..8], sum, .little);
        writer.lost = no_losses;
        writer.put(.loss, .{ .time_ns = time_ns }, &payload);
    }

    /// Adds the last message, in the room that is kept for it; a longer text is cut. Nothing follows it.
    pub fn end(writer: *Writer, origin: Origin, status: i32, cause: Cause, text: []const u8) void {
        if (writer.broken or writer.ended) return;
        writer.seal();
        writer.ended = true;
        const loss_records: u64 = @intFromBool(writer.hasLosses());
        const records: usize = @intCast(@min(writer.free() - loss_records, slots_reserved));
        std.debug.assert(records > 0);
        var payload: [slots_reserved * payload_bytes_max]u8 = undefined;
        std.mem.writeInt(i32, payload[0..4], status, .little);
        std.mem.writeInt(u32, payload[4..8], @intFromEnum(cause), .little);
        const kept = cutText(text, records * payload_bytes_max - 8);
        @memcpy(payload[8..][0..kept.len], kept);
        writer.reportLoss(origin.time_ns);
        writer.put(.exit, origin, payload[0 .. 8 + kept.len]);
    }

    /// At most `bytes` of a text, not ending inside a UTF-8 sequence.
    fn cutText(text: []const u8, bytes: usize) []const u8 {
        if (text.len <= bytes) return text;
        var length = bytes;
        while (length > 0 and text[length] & 0xc0 == 0x80) length -= 1;
        return text[0..length];
    }

    fn put(writer: *Writer, kind: Kind, origin: Origin, payload: []const u8) void {
        const records = recordsOf(payload.len);
        std.debug.assert(records <= writer.free());
        for (0..records) |index| {
            const start = index * payload_bytes_max;
            const piece = payload[start..@min(start + payload_bytes_max, payload.len)];
            const slot = &writer.ring[writer.next_number % writer.ring.len];
            slot.* = .{
                .checksum = 0,
                .kind = @intFromEnum(kind),
                .flags = (if (index == 0) flag_first else 0) | (if (index + 1 == records) flag_last else 0),
                .level = origin.level,
                .number = writer.next_number,
                .time_ns = origin.time_ns,
                .task = origin.task,
                .payload_bytes = @intCast(piece.len),
                .zero = 0,
                .payload = @splat(0),
            };
            @memcpy(slot.payload[0..piece.len], piece);
            slot.checksum = crc32c(std.mem.asBytes(slot)[4..]);
            writer.next_number += 1;
        }
    }

    /// What to write next; null when nothing waits or a batch is out. The memory stays as it is until the batch is answered.
    pub fn take(writer: *Writer) ?Batch {
        if (writer.broken or writer.writing != 0) return null;
        const waiting = writer.pending();
        if (waiting == 0) return null;
        const ring_start = writer.first_pending % writer.ring.len;
        const device_start = (writer.first_pending - 1) % writer.device_slots;
        const count = @min(waiting, batch_max, writer.ring.len - ring_start, writer.device_slots - device_start);
        writer.writing = @intCast(count);
        return .{ .sector = 1 + device_start, .slots = writer.ring[ring_start..][0..count] };
    }

    /// The batch is on the device.
    pub fn written(writer: *Writer) void {
        std.debug.assert(writer.writing > 0);
        writer.first_pending += writer.writing;
        writer.writing = 0;
        std.debug.assert(writer.first_pending <= writer.next_number);
    }

    /// The device failed: what waits is lost, and whatever comes.
    pub fn fail(writer: *Writer) void {
        var number = writer.first_pending;
        while (number < writer.next_number) : (number += 1) {
            const slot = &writer.ring[number % writer.ring.len];
            if (slot.flags & flag_last != 0) writer.lost_total[@intFromEnum(@as(Subject, if (slot.kind == @intFromEnum(Kind.log)) .log else .other))] += 1;
        }
        writer.open_bytes = 0;
        writer.writing = 0;
        writer.first_pending = writer.next_number;
        writer.broken = true;
    }

    /// Records that the device has taken.
    pub fn recordsWritten(writer: *const Writer) u64 {
        return writer.first_pending - 1;
    }

    /// Records that wait, or are with the device.
    pub fn pending(writer: *const Writer) u64 {
        return writer.next_number - writer.first_pending;
    }

    /// Nothing waits and nothing is out.
    pub fn isIdle(writer: *const Writer) bool {
        return writer.broken or writer.pending() == 0;
    }
};

pub fn crc32c(bytes: []const u8) u32 {
    return std.hash.crc.Crc32Iscsi.hash(bytes);
}
