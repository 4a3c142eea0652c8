//! The 16550 serial port and the bytes that come in by it.
//!
//! `Port` gives byte-wide registers: fn in(Port, offset: u3) u8, fn out(Port, offset: u3, value: u8) void.
const std = @import("std");

const data = 0;
const interrupt_enable = 1;
const fifo_control = 2;
const line_control = 3;
const modem_control = 4;
const line_status = 5;

const status_received: u8 = 0x01;
const status_transmit_empty: u8 = 0x20;
/// Bytes that an empty transmitter takes at once.
const fifo_bytes = 16;
/// A transmitter that stays full this long is given up on for these bytes: a console never blocks the kernel.
const polls_max = 100_000;

pub fn Serial(comptime Port: type) type {
    return struct {
        const Self = @This();

        port: Port,

        /// 115,200 baud, 8N1, FIFOs on, no interrupts.
        pub fn init(port: Port) Self {
            const divisor_latch = 0x80;
            const eight_bits = 0x03;
            port.out(interrupt_enable, 0);
            port.out(line_control, divisor_latch | eight_bits);
            port.out(data, 1);
            port.out(interrupt_enable, 0);
            port.out(line_control, eight_bits);
            port.out(fifo_control, 0xc7);
            // DTR, RTS, and OUT2, which lets interrupts through.
            port.out(modem_control, 0x0b);
            return .{ .port = port };
        }

        pub fn enableReceiveInterrupt(serial: Self) void {
            serial.port.out(interrupt_enable, 1);
        }

        /// Writes a FIFO's worth for each look at the status, as every look may leave the VM.
        pub fn write(serial: Self, bytes: []const u8) void {
            var rest = bytes;
            while (rest.len > 0) {
                serial.waitForRoom();
                const count = @min(rest.len, fifo_bytes);
                for (rest[0..count]) |byte| serial.port.out(data, byte);
                rest = rest[count..];
            }
        }

        fn waitForRoom(serial: Self) void {
            for (0..polls_max) |_| {
                if (serial.port.in(line_status) & status_transmit_empty != 0) return;
                std.atomic.spinLoopHint();
            }
        }

        pub fn readByte(serial: Self) ?u8 {
            if (serial.port.in(line_status) & status_received == 0) return null;
            return serial.port.in(data);
        }
    };
}

/// What the host asks for: by an APC string (ECMA-48, 8.3.2) that is not passed on.
pub const Request = enum {
    /// An orderly stop.
    stop,
    /// A report in the channel.
    report,

    pub fn sequence(request: Request) []const u8 {
        return switch (request) {
            .stop => "\x1b_ukernel:stop\x1b\\",
            .report => "\x1b_ukernel:report\x1b\\",
        };
    }
};

/// Input between the port and the workload, bounded; what finds no room is dropped and counted.
pub fn Input(comptime capacity: usize) type {
    return struct {
        const Self = @This();

        ring: [capacity]u8 = undefined,
        start: usize = 0,
        count: usize = 0,
        /// Bytes of a request's sequence seen so far, held back, and a request that begins so.
        matched: usize = 0,
        candidate: Request = .stop,
        dropped: u64 = 0,

        /// Takes one byte; gives the request that it completes.
        pub fn take(input: *Self, byte: u8) ?Request {
            while (true) {
                if (input.continued(byte)) |request| {
                    input.candidate = request;
                    input.matched += 1;
                    if (input.matched < request.sequence().len) return null;
                    input.matched = 0;
                    return request;
                }
                if (input.matched == 0) {
                    input.put(byte);
                    return null;
                }
                // Only the first byte of a sequence stands in it again, so what can begin another is that byte at the end of what was held.
                const held = input.candidate.sequence()[0..input.matched];
                const keep: usize = @intFromBool(held.len > 1 and held[held.len - 1] == held[0]);
                for (held[0 .. held.len - keep]) |each| input.put(each);
                input.matched = keep;
            }
        }

        /// A request whose sequence goes on from what is held with this byte.
        fn continued(input: *const Self, byte: u8) ?Request {
            const held = input.candidate.sequence()[0..input.matched];
            for (std.enums.values(Request)) |request| {
                const sequence = request.sequence();
                if (sequence.len > held.len and sequence[held.len] == byte and std.mem.eql(u8, sequence[0..held.len], held)) return request;
            }
            return null;
        }

        /// Passes on what is held back: a lone escape key, when nothing follows for a while.
        pub fn releaseHeld(input: *Self) void {
            for (input.candidate.sequence()[0..input.matched]) |held| input.put(held);
            input.matched = 0;
        }

        fn put(input: *Self, byte: u8) void {
            if (input.count == capacity) {
                input.dropped += 1;
                return;
            }
            input.ring[(input.start + input.count) % capacity] = byte;
            input.count += 1;
        }

        /// Moves what is there and fits into a buffer; gives how much.
        pub fn read(input: *Self, buffer: []u8) usize {
            const count = @min(buffer.len, input.count);
            for (buffer[0..count], 0..) |*byte, index| byte.* = input.ring[(input.start + index) % capacity];
            input.start = (input.start + count) % capacity;
            input.count -= count;
            return count;
        }
    };
}

comptime {
    // The first byte stands once more in each sequence, before the last; `take` relies on it.
    for (std.enums.values(Request)) |request| {
        const sequence = request.sequence();
        std.debug.assert(std.mem.count(u8, sequence, sequence[0..1]) == 2);
        std.debug.assert(sequence[sequence.len - 2] == sequence[0] and sequence[sequence.len - 1] != sequence[1]);
    }
}
