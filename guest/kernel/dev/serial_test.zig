//! The serial port over simulated registers, and the stop sequence in every surrounding.
const std = @import("std");
const serial = @import("serial.zig");
const testing = std.testing;

const Uart = struct {
    out_bytes: [4096]u8 = undefined,
    out_count: usize = 0,
    room: u32 = 16,
    status_reads: u32 = 0,
    pending_input: []const u8 = "",
    stuck: bool = false,
    divisor_latch: bool = false,

    const Port = struct {
        uart: *Uart,

        pub fn in(port: Port, offset: u3) u8 {
            const uart = port.uart;
            switch (offset) {
                0 => {
                    const byte = uart.pending_input[0];
                    uart.pending_input = uart.pending_input[1..];
                    return byte;
                },
                5 => {
                    uart.status_reads += 1;
                    if (!uart.stuck) uart.room = 16;
                    const empty: u8 = if (uart.room == 16) 0x60 else 0;
                    return empty | @intFromBool(uart.pending_input.len > 0);
                },
                else => unreachable,
            }
        }

        pub fn out(port: Port, offset: u3, value: u8) void {
            const uart = port.uart;
            switch (offset) {
                0 => {
                    if (uart.divisor_latch) return;
                    if (!uart.stuck) {
                        std.debug.assert(uart.room > 0);
                        uart.room -= 1;
                    }
                    uart.out_bytes[uart.out_count] = value;
                    uart.out_count += 1;
                },
                3 => uart.divisor_latch = value & 0x80 != 0,
                else => {},
            }
        }
    };
};

test "bytes go out in bursts that the FIFO takes, one look at the status each" {
    var uart: Uart = .{};
    const port = serial.Serial(Uart.Port).init(.{ .uart = &uart });
    try testing.expect(!uart.divisor_latch);
    port.write("0123456789" ** 10);
    try testing.expectEqualStrings("0123456789" ** 10, uart.out_bytes[0..uart.out_count]);
    try testing.expectEqual(@as(u32, 7), uart.status_reads);
}

test "a stuck transmitter blocks for a bounded time" {
    var uart: Uart = .{ .stuck = true, .room = 0 };
    const port = serial.Serial(Uart.Port).init(.{ .uart = &uart });
    port.write("x");
    try testing.expectEqual(@as(u32, 100_000), uart.status_reads);
}

test "input is read until there is none" {
    var uart: Uart = .{ .pending_input = "ab" };
    const port = serial.Serial(Uart.Port).init(.{ .uart = &uart });
    try testing.expectEqual(@as(?u8, 'a'), port.readByte());
    try testing.expectEqual(@as(?u8, 'b'), port.readByte());
    try testing.expectEqual(null, port.readByte());
}

const Input = serial.Input(256);

/// Feeds bytes; gives how often they asked for a stop, and in `passed` what the workload sees.
fn feed(input: *Input, bytes: []const u8, passed: []u8) struct { stops: u32, text: []u8 } {
    var stops: u32 = 0;
    for (bytes) |byte| stops += @intFromBool(input.take(byte) == .stop);
    return .{ .stops = stops, .text = passed[0..input.read(passed)] };
}

test "the stop sequence is found and taken out wherever it stands" {
    const stop = comptime serial.Request.stop.sequence();
    const report = comptime serial.Request.report.sequence();
    const cases = [_]struct { []const u8, u32, []const u8 }{
        .{ stop, 1, "" },
        .{ "ab" ++ stop ++ "cd", 1, "abcd" },
        .{ stop ++ stop, 2, "" },
        .{ "\x1b" ++ stop, 1, "\x1b" },
        .{ "\x1b_" ++ stop, 1, "\x1b_" },
        .{ "\x1b_ukernel:stop" ++ stop, 1, "\x1b_ukernel:stop" },
        .{ "\x1b_ukernel:stop\x1b" ++ stop, 1, "\x1b_ukernel:stop\x1b" },
        .{ "\x1b_ukernel:stop\x1b_ukernel:stop\x1b\\", 1, "\x1b_ukernel:stop" },
        .{ "\x1b[A\x1b_other\x1b\\", 0, "\x1b[A\x1b_other\x1b\\" },
        .{ "\x1b_ukernel:stopx", 0, "\x1b_ukernel:stopx" },
        .{ "a" ++ report ++ "b" ++ stop ++ report, 1, "ab" },
        .{ "\x1b_ukernel:rep" ++ stop, 1, "\x1b_ukernel:rep" },
        .{ "\x1b_ukernel:stop" ++ report, 0, "\x1b_ukernel:stop" },
        .{ "\x1b_ukernel:reportort\x1b\\", 0, "\x1b_ukernel:reportort\x1b\\" },
    };
    for (cases) |case| {
        var input: Input = .{};
        var passed: [256]u8 = undefined;
        const result = feed(&input, case[0], &passed);
        try testing.expectEqual(case[1], result.stops);
        try testing.expectEqualStrings(case[2], result.text);
    }
}

test "any bytes around the sequence pass as they are" {
    var random: std.Random.DefaultPrng = .init(3);
    const sequence = serial.Request.stop.sequence();
    const alphabet = "\x1b_u\\:stopkernel";
    for (0..5000) |_| {
        var bytes: [200]u8 = undefined;
        for (&bytes) |*byte| byte.* = alphabet[random.random().uintLessThan(usize, alphabet.len)];
        var input: Input = .{};
        var passed: [256]u8 = undefined;
        var expected: [256]u8 = undefined;
        const count = std.mem.replacementSize(u8, &bytes, sequence, "");
        const stops = std.mem.replace(u8, &bytes, sequence, "", &expected);
        var found: u32 = 0;
        for (bytes) |byte| found += @intFromBool(input.take(byte) == .stop);
        input.releaseHeld();
        try testing.expectEqual(stops, found);
        try testing.expectEqualStrings(expected[0..count], passed[0..input.read(&passed)]);
    }
}

test "input without room is dropped and counted, never overrun" {
    var input: serial.Input(4) = .{};
    for ("abcdef") |byte| _ = input.take(byte);
    try testing.expectEqual(@as(u64, 2), input.dropped);
    var buffer: [3]u8 = undefined;
    try testing.expectEqual(@as(usize, 3), input.read(&buffer));
    for ("xyz") |byte| _ = input.take(byte);
    var rest: [8]u8 = undefined;
    try testing.expectEqualStrings("dxyz", rest[0..input.read(&rest)]);
    try testing.expectEqual(null, input.take(serial.Request.stop.sequence()[0]));
}
