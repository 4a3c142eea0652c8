//! Makes a bootable image of a kernel and one workload for the kernel's own tests, by mkfs.erofs: independent of the packer
//! in host/image, so that a fault of one does not hide in the other. Format: docs/image-format.md.
//!
//!   pack <output> <kernel.elf> <workload> <manifest line>... [-- <item>...]
//!
//! An item is <path>=<file>, <path>:<target of a symbolic link>, or <path>! to damage what is at the path: an inode (of a name that ends in
//! "inode"), a directory's entries, or a file's data layout.
const std = @import("std");
const elf = std.elf;
const erofs = @import("erofs");

const file_bytes_max = 64 << 20;
const segments_max = 16;

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

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const io = init.io;
    const arguments = try init.minimal.args.toSlice(arena);
    if (arguments.len < 4) return error.Usage;
    const output = arguments[1];
    const cwd = std.Io.Dir.cwd();

    const tree = try std.fmt.allocPrint(arena, "{s}.tree", .{output});
    defer cwd.deleteTree(io, tree) catch {};
    try cwd.deleteTree(io, tree);
    var folder = try cwd.createDirPathOpen(io, tree, .{});
    defer folder.close(io);
    var app = try folder.createDirPathOpen(io, "app", .{});
    app.close(io);
    const kernel = try cwd.readFileAlloc(io, arguments[2], arena, .limited(file_bytes_max));
    try folder.writeFile(io, .{ .sub_path = "kernel", .data = kernel });
    try folder.writeFile(io, .{ .sub_path = "app/start", .data = try cwd.readFileAlloc(io, arguments[3], arena, .limited(file_bytes_max)) });

    var manifest: std.Io.Writer.Allocating = .init(arena);
    try manifest.writer.writeAll("ukernel-manifest 1\nabi 0.1\nadapter native\nstart /app/start\nentry /app/start\n");
    var rest = arguments[4..];
    while (rest.len > 0 and !std.mem.eql(u8, rest[0], "--")) : (rest = rest[1..]) try manifest.writer.print("{s}\n", .{rest[0]});
    try folder.writeFile(io, .{ .sub_path = "manifest", .data = manifest.written() });
    const items = if (rest.len > 0) rest[1..] else rest;
    for (items) |item| {
        const at = std.mem.indexOfAny(u8, item, "=:!") orelse return error.Usage;
        const path = item[0..at];
        if (item[at] == '!') continue;
        if (std.fs.path.dirname(path)) |parent| try folder.createDirPath(io, parent);
        if (item[at] == '=') try cwd.copyFile(item[at + 1 ..], folder, path, io, .{}) else try folder.symLink(io, item[at + 1 ..], path, .{});
    }

    var make = try std.process.spawn(io, .{
        .argv = &.{ "mkfs.erofs", "-T0", "-U", "00000000-0000-0000-0000-000000000000", "--all-root", "-x-1", "-Enoinline_data", "--quiet", output, tree },
        .stdout = .ignore,
        .stderr = .inherit,
    });
    const term = try make.wait(io);
    if (term != .exited or term.exited != 0) return error.MkfsFailed;

    const data = try cwd.readFileAlloc(io, output, arena, .limited(file_bytes_max));
    try addBoot(data, kernel);
    for (items) |item| if (std.mem.endsWith(u8, item, "!")) try damage(data, item[0 .. item.len - 1]);
    try cwd.writeFile(io, .{ .sub_path = output, .data = data });
}

fn damage(data: []u8, path: []const u8) !void {
    var image: Image = .{ .data = data };
    const files = try erofs.FileSystem(Image).mount(&image);
    const root = try files.root();
    var work: [erofs.path_bytes_max]u8 = undefined;
    const node = try files.resolve(&root, path, .{}, &work);
    const inode = data[@intCast(files.meta_offset + node.nid * 32)..][0..64];
    if (std.mem.endsWith(u8, path, "inode")) {
        // A data layout that does not exist.
        inode[0] |= 0xe;
    } else if (node.kind == .directory) {
        // The first name stands before the end of the entries.
        const at: usize = @intCast((try files.extent(&node, 0)).image_offset.?);
        data[at + 8] = 5;
    } else {
        // Chunk-based, with what follows the inode taken for a map: its address lies outside the image.
        inode[0] = (inode[0] & 1) | 4 << 1;
        std.mem.writeInt(u32, inode[16..20], 0x20, .little);
        const end: usize = if (inode[0] & 1 != 0) 64 else 32;
        const map = data[@intCast(files.meta_offset + node.nid * 32 + end)..][0..8];
        if (std.mem.readInt(u32, map[4..8], .little) < files.blocks) return error.CannotDamage;
    }
    // mkfs.erofs puts inodes into the superblock's block too, which the checksum covers.
    const superblock = data[1024..erofs.block_bytes];
    @memset(superblock[4..8], 0);
    std.mem.writeInt(u32, superblock[4..8], ~std.hash.crc.Crc32Iscsi.hash(superblock), .little);
}

/// Puts the kernel's ELF header and program headers into the first 1,024 bytes, with offsets into the kernel's data blocks.
fn addBoot(data: []u8, kernel: []const u8) !void {
    var image: Image = .{ .data = data };
    const files = try erofs.FileSystem(Image).mount(&image);
    const root = try files.root();
    var work: [erofs.path_bytes_max]u8 = undefined;
    const node = try files.resolve(&root, "/kernel", .{}, &work);
    const start = (try files.extent(&node, 0)).image_offset.?;
    if (!std.mem.eql(u8, data[@intCast(start)..][0..kernel.len], kernel)) return error.KernelNotContiguous;

    var header = std.mem.bytesToValue(elf.Elf64_Ehdr, kernel[0..@sizeOf(elf.Elf64_Ehdr)]);
    if (header.e_phnum > segments_max or header.e_phentsize != @sizeOf(elf.Elf64_Phdr)) return error.BadKernel;
    const table = kernel[@intCast(header.e_phoff)..];
    header.e_phoff = @sizeOf(elf.Elf64_Ehdr);
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    @memset(data[0..1024], 0);
    @memcpy(data[0..@sizeOf(elf.Elf64_Ehdr)], std.mem.asBytes(&header));
    for (0..header.e_phnum) |index| {
        var segment = std.mem.bytesToValue(elf.Elf64_Phdr, table[index * @sizeOf(elf.Elf64_Phdr) ..][0..@sizeOf(elf.Elf64_Phdr)]);
        segment.p_offset += start;
        const at = @sizeOf(elf.Elf64_Ehdr) + index * @sizeOf(elf.Elf64_Phdr);
        @memcpy(data[at..][0..@sizeOf(elf.Elf64_Phdr)], std.mem.asBytes(&segment));
    }
}
