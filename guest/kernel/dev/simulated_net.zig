//! A virtio network device for tests, on the registers of simulated_mmio.zig. It sends and receives when told to.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const net = @import("virtio_net.zig");
const simulated_mmio = @import("simulated_mmio.zig");
const assert = std.debug.assert;

pub const mac = [6]u8{ 0x52, 0x54, 0, 1, 2, 3 };

pub const Transport = simulated_mmio.Transport(2);
pub const registers: Transport = .{ .device_id = 1, .offered = mmio.feature_version_1 | 0xdda3 | net.Features.event_index, .queue_size_offered = 256 };

pub const Simulated = struct {
    transport: Transport = registers,
    interrupts: u32 = 0,
    /// What it answers and asks for stays unseen until a register is read, and it overlooks who asked for an interrupt.
    lags: bool = false,
    status_reads: u32 = 0,

    pub const Bus = struct {
        device: *Simulated,

        pub fn read(bus: Bus, offset: u32) u32 {
            const config = @intFromEnum(mmio.Register.config);
            if (offset == @intFromEnum(mmio.Register.status)) {
                bus.device.status_reads += 1;
                if (bus.device.lags) bus.device.catchUp();
            }
            if (offset < config) return bus.device.transport.read(offset);
            return switch (offset - config) {
                0 => std.mem.readInt(u32, mac[0..4], .little),
                4 => std.mem.readInt(u16, mac[4..6], .little),
                else => 0,
            };
        }

        pub fn write(bus: Bus, offset: u32, value: u32) void {
            bus.device.transport.write(offset, value);
        }
    };

    fn has(device: *const Simulated, feature: u64) bool {
        return device.transport.acknowledged & feature != 0;
    }

    /// Buffers of a queue that the device has.
    pub fn available(device: *const Simulated, number: usize) u16 {
        return device.transport.queues[number].available();
    }

    fn takeHead(device: *Simulated, number: usize) ?u16 {
        const queue = &device.transport.queues[number];
        const head = queue.take() orelse return null;
        if (!device.lags) askForNext(queue);
        return head;
    }

    /// As QEMU: told of whatever comes next.
    fn askForNext(queue: *const simulated_mmio.Queue) void {
        const event: *u16 = @ptrFromInt(queue.address(.used) + 4 + 8 * @as(u64, queue.size));
        event.* = queue.available_seen;
    }

    fn catchUp(device: *const Simulated) void {
        for (&device.transport.queues) |*queue| {
            askForNext(queue);
            queue.setUsedIndex(queue.used_index);
        }
    }

    /// Answers, whatever it says, and interrupts where that was asked for.
    pub fn report(device: *Simulated, number: usize, answers: []const mmio.UsedElement) void {
        const queue = &device.transport.queues[number];
        const old = queue.used_index;
        queue.answer(answers);
        if (device.lags) return queue.setUsedIndex(old);
        const ring: [*]const u16 = @ptrFromInt(queue.address(.available));
        const wanted = if (device.has(net.Features.event_index))
            queue.used_index -% ring[2 + queue.size] -% 1 < queue.used_index -% old
        else
            ring[0] & 1 == 0;
        if (!wanted) return;
        device.transport.interrupt |= 1;
        device.interrupts += 1;
    }

    /// What a frame from outside is like to the guest. `parts`: how the frame is spread over buffers.
    pub fn deliver(device: *Simulated, frame: []const u8, flags: u8, parts: []const usize) bool {
        if (device.available(0) < parts.len) return false;
        var answers: [8]mmio.UsedElement = undefined;
        var done: usize = 0;
        for (parts, 0..) |part, at| {
            const head = device.takeHead(0).?;
            const given = device.transport.queues[0].descriptor(head);
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
        const given = device.transport.queues[1].descriptor(head);
        assert(given.flags == 0 and given.bytes >= net.header_bytes);
        const memory = @as([*]const u8, @ptrFromInt(given.address))[0..given.bytes];
        device.report(1, &.{.{ .id = head, .bytes = 0 }});
        return .{ .header = memory[0..net.header_bytes].*, .bytes = memory[net.header_bytes..] };
    }
};
