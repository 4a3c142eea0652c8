//! Spellings of one name in the languages that are generated.
const std = @import("std");

/// `task_options` as `TaskOptions`.
pub fn pascal(allocator: std.mem.Allocator, name: []const u8) ![]const u8 {
    var out: std.ArrayList(u8) = .empty;
    var upper = true;
    for (name) |byte| {
        if (byte == '_') {
            upper = true;
            continue;
        }
        try out.append(allocator, if (upper) std.ascii.toUpper(byte) else byte);
        upper = false;
    }
    return out.items;
}

/// `not_found` as `NOT_FOUND`.
pub fn shout(allocator: std.mem.Allocator, name: []const u8) ![]const u8 {
    const out = try allocator.dupe(u8, name);
    for (out) |*byte| byte.* = std.ascii.toUpper(byte.*);
    return out;
}
