//! The EROFS reader over images of mkfs.erofs, and over every damage of one byte and every truncation of them.
const std = @import("std");
const erofs = @import("erofs.zig");
const testing = std.testing;

const small = @embedFile("small.erofs");
const plain = @embedFile("plain.erofs");
const extended = @embedFile("extended.erofs");
const large = @embedFile("large.erofs");

/// An image in memory that checks how it is used.
const Memory = struct {
    image: []const u8,
    held: u32 = 0,

    pub fn blockCount(memory: *Memory) u64 {
        return memory.image.len / erofs.block_bytes;
    }

    pub fn acquire(memory: *Memory, block: u32) error{DeviceError}!*const erofs.Block {
        std.debug.assert(memory.held == 0);
        memory.held += 1;
        return memory.image[@as(usize, block) * erofs.block_bytes ..][0..erofs.block_bytes];
    }

    pub fn release(memory: *Memory, _: u32) void {
        std.debug.assert(memory.held == 1);
        memory.held -= 1;
    }
};

const Files = erofs.FileSystem(Memory);

fn open(files: *const Files, path: []const u8, options: erofs.Resolve) erofs.Error!erofs.Inode {
    var work: [erofs.path_bytes_max]u8 = undefined;
    const root = try files.root();
    return files.resolve(&root, path, options, &work);
}

/// The pattern of make-test-images.sh.
fn expectPattern(data: []const u8) !void {
    var line: [17]u8 = undefined;
    for (data, 0..) |byte, index| {
        if (index % 16 == 0) _ = try std.fmt.bufPrint(&line, "{d:0>15}\n", .{index / 16});
        try testing.expectEqual(line[index % 16], byte);
    }
}

test "files of sizes around a block read as they were written, inline, plain and with extended inodes" {
    for ([_][]const u8{ small, plain, extended }) |image| {
        var memory: Memory = .{ .image = image };
        const files = try Files.mount(&memory);
        for ([_]struct { []const u8, usize }{
            .{ "/size-0", 0 },      .{ "size-1", 1 },                 .{ "size-4095", 4095 },
            .{ "size-4096", 4096 }, .{ "//sub/../size-4097/", 4097 }, .{ "./size-9000", 9000 },
            .{ "sub/hard", 4097 },  .{ "absolute/leaf", 20 },         .{ "sub/relative", 1 },
            .{ "chain-16", 1 },
        }) |case| {
            if (std.mem.endsWith(u8, case[0], "/")) {
                try testing.expectError(error.NotDirectory, open(&files, case[0], .{}));
                continue;
            }
            const node = try open(&files, case[0], .{});
            try testing.expectEqual(erofs.Kind.file, node.kind);
            try testing.expectEqual(@as(u64, case[1]), node.bytes);
            var buffer: [10000]u8 = undefined;
            try testing.expectEqual(case[1], try files.read(&node, 0, &buffer));
            try expectPattern(buffer[0..case[1]]);
            // Any part reads the same.
            var offset: usize = 0;
            while (offset < case[1]) : (offset += 777) {
                var part: [1000]u8 = undefined;
                const count = try files.read(&node, offset, &part);
                try testing.expectEqual(@min(part.len, case[1] - offset), count);
                try testing.expectEqualSlices(u8, buffer[offset..][0..count], part[0..count]);
            }
            try testing.expectEqual(@as(usize, 0), try files.read(&node, case[1], &buffer));
        }
        const executable = try open(&files, "size-1", .{});
        try testing.expectEqual(@as(u16, 0o4755), executable.mode);
        const linked = try open(&files, "size-4097", .{});
        try testing.expectEqual(@as(u32, 2), linked.links);
        try testing.expectEqual(linked.nid, (try open(&files, "sub/hard", .{})).nid);
        try testing.expectEqual(erofs.Kind.fifo, (try open(&files, "pipe", .{})).kind);
    }
}

test "paths that lead nowhere say why" {
    var memory: Memory = .{ .image = small };
    const files = try Files.mount(&memory);
    try testing.expectError(error.NotFound, open(&files, "missing", .{}));
    try testing.expectError(error.NotFound, open(&files, "empty/x", .{}));
    try testing.expectError(error.NotFound, open(&files, "dangling", .{}));
    try testing.expectError(error.NotDirectory, open(&files, "size-1/x", .{}));
    try testing.expectError(error.LinkLoop, open(&files, "loop-a", .{}));
    try testing.expectError(error.LinkLoop, open(&files, "chain-17", .{}));
    try testing.expectError(error.BadValue, open(&files, "", .{}));
    try testing.expectError(error.BadValue, open(&files, "a\x00b", .{}));
    try testing.expectError(error.TooLong, open(&files, "x" ** 256, .{}));
    try testing.expectError(error.TooLong, open(&files, "/." ** 2048 ++ "/", .{}));
    try testing.expectEqual(erofs.Kind.directory, (try open(&files, "/." ** 2048, .{})).kind);
    try testing.expectEqual(erofs.Kind.directory, (try open(&files, "/../..", .{})).kind);
    const link = try open(&files, "loop-a", .{ .no_follow = true });
    try testing.expectEqual(erofs.Kind.link, link.kind);
    var target: [16]u8 = undefined;
    try testing.expectEqualStrings("loop-b", target[0..try files.read(&link, 0, &target)]);
}

test "a directory of many blocks is listed in order, and each name is found" {
    var memory: Memory = .{ .image = large };
    const files = try Files.mount(&memory);
    const directory = try open(&files, "many", .{});
    try testing.expect(directory.bytes > 4 * erofs.block_bytes);
    var count: u32 = 0;
    var position: u64 = 0;
    var previous: [erofs.name_bytes_max]u8 = undefined;
    var previous_bytes: usize = 0;
    var buffer: [erofs.name_bytes_max]u8 = undefined;
    while (try files.next(&directory, position, &buffer)) |entry| : (position = entry.next) {
        try testing.expect(std.mem.lessThan(u8, previous[0..previous_bytes], entry.name));
        @memcpy(previous[0..entry.name.len], entry.name);
        previous_bytes = entry.name.len;
        try testing.expectEqual(entry.nid, try files.lookup(&directory, entry.name));
        try testing.expect(entry.next > position);
        count += 1;
    }
    // 1,500 numbered, one long, `.` and `..`.
    try testing.expectEqual(@as(u32, 1503), count);
    for ([_][]const u8{ "", "name-", "name-1500", "zzz", "\xff", "-" }) |name| {
        try testing.expectError(error.NotFound, files.lookup(&directory, name));
    }
}

test "a chunked file has its data and zeros in its holes" {
    var memory: Memory = .{ .image = large };
    const files = try Files.mount(&memory);
    const node = try open(&files, "holes", .{});
    try testing.expectEqual(@as(u64, 1 << 20), node.bytes);
    const data = try testing.allocator.alloc(u8, 1 << 20);
    defer testing.allocator.free(data);
    try testing.expectEqual(data.len, try files.read(&node, 0, data));
    try expectPattern(data[0..8192]);
    try expectPattern(data[200 * 4096 ..][0..4096]);
    try testing.expect(std.mem.allEqual(u8, data[8192 .. 200 * 4096], 0));
    try testing.expect(std.mem.allEqual(u8, data[201 * 4096 ..], 0));
}

/// Visits everything that can be reached, in bounds that a damaged image cannot raise.
const Walk = struct {
    files: *const Files,
    steps_left: u32 = 2000,
    errors: u32 = 0,

    fn visit(walk: *Walk, nid: u64, depth: u32) void {
        if (depth > 6 or walk.steps_left == 0) return;
        walk.steps_left -= 1;
        const node = walk.files.inode(nid) catch |failure| return walk.note(failure);
        var buffer: [3000]u8 = undefined;
        var offset: u64 = 0;
        // The start, the middle and the end of a file stand for it.
        for ([_]u64{ 0, node.bytes / 2, node.bytes -| 5000, node.bytes -| 1 }) |start| {
            offset = start;
            const count = walk.files.read(&node, offset, &buffer) catch |failure| {
                walk.note(failure);
                continue;
            };
            if (count != @min(buffer.len, node.bytes - offset)) @panic("read in part");
        }
        if (node.kind != .directory) return;
        var name: [erofs.name_bytes_max]u8 = undefined;
        var position: u64 = 0;
        while (walk.steps_left > 0) {
            const entry = (walk.files.next(&node, position, &name) catch |failure| return walk.note(failure)) orelse return;
            if (entry.next <= position) @panic("no progress");
            position = entry.next;
            _ = walk.files.lookup(&node, entry.name) catch |failure| walk.note(failure);
            if (entry.name[0] != '.') walk.visit(entry.nid, depth + 1);
        }
    }

    fn note(walk: *Walk, failure: erofs.Error) void {
        walk.errors += 1;
        switch (failure) {
            error.CorruptImage, error.NotFound, error.NotDirectory => {},
            error.DeviceError, error.LinkLoop, error.TooLong, error.BadValue => @panic("unexpected error"),
        }
    }
};

/// Mounts, walks and resolves; true when anything was refused.
fn exercise(image: []const u8) bool {
    var memory: Memory = .{ .image = image };
    defer std.debug.assert(memory.held == 0);
    const files = Files.mount(&memory) catch return true;
    var walk: Walk = .{ .files = &files };
    walk.visit(files.root_nid, 0);
    for ([_][]const u8{ "absolute/leaf", "chain-16", "sub/relative", "loop-a" }) |path| {
        if (open(&files, path, .{})) |_| {} else |failure| switch (failure) {
            error.DeviceError, error.BadValue => @panic("unexpected error"),
            error.LinkLoop => {},
            else => walk.errors += 1,
        }
    }
    return walk.errors != 0;
}

fn repairChecksum(image: []u8) void {
    const superblock = image[1024..4096];
    @memset(superblock[4..8], 0);
    std.mem.writeInt(u32, superblock[4..8], ~std.hash.crc.Crc32Iscsi.hash(superblock), .little);
}

test "an undamaged image gives no error" {
    for ([_][]const u8{ small, plain, extended }) |image| try testing.expect(!exercise(image));
}

test "every damaged byte of the superblock alone is noticed" {
    const image = try testing.allocator.dupe(u8, small);
    defer testing.allocator.free(image);
    for (1024..1024 + 128) |offset| {
        for ([_]u8{ 0x01, 0x80, 0xff }) |mask| {
            image[offset] ^= mask;
            // Without its flag the checksum is not looked at: a byte of the flag, the only one, may pass.
            if (!exercise(image)) try testing.expect(offset == 1032);
            image[offset] ^= mask;
        }
    }
}

test "every damaged byte gives an error or a consistent read" {
    for ([_][]const u8{ small, extended }) |original| {
        const image = try testing.allocator.dupe(u8, original);
        defer testing.allocator.free(image);
        var refused: u32 = 0;
        for (1024..image.len) |offset| {
            // The rest of the superblock's block is unused.
            if (offset >= 1024 + 128 and offset < 4096 and offset % 64 != 0) continue;
            for ([_]u8{ 0x01, 0x40, 0xff }) |mask| {
                image[offset] ^= mask;
                if (offset < 4096) repairChecksum(image);
                refused += @intFromBool(exercise(image));
                image[offset] ^= mask;
                if (offset < 4096) repairChecksum(image);
            }
        }
        try testing.expect(refused > 150);
    }
}

test "random damage of many bytes gives an error or a consistent read" {
    var random: std.Random.DefaultPrng = .init(0x5eed);
    const image = try testing.allocator.dupe(u8, small);
    defer testing.allocator.free(image);
    for (0..3000) |_| {
        @memcpy(image, small);
        for (0..random.random().intRangeAtMost(u32, 1, 200)) |_| {
            image[random.random().intRangeLessThan(usize, 1024, image.len)] = random.random().int(u8);
        }
        repairChecksum(image);
        _ = exercise(image);
    }
}

test "every truncation is refused" {
    for ([_][]const u8{ small, plain, large }) |image| {
        var bytes: usize = 0;
        while (bytes < image.len) : (bytes += 512) {
            var memory: Memory = .{ .image = image[0..bytes] };
            try testing.expectError(error.CorruptImage, Files.mount(&memory));
        }
    }
}
