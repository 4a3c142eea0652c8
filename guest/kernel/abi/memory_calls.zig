//! mem_*: address space and arenas.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const space = @import("../mem/space.zig");
const regions = @import("../mem/regions.zig");
const arena = @import("../object/arena.zig");
const capability = @import("../object/capability.zig");
const handles = @import("../object/handles.zig");
const shared = @import("../object/shared.zig");
const stream = @import("../object/stream.zig");
const task_object = @import("../object/task.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

fn roundUp(bytes: u64) Failure!u64 {
    if (bytes == 0 or bytes > limits.user_address_end) return error.BadValue;
    return (bytes + limits.page_bytes - 1) & ~(limits.page_bytes - 1);
}

/// Access that flags ask for, if the task has the rights.
fn accessOf(task: *Task, flags: abi.MemFlags) Failure!regions.Access {
    if (flags.write and flags.exec and !capability.has(task, capability.kind_mem, capability.right_exec_write)) return error.CapabilityDenied;
    if (flags.pinned and !capability.has(task, capability.kind_mem, capability.right_pin)) return error.CapabilityDenied;
    return .{ .read = flags.read or flags.write, .write = flags.write, .exec = flags.exec, .pinned = flags.pinned };
}

/// Whether the same bytes may be writable at one place and executable at another.
fn mayExecuteShared(task: *Task) bool {
    return capability.has(task, capability.kind_mem, capability.right_exec_write);
}

pub fn mem_alloc(task: *Task, arguments: dispatch.MemAlloc) Failure!void {
    if (arguments.flags.fixed or arguments.flags.fixed_no_replace) return error.BadFlags;
    const bytes = try roundUp(arguments.bytes);
    const access = try accessOf(task, arguments.flags);
    try user_copy.writeValue(u64, arguments.address.address, 0);
    const address = try space.map(.anywhere, bytes, access, .anonymous, null);
    user_copy.writeValue(u64, arguments.address.address, address) catch |failure| {
        space.free(address, bytes) catch {};
        return failure;
    };
}

/// A page-aligned range of user memory; `bytes` is rounded up.
fn rangeOf(address: u64, bytes: u64) Failure!u64 {
    if (address % limits.page_bytes != 0) return error.Misaligned;
    const rounded = try roundUp(bytes);
    if (!user_copy.isUserRange(address, rounded)) return error.BadPointer;
    return rounded;
}

pub fn mem_free(_: *Task, arguments: dispatch.MemFree) Failure!void {
    try space.free(arguments.address, try rangeOf(arguments.address, arguments.bytes));
}

pub fn mem_map(task: *Task, arguments: dispatch.MemMap) Failure!void {
    const flags = arguments.flags;
    if (flags.fixed and flags.fixed_no_replace) return error.BadFlags;
    const bytes = try roundUp(arguments.bytes);
    const access = try accessOf(task, flags);
    if (arguments.offset % limits.page_bytes != 0) return error.Misaligned;
    if (arguments.offset > std.math.maxInt(i64)) return error.BadValue;
    const exact = flags.fixed or flags.fixed_no_replace;
    if (exact) _ = try rangeOf(arguments.address, bytes);
    const wish = arguments.address & ~(limits.page_bytes - 1);
    const placement: space.Placement = if (flags.fixed)
        .{ .fixed = arguments.address }
    else if (flags.fixed_no_replace)
        .{ .fixed_no_replace = arguments.address }
    else if (wish != 0)
        .{ .wish = wish }
    else
        .anywhere;
    try user_copy.writeValue(u64, arguments.mapped.address, 0);
    const handle = @intFromEnum(arguments.source);
    if (access.exec and handles.tagOf(handle) == .mem and !mayExecuteShared(task)) return error.CapabilityDenied;
    const address = try mapSource(placement, bytes, access, handle, arguments.offset);
    user_copy.writeValue(u64, arguments.mapped.address, address) catch |failure| {
        // With `fixed` the caller may have mapped over its own result: the mapping stands.
        if (!exact) space.free(address, bytes) catch {};
        return failure;
    };
}

fn mapSource(placement: space.Placement, bytes: u64, access: regions.Access, handle: u64, offset: u64) Failure!u64 {
    if (handle == 0) return space.map(placement, bytes, access, .anonymous, null);
    if (handles.tagOf(handle) == .mem) {
        const share = try shared.hold(handle);
        defer shared.put(share);
        if (offset > share.pages * limits.page_bytes or bytes > share.pages * limits.page_bytes - offset) return error.BadValue;
        return space.map(placement, bytes, access, .shared, .{ .share = share, .offset = offset });
    }
    const file = try stream.fileOf(handle);
    defer file.release();
    return space.map(placement, bytes, access, .file, .{ .file = file, .offset = offset });
}

pub fn mem_share(task: *Task, arguments: dispatch.MemShare) Failure!void {
    const bytes = try rangeOf(arguments.address, arguments.bytes);
    try user_copy.writeValue(u64, arguments.share.address, 0);
    const handle = try shared.create(arguments.address, bytes, mayExecuteShared(task));
    // The range stays what it has become, even where this fails.
    user_copy.writeValue(u64, arguments.share.address, handle) catch |failure| {
        shared.end(handle) catch {};
        return failure;
    };
}

pub fn mem_unshare(_: *Task, arguments: dispatch.MemUnshare) Failure!void {
    try shared.end(@intFromEnum(arguments.share));
}

pub fn mem_protect(task: *Task, arguments: dispatch.MemProtect) Failure!void {
    const flags = arguments.flags;
    if (flags.zeroed or flags.pinned or flags.fixed or flags.fixed_no_replace) return error.BadFlags;
    const bytes = try rangeOf(arguments.address, arguments.bytes);
    try space.protect(arguments.address, bytes, try accessOf(task, flags), mayExecuteShared(task));
}

pub fn mem_discard(_: *Task, arguments: dispatch.MemDiscard) Failure!void {
    try space.discard(arguments.address, try rangeOf(arguments.address, arguments.bytes));
}

pub fn mem_query(_: *Task, arguments: dispatch.MemQuery) Failure!void {
    const region = space.query(arguments.address) orelse return error.NotMapped;
    try user_copy.writeValue(abi.MemRegion, arguments.region.address, .{
        .address = region.start,
        .bytes = region.bytes,
        .flags = .{
            .read = region.access.read,
            .write = region.access.write,
            .exec = region.access.exec,
            .pinned = region.access.pinned,
        },
        .kind = @intFromEnum(region.kind),
        .offset = region.offset,
    });
}

pub fn mem_arena_create(_: *Task, arguments: dispatch.MemArenaCreate) Failure!void {
    if (arguments.bytes == 0 or arguments.bytes > abi.arena_bytes_max) return error.BadValue;
    try user_copy.writeValue(u64, arguments.arena.address, 0);
    const handle = try arena.create(try roundUp(arguments.bytes));
    user_copy.writeValue(u64, arguments.arena.address, handle) catch |failure| {
        arena.drop(handle) catch {};
        return failure;
    };
}

pub fn mem_arena_alloc(_: *Task, arguments: dispatch.MemArenaAlloc) Failure!void {
    if (arguments.bytes == 0 or arguments.alignment == 0 or arguments.alignment > limits.page_bytes or !std.math.isPowerOfTwo(arguments.alignment)) return error.BadValue;
    try user_copy.writeValue(u64, arguments.address.address, 0);
    const address = try arena.allocate(@intFromEnum(arguments.arena), arguments.bytes, arguments.alignment);
    try user_copy.writeValue(u64, arguments.address.address, address);
}

pub fn mem_arena_reset(_: *Task, arguments: dispatch.MemArenaReset) Failure!void {
    try arena.reset(@intFromEnum(arguments.arena));
}

pub fn mem_arena_drop(_: *Task, arguments: dispatch.MemArenaDrop) Failure!void {
    try arena.drop(@intFromEnum(arguments.arena));
}
