//! A virtio block device for tests, as strict as Firecracker 1.16: what would stick a device or end the VMM there is an assertion
//! here. Physical addresses are the test's own pointers. It serves requests when told to, in the order it is told.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const assert = std.debug.assert;

const Register = mmio.Register;
const queue_size_max = 64;
const feature_pieces: u64 = 1 << 2;

pub const Simulated = struct {
    storage: []u8,
    read_only: bool = false,
    queue_size_offered: u32 = queue_size_max,
    offered_features: u64 = mmio.feature_version_1 | feature_pieces,
    /// Pieces in a request that it takes where it offers to say so; one otherwise.
    pieces_max: u32 = 8,
    device_id: u32 = 2,
    /// Answers DRIVER_OK with "needs reset".
    refuses_start: bool = false,

    status: u32 = 0,
    features_select: u32 = 0,
    driver_select: u32 = 0,
    acknowledged: u64 = 0,
    acknowledgements: u32 = 0,
    queue_size: u32 = 0,
    queue_ready: u32 = 0,
    addresses: [6]u32 = @splat(0),
    interrupt: u32 = 0,
    generation: u32 = 0,
    /// Reads of the configuration during which it changes.
    unstable_reads: u32 = 0,
    notifications: u32 = 0,
    available_seen: u16 = 0,
    used_index: u16 = 0,

    pub const Bus = struct {
        device: *Simulated,

        pub fn read(bus: Bus, offset: u32) u32 {
            return bus.device.readRegister(offset);
        }

        pub fn write(bus: Bus, offset: u32, value: u32) void {
            bus.device.writeRegister(offset, value);
        }
    };

    fn readRegister(device: *Simulated, offset: u32) u32 {
        assert(offset % 4 == 0);
        if (offset >= @intFromEnum(Register.config)) {
            const sectors: u64 = device.storage.len / 512;
            if (device.unstable_reads > 0) {
                device.unstable_reads -= 1;
                device.generation += 1;
                return 0xdead_beef;
            }
            return switch (offset - @intFromEnum(Register.config)) {
                0 => @truncate(sectors),
                4 => @truncate(sectors >> 32),
                12 => device.pieces_max,
                else => 0,
            };
        }
        return switch (@as(Register, @enumFromInt(offset))) {
            .magic => 0x7472_6976,
            .version => 2,
            .device_id => device.device_id,
            .device_features => @truncate(device.offered_features >> @intCast(32 * device.features_select)),
            .queue_size_max => device.queue_size_offered,
            .queue_ready => device.queue_ready,
            .interrupt_status => device.interrupt,
            .status => device.status,
            .config_generation => device.generation,
            else => unreachable,
        };
    }

    fn writeRegister(device: *Simulated, offset: u32, value: u32) void {
        switch (@as(Register, @enumFromInt(offset))) {
            .device_features_select => device.features_select = value,
            .driver_features_select => device.driver_select = value,
            .driver_features => {
                assert(device.status == 3);
                device.acknowledged |= @as(u64, value) << @intCast(32 * device.driver_select);
                device.acknowledgements += 1;
                // Each half once.
                assert(device.acknowledgements <= 2);
            },
            .queue_select => assert(value == 0),
            .queue_size => {
                assert(device.status == 0xb and std.math.isPowerOfTwo(value) and value <= device.queue_size_offered);
                device.queue_size = value;
            },
            .queue_descriptors_low, .queue_descriptors_high, .queue_available_low, .queue_available_high, .queue_used_low, .queue_used_high => {
                assert(device.status == 0xb and device.queue_ready == 0);
                device.addresses[addressIndex(@enumFromInt(offset))] = value;
            },
            .queue_ready => {
                assert(device.status == 0xb and value == 1 and device.queue_size != 0);
                device.queue_ready = 1;
            },
            .status => device.setStatus(value),
            .interrupt_acknowledge => device.interrupt &= ~value,
            .queue_notify => {
                assert(value == 0 and device.status == 0xf);
                device.notifications += 1;
            },
            else => unreachable,
        }
    }

    fn addressIndex(register: Register) usize {
        return switch (register) {
            .queue_descriptors_low => 0,
            .queue_descriptors_high => 1,
            .queue_available_low => 2,
            .queue_available_high => 3,
            .queue_used_low => 4,
            .queue_used_high => 5,
            else => unreachable,
        };
    }

    fn setStatus(device: *Simulated, value: u32) void {
        assert(value != 0);
        if (value & mmio.Status.failed != 0) {
            device.status = value;
            return;
        }
        const next: u32 = switch (device.status) {
            0 => 1,
            1 => 3,
            3 => 0xb,
            0xb => 0xf,
            else => unreachable,
        };
        assert(value == next);
        if (next == 0xb and device.acknowledged & ~device.offered_features != 0) return;
        device.status = next;
        if (next == 0xf) {
            assert(device.queue_ready == 1);
            for (0..3) |part| assert(device.address(part) % ([_]u64{ 16, 2, 4 })[part] == 0);
            if (device.refuses_start) device.status = 0x4f;
        }
    }

    fn address(device: *const Simulated, part: usize) u64 {
        return @as(u64, device.addresses[2 * part + 1]) << 32 | device.addresses[2 * part];
    }

    /// Heads of the requests that wait, oldest first.
    pub fn waiting(device: *Simulated, heads: *[queue_size_max]u16) []u16 {
        const available: [*]const u16 = @ptrFromInt(device.address(1));
        const count = available[1] -% device.available_seen;
        // A worse index ends the VMM.
        assert(count <= device.queue_size);
        for (0..count) |index| heads[index] = available[2 + (device.available_seen +% @as(u16, @intCast(index))) % device.queue_size];
        device.available_seen = available[1];
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

    /// Puts an answer into the used ring, whatever it says.
    pub fn report(device: *Simulated, id: u32, bytes: u32) void {
        const ring: [*]mmio.UsedElement = @ptrFromInt(device.address(2) + 4);
        ring[device.used_index % device.queue_size] = .{ .id = id, .bytes = bytes };
        device.used_index +%= 1;
        const index: *u16 = @ptrFromInt(device.address(2) + 2);
        @atomicStore(u16, index, device.used_index, .release);
        device.interrupt |= 1;
    }

    /// Writes the used index itself, as a broken device may.
    pub fn setUsedIndex(device: *Simulated, value: u16) void {
        const index: *u16 = @ptrFromInt(device.address(2) + 2);
        index.* = value;
    }

    fn perform(device: *Simulated, head: u16) u32 {
        const table: [*]const mmio.Descriptor = @ptrFromInt(device.address(0));
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
