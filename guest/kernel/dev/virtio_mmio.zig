//! The virtio-mmio transport, version 2: finding a device, agreeing on features, one split queue.
//!
//! The rules are the strictest of our VMMs (Firecracker 1.16): status goes 0, 1, 3, b, f in single steps; a device that is active is
//! never reset; features are acknowledged once; queues are set between FEATURES_OK and DRIVER_OK; registers are read and written
//! four bytes at a time.
//!
//! Format: Virtual I/O Device (VIRTIO) 1.2, sections 2.7 and 4.2.
const std = @import("std");

pub const Register = enum(u32) {
    magic = 0x000,
    version = 0x004,
    device_id = 0x008,
    device_features = 0x010,
    device_features_select = 0x014,
    driver_features = 0x020,
    driver_features_select = 0x024,
    queue_select = 0x030,
    queue_size_max = 0x034,
    queue_size = 0x038,
    queue_ready = 0x044,
    queue_notify = 0x050,
    interrupt_status = 0x060,
    interrupt_acknowledge = 0x064,
    status = 0x070,
    queue_descriptors_low = 0x080,
    queue_descriptors_high = 0x084,
    queue_available_low = 0x090,
    queue_available_high = 0x094,
    queue_used_low = 0x0a0,
    queue_used_high = 0x0a4,
    config_generation = 0x0fc,
    config = 0x100,
};

const magic_value = 0x7472_6976;

pub const DeviceId = enum(u32) { none = 0, net = 1, block = 2, entropy = 4, balloon = 5, vsock = 19, _ };

pub const Status = struct {
    pub const acknowledge: u32 = 1;
    pub const driver: u32 = 2;
    pub const driver_ok: u32 = 4;
    pub const features_ok: u32 = 8;
    pub const needs_reset: u32 = 0x40;
    pub const failed: u32 = 0x80;
};

/// VIRTIO_F_VERSION_1: no legacy layout.
pub const feature_version_1: u64 = 1 << 32;

pub const Error = error{
    /// Its registers do not answer as the transport's must.
    NotThere,
    /// It was in use before: only a reset would help, which not every VMM survives.
    InUse,
    /// It lacks a feature that is needed, or refuses those chosen.
    Features,
    /// It gives no queue of a usable size.
    NoQueue,
    /// It went to "failed" or "needs reset" instead of starting.
    NotStarted,
};

/// The four-byte registers of one transport, over `Bus`:
///   fn read(Bus, offset: u32) u32
///   fn write(Bus, offset: u32, value: u32) void
pub fn Transport(comptime Bus: type) type {
    return struct {
        const Self = @This();

        bus: Bus,

        pub fn get(transport: Self, register: Register) u32 {
            return transport.bus.read(@intFromEnum(register));
        }

        pub fn set(transport: Self, register: Register, value: u32) void {
            transport.bus.write(@intFromEnum(register), value);
        }

        /// What stands behind the registers; none for an empty slot or for something else.
        pub noinline fn identify(transport: Self) DeviceId {
            if (transport.get(.magic) != magic_value or transport.get(.version) != 2) return .none;
            return @enumFromInt(transport.get(.device_id));
        }

        /// Takes the device over up to FEATURES_OK and gives the features agreed on: those of `wanted` that it has.
        pub fn begin(transport: Self, wanted: u64) Error!u64 {
            if (transport.identify() == .none) return error.NotThere;
            if (transport.get(.status) != 0) return error.InUse;
            transport.set(.status, Status.acknowledge);
            transport.set(.status, Status.acknowledge | Status.driver);
            transport.set(.device_features_select, 0);
            var offered: u64 = transport.get(.device_features);
            transport.set(.device_features_select, 1);
            offered |= @as(u64, transport.get(.device_features)) << 32;
            const chosen = offered & (wanted | feature_version_1);
            if (chosen & feature_version_1 == 0) return transport.giveUp(error.Features);
            transport.set(.driver_features_select, 0);
            transport.set(.driver_features, @truncate(chosen));
            transport.set(.driver_features_select, 1);
            transport.set(.driver_features, @truncate(chosen >> 32));
            const agreed = Status.acknowledge | Status.driver | Status.features_ok;
            transport.set(.status, agreed);
            if (transport.get(.status) != agreed) return transport.giveUp(error.Features);
            return chosen;
        }

        /// Hands a queue to the device; gives its size, a power of two not above `size_max`.
        pub fn addQueue(transport: Self, index: u32, memory: QueueMemory, size_max: u16) Error!u16 {
            std.debug.assert(std.math.isPowerOfTwo(size_max));
            transport.set(.queue_select, index);
            if (transport.get(.queue_ready) != 0) return error.InUse;
            const offered = transport.get(.queue_size_max);
            if (offered == 0) return transport.giveUp(error.NoQueue);
            const size: u16 = @intCast(@min(size_max, std.math.floorPowerOfTwo(u32, offered)));
            transport.set(.queue_size, size);
            transport.setAddress(.queue_descriptors_low, memory.descriptors);
            transport.setAddress(.queue_available_low, memory.available);
            transport.setAddress(.queue_used_low, memory.used);
            transport.set(.queue_ready, 1);
            return size;
        }

        fn setAddress(transport: Self, low: Register, address: u64) void {
            transport.set(low, @truncate(address));
            transport.set(@enumFromInt(@intFromEnum(low) + 4), @truncate(address >> 32));
        }

        /// All of the device's queues are handed over: it may work.
        pub fn start(transport: Self) Error!void {
            const running = Status.acknowledge | Status.driver | Status.features_ok | Status.driver_ok;
            transport.set(.status, running);
            if (transport.get(.status) != running) return transport.giveUp(error.NotStarted);
        }

        fn giveUp(transport: Self, failure: Error) Error {
            transport.set(.status, transport.get(.status) | Status.failed);
            return failure;
        }

        /// Takes the reasons of an interrupt; 0 when it was not this device's.
        pub fn takeInterrupt(transport: Self) u32 {
            const reasons = transport.get(.interrupt_status);
            if (reasons != 0) transport.set(.interrupt_acknowledge, reasons);
            return reasons;
        }

        /// A 64-bit field of the configuration, read while it does not change.
        pub fn config64(transport: Self, offset: u32) Error!u64 {
            for (0..config_tries_max) |_| {
                const before = transport.get(.config_generation);
                const low = transport.bus.read(@intFromEnum(Register.config) + offset);
                const high = transport.bus.read(@intFromEnum(Register.config) + offset + 4);
                if (transport.get(.config_generation) == before) return @as(u64, high) << 32 | low;
            }
            return error.NotThere;
        }

        /// A 32-bit field of the configuration; a device reads and writes it at once.
        pub fn config32(transport: Self, offset: u32) u32 {
            return transport.bus.read(@intFromEnum(Register.config) + offset);
        }

        const config_tries_max = 16;
    };
}

/// Physical addresses of a queue's three parts.
pub const QueueMemory = struct { descriptors: u64, available: u64, used: u64 };

pub const Descriptor = extern struct {
    address: u64,
    bytes: u32,
    flags: u16,
    next: u16,

    pub const flag_next: u16 = 1;
    pub const flag_device_writes: u16 = 2;
};

pub const UsedElement = extern struct { id: u32, bytes: u32 };

/// A split queue of at most `size_max` entries; the device reads descriptors and available, and writes used.
pub fn Queue(comptime size_max: u16) type {
    return extern struct {
        const Self = @This();

        descriptors: [size_max]Descriptor align(16),
        available_flags: u16,
        available_index: u16,
        available_ring: [size_max]u16,
        available_event: u16,
        used_flags: u16 align(4),
        used_index: u16,
        used_ring: [size_max]UsedElement,
        used_event: u16,

        pub fn memory(physical: u64) QueueMemory {
            return .{
                .descriptors = physical + @offsetOf(Self, "descriptors"),
                .available = physical + @offsetOf(Self, "available_flags"),
                .used = physical + @offsetOf(Self, "used_flags"),
            };
        }

        /// Makes a chain visible to the device, which may begin at once.
        pub fn offer(queue: *Self, size: u16, head: u16) void {
            const index = queue.available_index;
            queue.available_ring[index & (size - 1)] = head;
            @atomicStore(u16, &queue.available_index, index +% 1, .release);
        }

        /// How many chains the device has finished, modulo 2^16.
        pub fn finished(queue: *const Self) u16 {
            return @atomicLoad(u16, &queue.used_index, .acquire);
        }

        pub fn element(queue: *Self, size: u16, index: u16) UsedElement {
            const used: *volatile UsedElement = &queue.used_ring[index & (size - 1)];
            return used.*;
        }
    };
}
