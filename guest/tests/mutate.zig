//! Damages an image's metadata for the boot tests: mutate <image> <output> <seed>
//!
//! Changes one random byte of an inode, of a directory, of the manifest or of the superblock, never of the kernel's or the program's own
//! data, and says which. For every other seed the superblock's checksum is made right again, so that the damage is met later than
//! at once.
const std = @import("std");
const erofs = @import("erofs");

const file_bytes_max = 64 << 20;
const ranges_max = 4096;

const Image = struct {
    data: []u8,

    pub fn blockCount(image: *Image) u64 {
        return image.data.len / erofs.block_bytes;
    }
    pub fn acquire(image: *Image, block: u32) error{DeviceError}!*const erofs.Block {
        return image.data[@as(usize, block) * erofs.block_bytes ..][0..erofs.block_bytes];
    }
    pub fn release(_: *Image, _: u32) void {}
};

const Files = erofs.FileSystem(Image);
const Range = struct { start: u64, bytes: u64, what: []const u8 };

const Ranges = struct {
    items: [ranges_max]Range = undefined,
    count: usize = 0,

    fn add(ranges: *Ranges, start: u64, bytes: u64, what: []const u8) !void {
        if (ranges.count == ranges_max) return error.TooManyRanges;
        ranges.items[ranges.count] = .{ .start = start, .bytes = bytes, .what = what };
        ranges.count += 1;
    }

    fn visit(ranges: *Ranges, files: *const Files, nid: u64) !void {
        const node = try files.inode(nid);
        try ranges.add(files.meta_offset + nid * 32, 32, "inode");
        if (node.kind == .file) return;
        var offset: u64 = 0;
        while (offset < node.bytes) {
            const extent = try files.extent(&node, offset);
            try ranges.add(extent.image_offset.?, extent.bytes, @tagName(node.kind));
            offset += extent.bytes;
        }
        if (node.kind != .directory) return;
        var name: [erofs.name_bytes_max]u8 = undefined;
        var position: u64 = 0;
        while (try files.next(&node, position, &name)) |entry| : (position = entry.next) {
            if (!std.mem.eql(u8, entry.name, ".") and !std.mem.eql(u8, entry.name, "..")) try ranges.visit(files, entry.nid);
        }
    }
};

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const io = init.io;
    const arguments = try init.minimal.args.toSlice(arena);
    if (arguments.len != 4) return error.Usage;
    const seed = try std.fmt.parseInt(u64, arguments[3], 10);
    const data = try std.Io.Dir.cwd().readFileAlloc(io, arguments[1], arena, .limited(file_bytes_max));
    var image: Image = .{ .data = data };
    const files = try Files.mount(&image);
    const ranges = try arena.create(Ranges);
    ranges.* = .{};
    try ranges.add(1024, 128, "superblock");
    try ranges.visit(&files, files.root_nid);
    const root = try files.root();
    var work: [erofs.path_bytes_max]u8 = undefined;
    const manifest = try files.resolve(&root, "/manifest", .{}, &work);
    try ranges.add((try files.extent(&manifest, 0)).image_offset.?, manifest.bytes, "manifest");

    var random: std.Random.DefaultPrng = .init(seed);
    const range = ranges.items[random.random().uintLessThan(usize, ranges.count)];
    const at: usize = @intCast(range.start + random.random().uintLessThan(u64, range.bytes));
    const old = data[at];
    data[at] ^= random.random().intRangeAtMost(u8, 1, 255);
    if (seed % 2 == 0) {
        const superblock = data[1024..erofs.block_bytes];
        @memset(superblock[4..8], 0);
        std.mem.writeInt(u32, superblock[4..8], ~std.hash.crc.Crc32Iscsi.hash(superblock), .little);
    }
    try std.Io.Dir.cwd().writeFile(io, .{ .sub_path = arguments[2], .data = data });
    var buffer: [256]u8 = undefined;
    var out = std.Io.File.stdout().writer(io, &buffer);
    try out.interface.print("{s} byte {d}: {x} to {x}\n", .{ range.what, at, old, data[at] });
    try out.interface.flush();
}
