//! io_*: the image, block devices and the console.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const erofs = @import("../fs/erofs.zig");
const capability = @import("../object/capability.zig");
const image = @import("../object/image.zig");
const stream_object = @import("../object/stream.zig");
const task_object = @import("../object/task.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

/// Two frames as working memory: a path is too long for the stack.
const Scratch = struct {
    path: frames.Frame,
    work: frames.Frame,

    fn take() Failure!Scratch {
        lock.acquire();
        defer lock.release();
        const path = frames.allocate() orelse return error.OutOfMemory;
        const work = frames.allocate() orelse {
            frames.release(path);
            return error.OutOfMemory;
        };
        return .{ .path = path, .work = work };
    }

    fn give(scratch: Scratch) void {
        lock.acquire();
        defer lock.release();
        frames.release(scratch.path);
        frames.release(scratch.work);
    }
};

fn failureOf(failure: erofs.Error) Failure {
    return switch (failure) {
        error.CorruptImage => error.CorruptImage,
        error.DeviceError => error.DeviceError,
        error.NotFound => error.NotFound,
        error.NotDirectory => error.NotDirectory,
        error.LinkLoop => error.LinkLoop,
        error.TooLong => error.TooLong,
        error.BadValue => error.BadValue,
    };
}

pub fn io_open(task: *Task, arguments: dispatch.IoOpen) Failure!void {
    const flags = arguments.flags;
    if (arguments.path.count > abi.path_bytes_max) return error.TooLong;
    if (flags.write and !capability.has(task, capability.kind_io, capability.right_io_write)) return error.CapabilityDenied;
    const scratch = try Scratch.take();
    defer scratch.give();
    const path = layout.page(scratch.path)[0..@intCast(arguments.path.count)];
    try user_copy.read(path, arguments.path.address);
    try user_copy.writeValue(u64, arguments.handle.address, 0);
    const handle = switch (arguments.source) {
        .image => try openImage(@intFromEnum(arguments.directory), path, flags, layout.page(scratch.work)),
        .block => try openBlock(path, flags),
        .console => blk: {
            if (path.len != 0) return error.BadValue;
            if (flags.directory) return error.NotDirectory;
            break :blk try stream_object.openConsole(flags.write, flags.non_block);
        },
        _ => return error.BadValue,
    };
    user_copy.writeValue(u64, arguments.handle.address, handle) catch |failure| {
        stream_object.close(handle) catch {};
        return failure;
    };
}

fn openImage(directory: u64, path: []const u8, flags: abi.IoFlags, work: *[4096]u8) Failure!u64 {
    const start = if (directory == 0) image.file_system.root() catch |failure| return failureOf(failure) else blk: {
        const stream = try stream_object.hold(directory);
        defer stream_object.put(stream);
        switch (stream.target) {
            .file => |file| {
                if (file.node.kind != .directory) return error.NotDirectory;
                break :blk file.node;
            },
            else => return error.NotDirectory,
        }
    };
    const node = image.file_system.resolve(&start, path, .{ .no_follow = flags.no_follow }, work) catch |failure| return failureOf(failure);
    if (flags.directory and node.kind != .directory) return error.NotDirectory;
    if (flags.write) return error.ReadOnly;
    return stream_object.openNode(node);
}

fn openBlock(path: []const u8, flags: abi.IoFlags) Failure!u64 {
    if (flags.directory) return error.NotDirectory;
    if (path.len == 0 or std.mem.indexOfScalar(u8, path, 0) != null) return error.BadValue;
    const number = std.fmt.parseInt(u16, path, 10) catch return error.NotFound;
    return stream_object.openBlock(number, flags.write);
}

fn offsetOf(offset: u64) ?u64 {
    return if (offset == abi.offset_current) null else offset;
}

pub fn io_read(_: *Task, arguments: dispatch.IoRead) Failure!void {
    const stream = try stream_object.hold(@intFromEnum(arguments.handle));
    defer stream_object.put(stream);
    try user_copy.writeValue(u64, arguments.read_bytes.address, 0);
    const done = try stream_object.read(stream, arguments.buffer.address, arguments.buffer.count, offsetOf(arguments.offset));
    try user_copy.writeValue(u64, arguments.read_bytes.address, done);
}

pub fn io_write(_: *Task, arguments: dispatch.IoWrite) Failure!void {
    const stream = try stream_object.hold(@intFromEnum(arguments.handle));
    defer stream_object.put(stream);
    try user_copy.writeValue(u64, arguments.written_bytes.address, 0);
    const done = try stream_object.write(stream, arguments.buffer.address, arguments.buffer.count, offsetOf(arguments.offset));
    try user_copy.writeValue(u64, arguments.written_bytes.address, done);
}

pub fn io_seek(_: *Task, arguments: dispatch.IoSeek) Failure!void {
    const stream = try stream_object.hold(@intFromEnum(arguments.handle));
    defer stream_object.put(stream);
    const bytes: u64 = switch (stream.target) {
        .file => |file| file.node.bytes,
        .block => |device| device.sectors * 512,
        .console, .event => return error.UnsupportedOperation,
    };
    const base: u64 = switch (arguments.whence) {
        .start => 0,
        .current => @atomicLoad(u64, &stream.position, .monotonic),
        .end => bytes,
        _ => return error.BadValue,
    };
    const position = @as(i128, base) + arguments.offset;
    if (position < 0 or position > std.math.maxInt(i64)) return error.BadValue;
    try user_copy.writeValue(u64, arguments.position.address, @intCast(position));
    @atomicStore(u64, &stream.position, @intCast(position), .monotonic);
}

fn kindOf(kind: erofs.Kind) abi.IoKind {
    return switch (kind) {
        .file => .file,
        .directory => .directory,
        .char_device => .char_device,
        .block_device => .block_device,
        .fifo => .fifo,
        .socket => .socket,
        .link => .link,
    };
}

pub fn io_stat(_: *Task, arguments: dispatch.IoStat) Failure!void {
    const stream = try stream_object.hold(@intFromEnum(arguments.handle));
    defer stream_object.put(stream);
    const stat: abi.IoStat = switch (stream.target) {
        .file => |file| .{
            .inode = file.node.number,
            .bytes = file.node.bytes,
            .kind = kindOf(file.node.kind),
            .mode = file.node.mode,
            .uid = file.node.uid,
            .gid = file.node.gid,
            .links = file.node.links,
            .block_bytes = limits.page_bytes,
            .device = file.node.device,
            .modified_s = file.node.modified_s,
            .modified_ns = file.node.modified_ns,
        },
        .block => |device| .{
            .bytes = device.sectors * 512,
            .kind = .block_device,
            .mode = if (device.read_only) 0o400 else 0o600,
            .links = 1,
            .block_bytes = 512,
        },
        .console => .{ .kind = .char_device, .mode = 0o600, .links = 1, .block_bytes = limits.page_bytes },
        .event => .{ .kind = .event, .mode = 0o400, .links = 1, .block_bytes = 8 },
    };
    try user_copy.writeValue(abi.IoStat, arguments.stat.address, stat);
}

pub fn io_readdir(_: *Task, arguments: dispatch.IoReaddir) Failure!void {
    const stream = try stream_object.hold(@intFromEnum(arguments.handle));
    defer stream_object.put(stream);
    const file = switch (stream.target) {
        .file => |file| file,
        else => return error.NotDirectory,
    };
    if (file.node.kind != .directory) return error.NotDirectory;
    try user_copy.writeValue(u64, arguments.filled_bytes.address, 0);
    var position = @atomicLoad(u64, &stream.position, .monotonic);
    var filled: u64 = 0;
    while (true) {
        var name: [erofs.name_bytes_max]u8 = undefined;
        const found = image.file_system.next(&file.node, position, &name) catch |failure| {
            if (filled > 0) break;
            return failureOf(failure);
        };
        const entry = found orelse break;
        const head_bytes = @sizeOf(abi.IoEntry);
        const entry_bytes = std.mem.alignForward(u64, head_bytes + entry.name.len, 8);
        if (entry_bytes > arguments.buffer.count - filled) {
            if (filled == 0) return error.TooSmall;
            break;
        }
        const node = image.file_system.inode(entry.nid) catch |failure| {
            if (filled > 0) break;
            return failureOf(failure);
        };
        var record: [head_bytes + 256 + 8]u8 align(8) = .{0} ** (head_bytes + 256 + 8);
        const head: *abi.IoEntry = @ptrCast(&record);
        head.* = .{
            .inode = node.number,
            .next = entry.next,
            .entry_bytes = @intCast(entry_bytes),
            .name_bytes = @intCast(entry.name.len),
            .kind = if (entry.kind) |kind| kindOf(kind) else .unknown,
        };
        @memcpy(record[head_bytes..][0..entry.name.len], entry.name);
        try user_copy.write(arguments.buffer.address +% filled, record[0..entry_bytes]);
        filled += entry_bytes;
        position = entry.next;
    }
    try user_copy.writeValue(u64, arguments.filled_bytes.address, filled);
    @atomicStore(u64, &stream.position, position, .monotonic);
}

pub fn io_close(_: *Task, arguments: dispatch.IoClose) Failure!void {
    try stream_object.close(@intFromEnum(arguments.handle));
}
