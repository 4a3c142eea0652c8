//! Path rules: which part of the one tree a path belongs to.
const std = @import("std");
const limits = @import("limits.zig");
const tmpfs = @import("tmpfs.zig");
const Error = @import("errno.zig").Error;

pub const Buffer = [limits.path_bytes_max]u8;

/// Joins and normalises: no dots, no double slashes. `..` is taken textually, which differs from a walk where a symbolic link to a folder
/// comes before it; so only paths outside the image are used in this form.
pub fn normalise(buffer: *Buffer, folder: []const u8, path: []const u8) Error![]u8 {
    var length: usize = 0;
    const parts = [_][]const u8{ if (path.len > 0 and path[0] == '/') "" else folder, path };
    for (parts) |part| {
        var names = std.mem.tokenizeScalar(u8, part, '/');
        while (names.next()) |name| {
            if (std.mem.eql(u8, name, ".")) continue;
            if (std.mem.eql(u8, name, "..")) {
                length = std.mem.lastIndexOfScalar(u8, buffer[0..length], '/') orelse 0;
                continue;
            }
            if (name.len > limits.name_bytes_max or length + 1 + name.len >= buffer.len) return error.ENAMETOOLONG;
            buffer[length] = '/';
            @memcpy(buffer[length + 1 ..][0..name.len], name);
            length += 1 + name.len;
        }
    }
    if (length == 0) {
        buffer[0] = '/';
        length = 1;
    }
    return buffer[0..length];
}

/// Joins only.
pub fn join(buffer: *Buffer, folder: []const u8, path: []const u8) Error![]u8 {
    if (path.len > 0 and path[0] == '/') {
        @memcpy(buffer[0..path.len], path);
        return buffer[0..path.len];
    }
    if (folder.len + 1 + path.len > buffer.len) return error.ENAMETOOLONG;
    @memcpy(buffer[0..folder.len], folder);
    buffer[folder.len] = '/';
    @memcpy(buffer[folder.len + 1 ..][0..path.len], path);
    return buffer[0 .. folder.len + 1 + path.len];
}

/// What lies below `prefix`, without a slash in front; null where the path is elsewhere.
pub fn below(path: []const u8, prefix: []const u8) ?[]const u8 {
    if (!std.mem.startsWith(u8, path, prefix)) return null;
    if (path.len == prefix.len) return "";
    return if (path[prefix.len] == '/') path[prefix.len + 1 ..] else null;
}

/// Folders that can be written.
const writable = [_][]const u8{ "/tmp", "/var/tmp", "/run", "/dev/shm" };
var roots: [writable.len]?*tmpfs.Node = @splat(null);

pub fn start() Error!void {
    for (&roots) |*root| root.* = try tmpfs.makeRoot();
}

pub const InMemory = struct { root: *tmpfs.Node, path: []const u8 };

/// The place of a normal path in the file system in memory.
pub fn inMemory(path: []const u8) ?InMemory {
    for (writable, roots) |prefix, root| if (below(path, prefix)) |rest| return .{ .root = root orelse return null, .path = rest };
    return null;
}
