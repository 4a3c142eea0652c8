//! What a mem handle refers to: an arena, or memory that is shared.
const handles = @import("handles.zig");
const limits = @import("../limits.zig");
const Pool = @import("../mem/pool.zig").Pool;
const Share = @import("../mem/share.zig").Share;

pub const Arena = struct {
    base: u64,
    bytes: u64,
    used: u64 = 0,
};

const Object = union(enum) { arena: Arena, share: *Share };

var pool: Pool(Object) = .{};

/// The lock is held for all of these.
pub fn open(object: Object) error{OutOfHandles}!u64 {
    const made = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(made);
    made.* = object;
    return handles.open(.mem, made);
}

pub fn getArena(handle: u64) error{BadHandle}!*Arena {
    return switch ((try handles.get(Object, handle, .mem)).*) {
        .arena => |*arena| arena,
        .share => error.BadHandle,
    };
}

pub fn getShare(handle: u64) error{BadHandle}!*Share {
    return switch ((try handles.get(Object, handle, .mem)).*) {
        .arena => error.BadHandle,
        .share => |share| share,
    };
}

/// Of a handle that is good.
pub fn close(handle: u64) void {
    const object = handles.get(Object, handle, .mem) catch unreachable;
    handles.close(handle, .mem) catch unreachable;
    pool.destroy(object);
}
