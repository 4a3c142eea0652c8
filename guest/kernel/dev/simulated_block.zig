//! A virtio block device for tests, on the registers of simulated_mmio.zig. It serves requests when told to, in the order it is told.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const simulated_mmio = @import("simulated_mmio.zig");
const assert = std.debug.assert;

const queue_size_max = 64;
const feature_pieces: u64 = 1 << 2;

pub const Transport = simulated_mmio.Transport(1);
pub const registers: Transport = .{ .device_id = 2, .offered = mmio.feature_version_1 | feature_pieces, .queue_size_offered = queue_size_max };

pub const Simulated = struct {
    storage: []u8,
    transport: Transport = registers,
    read_only: bool = false,
    /// Pieces in a request that it takes where it offers to say so; one otherwise.
    pieces_max: u32 = 8,
    /// Reads of the configuration during which it changes.
    unstable_reads: u32 = 0,

    pub const Bus = struct {
        device: *Simulated,

        pub fn read(bus: Bus, offset: u32) u32 {
            const config = @intFromEnum(mmio.Register.config);
            return if (offset >= config) bus.device.readConfiguration(offset - config) else bus.device.transport.read(offset);
        }

        pub fn write(bus: Bus, offset: u32, value: u32) void {
            bus.device.transport.write(offset, value);
        }
    };

    fn readConfiguration(device: *Simulated, offset: u32) u32 {
        if (device.unstable_reads > 0) {
            device.unstable_reads -= 1;
            device.transport.generation += 1;
            return 0xdead_beef;
        }
        const sectors: u64 = device.storage.len / 512;
        return switch (offset) {
            0 => @truncate(sectors),
            4 => @truncate(sectors >> 32),
            12 => device.pieces_max,
            else => 0,
        };
    }

    fn queue(device: *Simulated) *simulated_mmio.Queue {
        return &device.transport.queues[0];
    }

    /// Heads of the requests that wait, oldest first.
    pub fn waiting(device: *Simulated, heads: *[queue_size_max]u16) []u16 {
        var count: usize = 0;
        while (device.queue().take()) |head| : (count += 1) heads[count] = head;
        return heads[0..count];
    }

    /// Serves one request as a good device does and reports it.
    pub fn serve(device: *Simulated, head: u16) void {
        device.report(head, device.perform(head));
    }

    /// Serves all that wait; gives how many.
    pub fn serveAll(device: *Simulated) u32 {
        var heads: [queue_size_max]u16 = undefined;
        const list = device.waiting(&heads);
        for (list) |head| device.serve(head);
        return @intCast(list.len);
    }

    /// Answers, whatever it says.
    pub fn report(device: *Simulated, id: u32, bytes: u32) void {
        device.queue().answer(&.{.{ .id = id, .bytes = bytes }});
        device.transport.interrupt |= 1;
    }

    fn perform(device: *Simulated, head: u16) u32 {
        const table: [*]const mmio.Descriptor = @ptrFromInt(device.queue().address(.descriptors));
        const header = table[head];
        assert(header.bytes == 16 and header.flags == mmio.Descriptor.flag_next);
        const operation: *const u32 = @ptrFromInt(header.address);
        const first_sector: *const u64 = @ptrFromInt(header.address + 8);
        var offset = first_sector.* * 512;
        var moved: u32 = 0;
        var index = header.next;
        while (table[index].flags & mmio.Descriptor.flag_next != 0) : (index = table[index].next) {
            const piece = table[index];
            // As Firecracker: out of range leaves the status byte alone.
            if (offset + piece.bytes > device.storage.len) return 0;
            const memory = @as([*]u8, @ptrFromInt(piece.address))[0..piece.bytes];
            const stored = device.storage[@intCast(offset)..][0..piece.bytes];
            if (piece.flags & mmio.Descriptor.flag_device_writes != 0) {
                assert(operation.* == 0);
                @memcpy(memory, stored);
                moved += piece.bytes;
            } else {
                assert(operation.* == 1 and !device.read_only);
                @memcpy(stored, memory);
            }
            offset += piece.bytes;
        }
        assert(table[index].bytes == 1 and table[index].flags == mmio.Descriptor.flag_device_writes);
        @as(*u8, @ptrFromInt(table[index].address)).* = 0;
        return moved + 1;
    }
};
