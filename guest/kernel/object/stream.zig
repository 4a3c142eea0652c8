//! What an io handle refers to: a node of the image, a block device, the console, or the stop event.
const std = @import("std");
const abi = @import("abi");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const user_copy = @import("../arch/user_copy.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const Pool = @import("../mem/pool.zig").Pool;
const erofs = @import("../fs/erofs.zig");
const console = @import("console.zig");
const disk = @import("disk.zig");
const options = @import("../options.zig").chosen;
const handles = @import("handles.zig");
const image = @import("image.zig");
const poll = @import("poll.zig");
const stop = @import("stop.zig");
const File = @import("file.zig").File;
const Failure = abi.Failure;

pub const Target = union(enum) {
    file: *File,
    block: *disk.Disk,
    console,
    event,
};

pub const Stream = struct {
    references: u32 = 1,
    target: Target,
    position: u64 = 0,
    writable: bool = false,
    non_block: bool = false,
    closed: bool = false,
    source: poll.Source = .{},
};

var pool: Pool(Stream) = .{};

fn openTarget(target: Target, writable: bool, non_block: bool) Failure!u64 {
    std.debug.assert(lock.isHeld());
    if (groupOf(target)) |group| if (group.isFull()) return error.OutOfHandles;
    const stream = pool.create() catch return error.OutOfHandles;
    errdefer pool.destroy(stream);
    stream.* = .{ .target = target, .writable = writable, .non_block = non_block };
    const handle = try handles.openPollable(.io, stream, &stream.source);
    // A device that keeps a task waiting does so for the time of a transfer, not for input.
    stream.source.ready = .{ .readable = true, .writable = writable };
    if (groupOf(target)) |group| group.add(&stream.source);
    return handle;
}

fn groupOf(target: Target) ?*poll.Group {
    return switch (target) {
        .console => &console.group,
        .event => &stop.group,
        .file, .block => null,
    };
}

/// A stream in use: it stays until `put`, closed or not.
pub fn hold(handle: u64) Failure!*Stream {
    lock.acquire();
    defer lock.release();
    const stream = try handles.get(Stream, handle, .io);
    stream.references += 1;
    return stream;
}

pub fn put(stream: *Stream) void {
    lock.acquire();
    defer lock.release();
    putLocked(stream);
}

fn putLocked(stream: *Stream) void {
    stream.references -= 1;
    if (stream.references != 0) return;
    switch (stream.target) {
        .file => |file| file.releaseLocked(),
        .event, .block, .console => {},
    }
    pool.destroy(stream);
}

pub fn close(handle: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const stream = try handles.get(Stream, handle, .io);
    handles.close(handle, .io) catch unreachable;
    if (groupOf(stream.target)) |group| group.remove(&stream.source);
    stream.closed = true;
    switch (stream.target) {
        .event => {
            stop.dropListener();
            wakeAll(&stop.readers);
        },
        .console => wakeAll(&console.readers),
        else => {},
    }
    putLocked(stream);
}

/// Each looks for itself whether its stream is the one that was closed.
fn wakeAll(queue: *@import("task.zig").WaitQueue) void {
    while (queue.first) |task| {
        if (!scheduler.wake(task, .woken)) break;
    }
}

pub fn openStopEvent() Failure!u64 {
    lock.acquire();
    defer lock.release();
    const handle = try openTarget(.event, false, false);
    stop.listeners += 1;
    return handle;
}

pub fn openConsole(writable: bool, non_block: bool) Failure!u64 {
    lock.acquire();
    defer lock.release();
    return openTarget(.console, writable, non_block);
}

pub fn openBlock(number: usize, writable: bool) Failure!u64 {
    if (!options.disks) return error.NotFound;
    const device = disk.forWorkload(number) orelse return error.NotFound;
    if (writable and device.read_only) return error.ReadOnly;
    lock.acquire();
    defer lock.release();
    return openTarget(.{ .block = device }, writable, false);
}

pub fn openNode(node: erofs.Inode) Failure!u64 {
    const file = File.create(node) catch return error.OutOfHandles;
    lock.acquire();
    defer lock.release();
    return openTarget(.{ .file = file }, false, false) catch |failure| {
        file.releaseLocked();
        return failure;
    };
}

/// The regular file behind a handle, with a reference.
pub fn fileOf(handle: u64) Failure!*File {
    lock.acquire();
    defer lock.release();
    const stream = try handles.get(Stream, handle, .io);
    switch (stream.target) {
        .file => |file| {
            if (file.node.kind != .file) return error.UnsupportedOperation;
            file.retainLocked();
            return file;
        },
        else => return error.UnsupportedOperation,
    }
}

/// Pages that a transfer goes through.
const bounce_bytes = limits.page_bytes;

fn takeBounce() Failure!frames.Frame {
    lock.acquire();
    defer lock.release();
    return frames.allocate() orelse error.OutOfMemory;
}

fn giveBounce(frame: frames.Frame) void {
    lock.acquire();
    defer lock.release();
    frames.release(frame);
}

/// Reads into user memory; `offset` null means the stream's position, which moves.
pub fn read(stream: *Stream, address: u64, bytes: u64, offset: ?u64) Failure!u64 {
    const wanted = @min(bytes, abi.io_bytes_max);
    switch (stream.target) {
        .file => |file| {
            if (file.node.kind == .directory) return error.IsDirectory;
            if (file.node.kind != .file and file.node.kind != .link) return error.UnsupportedOperation;
            const from = offset orelse @atomicLoad(u64, &stream.position, .monotonic);
            const done = try readFile(file, address, wanted, from);
            if (offset == null) @atomicStore(u64, &stream.position, from + done, .monotonic);
            return done;
        },
        .block => |device| {
            const from = offset orelse @atomicLoad(u64, &stream.position, .monotonic);
            const done = try transferBlock(device, address, wanted, from, .read);
            if (offset == null) @atomicStore(u64, &stream.position, from + done, .monotonic);
            return done;
        },
        .console => {
            if (offset != null) return error.UnsupportedOperation;
            return readConsole(stream, address, wanted);
        },
        .event => {
            if (offset != null) return error.UnsupportedOperation;
            if (bytes < 8) return error.TooSmall;
            return readEvent(stream, address);
        },
    }
}

fn readFile(file: *File, address: u64, wanted: u64, from: u64) Failure!u64 {
    if (wanted != 0 and !user_copy.isUserRange(address, wanted)) return error.BadPointer;
    if (from >= file.node.bytes or wanted == 0) return 0;
    const bounce = try takeBounce();
    defer giveBounce(bounce);
    const page = layout.page(bounce);
    var done: u64 = 0;
    while (done < wanted) {
        const at = from + done;
        // Whole pages of the file, so that a copy never straddles two blocks without need.
        const piece = @min(wanted - done, bounce_bytes - at % bounce_bytes);
        const count = file.read(at, page[0..@intCast(piece)]) catch |failure| {
            if (done > 0) return done;
            return if (failure == error.DeviceError) error.DeviceError else error.CorruptImage;
        };
        if (count == 0) break;
        user_copy.write(address + done, page[0..count]) catch |failure| {
            if (done > 0) return done;
            return failure;
        };
        done += count;
    }
    return done;
}

const Direction = enum { read, write };

fn transferBlock(device: *disk.Disk, address: u64, wanted: u64, from: u64, direction: Direction) Failure!u64 {
    if (!options.disks) unreachable;
    if (wanted % 512 != 0 or from % 512 != 0) return error.Misaligned;
    const end = device.sectors * 512;
    if (from >= end or wanted == 0) return 0;
    const total = @min(wanted, end - from);
    if (!user_copy.isUserRange(address, total)) return error.BadPointer;
    const bounce = try takeBounce();
    defer giveBounce(bounce);
    const page = layout.page(bounce);
    var done: u64 = 0;
    while (done < total) {
        const piece: usize = @intCast(@min(total - done, bounce_bytes));
        const sector = (from + done) / 512;
        const outcome: Failure!void = switch (direction) {
            .read => blk: {
                device.readPart(sector, bounce, piece) catch |failure| break :blk failure;
                user_copy.write(address + done, page[0..piece]) catch |failure| break :blk failure;
            },
            .write => blk: {
                user_copy.read(page[0..piece], address + done) catch |failure| break :blk failure;
                device.writePart(sector, bounce, piece) catch |failure| break :blk failure;
            },
        };
        outcome catch |failure| {
            if (done > 0) return done;
            return failure;
        };
        done += piece;
    }
    return done;
}

fn readConsole(stream: *Stream, address: u64, wanted: u64) Failure!u64 {
    if (wanted == 0) return 0;
    if (!user_copy.isUserRange(address, wanted)) return error.BadPointer;
    var buffer: [256]u8 = undefined;
    lock.acquire();
    while (!console.hasInput()) {
        if (stream.closed) {
            lock.release();
            return error.BadHandle;
        }
        if (stream.non_block) {
            lock.release();
            return error.NothingReady;
        }
        console.readers.append(scheduler.current());
        if (scheduler.block(scheduler.forever, true) == .interrupted) {
            lock.release();
            return error.Interrupted;
        }
    }
    const count = console.take(buffer[0..@min(buffer.len, wanted)]);
    lock.release();
    try user_copy.write(address, buffer[0..count]);
    return count;
}

fn readEvent(stream: *Stream, address: u64) Failure!u64 {
    lock.acquire();
    while (stop.requested_ns == 0) {
        if (stream.closed) {
            lock.release();
            return error.BadHandle;
        }
        if (stream.non_block) {
            lock.release();
            return error.NothingReady;
        }
        stop.readers.append(scheduler.current());
        if (scheduler.block(scheduler.forever, true) == .interrupted) {
            lock.release();
            return error.Interrupted;
        }
    }
    const time_ns = stop.requested_ns;
    stop.taken = true;
    lock.release();
    try user_copy.writeValue(u64, address, time_ns);
    return 8;
}

pub fn write(stream: *Stream, address: u64, bytes: u64, offset: ?u64) Failure!u64 {
    const wanted = @min(bytes, abi.io_bytes_max);
    switch (stream.target) {
        .file => |file| return if (file.node.kind == .directory) error.IsDirectory else error.ReadOnly,
        .event => return error.UnsupportedOperation,
        .block => |device| {
            if (!stream.writable) return error.ReadOnly;
            const from = offset orelse @atomicLoad(u64, &stream.position, .monotonic);
            const done = try transferBlock(device, address, wanted, from, .write);
            if (offset == null) @atomicStore(u64, &stream.position, from + done, .monotonic);
            return done;
        },
        .console => {
            if (!stream.writable) return error.ReadOnly;
            if (offset != null) return error.UnsupportedOperation;
            return writeConsole(address, wanted);
        },
    }
}

fn writeConsole(address: u64, wanted: u64) Failure!u64 {
    if (wanted != 0 and !user_copy.isUserRange(address, wanted)) return error.BadPointer;
    var buffer: [512]u8 = undefined;
    var done: u64 = 0;
    while (done < wanted) {
        const piece = buffer[0..@intCast(@min(buffer.len, wanted - done))];
        user_copy.read(piece, address + done) catch |failure| {
            if (done > 0) return done;
            return failure;
        };
        console.write(piece);
        done += piece.len;
    }
    return done;
}
