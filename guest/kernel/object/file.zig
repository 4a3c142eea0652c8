//! A file, directory or other node of the image, as handles and mappings share it.
const std = @import("std");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const Pool = @import("../mem/pool.zig").Pool;
const erofs = @import("../fs/erofs.zig");
const image = @import("image.zig");

var pool: Pool(File) = .{};

pub const File = struct {
    references: u32,
    node: erofs.Inode,

    pub fn create(node: erofs.Inode) error{OutOfMemory}!*File {
        lock.acquire();
        defer lock.release();
        const file = try pool.create();
        file.* = .{ .references = 1, .node = node };
        return file;
    }

    pub fn retain(file: *File) void {
        if (lock.isHeld()) return file.retainLocked();
        lock.acquire();
        defer lock.release();
        file.retainLocked();
    }

    pub fn retainLocked(file: *File) void {
        std.debug.assert(lock.isHeld() and file.references > 0);
        file.references += 1;
    }

    pub fn release(file: *File) void {
        lock.acquire();
        defer lock.release();
        file.releaseLocked();
    }

    pub fn releaseLocked(file: *File) void {
        std.debug.assert(lock.isHeld() and file.references > 0);
        file.references -= 1;
        if (file.references == 0) pool.destroy(file);
    }

    /// Reads a page of the file; returns how much of it lies inside the file, and leaves the rest alone.
    pub fn readPage(file: *File, offset: u64, page: *[4096]u8) error{ CorruptImage, DeviceError, OutOfMemory, BehindEnd }!usize {
        if (offset >= file.node.bytes) return error.BehindEnd;
        return read(file, offset, page) catch |failure| switch (failure) {
            error.DeviceError => error.DeviceError,
            else => error.CorruptImage,
        };
    }

    pub fn read(file: *File, offset: u64, buffer: []u8) erofs.Error!usize {
        return image.file_system.read(&file.node, offset, buffer);
    }
};
