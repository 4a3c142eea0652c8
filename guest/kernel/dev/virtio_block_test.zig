//! The block driver against a device that keeps the strictest rules, and against devices that break them.
const std = @import("std");
const mmio = @import("virtio_mmio.zig");
const block = @import("virtio_block.zig");
const simulated_block = @import("simulated_block.zig");
const Simulated = simulated_block.Simulated;
const testing = std.testing;

const Device = block.BlockDevice(Simulated.Bus, usize);

const Setup = struct {
    storage: [64 * 512]u8 = undefined,
    simulated: Simulated = undefined,
    shared: block.Shared align(4096) = undefined,

    fn prepare(setup: *Setup) void {
        for (&setup.storage, 0..) |*byte, index| byte.* = @truncate(index / 512 + index);
        setup.shared = std.mem.zeroes(block.Shared);
        setup.simulated = .{ .storage = &setup.storage };
    }

    fn start(setup: *Setup) mmio.Error!Device {
        return Device.init(.{ .device = &setup.simulated }, &setup.shared, @intFromPtr(&setup.shared));
    }
};

fn piece(memory: []u8) block.Piece {
    return .{ .physical = @intFromPtr(memory.ptr), .bytes = @intCast(memory.len) };
}

test "reads and writes in pieces reach the right sectors" {
    var setup: Setup = .{};
    setup.prepare();
    var device = try setup.start();
    try testing.expectEqual(@as(u64, 64), device.sectors);
    var first: [512]u8 = undefined;
    var second: [1024]u8 = undefined;
    try device.submit(.read, 5, &.{ piece(&first), piece(&second) }, 7);
    try testing.expect(device.isBusy());
    try testing.expectEqual(null, device.complete());
    try testing.expectEqual(@as(u32, 1), setup.simulated.serveAll());
    try testing.expect(device.takeInterrupt());
    try testing.expect(!device.takeInterrupt());
    try testing.expectEqual(Device.Completion{ .asker = 7, .good = true }, device.complete().?);
    try testing.expectEqual(null, device.complete());
    try testing.expectEqualSlices(u8, setup.storage[5 * 512 ..][0..512], &first);
    try testing.expectEqualSlices(u8, setup.storage[6 * 512 ..][0..1024], &second);

    @memset(&first, 0xaa);
    try device.submit(.write, 63, &.{piece(&first)}, 0);
    _ = setup.simulated.serveAll();
    try testing.expect(device.complete().?.good);
    try testing.expect(std.mem.allEqual(u8, setup.storage[63 * 512 ..], 0xaa));
    try testing.expect(!device.isBusy());
}

test "requests are bounded, and answered in any order" {
    var setup: Setup = .{};
    setup.prepare();
    var device = try setup.start();
    var memory: [block.requests_max][512]u8 = undefined;
    // Many rounds, so that every index wraps.
    for (0..20_000) |round| {
        for (&memory, 0..) |*buffer, index| try device.submit(.read, index, &.{piece(buffer)}, round + index);
        try testing.expectError(error.QueueFull, device.submit(.read, 0, &.{piece(&memory[0])}, 0));
        var heads: [64]u16 = undefined;
        const list = setup.simulated.waiting(&heads);
        try testing.expectEqual(@as(usize, block.requests_max), list.len);
        if (round % 2 == 1) std.mem.reverse(u16, list);
        for (list) |head| setup.simulated.serve(head);
        for (0..list.len) |index| {
            const completion = device.complete().?;
            try testing.expect(completion.good);
            const expected = if (round % 2 == 1) list.len - 1 - index else index;
            try testing.expectEqual(round + expected, completion.asker);
        }
        try testing.expectEqual(null, device.complete());
    }
}

test "a completion names who asked, although its place was taken again before the asker looked" {
    var setup: Setup = .{};
    setup.prepare();
    var device = try setup.start();
    var memory: [3][512]u8 = undefined;
    try device.submit(.read, 1, &.{piece(&memory[0])}, 100);
    _ = setup.simulated.serveAll();
    const first = device.complete().?;
    // The first asker sleeps still; two more come, and one of them takes the only place that was in use.
    try device.submit(.read, 2, &.{piece(&memory[1])}, 200);
    try device.submit(.read, 3, &.{piece(&memory[2])}, 300);
    _ = setup.simulated.serveAll();
    try testing.expectEqual(Device.Completion{ .asker = 100, .good = true }, first);
    try testing.expectEqual(Device.Completion{ .asker = 200, .good = true }, device.complete().?);
    try testing.expectEqual(Device.Completion{ .asker = 300, .good = true }, device.complete().?);
    for (&memory, 1..) |*buffer, sector| try testing.expectEqualSlices(u8, setup.storage[sector * 512 ..][0..512], buffer);
}

test "requests that the device could not serve are refused before it sees them" {
    var setup: Setup = .{};
    setup.prepare();
    var device = try setup.start();
    var memory: [1024]u8 = undefined;
    const nine: [block.pieces_max + 1]block.Piece = @splat(piece(memory[0..512]));
    try testing.expectError(error.OutOfRange, device.submit(.read, 64, &.{piece(memory[0..512])}, 0));
    try testing.expectError(error.OutOfRange, device.submit(.read, 63, &.{piece(&memory)}, 0));
    try testing.expectError(error.OutOfRange, device.submit(.read, std.math.maxInt(u64), &.{piece(memory[0..512])}, 0));
    try testing.expectError(error.OutOfRange, device.submit(.read, 0, &.{piece(memory[0..511])}, 0));
    try testing.expectError(error.OutOfRange, device.submit(.read, 0, &.{}, 0));
    try testing.expectError(error.OutOfRange, device.submit(.read, 0, &nine, 0));
    try testing.expectError(error.OutOfRange, device.submit(.flush, 0, &.{}, 0));
    try testing.expectEqual(@as(u32, 0), setup.simulated.transport.queues[0].notifications);
}

test "a request has as many pieces as the device says it takes, and one where it does not say" {
    const Case = struct { offered: u64, says: u32, takes: usize };
    for ([_]Case{
        .{ .offered = 0, .says = 8, .takes = 1 },
        .{ .offered = block.feature_pieces, .says = 0, .takes = 1 },
        .{ .offered = block.feature_pieces, .says = 2, .takes = 2 },
        .{ .offered = block.feature_pieces, .says = 254, .takes = block.pieces_max },
    }) |case| {
        var setup: Setup = .{};
        setup.prepare();
        setup.simulated.transport.offered = 1 << 32 | case.offered;
        setup.simulated.pieces_max = case.says;
        var device = try setup.start();
        var memory: [512]u8 = undefined;
        const pieces: [block.pieces_max + 1]block.Piece = @splat(piece(&memory));
        try testing.expectEqual(case.takes, device.pieces_per_request);
        try testing.expectError(error.OutOfRange, device.submit(.read, 0, pieces[0 .. case.takes + 1], 0));
        try device.submit(.read, 0, pieces[0..case.takes], 0);
    }
}

test "a read-only device takes no write" {
    var setup: Setup = .{};
    setup.prepare();
    setup.simulated.read_only = true;
    setup.simulated.transport.offered |= 1 << 5 | 1 << 29;
    var device = try setup.start();
    try testing.expectEqual(@as(u64, block.feature_pieces | 1 << 5 | 1 << 32), setup.simulated.transport.acknowledged);
    var memory: [512]u8 = undefined;
    try testing.expectError(error.ReadOnly, device.submit(.write, 0, &.{piece(&memory)}, 0));
}

test "a device that leaves the status byte alone has failed the request" {
    var setup: Setup = .{};
    setup.prepare();
    var device = try setup.start();
    var memory: [512]u8 = undefined;
    try device.submit(.read, 0, &.{piece(&memory)}, 0);
    var heads: [64]u16 = undefined;
    setup.simulated.report(setup.simulated.waiting(&heads)[0], 0);
    try testing.expect(!device.complete().?.good);
    // The next one is served again.
    try device.submit(.read, 0, &.{piece(&memory)}, 0);
    _ = setup.simulated.serveAll();
    try testing.expect(device.complete().?.good);
}

test "a device that breaks its protocol fails every request, and is used no more" {
    const Break = *const fn (*Simulated, u16) void;
    const breaks = [_]Break{
        struct {
            fn f(device: *Simulated, head: u16) void {
                device.report(head + 1, 0);
            }
        }.f,
        struct {
            fn f(device: *Simulated, _: u16) void {
                device.report(std.math.maxInt(u32), 0);
            }
        }.f,
        struct {
            fn f(device: *Simulated, _: u16) void {
                device.report(50, 0);
            }
        }.f,
        struct {
            fn f(device: *Simulated, _: u16) void {
                device.transport.queues[0].setUsedIndex(40_000);
            }
        }.f,
        struct {
            fn f(device: *Simulated, head: u16) void {
                device.serve(head);
                device.report(head, 0);
            }
        }.f,
    };
    for (breaks, 0..) |breakIt, index| {
        var setup: Setup = .{};
        setup.prepare();
        var device = try setup.start();
        var memory: [2][512]u8 = undefined;
        for (&memory) |*buffer| try device.submit(.read, 0, &.{piece(buffer)}, 0);
        var heads: [64]u16 = undefined;
        breakIt(&setup.simulated, setup.simulated.waiting(&heads)[0]);
        var failures: u32 = 0;
        var answers: u32 = 0;
        while (device.complete()) |completion| : (answers += 1) failures += @intFromBool(!completion.good);
        try testing.expectEqual(@as(u32, 2), answers);
        // In the last case the first answer was good.
        try testing.expectEqual(@as(u32, if (index == 4) 1 else 2), failures);
        try testing.expectError(error.DeviceError, device.submit(.read, 0, &.{piece(&memory[0])}, 0));
        try testing.expect(!device.isBusy());
    }
}

fn changed(comptime field: []const u8, value: anytype) simulated_block.Transport {
    var transport = simulated_block.registers;
    @field(transport, field) = value;
    return transport;
}

test "a transport that cannot be used is refused, and told so" {
    const Case = struct { mmio.Error, simulated_block.Transport };
    for ([_]Case{
        .{ error.NotThere, changed("device_id", 0) },
        .{ error.NotThere, changed("device_id", 1) },
        .{ error.InUse, changed("status", 0xf) },
        .{ error.Features, changed("offered", 0) },
        .{ error.NoQueue, changed("queue_size_offered", 0) },
        .{ error.NoQueue, changed("queue_size_offered", 8) },
        .{ error.NotStarted, changed("refuses_start", true) },
    }) |case| {
        var setup: Setup = .{};
        setup.prepare();
        setup.simulated.transport = case[1];
        try testing.expectError(case[0], setup.start());
    }
    var endless: Setup = .{};
    endless.prepare();
    endless.simulated.unstable_reads = 1000;
    try testing.expectError(error.NotThere, endless.start());
    var setup: Setup = .{};
    setup.prepare();
    setup.simulated.unstable_reads = 3;
    try testing.expectEqual(@as(u64, 64), (try setup.start()).sectors);
}

test "a small queue serves fewer requests at once" {
    var setup: Setup = .{};
    setup.prepare();
    setup.simulated.transport.queue_size_offered = 16;
    var device = try setup.start();
    var memory: [512]u8 = undefined;
    try device.submit(.read, 1, &.{piece(&memory)}, 0);
    try testing.expectError(error.QueueFull, device.submit(.read, 1, &.{piece(&memory)}, 0));
    _ = setup.simulated.serveAll();
    try testing.expect(device.complete().?.good);
}
