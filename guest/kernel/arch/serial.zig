//! The 16550 at COM1: the workload's console stream and the kernel's last words.
const std = @import("std");
const x86 = @import("x86.zig");

const base: u16 = 0x3f8;
const line_status_data_ready: u8 = 0x01;
const line_status_transmit_empty: u8 = 0x20;
/// A transmitter that stays busy this long is given up on for the byte: a console never blocks the kernel.
const transmit_polls_max: u32 = 100_000;

pub fn init() void {
    x86.out8(base + 1, 0x00);
    x86.out8(base + 3, 0x80);
    x86.out8(base + 0, 0x01);
    x86.out8(base + 1, 0x00);
    x86.out8(base + 3, 0x03);
    x86.out8(base + 2, 0xc7);
    x86.out8(base + 4, 0x0b);
}

pub fn enableReceiveInterrupt() void {
    x86.out8(base + 1, 0x01);
}

pub fn writeByte(byte: u8) void {
    var polls: u32 = 0;
    while (x86.in8(base + 5) & line_status_transmit_empty == 0) : (polls += 1) {
        if (polls == transmit_polls_max) return;
        x86.pause();
    }
    x86.out8(base, byte);
}

pub fn write(bytes: []const u8) void {
    for (bytes) |byte| writeByte(byte);
}

/// The next received byte, if there is one.
pub fn readByte() ?u8 {
    if (x86.in8(base + 5) & line_status_data_ready == 0) return null;
    return x86.in8(base);
}

/// For messages of the kernel's own: at most 512 bytes, cut off beyond.
pub fn print(comptime format: []const u8, args: anytype) void {
    var buffer: [512]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    writer.print(format, args) catch {};
    write(writer.buffered());
}
