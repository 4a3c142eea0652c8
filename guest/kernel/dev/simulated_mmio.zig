//! The registers of a virtio device for tests, as strict as Firecracker 1.16: what would stick a device or end the VMM there is an assertion
//! here. Physical addresses are the test's own pointers.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const assert = std.debug.assert;
const Register = mmio.Register;

pub const Queue = struct {
    size: u32 = 0,
    ready: u32 = 0,
    addresses: [6]u32 = @splat(0),
    available_seen: u16 = 0,
    used_index: u16 = 0,
    notifications: u32 = 0,

    pub const Part = enum(u2) { descriptors, available, used };

    pub fn address(queue: *const Queue, part: Part) u64 {
        const index = 2 * @as(usize, @intFromEnum(part));
        return @as(u64, queue.addresses[index + 1]) << 32 | queue.addresses[index];
    }

    /// Chains that the device has not taken yet.
    pub fn available(queue: *const Queue) u16 {
        const ring: [*]const u16 = @ptrFromInt(queue.address(.available));
        const count = ring[1] -% queue.available_seen;
        // A worse index ends the VMM.
        assert(count <= queue.size);
        return count;
    }

    /// The head of the oldest chain that was not taken yet.
    pub fn take(queue: *Queue) ?u16 {
        if (queue.available() == 0) return null;
        const ring: [*]const u16 = @ptrFromInt(queue.address(.available));
        const head = ring[2 + queue.available_seen % queue.size];
        queue.available_seen +%= 1;
        return head;
    }

    pub fn descriptor(queue: *const Queue, index: u16) mmio.Descriptor {
        const table: [*]const mmio.Descriptor = @ptrFromInt(queue.address(.descriptors));
        return table[index];
    }

    /// Puts answers into the used ring, whatever they say, and shows them at once.
    pub fn answer(queue: *Queue, answers: []const mmio.UsedElement) void {
        const ring: [*]mmio.UsedElement = @ptrFromInt(queue.address(.used) + 4);
        for (answers) |each| {
            ring[queue.used_index % queue.size] = each;
            queue.used_index +%= 1;
        }
        queue.setUsedIndex(queue.used_index);
    }

    /// Writes the used index itself, as a broken device may.
    pub fn setUsedIndex(queue: *const Queue, value: u16) void {
        const index: *u16 = @ptrFromInt(queue.address(.used) + 2);
        @atomicStore(u16, index, value, .release);
    }
};

pub fn Transport(comptime queues_count: usize) type {
    return struct {
        const Self = @This();

        device_id: u32,
        offered: u64,
        queue_size_offered: u32,
        /// Answers DRIVER_OK with "needs reset".
        refuses_start: bool = false,

        status: u32 = 0,
        features_select: u32 = 0,
        driver_select: u32 = 0,
        acknowledged: u64 = 0,
        acknowledgements: u32 = 0,
        select: u32 = 0,
        queues: [queues_count]Queue = @splat(.{}),
        interrupt: u32 = 0,
        generation: u32 = 0,

        /// Of the registers before the device's own configuration.
        pub fn read(transport: *const Self, offset: u32) u32 {
            assert(offset % 4 == 0);
            return switch (@as(Register, @enumFromInt(offset))) {
                .magic => 0x7472_6976,
                .version => 2,
                .device_id => transport.device_id,
                .device_features => @truncate(transport.offered >> @intCast(32 * transport.features_select)),
                .queue_size_max => transport.queue_size_offered,
                .queue_ready => transport.queues[transport.select].ready,
                .interrupt_status => transport.interrupt,
                .status => transport.status,
                .config_generation => transport.generation,
                else => unreachable,
            };
        }

        pub fn write(transport: *Self, offset: u32, value: u32) void {
            const queue = &transport.queues[transport.select];
            const register: Register = @enumFromInt(offset);
            switch (register) {
                .device_features_select => transport.features_select = value,
                .driver_features_select => transport.driver_select = value,
                .driver_features => {
                    assert(transport.status == 3);
                    transport.acknowledged |= @as(u64, value) << @intCast(32 * transport.driver_select);
                    transport.acknowledgements += 1;
                    // Each half once.
                    assert(transport.acknowledgements <= 2);
                },
                .queue_select => {
                    assert(value < queues_count);
                    transport.select = value;
                },
                .queue_size => {
                    assert(transport.status == 0xb and std.math.isPowerOfTwo(value) and value <= transport.queue_size_offered);
                    queue.size = value;
                },
                .queue_descriptors_low, .queue_descriptors_high, .queue_available_low, .queue_available_high, .queue_used_low, .queue_used_high => {
                    assert(transport.status == 0xb and queue.ready == 0);
                    queue.addresses[addressIndex(register)] = value;
                },
                .queue_ready => {
                    assert(transport.status == 0xb and value == 1 and queue.size != 0);
                    queue.ready = 1;
                },
                .status => transport.setStatus(value),
                .interrupt_acknowledge => transport.interrupt &= ~value,
                .queue_notify => {
                    assert(value < queues_count and transport.status == 0xf);
                    transport.queues[value].notifications += 1;
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

        fn setStatus(transport: *Self, value: u32) void {
            assert(value != 0);
            if (value & mmio.Status.failed != 0) {
                transport.status = value;
                return;
            }
            const next: u32 = switch (transport.status) {
                0 => 1,
                1 => 3,
                3 => 0xb,
                0xb => 0xf,
                else => unreachable,
            };
            assert(value == next);
            if (next == 0xb and transport.acknowledged & ~transport.offered != 0) return;
            transport.status = next;
            if (next != 0xf) return;
            for (&transport.queues) |*queue| {
                assert(queue.ready == 1);
                for (std.enums.values(Queue.Part)) |part| assert(queue.address(part) % ([_]u64{ 16, 2, 4 })[@intFromEnum(part)] == 0);
            }
            if (transport.refuses_start) transport.status = 0x4f;
        }
    };
}
