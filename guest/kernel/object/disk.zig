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
const channel_format = @import("../dev/channel.zig");
const channel = @import("channel.zig");
const image_cache = @import("image.zig");
const network = @import("network.zig");
const net_driver = @import("../dev/virtio_net.zig");
const options = @import("../options.zig").chosen;
const task_object = @import("task.zig");
const Histogram = @import("../latency.zig").Histogram;

const Device = driver.BlockDevice(Bus, ?*Request);

/// Registers of a transport.
pub const Bus = struct {
    base: u64,

    pub fn read(bus: Bus, offset: u32) u32 {
        return @as(*volatile u32, @ptrFromInt(bus.base + offset)).*;
    }
    pub fn write(bus: Bus, offset: u32, value: u32) void {
        @as(*volatile u32, @ptrFromInt(bus.base + offset)).* = value;
    }
};

pub const Role = enum { workload, image, channel };

/// What is waited for, in memory of whoever asked: it stays its own until it has been seen, however late that is.
pub const Request = struct { task: ?*task_object.Task = null, done: bool = false, good: bool = false, operation: driver.Operation = .read, start_ns: u64 = 0 };

pub const Disk = struct {
    /// The channel's requests have no asker.
    device: Device,
    sectors: u64,
    read_only: bool,
    input: u32,
    role: Role = .workload,
    /// How long its answers took.
    reads: Histogram = .{},
    writes: Histogram = .{},
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
        var request: Request = .{ .operation = operation };
        while (true) {
            request.start_ns = clock.nowNs();
            disk.device.submit(operation, sector, pieces, &request) catch |failure| switch (failure) {
                error.QueueFull => {
                    disk.waiters.append(scheduler.current());
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
        return disk.finish(&request);
    }

    /// Asks for the content of frames that lie together, or of some sectors of one, and does not wait; false where the device takes no more. Only
    /// while the kernel starts; `finish` is called for every request that was made. The lock is held.
    pub fn ask(disk: *Disk, sector: u64, frame: frames.Frame, bytes: u32, request: *Request) bool {
        std.debug.assert(starting);
        request.* = .{ .start_ns = clock.nowNs() };
        disk.device.submit(.read, sector, &.{.{ .physical = @as(u64, frame) << 12, .bytes = bytes }}, request) catch return false;
        return true;
    }

    /// Waits for the end of a request. The lock is held, and free while waiting.
    pub fn finish(disk: *Disk, request: *Request) error{DeviceError}!void {
        request.task = scheduler.current();
        if (starting) disk.look(request);
        while (!request.done) {
            // Looked at again from time to time, in case an interrupt was lost on the way.
            _ = scheduler.block(clock.nowNs() + look_again_ns, false);
            if (!request.done) disk.collect();
        }
        if (!request.good) return error.DeviceError;
    }

    /// While the kernel starts nothing else is there to run, and to sleep until an interrupt takes longer than most answers.
    fn look(disk: *Disk, request: *const Request) void {
        const start_tsc = x86.rdtsc();
        while (x86.rdtsc() -% start_tsc < look_ticks_max) {
            disk.collect();
            if (request.done) return;
        }
        disk.device.setInterrupts(true);
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
            const histogram = if (request.operation == .read) &disk.reads else &disk.writes;
            histogram.add(clock.nowNs() -| request.start_ns);
            if (request.task) |task| _ = scheduler.wake(task, .woken);
            disk.wakeWaiter();
        }
    }

    /// One place is free.
    fn wakeWaiter(disk: *Disk) void {
        if (disk.waiters.first) |waiter| _ = scheduler.wake(waiter, .woken);
    }
};

const look_again_ns: u64 = 500_000_000;
/// Some milliseconds.
const look_ticks_max: u64 = 1 << 25;

/// The workload does not run yet: no interrupts, and whoever waits for an answer looks for it.
var starting = true;

/// From here on a request sleeps until its interrupt.
pub fn endStart() void {
    starting = false;
    for (disks[0..count]) |*disk| disk.device.setInterrupts(true);
}

var disks: [limits.virtio_devices_max]Disk = undefined;
var count: usize = 0;

/// Starts every block device, and notes a network device. One that does not start is left out, with a line on the console.
pub fn probe(devices: []const command_line.VirtioDevice) void {
    for (devices) |found| {
        const bus: Bus = .{ .base = layout.mmio_base + found.address };
        start(bus, found.irq) catch |failure| {
            // An empty slot, or another kind of device.
            if (failure == error.NotThere) {
                if (options.net and net_driver.isNet(bus)) network.notice(bus, found.irq);
                continue;
            }
            @import("../arch/serial.zig").print("ukernel: the block device at {x} does not start: {s}\n", .{ found.address, @errorName(failure) });
        };
    }
}

fn start(bus: Bus, input: u32) !void {
    lock.acquire();
    defer lock.release();
    if (!driver.isBlock(bus)) return error.NotThere;
    const frame = frames.allocateZeroed() orelse return error.OutOfMemory;
    const shared: *driver.Shared = @ptrCast(layout.page(frame));
    var device = try Device.init(bus, shared, @as(u64, frame) << 12);
    device.setInterrupts(false);
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

/// The first sector of each disk that may be the channel.
var first_sectors: [limits.virtio_devices_max]struct { is_asked: bool = false, frame: frames.Frame = 0, request: Request = .{} } = @splat(.{});

/// Asks every disk for what tells its role, so that the answers come while other things are set up: the first that is read-only as one that
/// holds the image, those that can be written as ones that may be the channel.
pub fn askRoles() void {
    lock.acquire();
    defer lock.release();
    var image_asked = false;
    for (disks[0..count], first_sectors[0..count]) |*disk, *first| {
        if (disk.sectors == 0) continue;
        if (disk.read_only) {
            if (!image_asked) image_cache.ask(disk);
            image_asked = true;
            continue;
        }
        first.frame = frames.allocate() orelse continue;
        first.is_asked = disk.ask(0, first.frame, driver.sector_bytes, &first.request);
    }
}

/// Finds out which device is the channel and which the image; returns the image's.
pub fn findRoles() ?*Disk {
    var image: ?*Disk = null;
    for (disks[0..count], first_sectors[0..count]) |*disk, *first| {
        if (disk.sectors == 0) continue;
        if (!disk.read_only) {
            if (!first.is_asked) continue;
            if (takeChannel(disk, first.frame, &first.request)) continue;
        }
        if (image == null and image_cache.attach(disk)) {
            disk.role = .image;
            image = disk;
        }
    }
    return image;
}

/// Whether the disk begins as a channel does, or cannot be read and is nothing at all. The first channel is the one that is used.
fn takeChannel(disk: *Disk, frame: frames.Frame, request: *Request) bool {
    lock.acquire();
    defer lock.release();
    defer frames.release(frame);
    disk.finish(request) catch return true;
    const slots = channel_format.slotCount(layout.page(frame)[0..driver.sector_bytes], disk.sectors) orelse return false;
    if (channel.open(disk, slots)) disk.role = .channel;
    return true;
}

pub fn all() []const Disk {
    return disks[0..count];
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
