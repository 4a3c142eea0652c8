//! A writable file system in memory: folders and regular files. One lock for the tree and one for each file's content.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const limits = @import("limits.zig");
const user = @import("user.zig");
const Error = @import("errno.zig").Error;

pub const Node = struct {
    is_folder: bool,
    used: bool,
    mode: u16,
    /// Descriptions that are open, and 1 while it has a name.
    references: u32,
    number: u64,
    parent: ?*Node,
    first_child: ?*Node,
    next: ?*Node,
    /// Protects the content.
    lock: uk.Lock,
    bytes: u64,
    memory: []align(4096) u8,
    modified_ns: u64,
    name_bytes: u8,
    name_buffer: [limits.name_bytes_max]u8,

    pub fn name(node: *const Node) []const u8 {
        return node.name_buffer[0..node.name_bytes];
    }

    pub fn close(node: *Node) void {
        tree_lock.acquire();
        defer tree_lock.release();
        node.dropLocked();
    }

    fn dropLocked(node: *Node) void {
        node.references -= 1;
        if (node.references > 0) return;
        if (node.memory.len > 0) uk.release(node.memory);
        node.used = false;
    }

    pub fn readTo(node: *Node, address: u64, bytes: u64, offset: u64) Error!u64 {
        if (node.is_folder) return error.EISDIR;
        node.lock.acquire();
        defer node.lock.release();
        if (offset >= node.bytes) return 0;
        const part = node.memory[@intCast(offset)..@intCast(@min(node.bytes, offset +| bytes))];
        try user.write(address, part);
        return part.len;
    }

    pub fn writeFrom(node: *Node, address: u64, bytes: u64, offset: u64) Error!u64 {
        if (node.is_folder) return error.EISDIR;
        node.lock.acquire();
        defer node.lock.release();
        const end = offset +| bytes;
        if (end > limits.tmpfs_file_bytes_max) return error.EFBIG;
        try node.makeRoom(end);
        try user.read(node.memory[@intCast(offset)..@intCast(end)], address);
        node.bytes = @max(node.bytes, end);
        node.modified_ns = uk.calls.time_now();
        return bytes;
    }

    /// What lies behind the content is zero.
    fn makeRoom(node: *Node, bytes: u64) Error!void {
        if (bytes <= node.memory.len) return;
        const wanted = std.mem.alignForward(u64, @max(bytes, node.memory.len * 2), abi.page_bytes);
        const larger = uk.reserve(@intCast(wanted)) catch return error.ENOSPC;
        // Guarded: without memory left for a page this is an error and no fault.
        user.write(@intFromPtr(larger.ptr), node.memory[0..@intCast(node.bytes)]) catch {
            uk.release(larger);
            return error.ENOSPC;
        };
        if (node.memory.len > 0) uk.release(node.memory);
        node.memory = larger;
    }

    pub fn truncate(node: *Node, bytes: u64) Error!void {
        if (node.is_folder) return error.EISDIR;
        if (bytes > limits.tmpfs_file_bytes_max) return error.EFBIG;
        node.lock.acquire();
        defer node.lock.release();
        if (bytes < node.bytes) {
            user.fill(@intFromPtr(node.memory.ptr) + bytes, 0, node.bytes - bytes) catch return error.EIO;
        } else try node.makeRoom(bytes);
        node.bytes = bytes;
        node.modified_ns = uk.calls.time_now();
    }
};

/// Only those below `nodes_used` have ever been given out; the others cost no memory.
var nodes: [limits.tmpfs_nodes_max]Node = undefined;
var nodes_used: usize = 0;
var tree_lock: uk.Lock = .{};

fn makeLocked(parent: ?*Node, name: []const u8, is_folder: bool, mode: u16) Error!*Node {
    if (name.len > limits.name_bytes_max) return error.ENAMETOOLONG;
    const node = for (nodes[0..nodes_used]) |*each| {
        if (!each.used) break each;
    } else if (nodes_used < nodes.len) blk: {
        nodes_used += 1;
        break :blk &nodes[nodes_used - 1];
    } else return error.ENOSPC;
    node.* = .{
        .is_folder = is_folder,
        .used = true,
        .mode = mode & 0o7777,
        .references = 1,
        .number = (@intFromPtr(node) - @intFromPtr(&nodes)) / @sizeOf(Node) + 1,
        .parent = parent,
        .first_child = null,
        .next = null,
        .lock = .{},
        .bytes = 0,
        .memory = &.{},
        .modified_ns = uk.calls.time_now(),
        .name_bytes = @intCast(name.len),
        .name_buffer = undefined,
    };
    @memcpy(node.name_buffer[0..name.len], name);
    if (parent) |folder| {
        node.next = folder.first_child;
        folder.first_child = node;
    }
    return node;
}

/// The top folder of another tree.
pub fn makeRoot() Error!*Node {
    tree_lock.acquire();
    defer tree_lock.release();
    return makeLocked(null, "", true, 0o1777);
}

fn child(folder: *Node, name: []const u8) ?*Node {
    var at = folder.first_child;
    while (at) |node| : (at = node.next) if (std.mem.eql(u8, node.name(), name)) return node;
    return null;
}

fn walk(root: *Node, path: []const u8) Error!*Node {
    var node = root;
    var names = std.mem.tokenizeScalar(u8, path, '/');
    while (names.next()) |name| {
        if (!node.is_folder) return error.ENOTDIR;
        node = child(node, name) orelse return error.ENOENT;
    }
    return node;
}

const Place = struct { folder: *Node, name: []const u8 };

/// The folder that the path's last name is in.
fn placeOf(root: *Node, path: []const u8) Error!Place {
    const trimmed = std.mem.trimEnd(u8, path, "/");
    if (trimmed.len == 0) return error.EBUSY;
    const slash = std.mem.lastIndexOfScalar(u8, trimmed, '/');
    const folder = try walk(root, if (slash) |index| trimmed[0..index] else "");
    if (!folder.is_folder) return error.ENOTDIR;
    return .{ .folder = folder, .name = if (slash) |index| trimmed[index + 1 ..] else trimmed };
}

/// Finds, or makes a file; with a use that the caller gives up by `close`. Paths are normal: no dots, no double slashes.
pub fn open(root: *Node, path: []const u8, making: bool, mode: u16) Error!*Node {
    tree_lock.acquire();
    defer tree_lock.release();
    const node = walk(root, path) catch |failure| blk: {
        if (failure != error.ENOENT or !making) return failure;
        const place = try placeOf(root, path);
        break :blk try makeLocked(place.folder, place.name, false, mode);
    };
    node.references += 1;
    return node;
}

/// Makes what must not be there yet.
pub fn make(root: *Node, path: []const u8, is_folder: bool, mode: u16) Error!*Node {
    tree_lock.acquire();
    defer tree_lock.release();
    if (walk(root, path)) |_| return error.EEXIST else |failure| if (failure != error.ENOENT) return failure;
    const place = try placeOf(root, path);
    const node = try makeLocked(place.folder, place.name, is_folder, mode);
    node.references += 1;
    return node;
}

fn unlinkLocked(node: *Node) void {
    var at: *?*Node = &node.parent.?.first_child;
    while (at.*) |each| : (at = &each.next) if (each == node) {
        at.* = node.next;
        break;
    };
    node.parent = null;
    node.next = null;
}

pub fn remove(root: *Node, path: []const u8, folder: bool) Error!void {
    tree_lock.acquire();
    defer tree_lock.release();
    const node = try walk(root, path);
    if (node.parent == null) return error.EBUSY;
    if (folder and !node.is_folder) return error.ENOTDIR;
    if (!folder and node.is_folder) return error.EISDIR;
    if (node.first_child != null) return error.ENOTEMPTY;
    unlinkLocked(node);
    node.dropLocked();
}

pub fn rename(root: *Node, from: []const u8, to: []const u8) Error!void {
    tree_lock.acquire();
    defer tree_lock.release();
    const node = try walk(root, from);
    if (node.parent == null) return error.EBUSY;
    const place = try placeOf(root, to);
    if (place.name.len > limits.name_bytes_max) return error.ENAMETOOLONG;
    // A folder cannot go into itself.
    var above: ?*Node = place.folder;
    while (above) |each| : (above = each.parent) if (each == node) return error.EINVAL;
    if (child(place.folder, place.name)) |old| {
        if (old == node) return;
        if (old.is_folder != node.is_folder) return if (old.is_folder) error.EISDIR else error.ENOTDIR;
        if (old.first_child != null) return error.ENOTEMPTY;
        unlinkLocked(old);
        old.dropLocked();
    }
    unlinkLocked(node);
    node.name_bytes = @intCast(place.name.len);
    @memcpy(node.name_buffer[0..place.name.len], place.name);
    node.parent = place.folder;
    node.next = place.folder.first_child;
    place.folder.first_child = node;
}

pub const Entry = struct { number: u64, is_folder: bool, name_bytes: u8, name: [limits.name_bytes_max]u8 };

/// The entry at a position of a folder; 0 and 1 are the folder itself and its parent.
pub fn entry(folder: *Node, position: u64) ?Entry {
    tree_lock.acquire();
    defer tree_lock.release();
    var result: Entry = .{ .number = folder.number, .is_folder = true, .name_bytes = @intCast(@min(position + 1, 2)), .name = @splat('.') };
    if (position < 2) return result;
    var at = folder.first_child;
    for (2..@intCast(@min(position, limits.tmpfs_nodes_max + 2))) |_| at = (at orelse return null).next;
    const node = at orelse return null;
    result = .{ .number = node.number, .is_folder = node.is_folder, .name_bytes = node.name_bytes, .name = node.name_buffer };
    return result;
}
