//! Capabilities: what a task may do now, of what the manifest and its parents let it acquire. Defence in depth, not
//! isolation: the VM is the boundary.
const std = @import("std");
const handles = @import("handles.zig");
const lock = @import("../sched/lock.zig");
const Pool = @import("../mem/pool.zig").Pool;
const Task = @import("task.zig").Task;

pub const kind_count = 8;

/// Every right of a kind, and those among them that the manifest must name.
pub const rights_all = [kind_count]u32{ 1, 3, 3, 7, 3, 1, 3, 1 };
pub const rights_extra = [kind_count]u32{ 0, 0, 0, 6, 0, 0, 0, 0 };

pub const kind_mem: usize = 3;
pub const right_exec_write: u32 = 2;
pub const right_pin: u32 = 4;
pub const kind_io: usize = 4;
pub const right_io_write: u32 = 2;

pub const Capability = struct {
    kind: u8,
    rights: u32,
};

var pool: Pool(Capability) = .{};
/// Counts what may change a task's rights behind its back.
var epoch: u32 = 1;

pub fn acquire(task: *Task, kind: usize, rights: u32) error{ BadFlags, CapabilityDenied, OutOfHandles }!u64 {
    if (rights == 0 or rights & ~rights_all[kind] != 0) return error.BadFlags;
    if (rights & ~task.may_acquire[kind] != 0) return error.CapabilityDenied;
    lock.acquire();
    defer lock.release();
    const capability = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(capability);
    capability.* = .{ .kind = @intCast(kind), .rights = rights };
    return handles.open(.cap, capability);
}

pub fn drop(handle: u64) error{BadHandle}!void {
    lock.acquire();
    defer lock.release();
    const capability = try handles.get(Capability, handle, .cap);
    handles.close(handle, .cap) catch unreachable;
    pool.destroy(capability);
    epoch +%= 1;
}

pub fn enter(task: *Task, handle: u64) error{ BadHandle, AlreadyActive, CapabilityDenied }!void {
    lock.acquire();
    defer lock.release();
    const capability = try handles.get(Capability, handle, .cap);
    if (capability.rights & ~task.may_acquire[capability.kind] != 0) return error.CapabilityDenied;
    refresh(task);
    if (task.active_rights[capability.kind] != 0) return error.AlreadyActive;
    task.active[capability.kind] = handle;
    task.active_rights[capability.kind] = capability.rights;
}

pub fn exit(task: *Task, handle: u64) error{ BadHandle, NotActive }!void {
    lock.acquire();
    defer lock.release();
    const capability = try handles.get(Capability, handle, .cap);
    if (task.active[capability.kind] != handle) return error.NotActive;
    task.active[capability.kind] = 0;
    task.active_rights[capability.kind] = 0;
}

/// Forgets what was dropped. The lock is held.
fn refresh(task: *Task) void {
    task.capability_epoch = epoch;
    for (&task.active, &task.active_rights) |*handle, *rights| {
        if (handle.* == 0) continue;
        if (handles.get(Capability, handle.*, .cap)) |_| {} else |_| {
            handle.* = 0;
            rights.* = 0;
        }
    }
}

pub fn has(task: *Task, kind: usize, rights: u32) bool {
    if (task.capability_epoch != @atomicLoad(u32, &epoch, .acquire)) {
        lock.acquire();
        refresh(task);
        lock.release();
    }
    return task.active_rights[kind] & rights == rights;
}

/// What a spawned task may acquire and starts with: at most what its parent may and has. The lock is held.
pub fn inherit(child: *Task, parent: *Task, may_acquire: u32, active: u32) void {
    refresh(parent);
    child.capability_epoch = epoch;
    for (0..kind_count) |kind| {
        const bit = @as(u32, 1) << @intCast(kind);
        child.may_acquire[kind] = if (may_acquire & bit != 0) parent.may_acquire[kind] else 0;
        const starts = active & bit != 0;
        child.active[kind] = if (starts) parent.active[kind] else 0;
        child.active_rights[kind] = if (starts) parent.active_rights[kind] else 0;
    }
}
