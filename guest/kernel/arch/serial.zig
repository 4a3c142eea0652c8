//! COM1: the workload's console stream and the kernel's last words.
const std = @import("std");
const x86 = @import("x86.zig");
const driver = @import("../dev/serial.zig");

const Port = struct {
    const base: u16 = 0x3f8;

    pub fn in(_: Port, offset: u3) u8 {
        return x86.in8(base + @as(u16, offset));
    }
    pub fn out(_: Port, offset: u3, value: u8) void {
        x86.out8(base + @as(u16, offset), value);
    }
};

var port: driver.Serial(Port) = .{ .port = .{} };

pub fn init() void {
    port = .init(.{});
}

pub fn enableReceiveInterrupt() void {
    port.enableReceiveInterrupt();
}

pub fn write(bytes: []const u8) void {
    port.write(bytes);
}

/// The next received byte, if there is one.
pub fn readByte() ?u8 {
    return port.readByte();
}

/// For messages of the kernel's own: at most 512 bytes, cut off beyond.
pub fn print(comptime format: []const u8, args: anytype) void {
    var buffer: [512]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    writer.print(format, args) catch {};
    write(writer.buffered());
}
