//! A virtio network device for tests, as strict as Firecracker 1.16: what would stick a device or end the VMM there is an assertion here.
//! Physical addresses are the test's own pointers. It sends and receives when told to.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const net = @import("virtio_net.zig");
const assert = std.debug.assert;

const Register = mmio.Register;
pub const mac = [6]u8{ 0x52, 0x54, 0, 1, 2, 3 };

const Queue = struct {
    size: u32 = 0,
    ready: u32 = 0,
    addresses: [6]u32 = @splat(0),
    available_seen: u16 = 0,
    used_index: u16 = 0,
    notifications: u32 = 0,

    fn address(queue: *const Queue, part: usize) u64 {
        return @as(u64, queue.addresses[2 * part + 1]) << 32 | queue.addresses[2 * part];
    }
};

pub const Simulated = struct {
    offered: u64 = mmio.feature_version_1 | 0xdda3 | net.Features.event_index,
    queue_size_offered: u32 = 256,
    device_id: u32 = 1,
    refuses_start: bool = false,

    status: u32 = 0,
    features_select: u32 = 0,
    driver_select: u32 = 0,
    acknowledged: u64 = 0,
    acknowledgements: u32 = 0,
    select: u32 = 0,
    queues: [2]Queue = @splat(.{}),
    interrupt: u32 = 0,
    interrupts: u32 = 0,

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
        const config = @intFromEnum(Register.config);
        if (offset >= config) return switch (offset - config) {
            0 => std.mem.readInt(u32, mac[0..4], .little),
            4 => std.mem.readInt(u16, mac[4..6], .little),
            else => 0,
        };
        return switch (@as(Register, @enumFromInt(offset))) {
            .magic => 0x7472_6976,
            .version => 2,
            .device_id => device.device_id,
            .device_features => @truncate(device.offered >> @intCast(32 * device.features_select)),
            .queue_size_max => device.queue_size_offered,
            .queue_ready => device.queues[device.select].ready,
            .interrupt_status => device.interrupt,
            .status => device.status,
            .config_generation => 0,
            else => unreachable,
        };
    }

    fn writeRegister(device: *Simulated, offset: u32, value: u32) void {
        const queue = &device.queues[device.select];
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
            .queue_select => {
                assert(value < device.queues.len);
                device.select = value;
            },
            .queue_size => {
                assert(device.status == 0xb and std.math.isPowerOfTwo(value) and value <= device.queue_size_offered);
                queue.size = value;
            },
            .queue_descriptors_low => queue.addresses[0] = value,
            .queue_descriptors_high => queue.addresses[1] = value,
            .queue_available_low => queue.addresses[2] = value,
            .queue_available_high => queue.addresses[3] = value,
            .queue_used_low => queue.addresses[4] = value,
            .queue_used_high => queue.addresses[5] = value,
            .queue_ready => {
                assert(device.status == 0xb and value == 1 and queue.size != 0);
                queue.ready = 1;
            },
            .status => device.setStatus(value),
            .interrupt_acknowledge => device.interrupt &= ~value,
            .queue_notify => {
                assert(value < device.queues.len and device.status == 0xf);
                device.queues[value].notifications += 1;
            },
            else => unreachable,
        }
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
        if (next == 0xb and device.acknowledged & ~device.offered != 0) return;
        device.status = next;
        if (next != 0xf) return;
        for (&device.queues) |*queue| {
            assert(queue.ready == 1);
            for (0..3) |part| assert(queue.address(part) % ([_]u64{ 16, 2, 4 })[part] == 0);
        }
        if (device.refuses_start) device.status = 0x4f;
    }

    fn has(device: *const Simulated, feature: u64) bool {
        return device.acknowledged & feature != 0;
    }

    /// Buffers of a queue that the device has.
    pub fn available(device: *Simulated, number: usize) u16 {
        const queue = &device.queues[number];
        const ring: [*]const u16 = @ptrFromInt(queue.address(1));
        const count = ring[1] -% queue.available_seen;
        // A worse index ends the VMM.
        assert(count <= queue.size);
        return count;
    }

    fn takeHead(device: *Simulated, number: usize) ?u16 {
        const queue = &device.queues[number];
        if (device.available(number) == 0) return null;
        const ring: [*]u16 = @ptrFromInt(queue.address(1));
        const head = ring[2 + queue.available_seen % queue.size];
        queue.available_seen +%= 1;
        // As QEMU: told of whatever comes next.
        const event: *u16 = @ptrFromInt(queue.address(2) + 4 + 8 * @as(u64, queue.size));
        event.* = queue.available_seen;
        return head;
    }

    fn descriptor(device: *Simulated, number: usize, index: u16) mmio.Descriptor {
        const table: [*]const mmio.Descriptor = @ptrFromInt(device.queues[number].address(0));
        return table[index];
    }

    /// Puts answers into a used ring, whatever they say, shows them at once, and interrupts where that was asked for.
    pub fn report(device: *Simulated, number: usize, answers: []const mmio.UsedElement) void {
        const queue = &device.queues[number];
        const ring: [*]mmio.UsedElement = @ptrFromInt(queue.address(2) + 4);
        const old = queue.used_index;
        for (answers) |answer| {
            ring[queue.used_index % queue.size] = answer;
            queue.used_index +%= 1;
        }
        device.setUsedIndex(number, queue.used_index);
        const avail: [*]const u16 = @ptrFromInt(queue.address(1));
        const wanted = if (device.has(net.Features.event_index))
            queue.used_index -% avail[2 + queue.size] -% 1 < queue.used_index -% old
        else
            avail[0] & 1 == 0;
        if (!wanted) return;
        device.interrupt |= 1;
        device.interrupts += 1;
    }

    pub fn setUsedIndex(device: *Simulated, number: usize, value: u16) void {
        const index: *u16 = @ptrFromInt(device.queues[number].address(2) + 2);
        @atomicStore(u16, index, value, .release);
    }

    /// What a frame from outside is like to the guest. `parts`: how the frame is spread over buffers.
    pub fn deliver(device: *Simulated, frame: []const u8, flags: u8, parts: []const usize) bool {
        if (device.available(0) < parts.len) return false;
        var answers: [8]mmio.UsedElement = undefined;
        var done: usize = 0;
        for (parts, 0..) |part, at| {
            const head = device.takeHead(0).?;
            const given = device.descriptor(0, head);
            assert(given.flags == mmio.Descriptor.flag_device_writes and given.bytes == net.buffer_bytes);
            const memory = @as([*]u8, @ptrFromInt(given.address))[0..given.bytes];
            var used: usize = 0;
            if (at == 0) {
                memory[0..net.header_bytes].* = @splat(0);
                memory[0] = flags;
                std.mem.writeInt(u16, memory[10..12], @intCast(parts.len), .little);
                used = net.header_bytes;
            }
            @memcpy(memory[used..][0..part], frame[done..][0..part]);
            done += part;
            answers[at] = .{ .id = head, .bytes = @intCast(used + part) };
        }
        assert(done == frame.len);
        device.report(0, answers[0..parts.len]);
        return true;
    }

    pub const Sent = struct { header: [net.header_bytes]u8, bytes: []const u8 };

    /// Sends the next frame; it is the test's until the next call.
    pub fn send(device: *Simulated) ?Sent {
        const head = device.takeHead(1) orelse return null;
        const given = device.descriptor(1, head);
        assert(given.flags == 0 and given.bytes >= net.header_bytes);
        const memory = @as([*]const u8, @ptrFromInt(given.address))[0..given.bytes];
        device.report(1, &.{.{ .id = head, .bytes = 0 }});
        return .{ .header = memory[0..net.header_bytes].*, .bytes = memory[net.header_bytes..] };
    }
};
