//! Makes and reads channel files for the kernel's own tests. Format: docs/image-format.md, "Channel".
//!
//!   channel make <file> <slots>
//!   channel read <file>     each record as "kind level task text", "phase <ns> <name>", "lost <all> <logs> <begins> <ends> <events> <others>"; those of
//!                           a trace as "begin <ns> <cpu> <task> <span> <parent> <name>", "end <ns> <cpu> <task> <span>", "event <ns> <cpu> <task> <span>
//!                           <key>=<value>..."; "statistics <number>...", "latency <name>: <number>..."; last "exit <status> <cause> <text>" or "no exit record"
const std = @import("std");
const channel = @import("channel");

const slots_shown_max = channel.slots_max;

pub fn main(init: std.process.Init) !u8 {
    const arena = init.arena.allocator();
    const io = init.io;
    const arguments = try init.minimal.args.toSlice(arena);
    if (arguments.len == 4 and std.mem.eql(u8, arguments[1], "make")) {
        try make(io, arguments[2], try std.fmt.parseInt(u32, arguments[3], 10));
        return 0;
    }
    if (arguments.len == 3 and std.mem.eql(u8, arguments[1], "read")) {
        const file = try std.Io.Dir.cwd().readFileAlloc(io, arguments[2], arena, .limited((channel.slots_max + 1) * channel.slot_bytes));
        var buffer: [4096]u8 = undefined;
        var writer = std.Io.File.stdout().writer(io, &buffer);
        const good = try read(file, &writer.interface);
        try writer.interface.flush();
        return @intFromBool(!good);
    }
    return error.Usage;
}

fn make(io: std.Io, path: []const u8, slots: u32) !void {
    var sector: [channel.slot_bytes]u8 = @splat(0);
    @memcpy(sector[0..8], "UKCHAN01");
    std.mem.writeInt(u32, sector[8..12], slots, .little);
    std.mem.writeInt(u32, sector[12..16], channel.crc32c(sector[0..12]), .little);
    var file = try std.Io.Dir.cwd().createFile(io, path, .{});
    defer file.close(io);
    try file.setLength(io, (@as(u64, slots) + 1) * channel.slot_bytes);
    try file.writePositionalAll(io, &sector, 0);
}

/// Whether every record was sound and the last one is an exit.
fn read(file: []const u8, out: *std.Io.Writer) !bool {
    const slots = channel.slotCount(file[0..channel.slot_bytes], file.len / channel.slot_bytes) orelse return error.NotAChannel;
    var newest: u64 = 0;
    for (0..slots) |index| {
        const slot = slotAt(file, index);
        if (isSound(slot)) newest = @max(newest, slot.number);
    }
    var good = true;
    var exit = false;
    var trace: [4096]u8 = undefined;
    var trace_bytes: usize = 0;
    var number = newest -| (slots - 1);
    if (number == 0) number = 1;
    while (number <= newest) : (number += 1) {
        const slot = slotAt(file, (number - 1) % slots);
        if (!isSound(slot) or slot.number != number) {
            try out.print("bad record {d}\n", .{number});
            good = false;
            continue;
        }
        const payload = slot.payload[0..slot.payload_bytes];
        exit = slot.kind == @intFromEnum(channel.Kind.exit);
        if (exit) {
            try out.print("exit {d} {d} {s}\n", .{ std.mem.readInt(i32, payload[0..4], .little), std.mem.readInt(u32, payload[4..8], .little), payload[8..] });
        } else if (slot.kind == @intFromEnum(channel.Kind.boot_phase)) {
            try out.print("phase {d} {s}\n", .{ std.mem.readInt(u64, payload[0..8], .little), payload[8..] });
        } else if (slot.kind == @intFromEnum(channel.Kind.loss)) {
            try out.writeAll("lost");
            try numbers(payload, out);
        } else if (slot.kind == @intFromEnum(channel.Kind.statistics)) {
            try out.writeAll("statistics");
            try numbers(payload, out);
        } else if (slot.kind == @intFromEnum(channel.Kind.latency)) {
            // Count, sum and longest, then forty buckets.
            try out.print("latency {s}:", .{payload[8 * 43 ..]});
            try numbers(payload[0 .. 8 * 43], out);
        } else if (slot.kind == @intFromEnum(channel.Kind.trace)) {
            if (slot.flags & 1 != 0) trace_bytes = 0;
            @memcpy(trace[trace_bytes..][0..payload.len], payload);
            trace_bytes += payload.len;
            if (slot.flags & 2 != 0) good = try readTrace(trace[0..trace_bytes], out) and good;
        } else try out.print("{d} {d} {d} {s}\n", .{ slot.kind, slot.level, slot.task, payload });
    }
    if (!exit) try out.writeAll("no exit record\n");
    return good and exit;
}

fn numbers(payload: []const u8, out: *std.Io.Writer) !void {
    for (0..payload.len / 8) |index| try out.print(" {d}", .{std.mem.readInt(u64, payload[8 * index ..][0..8], .little)});
    try out.writeByte('\n');
}

/// The entries of one record; false when they are not whole.
fn readTrace(record: []const u8, out: *std.Io.Writer) !bool {
    var rest = record;
    while (rest.len > 0) {
        if (rest.len < 24) return false;
        const bytes = std.mem.readInt(u16, rest[0..2], .little);
        if (bytes < 24 or bytes > rest.len) return false;
        const entry = rest[0..bytes];
        rest = rest[bytes..];
        const task = std.mem.readInt(u32, entry[4..8], .little);
        const time_ns = std.mem.readInt(u64, entry[8..16], .little);
        const span = std.mem.readInt(u64, entry[16..24], .little);
        switch (entry[2]) {
            1 => try out.print("begin {d} {d} {d} {d} {d} {s}\n", .{ time_ns, entry[3], task, span, std.mem.readInt(u64, entry[24..32], .little), entry[32..] }),
            2 => try out.print("end {d} {d} {d} {d}\n", .{ time_ns, entry[3], task, span }),
            3 => {
                try out.print("event {d} {d} {d} {d}", .{ time_ns, entry[3], task, span });
                var fields = entry[24..];
                while (fields.len > 0) {
                    const key = std.mem.readInt(u16, fields[0..2], .little);
                    const value = std.mem.readInt(u16, fields[2..4], .little);
                    try out.print(" {s}={s}", .{ fields[4..][0..key], fields[4 + key ..][0..value] });
                    fields = fields[4 + key + value ..];
                }
                try out.writeByte('\n');
            },
            else => return false,
        }
    }
    return true;
}

fn slotAt(file: []const u8, index: usize) *align(1) const channel.Slot {
    return @ptrCast(file[(index + 1) * channel.slot_bytes ..][0..channel.slot_bytes]);
}

fn isSound(slot: *align(1) const channel.Slot) bool {
    return slot.number != 0 and slot.payload_bytes <= channel.payload_bytes_max and
        slot.checksum == channel.crc32c(@as([*]const u8, @ptrCast(slot))[4..channel.slot_bytes]);
}
