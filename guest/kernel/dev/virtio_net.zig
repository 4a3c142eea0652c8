//! The virtio network device: one queue that receives into buffers of 2 KiB, one that sends from them.
//!
//! The device is not trusted: what it answers is checked, and a broken answer ends its use. No function waits. The caller holds one
//! lock over all calls on a device, and after an interrupt takes frames until there is none.
//!
//! Format: Virtual I/O Device (VIRTIO) 1.2, sections 2.7 and 5.1.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");

pub const Mac = [6]u8;
pub const queue_entries = 128;
pub const buffer_bytes = 2048;
pub const buffers_per_page = 4096 / buffer_bytes;
/// A device of Firecracker's receives nothing before it has 65,562 bytes.
pub const receive_buffers = 128;
pub const send_buffers = 64;
pub const receive_pages = receive_buffers / buffers_per_page;
pub const send_pages = send_buffers / buffers_per_page;
/// Before each frame, in both directions.
pub const header_bytes = 12;
pub const frame_bytes_max = 1514;

const receive_queue = 0;
const send_queue = 1;

pub const Features = struct {
    pub const completes_checksums: u64 = 1 << 0;
    pub const takes_partial_checksums: u64 = 1 << 1;
    pub const mac: u64 = 1 << 5;
    pub const mergeable: u64 = 1 << 15;
    pub const event_index: u64 = 1 << 29;
    const wanted = completes_checksums | takes_partial_checksums | mac | mergeable | event_index;
};

const Header = extern struct {
    flags: u8,
    segmentation: u8 = 0,
    header_length: u16 = 0,
    segment_bytes: u16 = 0,
    checksum_start: u16,
    checksum_offset: u16,
    /// Of a received frame: how many buffers it fills.
    buffers: u16 = 0,

    const needs_checksum: u8 = 1;
    const data_valid: u8 = 2;
};

comptime {
    std.debug.assert(@sizeOf(Header) == header_bytes);
    std.debug.assert(receive_buffers * buffer_bytes >= 65_562 and receive_buffers <= queue_entries and send_buffers <= 64);
    std.debug.assert(header_bytes + frame_bytes_max <= buffer_bytes);
    std.debug.assert(@sizeOf(Shared) <= 4096);
}

/// One queue, which driver and device share, in a page.
pub const Shared = extern struct { queue: mmio.Queue(queue_entries) };

pub const Page = struct { bytes: *align(4096) [4096]u8, physical: u64 };

/// What the driver lives on: pages of zeros, which belong to the device from `init` on.
pub const Memory = struct {
    receive_queue: Page,
    send_queue: Page,
    receive: [receive_pages]Page,
    send: [send_pages]Page,
};

/// What is known of a received frame's checksum: nothing, that it is right, or that a peer on the same host left it out.
pub const Checksum = enum { unknown, good, partial };

pub const Received = struct { bytes: []const u8, checksum: Checksum };

/// Where the device is to put a sum: over all from `start` on, at `start` + `offset`.
pub const Completion = struct { start: u16, offset: u16 };

pub const Counters = struct {
    /// Frames longer than any that was agreed on.
    too_long: u64 = 0,
    interrupts: u64 = 0,
    notifications: u64 = 0,
};

/// Whether a network device stands behind a transport.
pub fn isNet(bus: anytype) bool {
    const transport: mmio.Transport(@TypeOf(bus)) = .{ .bus = bus };
    return transport.identify() == .net;
}

pub fn NetDevice(comptime Bus: type) type {
    return struct {
        const Self = @This();

        transport: mmio.Transport(Bus),
        memory: *const Memory,
        features: u64,
        mac: ?Mac,
        receive: Ring,
        send: Ring,
        receive_count: u16,
        send_count: u16,
        /// Bit per send buffer that the device has.
        sending: u64 = 0,
        /// An interrupt was asked for when buffers are sent.
        awaits_sent: bool = false,
        /// Receive buffers that were offered and not told of yet.
        untold: u16 = 0,
        /// The received frame that is being looked at, one buffer.
        held: ?u16 = null,
        joined: [header_bytes + frame_bytes_max]u8 = undefined,
        counters: Counters = .{},
        broken: bool = false,
        fences_missing: bool,

        /// `fences_missing`: on this machine a fence does not order what the device sees (`meet`).
        pub fn init(device: *Self, bus: Bus, memory: *const Memory, fences_missing: bool) mmio.Error!void {
            const transport: mmio.Transport(Bus) = .{ .bus = bus };
            if (transport.identify() != .net) return error.NotThere;
            const features = try transport.begin(Features.wanted);
            const mac: ?Mac = if (features & Features.mac != 0) readMac(transport) else null;
            const receive_size = try transport.addQueue(receive_queue, mmio.Queue(queue_entries).memory(memory.receive_queue.physical), queue_entries);
            const send_size = try transport.addQueue(send_queue, mmio.Queue(queue_entries).memory(memory.send_queue.physical), queue_entries);
            device.* = .{
                .transport = transport,
                .memory = memory,
                .features = features,
                .mac = mac,
                .receive = .{ .queue = queueOf(memory.receive_queue), .size = receive_size, .events = features & Features.event_index != 0 },
                .send = .{ .queue = queueOf(memory.send_queue), .size = send_size, .events = features & Features.event_index != 0 },
                .receive_count = @min(receive_buffers, receive_size),
                .send_count = @min(send_buffers, send_size),
                .fences_missing = fences_missing,
            };
            try transport.start();
            for (0..device.receive_count) |index| device.post(@intCast(index));
            device.send.quiet();
            device.tellReceive();
        }

        fn queueOf(page: Page) *mmio.Queue(queue_entries) {
            return &@as(*Shared, @ptrCast(page.bytes)).queue;
        }

        fn readMac(transport: mmio.Transport(Bus)) Mac {
            var bytes: [8]u8 = undefined;
            std.mem.writeInt(u32, bytes[0..4], transport.config32(0), .little);
            std.mem.writeInt(u32, bytes[4..8], transport.config32(4), .little);
            return bytes[0..6].*;
        }

        pub fn completesChecksums(device: *const Self) bool {
            return device.features & Features.completes_checksums != 0;
        }

        fn bufferAt(pages: []const Page, index: u16) []u8 {
            return pages[index / buffers_per_page].bytes[index % buffers_per_page * buffer_bytes ..][0..buffer_bytes];
        }

        fn physicalAt(pages: []const Page, index: u16) u64 {
            return pages[index / buffers_per_page].physical + index % buffers_per_page * @as(u64, buffer_bytes);
        }

        fn post(device: *Self, index: u16) void {
            device.receive.queue.descriptors[index] = .{
                .address = physicalAt(&device.memory.receive, index),
                .bytes = buffer_bytes,
                .flags = mmio.Descriptor.flag_device_writes,
                .next = 0,
            };
            device.receive.queue.offer(device.receive.size, index);
            device.receive.out += 1;
            device.untold += 1;
        }

        fn tellReceive(device: *Self) void {
            if (device.untold == 0) return;
            const told = device.receive.queue.available_index -% device.untold;
            device.untold = 0;
            device.notify(&device.receive, receive_queue, told);
        }

        fn notify(device: *Self, ring: *Ring, number: u32, old: u16) void {
            if (!ring.wantsNotification(old)) {
                device.meet();
                if (!ring.wantsNotification(old)) return;
            }
            device.counters.notifications += 1;
            device.transport.set(.queue_notify, number);
        }

        /// Both sides see what the other wrote before. QEMU's emulation of a single processor leaves fences out although its devices run
        /// beside it, and what one side then overlooks nobody ever tells it of. An access to a register is none that it can leave out;
        /// elsewhere it would only leave the guest.
        fn meet(device: *const Self) void {
            if (device.fences_missing) _ = device.transport.get(.status);
        }

        /// The next received frame, good until the next call; null when there is none, and then an interrupt tells of the next.
        pub fn take(device: *Self) ?Received {
            device.giveBack();
            // Whatever came is dropped and looked past, up to the number of buffers.
            for (0..queue_entries) |_| {
                if (device.broken) return null;
                const first = device.nextReceived() orelse {
                    device.tellReceive();
                    if (device.receive.quiesce()) continue;
                    device.meet();
                    if (device.receive.queue.finished() == device.receive.used_seen) return null;
                    continue;
                };
                if (first.bytes < header_bytes) {
                    device.breakOff();
                    return null;
                }
                const header: *const Header = @ptrCast(@alignCast(first.buffer.ptr));
                // Buffers are counted only where they may be several.
                const count = if (device.features & Features.mergeable != 0) header.buffers else 1;
                if (count == 0 or count > device.receive_count) {
                    device.breakOff();
                    return null;
                }
                const checksum = checksumOf(header.flags);
                if (count == 1) {
                    if (first.bytes > header_bytes + frame_bytes_max) {
                        device.counters.too_long += 1;
                        device.post(first.index);
                        continue;
                    }
                    device.held = first.index;
                    return .{ .bytes = first.buffer[header_bytes..first.bytes], .checksum = checksum };
                }
                const bytes = device.join(first, count) orelse continue;
                return .{ .bytes = bytes, .checksum = checksum };
            }
            return null;
        }

        fn checksumOf(flags: u8) Checksum {
            if (flags & Header.needs_checksum != 0) return .partial;
            return if (flags & Header.data_valid != 0) .good else .unknown;
        }

        const Filled = struct { index: u16, buffer: []const u8, bytes: u32 };

        fn nextReceived(device: *Self) ?Filled {
            const element = device.receive.next(device.receive_count) catch {
                device.breakOff();
                return null;
            } orelse return null;
            if (element.bytes > buffer_bytes) {
                device.breakOff();
                return null;
            }
            const index: u16 = @intCast(element.id);
            return .{ .index = index, .buffer = bufferAt(&device.memory.receive, index), .bytes = element.bytes };
        }

        /// A frame that lies in several buffers; null when it is too long, or the device did not give them all.
        fn join(device: *Self, first: Filled, count: u16) ?[]const u8 {
            var used: usize = 0;
            var fits = true;
            var part = first;
            for (0..count) |at| {
                if (at > 0) part = device.nextReceived() orelse {
                    // All of a frame's buffers are given at once.
                    device.breakOff();
                    return null;
                };
                const content = part.buffer[if (at == 0) header_bytes else 0..part.bytes];
                fits = fits and used + content.len <= frame_bytes_max;
                if (fits) @memcpy(device.joined[used..][0..content.len], content);
                used += content.len;
                device.post(part.index);
            }
            if (!fits) {
                device.counters.too_long += 1;
                return null;
            }
            return device.joined[0..used];
        }

        fn giveBack(device: *Self) void {
            const index = device.held orelse return;
            device.held = null;
            device.post(index);
            // In batches: each notification leaves the guest.
            if (device.untold >= device.receive_count / 4) device.tellReceive();
        }

        /// Room for the next frame to be sent, of `frame_bytes_max`; null when every buffer is the device's, and then an interrupt tells
        /// when some are free.
        pub fn room(device: *Self) ?[]u8 {
            if (device.broken) return null;
            var index = device.freeSendBuffer();
            if (index == null) {
                device.collectSent();
                index = device.freeSendBuffer();
            }
            if (index == null) {
                // Not for each: when half of them are back.
                device.awaits_sent = true;
                const enough = @max(1, device.send_count / 2);
                if (device.send.wake(enough)) {
                    device.meet();
                    if (device.send.queue.finished() -% device.send.used_seen < enough) return null;
                }
                device.collectSent();
                index = device.freeSendBuffer();
            }
            if (device.awaits_sent) {
                device.awaits_sent = false;
                device.send.quiet();
            }
            return bufferAt(&device.memory.send, index orelse return null)[header_bytes..][0..frame_bytes_max];
        }

        fn freeSendBuffer(device: *const Self) ?u16 {
            const free = @ctz(~device.sending);
            return if (free < device.send_count) free else null;
        }

        /// Takes what the device has sent.
        pub fn collectSent(device: *Self) void {
            while (device.send.next(device.send_count) catch return device.breakOff()) |element| {
                const bit = @as(u64, 1) << @intCast(element.id);
                if (device.sending & bit == 0) return device.breakOff();
                device.sending &= ~bit;
            }
        }

        /// Queues the frame that was written into the last `room`; `flush` makes the device send it.
        pub fn queueFrame(device: *Self, bytes: u32, completion: ?Completion) void {
            std.debug.assert(bytes <= frame_bytes_max);
            const index = device.freeSendBuffer().?;
            const header: *Header = @ptrCast(@alignCast(bufferAt(&device.memory.send, index).ptr));
            header.* = .{ .flags = 0, .checksum_start = 0, .checksum_offset = 0 };
            if (completion) |sum| {
                std.debug.assert(device.completesChecksums());
                header.* = .{ .flags = Header.needs_checksum, .checksum_start = sum.start, .checksum_offset = sum.offset };
            }
            device.send.queue.descriptors[index] = .{
                .address = physicalAt(&device.memory.send, index),
                .bytes = header_bytes + bytes,
                .flags = 0,
                .next = 0,
            };
            device.sending |= @as(u64, 1) << @intCast(index);
            device.send.out += 1;
            device.send.prepare(index);
        }

        /// Gives what was queued to the device.
        pub fn flush(device: *Self) void {
            const old = device.send.publish() orelse return;
            device.notify(&device.send, send_queue, old);
        }

        /// Takes an interrupt; whether it was this device's.
        pub fn takeInterrupt(device: *Self) bool {
            device.counters.interrupts += 1;
            return device.transport.takeInterrupt() != 0;
        }

        fn breakOff(device: *Self) void {
            device.broken = true;
        }
    };
}

/// The driver's side of a queue, with the event index where both have it (VIRTIO 1.2, sections 2.7.7.2 and 2.7.10).
const Ring = struct {
    queue: *mmio.Queue(queue_entries),
    size: u16,
    events: bool,
    /// Chains that the device has.
    out: u16 = 0,
    used_seen: u16 = 0,
    prepared: u16 = 0,

    /// The last field of each part stands behind as many entries as the queue has.
    fn interruptAt(ring: *Ring) *u16 {
        const entries: [*]u16 = &ring.queue.available_ring;
        return &entries[ring.size];
    }

    fn notifyAt(ring: *const Ring) *const u16 {
        const entries: [*]const mmio.UsedElement = &ring.queue.used_ring;
        return @ptrCast(&entries[ring.size]);
    }

    /// The next chain that the device is done with. One that is done with more than it was given, or names a chain that
    /// there is not, is broken; that it names one twice is not seen here.
    fn next(ring: *Ring, count: u16) error{Broken}!?mmio.UsedElement {
        const finished = ring.queue.finished();
        if (finished == ring.used_seen) return null;
        if (finished -% ring.used_seen > ring.out) return error.Broken;
        const element = ring.queue.element(ring.size, ring.used_seen);
        if (element.id >= count) return error.Broken;
        ring.used_seen +%= 1;
        ring.out -= 1;
        return element;
    }

    /// Asks for an interrupt when something is done; whether something is already.
    fn quiesce(ring: *Ring) bool {
        return !ring.wake(1);
    }

    /// Asks for an interrupt when `count` more are done; false when they are.
    fn wake(ring: *Ring, count: u16) bool {
        const target = ring.used_seen +% (count - 1);
        if (ring.events) {
            @atomicStore(u16, ring.interruptAt(), target, .seq_cst);
        } else {
            @atomicStore(u16, &ring.queue.available_flags, 0, .seq_cst);
        }
        // The store is seen before the index is read again, or both sides would wait.
        return @atomicLoad(u16, &ring.queue.used_index, .seq_cst) -% ring.used_seen < count;
    }

    /// Asks for no interrupt; one may come all the same.
    fn quiet(ring: *Ring) void {
        if (ring.events) {
            @atomicStore(u16, ring.interruptAt(), ring.used_seen -% 1, .seq_cst);
        } else {
            @atomicStore(u16, &ring.queue.available_flags, 1, .seq_cst);
        }
    }

    fn prepare(ring: *Ring, head: u16) void {
        const index = ring.queue.available_index +% ring.prepared;
        ring.queue.available_ring[index & (ring.size - 1)] = head;
        ring.prepared += 1;
    }

    /// Shows the device what was prepared; gives the index before, null when it was nothing.
    fn publish(ring: *Ring) ?u16 {
        if (ring.prepared == 0) return null;
        const old = ring.queue.available_index;
        @atomicStore(u16, &ring.queue.available_index, old +% ring.prepared, .seq_cst);
        ring.prepared = 0;
        return old;
    }

    /// Whether the device wants to be told that the index has moved on from `old`.
    fn wantsNotification(ring: *const Ring, old: u16) bool {
        // What was offered is seen before what is asked for is read.
        fence();
        if (!ring.events) return @atomicLoad(u16, &ring.queue.used_flags, .acquire) & 1 == 0;
        const new = ring.queue.available_index;
        const event = @atomicLoad(u16, ring.notifyAt(), .acquire);
        return new -% event -% 1 < new -% old;
    }
};

inline fn fence() void {
    asm volatile ("mfence" ::: .{ .memory = true });
}
