//! Reader of EROFS images as docs/image-format.md limits them: uncompressed, one device, 4 KiB blocks.
//!
//! The image is not trusted. Whatever it holds, a call ends within bounds that the image's size and the limits below give, and
//! comes to data or to an error; no structure is used before its place and range are checked.
//!
//! Format: Linux, Documentation/filesystems/erofs.rst, and fs/erofs/erofs_fs.h for field offsets.
const std = @import("std");

pub const block_bytes = 4096;
pub const Block = [block_bytes]u8;

/// Bounds that the ABI states (abi.zon: path_bytes_max, name_bytes_max, links_followed_max).
pub const path_bytes_max = 4096;
pub const name_bytes_max = 255;
pub const links_followed_max = 16;

const superblock_offset = 1024;
const magic = 0xe0f5e1e2;
const compat_checksum = 1 << 0;
const incompat_chunked_file = 1 << 2;
const nid_bytes = 32;
const dirent_bytes = 12;
const hole_address = 0xffff_ffff;

pub const Error = error{
    /// A structure contradicts itself or the image's size.
    CorruptImage,
    DeviceError,
    NotFound,
    NotDirectory,
    LinkLoop,
    TooLong,
    /// A path that is empty or holds a NUL.
    BadValue,
};

pub const Kind = enum { file, directory, char_device, block_device, fifo, socket, link };

pub const Inode = struct {
    nid: u64,
    kind: Kind,
    /// Permission bits, at most 0o7777.
    mode: u16,
    bytes: u64,
    uid: u32,
    gid: u32,
    links: u32,
    modified_s: i64,
    modified_ns: u32,
    /// Device number of a device node.
    device: u32,
    /// The number to show; unique in an image.
    number: u32,
    layout: Layout,

    pub const Layout = union(enum) {
        /// Nothing is stored: an empty file, or a node that is neither file, directory nor link.
        none,
        /// Consecutive blocks from `block`.
        plain: struct { block: u32 },
        /// Whole blocks from `block`; the rest at `tail_offset` of the image, inside one block.
        inline_tail: struct { block: u32, tail_offset: u64 },
        /// Addresses of chunks at `map_offset` of the image, `unit_bytes` apart.
        chunks: struct { map_offset: u64, unit_bytes: u8, chunk_bits: u6 },
    };
};

/// A directory entry as `next` gives it; the name lies in the buffer that was handed in.
pub const Entry = struct {
    nid: u64,
    kind: ?Kind,
    name: []const u8,
    /// Position behind the entry.
    next: u64,
};

/// Where the bytes of a file are.
pub const Extent = struct {
    /// Offset in the image, null for a hole.
    image_offset: ?u64,
    bytes: u64,
};

pub const Resolve = struct {
    /// The last name may be a symbolic link that is itself wanted.
    no_follow: bool = false,
};

/// A file system over `Source`, which gives blocks of the image:
///   fn blockCount(*Source) u64
///   fn acquire(*Source, block: u32) error{DeviceError}!*const Block    valid until the matching release
///   fn release(*Source, block: u32) void
/// At most one block is held at a time.
pub fn FileSystem(comptime Source: type) type {
    return struct {
        const Self = @This();

        source: *Source,
        /// Blocks of the file system; all of them are in the source.
        blocks: u32,
        meta_offset: u64,
        root_nid: u64,
        /// The time of inodes that have none of their own.
        build_s: i64,
        build_ns: u32,

        pub fn mount(source: *Source) Error!Self {
            if (source.blockCount() == 0) return error.CorruptImage;
            const first = try source.acquire(0);
            defer source.release(0);
            const superblock = first[superblock_offset..];
            if (int(u32, superblock, 0) != magic) return error.CorruptImage;
            if (int(u32, superblock, 8) & compat_checksum != 0 and !checksumMatches(superblock)) return error.CorruptImage;
            if (superblock[12] != 12) return error.CorruptImage;
            if (int(u32, superblock, 80) & ~@as(u32, incompat_chunked_file) != 0) return error.CorruptImage;
            if (int(u16, superblock, 86) != 0 or superblock[90] != 0) return error.CorruptImage;
            const blocks = int(u32, superblock, 36);
            const meta_block = int(u32, superblock, 40);
            const build_ns = int(u32, superblock, 32);
            if (build_ns >= std.time.ns_per_s) return error.CorruptImage;
            if (blocks == 0 or blocks > source.blockCount() or meta_block >= blocks) return error.CorruptImage;
            return .{
                .source = source,
                .blocks = blocks,
                .meta_offset = @as(u64, meta_block) * block_bytes,
                .root_nid = int(u16, superblock, 14),
                .build_s = @bitCast(int(u64, superblock, 24)),
                .build_ns = build_ns,
            };
        }

        /// Of the block from the superblock on, with the checksum field as zero; CRC-32C without the final inversion.
        fn checksumMatches(superblock: []const u8) bool {
            var crc: std.hash.crc.Crc32Iscsi = .init();
            crc.update(superblock[0..4]);
            crc.update(&.{ 0, 0, 0, 0 });
            crc.update(superblock[8..]);
            return ~crc.final() == int(u32, superblock, 4);
        }

        fn imageBytes(fs: *const Self) u64 {
            return @as(u64, fs.blocks) * block_bytes;
        }

        /// Copies bytes of the image, over block boundaries.
        fn copy(fs: *const Self, offset: u64, buffer: []u8) Error!void {
            if (offset > fs.imageBytes() or buffer.len > fs.imageBytes() - offset) return error.CorruptImage;
            var done: usize = 0;
            while (done < buffer.len) {
                const at = offset + done;
                const block: u32 = @intCast(at / block_bytes);
                const within: usize = @intCast(at % block_bytes);
                const count = @min(block_bytes - within, buffer.len - done);
                const data = try fs.source.acquire(block);
                defer fs.source.release(block);
                @memcpy(buffer[done..][0..count], data[within..][0..count]);
                done += count;
            }
        }

        pub noinline fn root(fs: *const Self) Error!Inode {
            const node = try fs.inode(fs.root_nid);
            if (node.kind != .directory) return error.CorruptImage;
            return node;
        }

        /// Reads and checks an inode: what it says about its data lies inside the image.
        pub fn inode(fs: *const Self, nid: u64) Error!Inode {
            const relative = std.math.mul(u64, nid, nid_bytes) catch return error.CorruptImage;
            const offset = std.math.add(u64, fs.meta_offset, relative) catch return error.CorruptImage;
            var raw: [64]u8 = undefined;
            try fs.copy(offset, raw[0..32]);
            const format = int(u16, &raw, 0);
            if (format & ~@as(u16, 0xf) != 0) return error.CorruptImage;
            const extended = format & 1 != 0;
            if (extended) try fs.copy(offset, &raw);

            const mode = int(u16, &raw, 4);
            const kind = kindOf(mode) orelse return error.CorruptImage;
            const word = int(u32, &raw, 16);
            var node: Inode = .{
                .nid = nid,
                .kind = kind,
                .mode = mode & 0o7777,
                .bytes = if (extended) int(u64, &raw, 8) else int(u32, &raw, 8),
                .uid = if (extended) int(u32, &raw, 24) else int(u16, &raw, 24),
                .gid = if (extended) int(u32, &raw, 28) else int(u16, &raw, 26),
                .links = if (extended) int(u32, &raw, 44) else int(u16, &raw, 6),
                .modified_s = if (extended) @bitCast(int(u64, &raw, 32)) else fs.build_s,
                .modified_ns = if (extended) int(u32, &raw, 40) else fs.build_ns,
                .device = 0,
                .number = int(u32, &raw, 20),
                .layout = .none,
            };
            if (node.modified_ns >= std.time.ns_per_s) return error.CorruptImage;
            switch (kind) {
                .char_device, .block_device, .fifo, .socket => {
                    node.device = word;
                    node.bytes = 0;
                },
                .file, .directory, .link => {
                    const attributes = int(u16, &raw, 2);
                    const attribute_bytes: u64 = if (attributes == 0) 0 else 12 + (@as(u64, attributes) - 1) * 4;
                    const end = offset + @as(u64, if (extended) 64 else 32) + attribute_bytes;
                    node.layout = try fs.layoutOf(@intCast(format >> 1), node, word, end);
                },
            }
            return node;
        }

        /// `end` is where the inode and its attributes end.
        fn layoutOf(fs: *const Self, layout: u3, node: Inode, word: u32, end: u64) Error!Inode.Layout {
            if (node.bytes == 0) return .none;
            // Beyond this a position would not fit the ABI's signed offsets.
            if (node.bytes > std.math.maxInt(i64)) return error.CorruptImage;
            switch (layout) {
                0 => {
                    try fs.checkBlocks(word, divideUp(node.bytes, block_bytes));
                    return .{ .plain = .{ .block = word } };
                },
                2 => {
                    const tail = node.bytes % block_bytes;
                    // A whole last block cannot stand behind the inode in the same block.
                    if (tail == 0) return error.CorruptImage;
                    if (node.bytes > block_bytes) try fs.checkBlocks(word, node.bytes / block_bytes);
                    if (end % block_bytes + tail > block_bytes or end + tail > fs.imageBytes()) return error.CorruptImage;
                    return .{ .inline_tail = .{ .block = word, .tail_offset = end } };
                },
                4 => {
                    if (node.kind != .file) return error.CorruptImage;
                    const format: u16 = @truncate(word);
                    if (format & ~@as(u16, 0x3f) != 0) return error.CorruptImage;
                    const bits = @as(u6, @truncate(format & 0x1f)) + 12;
                    if (bits > 31) return error.CorruptImage;
                    const unit_bytes: u8 = if (format & 0x20 != 0) 8 else 4;
                    const map_offset = std.mem.alignForward(u64, end, unit_bytes);
                    const map_bytes = divideUp(node.bytes, @as(u64, 1) << bits) * unit_bytes;
                    if (map_offset > fs.imageBytes() or map_bytes > fs.imageBytes() - map_offset) return error.CorruptImage;
                    return .{ .chunks = .{ .map_offset = map_offset, .unit_bytes = unit_bytes, .chunk_bits = bits } };
                },
                else => return error.CorruptImage,
            }
        }

        fn checkBlocks(fs: *const Self, first: u32, count: u64) Error!void {
            if (first >= fs.blocks or count > fs.blocks - first) return error.CorruptImage;
        }

        /// The bytes of a file from `offset`, which is below its size: at least one, and as many as lie together.
        pub fn extent(fs: *const Self, node: *const Inode, offset: u64) Error!Extent {
            std.debug.assert(offset < node.bytes);
            const left = node.bytes - offset;
            switch (node.layout) {
                .none => return error.CorruptImage,
                .plain => |plain| return .{ .image_offset = @as(u64, plain.block) * block_bytes + offset, .bytes = left },
                .inline_tail => |data| {
                    const tail_start = node.bytes - node.bytes % block_bytes;
                    if (offset >= tail_start) return .{ .image_offset = data.tail_offset + (offset - tail_start), .bytes = left };
                    return .{ .image_offset = @as(u64, data.block) * block_bytes + offset, .bytes = tail_start - offset };
                },
                .chunks => |chunks| {
                    const chunk = offset >> chunks.chunk_bits;
                    const chunk_bytes = @as(u64, 1) << chunks.chunk_bits;
                    const within = offset & (chunk_bytes - 1);
                    const count = @min(chunk_bytes - within, left);
                    var raw: [8]u8 = undefined;
                    const unit = raw[0..chunks.unit_bytes];
                    try fs.copy(chunks.map_offset + chunk * chunks.unit_bytes, unit);
                    const address = if (unit.len == 8) index: {
                        if (int(u16, unit, 2) != 0) return error.CorruptImage;
                        break :index int(u32, unit, 4);
                    } else int(u32, unit, 0);
                    if (address == hole_address) return .{ .image_offset = null, .bytes = count };
                    const stored = @min(chunk_bytes, node.bytes - (chunk << chunks.chunk_bits));
                    try fs.checkBlocks(address, divideUp(stored, block_bytes));
                    return .{ .image_offset = @as(u64, address) * block_bytes + within, .bytes = count };
                },
            }
        }

        /// Reads as much of the file from `offset` as there is and fits; 0 at its end.
        pub fn read(fs: *const Self, node: *const Inode, offset: u64, buffer: []u8) Error!usize {
            if (offset >= node.bytes) return 0;
            const wanted: usize = @intCast(@min(buffer.len, node.bytes - offset));
            var done: usize = 0;
            while (done < wanted) {
                const piece = try fs.extent(node, offset + done);
                const count: usize = @intCast(@min(piece.bytes, wanted - done));
                std.debug.assert(count > 0);
                const target = buffer[done..][0..count];
                if (piece.image_offset) |at| try fs.copy(at, target) else @memset(target, 0);
                done += count;
            }
            return done;
        }

        /// One block of a directory while it is held.
        const DirectoryBlock = struct {
            data: []const u8,
            count: u32,
            held: u32,
        };

        /// Holds block `index` of a directory; the caller releases `held`.
        fn directoryBlock(fs: *const Self, directory: *const Inode, index: u64) Error!DirectoryBlock {
            const start = index * block_bytes;
            std.debug.assert(start < directory.bytes);
            const piece = try fs.extent(directory, start);
            const offset = piece.image_offset orelse return error.CorruptImage;
            const bytes: usize = @intCast(@min(block_bytes, directory.bytes - start));
            const block: u32 = @intCast(offset / block_bytes);
            const within: usize = @intCast(offset % block_bytes);
            std.debug.assert(within + bytes <= block_bytes);
            const held = try fs.source.acquire(block);
            errdefer fs.source.release(block);
            const data = held[within..][0..bytes];
            if (data.len < dirent_bytes) return error.CorruptImage;
            // The first name begins where the entries end.
            const names = int(u16, data, 8);
            if (names < dirent_bytes or names % dirent_bytes != 0 or names > data.len) return error.CorruptImage;
            return .{ .data = data, .count = names / dirent_bytes, .held = block };
        }

        /// The name of an entry, checked.
        fn entryName(block: DirectoryBlock, index: u32) Error![]const u8 {
            std.debug.assert(index < block.count);
            const start = int(u16, block.data, index * dirent_bytes + 8);
            if (start < block.count * dirent_bytes or start >= block.data.len) return error.CorruptImage;
            if (index + 1 < block.count) {
                const end = int(u16, block.data, (index + 1) * dirent_bytes + 8);
                if (end <= start or end > block.data.len) return error.CorruptImage;
                return checkName(block.data[start..end]);
            }
            return checkName(std.mem.sliceTo(block.data[start..], 0));
        }

        noinline fn checkName(name: []const u8) Error![]const u8 {
            if (name.len == 0 or name.len > name_bytes_max) return error.CorruptImage;
            for (name) |byte| if (byte == 0 or byte == '/') return error.CorruptImage;
            return name;
        }

        /// The entry at `position`, null at the end. Positions are 0 and what `next` gave; for any other the next entry is given.
        pub fn next(fs: *const Self, directory: *const Inode, position: u64, buffer: *[name_bytes_max]u8) Error!?Entry {
            if (directory.kind != .directory) return error.NotDirectory;
            var index = position / block_bytes;
            var entry: u64 = divideUp(position % block_bytes, dirent_bytes);
            while (index < divideUp(directory.bytes, block_bytes)) : ({
                index += 1;
                entry = 0;
            }) {
                const block = try fs.directoryBlock(directory, index);
                defer fs.source.release(block.held);
                if (entry >= block.count) continue;
                const name = try entryName(block, @intCast(entry));
                @memcpy(buffer[0..name.len], name);
                const raw = block.data[@intCast(entry * dirent_bytes)..];
                return .{
                    .nid = int(u64, raw, 0),
                    .kind = kindOfEntry(raw[10]),
                    .name = buffer[0..name.len],
                    .next = index * block_bytes + (entry + 1) * dirent_bytes,
                };
            }
            return null;
        }

        /// The nid of a name, by binary search over the blocks and then in one.
        pub fn lookup(fs: *const Self, directory: *const Inode, name: []const u8) Error!u64 {
            if (directory.kind != .directory) return error.NotDirectory;
            if (name.len > name_bytes_max) return error.TooLong;
            var low: u64 = 0;
            var high = divideUp(directory.bytes, block_bytes);
            // The last block whose first name is not above the name.
            while (high - low > 1) {
                const middle = low + (high - low) / 2;
                const block = try fs.directoryBlock(directory, middle);
                defer fs.source.release(block.held);
                if (std.mem.order(u8, try entryName(block, 0), name) == .gt) high = middle else low = middle;
            }
            if (high == 0) return error.NotFound;
            const block = try fs.directoryBlock(directory, low);
            defer fs.source.release(block.held);
            var first: u32 = 0;
            var last = block.count;
            while (first < last) {
                const middle = first + (last - first) / 2;
                switch (std.mem.order(u8, try entryName(block, middle), name)) {
                    .eq => return int(u64, block.data, middle * dirent_bytes),
                    .lt => first = middle + 1,
                    .gt => last = middle,
                }
            }
            return error.NotFound;
        }

        /// Walks a path from `start` (or from the root where it begins with a slash). `work` holds what is left of the path while
        /// symbolic links are followed.
        pub fn resolve(fs: *const Self, start: *const Inode, path: []const u8, options: Resolve, work: *[path_bytes_max]u8) Error!Inode {
            if (path.len == 0 or find(path, 0) != null) return error.BadValue;
            if (path.len > path_bytes_max) return error.TooLong;
            var begin = path_bytes_max - path.len;
            @memcpy(work[begin..], path);
            var node = if (path[0] == '/') try fs.root() else start.*;
            var links: u32 = 0;
            while (true) {
                while (begin < work.len and work[begin] == '/') begin += 1;
                if (begin == work.len) return node;
                const name_end = if (find(work[begin..], '/')) |at| begin + at else work.len;
                const child = try fs.inode(try fs.lookup(&node, work[begin..name_end]));
                const is_last = name_end == work.len;
                if (child.kind != .link or (is_last and options.no_follow)) {
                    // A slash behind the name, be it the last, asks for a directory.
                    if (!is_last and child.kind != .directory) return error.NotDirectory;
                    node = child;
                    begin = name_end;
                    continue;
                }
                if (links == links_followed_max) return error.LinkLoop;
                links += 1;
                begin = name_end;
                if (child.bytes == 0) return error.CorruptImage;
                if (child.bytes > begin) return error.TooLong;
                begin -= @intCast(child.bytes);
                const target = work[begin..name_end];
                if (try fs.read(&child, 0, target) != target.len) return error.CorruptImage;
                if (find(target, 0) != null) return error.CorruptImage;
                if (target[0] == '/') node = try fs.root();
            }
        }
    };
}

fn kindOf(mode: u16) ?Kind {
    return switch (mode & 0o170000) {
        0o100000 => .file,
        0o040000 => .directory,
        0o020000 => .char_device,
        0o060000 => .block_device,
        0o010000 => .fifo,
        0o140000 => .socket,
        0o120000 => .link,
        else => null,
    };
}

fn kindOfEntry(value: u8) ?Kind {
    return switch (value) {
        1 => .file,
        2 => .directory,
        3 => .char_device,
        4 => .block_device,
        5 => .fifo,
        6 => .socket,
        7 => .link,
        else => null,
    };
}

/// A plain loop, as names are short.
noinline fn find(text: []const u8, wanted: u8) ?usize {
    for (text, 0..) |byte, index| if (byte == wanted) return index;
    return null;
}

fn divideUp(numerator: u64, denominator: u64) u64 {
    return numerator / denominator + @intFromBool(numerator % denominator != 0);
}

fn int(comptime T: type, bytes: []const u8, offset: usize) T {
    return std.mem.readInt(T, bytes[offset..][0..@sizeOf(T)], .little);
}
