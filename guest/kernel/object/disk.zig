//! Block devices as tasks use them: a request sleeps until its interrupt. The kernel lock protects the drivers.
const std = @import("std");
const cpu = @import("../arch/cpu.zig");
const lapic = @import("../arch/lapic.zig");
const clock = @import("../arch/clock.zig");
const x86 = @import("../arch/x86.zig");
const command_line = @import("../boot/command_line.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const driver = @import("../dev/virtio_block.zig");
const mmio = @import("../dev/virtio_mmio.zig");
const channel_format = @import("../dev/channel.zig");
const channel = @import("channel.zig");
const image_cache = @import("image.zig");
const task_object = @import("task.zig");

const Device = driver.BlockDevice(Bus, ?*Request);

const Bus = struct {
    base: u64,

    pub fn read(bus: Bus, offset: u32) u32 {
        return @as(*volatile u32, @ptrFromInt(bus.base + offset)).*;
    }
    pub fn write(bus: Bus, offset: u32, value: u32) void {
        @as(*volatile u32, @ptrFromInt(bus.base + offset)).* = value;
    }
};

pub const Role = enum { workload, image, channel };

/// What a task waits for, on its own stack: it stays its own until the task has seen it, however late that is.
const Request = struct { task: *task_object.Task, done: bool = false, good: bool = false };

pub const Disk = struct {
    /// The channel's requests have no asker.
    device: Device,
    sectors: u64,
    read_only: bool,
    input: u32,
    role: Role = .workload,
    /// Tasks that found every request out.
    waiters: task_object.WaitQueue = .{},

    /// Fills whole frames. The lock is not held.
    pub fn readFrames(disk: *Disk, sector: u64, list: []const frames.Frame) error{DeviceError}!void {
        std.debug.assert(list.len <= driver.pieces_max);
        var pieces: [driver.pieces_max]driver.Piece = undefined;
        var used: usize = 0;
        for (list) |frame| {
            const physical = @as(u64, frame) << 12;
            if (used > 0 and pieces[used - 1].physical + pieces[used - 1].bytes == physical) {
                pieces[used - 1].bytes += limits.page_bytes;
            } else {
                pieces[used] = .{ .physical = physical, .bytes = limits.page_bytes };
                used += 1;
            }
        }
        var first: usize = 0;
        var next_sector = sector;
        while (first < used) {
            const batch = pieces[first..@min(used, first + disk.device.pieces_per_request)];
            try disk.transfer(.read, next_sector, batch);
            for (batch) |piece| next_sector += piece.bytes / driver.sector_bytes;
            first += batch.len;
        }
    }

    /// Reads or writes the beginning of one frame.
    pub fn readPart(disk: *Disk, sector: u64, frame: frames.Frame, bytes: usize) error{DeviceError}!void {
        return disk.transfer(.read, sector, &.{.{ .physical = @as(u64, frame) << 12, .bytes = @intCast(bytes) }});
    }
    pub fn writePart(disk: *Disk, sector: u64, frame: frames.Frame, bytes: usize) error{DeviceError}!void {
        return disk.transfer(.write, sector, &.{.{ .physical = @as(u64, frame) << 12, .bytes = @intCast(bytes) }});
    }

    fn transfer(disk: *Disk, operation: driver.Operation, sector: u64, pieces: []const driver.Piece) error{DeviceError}!void {
        lock.acquire();
        defer lock.release();
        var request: Request = .{ .task = scheduler.current() };
        while (true) {
            disk.device.submit(operation, sector, pieces, &request) catch |failure| switch (failure) {
                error.QueueFull => {
                    disk.waiters.append(request.task);
                    _ = scheduler.block(scheduler.forever, false);
                    continue;
                },
                else => {
                    // It may have been woken for a place that it does not take.
                    disk.wakeWaiter();
                    return error.DeviceError;
                },
            };
            break;
        }
        while (!request.done) {
            // Looked at again from time to time, in case an interrupt was lost on the way.
            _ = scheduler.block(clock.nowNs() + look_again_ns, false);
            if (!request.done) disk.collect();
        }
        if (!request.good) return error.DeviceError;
    }

    /// Takes what has ended. The lock is held.
    fn collect(disk: *Disk) void {
        while (disk.device.complete()) |completion| {
            const request = completion.asker orelse {
                channel.completed(completion.good);
                continue;
            };
            std.debug.assert(!request.done);
            request.done = true;
            request.good = completion.good;
            _ = scheduler.wake(request.task, .woken);
            disk.wakeWaiter();
        }
    }

    /// One place is free.
    fn wakeWaiter(disk: *Disk) void {
        if (disk.waiters.first) |waiter| _ = scheduler.wake(waiter, .woken);
    }
};

const look_again_ns: u64 = 500_000_000;

var disks: [limits.virtio_devices_max]Disk = undefined;
var count: usize = 0;

/// Starts every block device. One that does not start is left out, with a line on the console.
pub fn probe(devices: *const command_line.Devices) void {
    for (devices.slice()) |found| {
        const bus: Bus = .{ .base = layout.mmio_base + found.address };
        const transport: mmio.Transport(Bus) = .{ .bus = bus };
        if (transport.identify() != .block) continue;
        start(bus, found.irq) catch |failure| {
            @import("../arch/serial.zig").print("ukernel: the block device at {x} does not start: {s}\n", .{ found.address, @errorName(failure) });
        };
    }
}

fn start(bus: Bus, input: u32) !void {
    lock.acquire();
    defer lock.release();
    const frame = frames.allocateZeroed() orelse return error.OutOfMemory;
    const shared: *driver.Shared = @ptrCast(layout.page(frame));
    const device = try Device.init(bus, shared, @as(u64, frame) << 12);
    disks[count] = .{ .device = device, .sectors = device.sectors, .read_only = device.read_only, .input = input };
    count += 1;
    lapic.routeInput(input, cpu.all[0].lapic_id);
}

pub fn interrupt(input: u32) void {
    lock.acquire();
    defer lock.release();
    for (disks[0..count]) |*disk| {
        if (disk.input != input) continue;
        _ = disk.device.takeInterrupt();
        disk.collect();
    }
}

/// Finds out which device is the channel and which the image; returns the image's.
pub fn findRoles() ?*Disk {
    lock.acquire();
    const taken = frames.allocate();
    lock.release();
    const frame = taken orelse return null;
    defer {
        lock.acquire();
        frames.release(frame);
        lock.release();
    }
    const page = layout.page(frame);
    var image: ?*Disk = null;
    for (disks[0..count]) |*disk| {
        if (disk.sectors == 0) continue;
        if (!disk.read_only) {
            disk.readPart(0, frame, driver.sector_bytes) catch continue;
            if (channel_format.slotCount(page[0..driver.sector_bytes], disk.sectors)) |slots| {
                if (channel.open(disk, slots)) disk.role = .channel;
                continue;
            }
        }
        if (image == null and image_cache.attach(disk)) {
            disk.role = .image;
            image = disk;
        }
    }
    return image;
}

/// Block devices that are neither image nor channel, numbered from 0.
pub fn forWorkload(number: usize) ?*Disk {
    var left = number;
    for (disks[0..count]) |*disk| {
        if (disk.role != .workload) continue;
        if (left == 0) return disk;
        left -= 1;
    }
    return null;
}
