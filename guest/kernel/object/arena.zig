//! Arenas: a reservation that memory is taken from in turn, and that is emptied at once.
const std = @import("std");
const memory = @import("memory.zig");
const lock = @import("../sched/lock.zig");
const space = @import("../mem/space.zig");

pub const Error = space.Error || error{ BadHandle, OutOfHandles, ArenaFull };

pub fn create(bytes: u64) Error!u64 {
    const base = try space.map(.anywhere, bytes, .{ .read = true, .write = true }, .anonymous, null);
    errdefer space.free(base, bytes) catch {};
    lock.acquire();
    defer lock.release();
    return memory.open(.{ .arena = .{ .base = base, .bytes = bytes } });
}

pub fn allocate(handle: u64, bytes: u64, alignment: u64) Error!u64 {
    lock.acquire();
    defer lock.release();
    const arena = try memory.getArena(handle);
    const start = std.mem.alignForward(u64, arena.used, alignment);
    if (start > arena.bytes or bytes > arena.bytes - start) return error.ArenaFull;
    arena.used = start + bytes;
    return arena.base + start;
}

pub fn reset(handle: u64) Error!void {
    lock.acquire();
    const arena = memory.getArena(handle) catch |failure| {
        lock.release();
        return failure;
    };
    const base = arena.base;
    const bytes = arena.bytes;
    arena.used = 0;
    lock.release();
    // The workload may have freed parts of it by mem_free; those stay so.
    space.discard(base, bytes) catch |failure| switch (failure) {
        error.NotMapped, error.BadPointer => {},
        else => return failure,
    };
}

pub fn drop(handle: u64) Error!void {
    lock.acquire();
    const arena = memory.getArena(handle) catch |failure| {
        lock.release();
        return failure;
    };
    const base = arena.base;
    const bytes = arena.bytes;
    memory.close(handle);
    lock.release();
    space.free(base, bytes) catch |failure| switch (failure) {
        error.BadPointer => {},
        else => return failure,
    };
}
