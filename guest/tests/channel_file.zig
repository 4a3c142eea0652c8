//! Makes and reads channel files for the kernel's own tests. Format: docs/image-format.md, "Channel".
//!
//!   channel make <file> <slots>
//!   channel read <file>     each message as "kind level task text"; last "exit <status> <cause> <text>" or "no exit record"
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
        } else try out.print("{d} {d} {d} {s}\n", .{ slot.kind, slot.level, slot.task, payload });
    }
    if (!exit) try out.writeAll("no exit record\n");
    return good and exit;
}

fn slotAt(file: []const u8, index: usize) *align(1) const channel.Slot {
    return @ptrCast(file[(index + 1) * channel.slot_bytes ..][0..channel.slot_bytes]);
}

fn isSound(slot: *align(1) const channel.Slot) bool {
    return slot.number != 0 and slot.payload_bytes <= channel.payload_bytes_max and
        slot.checksum == channel.crc32c(@as([*]const u8, @ptrCast(slot))[4..channel.slot_bytes]);
}
