//! The network driver against a device that keeps the strictest rules, and against devices that break them.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const net = @import("virtio_net.zig");
const simulated_net = @import("simulated_net.zig");
const Simulated = simulated_net.Simulated;
const testing = std.testing;

const Device = net.NetDevice(Simulated.Bus);
const pages_count = 2 + net.receive_pages + net.send_pages;

const Setup = struct {
    simulated: Simulated,
    pages: []align(4096) [4096]u8,
    memory: net.Memory = undefined,
    device: Device = undefined,

    fn create(simulated: Simulated) !*Setup {
        const setup = try testing.allocator.create(Setup);
        errdefer testing.allocator.destroy(setup);
        setup.* = .{ .simulated = simulated, .pages = try testing.allocator.alignedAlloc([4096]u8, .fromByteUnits(4096), pages_count) };
        for (setup.pages) |*bytes| @memset(bytes, 0);
        setup.memory.receive_queue = setup.page(0);
        setup.memory.send_queue = setup.page(1);
        for (&setup.memory.receive, 2..) |*place, index| place.* = setup.page(index);
        for (&setup.memory.send, 2 + net.receive_pages..) |*place, index| place.* = setup.page(index);
        return setup;
    }

    fn page(setup: *Setup, index: usize) net.Page {
        return .{ .bytes = @alignCast(&setup.pages[index]), .physical = @intFromPtr(&setup.pages[index]) };
    }

    fn start(setup: *Setup) mmio.Error!*Device {
        return setup.startWhere(false);
    }

    fn startWhere(setup: *Setup, fences_missing: bool) mmio.Error!*Device {
        try setup.device.init(.{ .device = &setup.simulated }, &setup.memory, fences_missing);
        return &setup.device;
    }

    fn destroy(setup: *Setup) void {
        testing.allocator.free(setup.pages);
        testing.allocator.destroy(setup);
    }
};

fn fill(frame: []u8, seed: usize) void {
    for (frame, 0..) |*byte, index| byte.* = @truncate(index *% 7 +% seed);
}

const without_events = changed("offered", mmio.feature_version_1 | 0xdda3);
const small_queue = changed("queue_size_offered", 16);

/// A device one of whose registers says something else.
fn changed(comptime field: []const u8, value: anytype) Simulated {
    var simulated: Simulated = .{};
    @field(simulated.transport, field) = value;
    return simulated;
}

test "the device starts by the strictest rules, with buffers enough for any device, and no feature but those that are served" {
    const setup = try Setup.create(.{});
    defer setup.destroy();
    const device = try setup.start();
    try testing.expectEqual(simulated_net.mac, device.mac.?);
    try testing.expectEqual(1 << 32 | 1 << 29 | 1 << 15 | 1 << 5 | 1 << 1 | 1 << 0, setup.simulated.transport.acknowledged);
    try testing.expect(device.completesChecksums());
    try testing.expect(@as(u32, setup.simulated.available(0)) * net.buffer_bytes >= 65_562);
    try testing.expectEqual(1, setup.simulated.transport.queues[0].notifications);
    try testing.expectEqual(null, device.take());
}

test "frames arrive in order and unharmed, and are interrupted for once" {
    for ([_]Simulated{ .{}, without_events, small_queue }) |kind| {
        const setup = try Setup.create(kind);
        defer setup.destroy();
        const device = try setup.start();
        const posted = setup.simulated.available(0);
        var frame: [net.frame_bytes_max]u8 = undefined;
        // Many rounds, so that every index wraps.
        for (0..10_000) |round| {
            try testing.expectEqual(null, device.take());
            const count = 1 + round % 13;
            const before = setup.simulated.interrupts;
            for (0..count) |index| {
                const bytes = 14 + (round * 31 + index) % 1500;
                fill(frame[0..bytes], round + index);
                try testing.expect(setup.simulated.deliver(frame[0..bytes], @intCast(index % 3), &.{bytes}));
            }
            if (kind.transport.offered & net.Features.event_index != 0) try testing.expectEqual(before + 1, setup.simulated.interrupts);
            try testing.expect(device.takeInterrupt());
            for (0..count) |index| {
                const bytes = 14 + (round * 31 + index) % 1500;
                fill(frame[0..bytes], round + index);
                const received = device.take().?;
                try testing.expectEqualSlices(u8, frame[0..bytes], received.bytes);
                const checksums = [_]net.Checksum{ .unknown, .partial, .good };
                try testing.expectEqual(checksums[index % 3], received.checksum);
            }
            try testing.expectEqual(null, device.take());
            try testing.expectEqual(posted, setup.simulated.available(0));
        }
    }
}

test "a full receive queue is emptied, and the device told of the room" {
    const setup = try Setup.create(.{});
    defer setup.destroy();
    const device = try setup.start();
    var frame: [60]u8 = undefined;
    fill(&frame, 0);
    for (0..5) |_| {
        var count: u32 = 0;
        while (setup.simulated.deliver(&frame, 0, &.{frame.len})) count += 1;
        try testing.expectEqual(net.receive_buffers, count);
        const told = setup.simulated.transport.queues[0].notifications;
        for (0..count) |_| try testing.expectEqualSlices(u8, &frame, device.take().?.bytes);
        try testing.expectEqual(null, device.take());
        try testing.expect(setup.simulated.transport.queues[0].notifications > told);
        try testing.expectEqual(net.receive_buffers, setup.simulated.available(0));
    }
}

test "a frame in several buffers is one, and one that is too long none" {
    const setup = try Setup.create(.{});
    defer setup.destroy();
    const device = try setup.start();
    var frame: [4000]u8 = undefined;
    fill(&frame, 3);
    for (0..500) |_| {
        try testing.expect(setup.simulated.deliver(frame[0..1514], 0, &.{ 700, 13, 801 }));
        try testing.expect(setup.simulated.deliver(frame[0..4000], 0, &.{ 2000, 2000 }));
        try testing.expect(setup.simulated.deliver(frame[0..1515], 0, &.{1515}));
        try testing.expect(setup.simulated.deliver(frame[0..60], 0, &.{60}));
        try testing.expectEqualSlices(u8, frame[0..1514], device.take().?.bytes);
        try testing.expectEqualSlices(u8, frame[0..60], device.take().?.bytes);
        try testing.expectEqual(null, device.take());
        try testing.expectEqual(net.receive_buffers, setup.simulated.available(0));
    }
    try testing.expectEqual(1000, device.counters.too_long);
}

test "frames are sent in order with what the device is to complete, told once for all" {
    for ([_]Simulated{ .{}, without_events, small_queue }) |kind| {
        const setup = try Setup.create(kind);
        defer setup.destroy();
        const device = try setup.start();
        var frame: [net.frame_bytes_max]u8 = undefined;
        for (0..5000) |round| {
            const told = setup.simulated.transport.queues[1].notifications;
            const count = 1 + round % 16;
            for (0..count) |index| {
                const room = device.room().?;
                const bytes: u32 = @intCast(60 + (round * 17 + index) % 1454);
                fill(room[0..bytes], round + index);
                device.queueFrame(bytes, if (index % 2 == 0) null else .{ .start = 34, .offset = 16 });
            }
            device.flush();
            device.flush();
            try testing.expectEqual(told + 1, setup.simulated.transport.queues[1].notifications);
            for (0..count) |index| {
                const bytes = 60 + (round * 17 + index) % 1454;
                fill(frame[0..bytes], round + index);
                const sent = setup.simulated.send().?;
                try testing.expectEqualSlices(u8, frame[0..bytes], sent.bytes);
                const header: [net.header_bytes]u8 = if (index % 2 == 0) @splat(0) else .{ 1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0 };
                try testing.expectEqual(header, sent.header);
            }
            try testing.expectEqual(null, setup.simulated.send());
        }
        try testing.expectEqual(0, setup.simulated.interrupts);
    }
}

test "when every buffer is out there is no room, and an interrupt when half of them are back" {
    for ([_]Simulated{ .{}, without_events }) |kind| {
        const setup = try Setup.create(kind);
        defer setup.destroy();
        const device = try setup.start();
        for (0..3) |_| {
            var count: u32 = 0;
            while (device.room()) |room| : (count += 1) {
                fill(room[0..60], count);
                device.queueFrame(60, null);
            }
            try testing.expectEqual(net.send_buffers, count);
            device.flush();
            const before = setup.simulated.interrupts;
            for (0..net.send_buffers / 2) |_| _ = setup.simulated.send().?;
            if (kind.transport.offered & net.Features.event_index != 0) {
                try testing.expectEqual(before + 1, setup.simulated.interrupts);
            } else try testing.expect(setup.simulated.interrupts > before);
            try testing.expect(device.room() != null);
            while (setup.simulated.send()) |_| {}
            device.collectSent();
            try testing.expectEqual(0, device.sending);
        }
    }
}

test "where fences are left out, what the device did is seen all the same: a frame, a wish to be told, buffers that are back" {
    for (0..3) |case| {
        const setup = try Setup.create(.{});
        defer setup.destroy();
        const device = try setup.startWhere(true);
        try testing.expectEqual(null, device.take());
        setup.simulated.lags = true;
        switch (case) {
            0 => {
                var frame: [60]u8 = undefined;
                fill(&frame, 1);
                try testing.expect(setup.simulated.deliver(&frame, 0, &.{frame.len}));
                try testing.expectEqualSlices(u8, &frame, device.take().?.bytes);
            },
            1 => for (1..9) |count| {
                _ = device.room().?;
                device.queueFrame(60, null);
                device.flush();
                try testing.expectEqual(count, setup.simulated.transport.queues[1].notifications);
                _ = setup.simulated.send().?;
            },
            else => {
                for (0..net.send_buffers) |_| {
                    _ = device.room().?;
                    device.queueFrame(60, null);
                }
                device.flush();
                while (setup.simulated.send()) |_| {}
                try testing.expect(device.room() != null);
            },
        }
    }
}

test "where fences hold, no register is read while frames come and go" {
    const setup = try Setup.create(.{});
    defer setup.destroy();
    const device = try setup.start();
    const before = setup.simulated.status_reads;
    var frame: [60]u8 = undefined;
    fill(&frame, 1);
    for (0..3) |_| {
        try testing.expect(setup.simulated.deliver(&frame, 0, &.{frame.len}));
        try testing.expect(device.take() != null);
        try testing.expectEqual(null, device.take());
        while (device.room()) |_| {
            device.queueFrame(60, null);
            device.flush();
        }
        while (setup.simulated.send()) |_| {}
    }
    try testing.expectEqual(before, setup.simulated.status_reads);
}

test "a device that breaks its protocol is used no more" {
    const Break = *const fn (*Simulated) void;
    const breaks = [_]Break{
        struct {
            fn f(device: *Simulated) void {
                device.report(0, &.{.{ .id = 128, .bytes = 60 }});
            }
        }.f,
        struct {
            fn f(device: *Simulated) void {
                device.report(0, &.{.{ .id = 3, .bytes = 2049 }});
            }
        }.f,
        struct {
            fn f(device: *Simulated) void {
                device.report(0, &.{.{ .id = 3, .bytes = 11 }});
            }
        }.f,
        struct {
            fn f(device: *Simulated) void {
                // No count of buffers.
                device.report(0, &.{.{ .id = 3, .bytes = 60 }});
            }
        }.f,
        struct {
            fn f(device: *Simulated) void {
                device.transport.queues[0].setUsedIndex(40_000);
            }
        }.f,
        struct {
            fn f(device: *Simulated) void {
                device.report(1, &.{.{ .id = 0, .bytes = 0 }});
            }
        }.f,
    };
    for (breaks) |breakIt| {
        const setup = try Setup.create(.{});
        defer setup.destroy();
        const device = try setup.start();
        breakIt(&setup.simulated);
        while (device.take()) |_| {}
        device.collectSent();
        try testing.expect(device.broken);
        try testing.expectEqual(null, device.take());
        try testing.expectEqual(null, device.room());
        device.flush();
    }
}

test "answers of any kind neither stop nor mislead the driver" {
    var random: std.Random.DefaultPrng = .init(11);
    const dice = random.random();
    for (0..300) |_| {
        const setup = try Setup.create(.{});
        defer setup.destroy();
        const device = try setup.start();
        for (0..40) |_| {
            const number = dice.uintLessThan(usize, 2);
            device_memory: {
                if (dice.boolean()) break :device_memory;
                const place = &setup.pages[2 + dice.uintLessThan(usize, net.receive_pages)];
                dice.bytes(place[0..net.header_bytes]);
            }
            if (dice.uintLessThan(u8, 3) == 0 and device.room() != null) device.queueFrame(60, null);
            device.flush();
            setup.simulated.report(number, &.{.{ .id = dice.uintLessThan(u32, 130), .bytes = dice.uintLessThan(u32, 2100) }});
            for (0..200) |_| _ = device.take() orelse break;
            device.collectSent();
        }
    }
}

test "a transport that cannot be used is refused, and told so" {
    const Case = struct { mmio.Error, Simulated };
    for ([_]Case{
        .{ error.NotThere, changed("device_id", 0) },
        .{ error.NotThere, changed("device_id", 2) },
        .{ error.InUse, changed("status", 0xf) },
        .{ error.Features, changed("offered", 0) },
        .{ error.NoQueue, changed("queue_size_offered", 0) },
        .{ error.NotStarted, changed("refuses_start", true) },
    }) |case| {
        const setup = try Setup.create(case[1]);
        defer setup.destroy();
        try testing.expectError(case[0], setup.start());
    }
}
