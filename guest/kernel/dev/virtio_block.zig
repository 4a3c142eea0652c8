//! The virtio block device: requests of up to eight pieces of memory, several at once.
//!
//! The device is not trusted: what it answers is checked, and a broken answer ends its use with an error for every request. No function
//! waits. The caller holds one lock over all calls on a device.
//!
//! Format: Virtual I/O Device (VIRTIO) 1.2, section 5.2.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");

pub const sector_bytes = 512;
/// Pieces of memory in one request.
pub const pieces_max = 8;
/// Requests that the device has at once.
pub const requests_max = 6;

const queue_size_max = 64;
/// The configuration says how many pieces a request may have; a device without this feature takes one (Firecracker does).
pub const feature_pieces: u64 = 1 << 2;
const config_pieces_max = 12;
const feature_read_only: u64 = 1 << 5;
const feature_flush: u64 = 1 << 9;
const descriptors_per_request = pieces_max + 2;

comptime {
    std.debug.assert(requests_max * descriptors_per_request <= queue_size_max);
    std.debug.assert(@sizeOf(Shared) <= 4096);
}

pub const Piece = struct { physical: u64, bytes: u32 };

pub const Operation = enum(u32) { read = 0, write = 1, flush = 4 };

pub const SubmitError = error{
    /// All requests are out; one more can be made after a completion.
    QueueFull,
    /// The range lies outside the device, or the pieces are no whole sectors.
    OutOfRange,
    ReadOnly,
    /// The device broke its protocol before.
    DeviceError,
};

const Header = extern struct { operation: u32, reserved: u32, sector: u64 };

/// What driver and device share, in one page.
pub const Shared = extern struct {
    queue: mmio.Queue(queue_size_max),
    headers: [requests_max]Header,
    status: [requests_max]u8,
};

/// A value that no device writes: a device may leave the byte alone when it refuses a request.
const status_unset: u8 = 0xff;

/// Whether a block device stands behind a transport.
pub fn isBlock(bus: anytype) bool {
    const transport: mmio.Transport(@TypeOf(bus)) = .{ .bus = bus };
    return transport.identify() == .block;
}

/// `Asker` is what a request is known by: whoever submits gives one, and its completion gives it back. The driver's own number of a request
/// is free for the next one from the completion on, so it stays inside.
pub fn BlockDevice(comptime Bus: type, comptime Asker: type) type {
    return struct {
        const Self = @This();

        pub const Completion = struct { asker: Asker, good: bool };

        transport: mmio.Transport(Bus),
        shared: *Shared,
        physical: u64,
        sectors: u64,
        read_only: bool,
        can_flush: bool,
        queue_size: u16,
        requests: u16,
        /// Pieces of memory that it takes in one request.
        pieces_per_request: u8,
        used_seen: u16 = 0,
        /// Bit per request that the device has.
        out: u8 = 0,
        askers: [requests_max]Asker = undefined,
        broken: bool = false,

        /// Starts the device behind a transport. `shared` is a page of zeros whose physical address is `physical`; it belongs to
        /// the device from now on.
        pub fn init(bus: Bus, shared: *Shared, physical: u64) mmio.Error!Self {
            const transport: mmio.Transport(Bus) = .{ .bus = bus };
            if (transport.identify() != .block) return error.NotThere;
            const features = try transport.begin(feature_pieces | feature_read_only | feature_flush);
            const size = try transport.addQueue(0, mmio.Queue(queue_size_max).memory(physical), queue_size_max);
            const requests = @min(size / descriptors_per_request, requests_max);
            if (requests == 0) return error.NoQueue;
            const sectors = try transport.config64(0);
            const pieces = if (features & feature_pieces != 0) transport.config32(config_pieces_max) else 1;
            try transport.start();
            return .{
                .transport = transport,
                .shared = shared,
                .physical = physical,
                .sectors = sectors,
                .read_only = features & feature_read_only != 0,
                .can_flush = features & feature_flush != 0,
                .queue_size = size,
                .requests = requests,
                .pieces_per_request = @intCast(std.math.clamp(pieces, 1, pieces_max)),
            };
        }

        /// Gives a request to the device. The pieces are the device's until the completion.
        pub fn submit(device: *Self, operation: Operation, sector: u64, pieces: []const Piece, asker: Asker) SubmitError!void {
            if (device.broken) return error.DeviceError;
            try device.check(operation, sector, pieces);
            const free: u16 = @ctz(~device.out);
            if (free >= device.requests) return error.QueueFull;
            const first: u16 = free * descriptors_per_request;
            const shared = device.shared;
            shared.headers[free] = .{ .operation = @intFromEnum(operation), .reserved = 0, .sector = sector };
            shared.status[free] = status_unset;

            const base = device.physical;
            device.describe(first, base + @offsetOf(Shared, "headers") + @as(u64, free) * @sizeOf(Header), @sizeOf(Header), mmio.Descriptor.flag_next);
            var next = first + 1;
            const direction = if (operation == .read) mmio.Descriptor.flag_device_writes else 0;
            for (pieces) |piece| {
                device.describe(next, piece.physical, piece.bytes, direction | mmio.Descriptor.flag_next);
                next += 1;
            }
            device.describe(next, base + @offsetOf(Shared, "status") + free, 1, mmio.Descriptor.flag_device_writes);
            std.debug.assert(next < device.queue_size);

            device.out |= @as(u8, 1) << @intCast(free);
            device.askers[free] = asker;
            shared.queue.offer(device.queue_size, first);
            device.transport.set(.queue_notify, 0);
        }

        fn check(device: *const Self, operation: Operation, sector: u64, pieces: []const Piece) SubmitError!void {
            if (operation == .flush) {
                if (!device.can_flush or pieces.len != 0 or sector != 0) return error.OutOfRange;
                return;
            }
            if (operation == .write and device.read_only) return error.ReadOnly;
            if (pieces.len == 0 or pieces.len > device.pieces_per_request) return error.OutOfRange;
            var bytes: u64 = 0;
            for (pieces) |piece| {
                if (piece.bytes == 0 or piece.bytes % sector_bytes != 0) return error.OutOfRange;
                bytes += piece.bytes;
            }
            if (sector > device.sectors or bytes / sector_bytes > device.sectors - sector) return error.OutOfRange;
        }

        fn describe(device: *Self, index: u16, address: u64, bytes: u32, flags: u16) void {
            const next = if (flags & mmio.Descriptor.flag_next != 0) index + 1 else 0;
            device.shared.queue.descriptors[index] = .{ .address = address, .bytes = bytes, .flags = flags, .next = next };
        }

        /// The next request that has ended, null when none has. After a broken answer every request that is out ends badly.
        pub fn complete(device: *Self) ?Completion {
            if (device.broken) return device.fail();
            const finished = device.shared.queue.finished();
            if (finished == device.used_seen) return null;
            // It cannot have finished more than it was given.
            if (finished -% device.used_seen > @popCount(device.out)) return device.breakOff();
            const element = device.shared.queue.element(device.queue_size, device.used_seen);
            device.used_seen +%= 1;
            if (element.id % descriptors_per_request != 0) return device.breakOff();
            const request = element.id / descriptors_per_request;
            if (request >= device.requests) return device.breakOff();
            const bit = @as(u8, 1) << @intCast(request);
            if (device.out & bit == 0) return device.breakOff();
            device.out &= ~bit;
            const status: *volatile u8 = &device.shared.status[request];
            return .{ .asker = device.askers[request], .good = status.* == 0 };
        }

        fn breakOff(device: *Self) ?Completion {
            device.broken = true;
            return device.fail();
        }

        fn fail(device: *Self) ?Completion {
            if (device.out == 0) return null;
            const request: u3 = @intCast(@ctz(device.out));
            device.out &= device.out - 1;
            return .{ .asker = device.askers[request], .good = false };
        }

        /// Whether the device is to interrupt when it has finished something; a device may do so all the same.
        pub fn setInterrupts(device: *Self, wanted: bool) void {
            @atomicStore(u16, &device.shared.queue.available_flags, @intFromBool(!wanted), .seq_cst);
        }

        /// Takes an interrupt; whether it was this device's.
        pub fn takeInterrupt(device: *Self) bool {
            return device.transport.takeInterrupt() != 0;
        }

        /// Whether a request is out, so that an answer is to come.
        pub fn isBusy(device: *const Self) bool {
            return device.out != 0;
        }
    };
}
