//! Open file descriptions and the process's descriptors.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const limits = @import("limits.zig");
const errno = @import("errno.zig");
const user = @import("user.zig");
const wait = @import("wait.zig");
const pipe = @import("pipe.zig");
const event = @import("event.zig");
const epoll = @import("epoll.zig");
const tmpfs = @import("tmpfs.zig");
const inet = @import("inet.zig");
const Error = errno.Error;

pub const Image = struct { handle: abi.Handle, kind: abi.IoKind };

/// Text made when it was opened.
pub const Text = struct { memory: []align(4096) u8, bytes: usize };

/// One end of a connected pair of local stream sockets.
pub const Pair = struct { in: *pipe.Pipe, out: *pipe.Pipe };

pub const Object = union(enum) {
    image: Image,
    console: abi.Handle,
    null,
    zero,
    full,
    random,
    text: Text,
    pipe_read: *pipe.Pipe,
    pipe_write: *pipe.Pipe,
    pair: Pair,
    inet: *inet.Inet,
    event: *event.Event,
    timer: *event.Timer,
    epoll: *epoll.Epoll,
    memory: *tmpfs.Node,
};

pub const Status = struct {
    pub const access_mask: u32 = 3;
    pub const read_only: u32 = 0;
    pub const write_only: u32 = 1;
    pub const append: u32 = 0o2000;
    pub const non_block: u32 = 0o4000;
    /// What fcntl may change.
    pub const settable: u32 = append | non_block | 0o40000;
};

pub const Ready = struct {
    pub const in: u32 = 1;
    pub const out: u32 = 4;
    pub const err: u32 = 8;
    pub const hup: u32 = 0x10;
    pub const read_hup: u32 = 0x2000;
};

pub const Open = struct {
    references: u32 = 0,
    status: u32 = 0,
    /// Protects the position.
    lock: uk.Lock = .{},
    position: u64 = 0,
    object: Object = .null,
    path_bytes: u16 = 0,
    path_buffer: [limits.path_bytes_max]u8 = undefined,

    pub fn path(open: *const Open) []const u8 {
        return open.path_buffer[0..open.path_bytes];
    }

    pub fn isNonBlock(open: *const Open) bool {
        return @atomicLoad(u32, &open.status, .monotonic) & Status.non_block != 0;
    }

    pub fn canRead(open: *const Open) bool {
        return open.status & Status.access_mask != Status.write_only;
    }

    pub fn canWrite(open: *const Open) bool {
        return open.status & Status.access_mask != Status.read_only;
    }

    /// Gives up one use; the last closes what is open.
    pub fn release(open: *Open) void {
        table_lock.acquire();
        open.references -= 1;
        const last = open.references == 0;
        // A slot with one reference is not given out while its object is closed.
        if (last) open.references = 1;
        table_lock.release();
        if (!last) return;
        epoll.forget(open);
        open.closeObject();
        table_lock.acquire();
        open.references = 0;
        table_lock.release();
    }

    fn closeObject(open: *Open) void {
        switch (open.object) {
            .image => |image| _ = uk.calls.io_close(image.handle),
            .text => |text| uk.release(text.memory),
            .pipe_read => |end| end.closeReader(),
            .pipe_write => |end| end.closeWriter(),
            .pair => |pair| {
                pair.in.closeReader();
                pair.out.closeWriter();
            },
            .inet => |each| each.close(),
            .event => |each| each.close(),
            .timer => |each| each.close(),
            .epoll => |each| each.close(),
            .memory => |node| node.close(),
            .console, .null, .zero, .full, .random => {},
        }
    }

    /// Reads to the workload's memory at the position, or at an offset without moving it.
    pub fn read(open: *Open, address: u64, bytes: u64, offset: ?u64) Error!u64 {
        if (!open.canRead()) return error.EBADF;
        const most = @min(bytes, limits.transfer_bytes_max);
        try user.check(address, most);
        if (most == 0) return 0;
        switch (open.object) {
            .image, .text, .memory => {},
            else => if (offset != null) return error.ESPIPE,
        }
        return switch (open.object) {
            .image, .text, .memory => open.readPositioned(address, most, offset),
            .console => |handle| readConsole(open, handle, address, most),
            .null => 0,
            .zero, .full => blk: {
                try user.fill(address, 0, most);
                break :blk most;
            },
            .random => fillRandom(address, most),
            .pipe_read => |end| end.read(address, most, open.isNonBlock()),
            .pair => |pair| pair.in.read(address, most, open.isNonBlock()),
            .inet => |each| @min(most, try each.receive(address, most, each.receiveDeadline(open.isNonBlock()), null)),
            .pipe_write => error.EBADF,
            .event => |each| each.read(address, most, open.isNonBlock()),
            .timer => |each| each.read(address, most, open.isNonBlock()),
            .epoll => error.EINVAL,
        };
    }

    fn readPositioned(open: *Open, address: u64, bytes: u64, offset: ?u64) Error!u64 {
        if (offset) |at| return open.readAt(address, bytes, at);
        open.lock.acquire();
        defer open.lock.release();
        const count = try open.readAt(address, bytes, open.position);
        open.position += count;
        return count;
    }

    fn readAt(open: *Open, address: u64, bytes: u64, offset: u64) Error!u64 {
        if (offset > std.math.maxInt(i64)) return error.EINVAL;
        switch (open.object) {
            .image => |image| {
                if (image.kind == .directory) return error.EISDIR;
                return readImage(image.handle, address, bytes, offset);
            },
            .text => |text| {
                if (offset >= text.bytes) return 0;
                const part = text.memory[@intCast(offset)..@min(text.bytes, offset + bytes)];
                try user.write(address, part);
                return part.len;
            },
            .memory => |node| return node.readTo(address, bytes, offset),
            else => unreachable,
        }
    }

    /// Writes from the workload's memory.
    pub fn write(open: *Open, address: u64, bytes: u64, offset: ?u64) Error!u64 {
        if (!open.canWrite()) return error.EBADF;
        const most = @min(bytes, limits.transfer_bytes_max);
        try user.check(address, most);
        if (offset != null and open.object != .memory) return error.ESPIPE;
        if (most == 0) return 0;
        return switch (open.object) {
            .image, .text => error.EBADF,
            .console => |handle| writeConsole(handle, address, most),
            .null, .zero, .random => most,
            .full => error.ENOSPC,
            .pipe_read => error.EBADF,
            .pipe_write => |end| end.write(address, most, open.isNonBlock()),
            .pair => |pair| pair.out.write(address, most, open.isNonBlock()),
            .inet => |each| each.send(address, most, each.sendDeadline(open.isNonBlock()), null),
            .event => |each| each.write(address, most, open.isNonBlock()),
            .timer, .epoll => error.EINVAL,
            .memory => |node| blk: {
                if (offset) |at| break :blk node.writeFrom(address, most, at);
                open.lock.acquire();
                defer open.lock.release();
                if (open.status & Status.append != 0) open.position = node.bytes;
                const count = try node.writeFrom(address, most, open.position);
                open.position += count;
                break :blk count;
            },
        };
    }

    /// What poll would say now.
    pub fn ready(open: *Open) u32 {
        return switch (open.object) {
            .pipe_read => |end| end.readyToRead(),
            .pipe_write => |end| end.readyToWrite(),
            .pair => |pair| pair.in.readyToRead() | pair.out.readyToWrite(),
            .inet => |each| each.ready(),
            .event => |each| each.ready(),
            .timer => |each| each.ready(),
            .epoll => |each| if (each.hasReady()) Ready.in else 0,
            // The console cannot be asked: it counts as readable, and a read waits.
            else => Ready.in | Ready.out,
        };
    }

    /// Grows with each change that may make it ready.
    pub fn activity(open: *Open) u32 {
        return switch (open.object) {
            .pipe_read, .pipe_write => |end| end.activity,
            .pair => |pair| pair.in.activity +% pair.out.activity,
            .inet => |each| each.activity,
            .event => |each| each.activity,
            .timer => |each| each.activityNow(),
            else => 0,
        };
    }

    /// A poll has found it not ready in these ways, and waits for a change.
    pub fn expect(open: *Open, missing: u32) void {
        if (open.object == .inet and missing != 0) open.object.inet.arm(missing);
    }

    /// When it becomes ready by itself.
    pub fn deadlineNs(open: *Open) u64 {
        return switch (open.object) {
            .timer => |each| each.nextNs(),
            .epoll => |each| each.deadlineNs(),
            else => wait.never_ns,
        };
    }
};

fn readImage(handle: abi.Handle, address: u64, bytes: u64, offset: u64) Error!u64 {
    var done: u64 = 0;
    while (done < bytes) {
        var count: u64 = 0;
        uk.calls.check(uk.calls.io_read(handle, @ptrFromInt(address + done), bytes - done, offset + done, &count)) catch |failure| {
            if (done > 0) break;
            return errno.of(failure);
        };
        if (count == 0) break;
        done += count;
    }
    return done;
}

fn readConsole(open: *Open, handle: abi.Handle, address: u64, bytes: u64) Error!u64 {
    _ = open;
    while (true) {
        if (wait.isInterrupted()) return error.EINTR;
        var count: u64 = 0;
        uk.calls.check(uk.calls.io_read(handle, @ptrFromInt(address), bytes, abi.offset_current, &count)) catch |failure| {
            if (failure == error.Interrupted) continue;
            return errno.of(failure);
        };
        return count;
    }
}

fn writeConsole(handle: abi.Handle, address: u64, bytes: u64) Error!u64 {
    var done: u64 = 0;
    while (done < bytes) {
        var count: u64 = 0;
        uk.calls.check(uk.calls.io_write(handle, @ptrFromInt(address + done), bytes - done, abi.offset_current, &count)) catch |failure| {
            if (failure == error.Interrupted and done == 0) continue;
            if (done > 0) break;
            return errno.of(failure);
        };
        done += count;
    }
    return done;
}

fn fillRandom(address: u64, bytes: u64) Error!u64 {
    var done: u64 = 0;
    while (done < bytes) {
        const part = @min(bytes - done, abi.random_bytes_max);
        uk.calls.check(uk.calls.random_fill(@ptrFromInt(address + done), part)) catch |failure| return errno.of(failure);
        done += part;
    }
    return bytes;
}

const Descriptor = struct { open: ?*Open = null, close_on_exec: bool = false };

/// Only those below `opens_used` have ever been given out; the others cost no memory.
var opens: [limits.opens_max]Open = undefined;
var opens_used: usize = 0;
var descriptors: [limits.descriptors_max]Descriptor = @splat(.{});
var table_lock: uk.Lock = .{};

/// A description with one use, the caller's. What `object` holds is its own from here on, also when it fails.
pub fn create(object: Object, status: u32, path: []const u8) Error!*Open {
    table_lock.acquire();
    const open = for (opens[0..opens_used]) |*each| {
        if (each.references == 0) break each;
    } else if (opens_used < opens.len) blk: {
        opens_used += 1;
        break :blk &opens[opens_used - 1];
    } else {
        table_lock.release();
        var failed: Open = .{ .object = object };
        failed.closeObject();
        return error.ENFILE;
    };
    open.references = 1;
    table_lock.release();
    open.status = status;
    open.lock = .{};
    open.position = 0;
    open.object = object;
    open.path_bytes = @intCast(path.len);
    @memcpy(open.path_buffer[0..path.len], path);
    return open;
}

/// Gives the description the lowest free number from `least`; the caller's use becomes the descriptor's, also when it fails.
pub fn install(open: *Open, least: u32, close_on_exec: bool) Error!u64 {
    table_lock.acquire();
    if (least < limits.descriptors_max) for (descriptors[least..], least..) |*each, number| {
        if (each.open != null) continue;
        each.* = .{ .open = open, .close_on_exec = close_on_exec };
        table_lock.release();
        return number;
    };
    table_lock.release();
    open.release();
    return if (least < limits.descriptors_max) error.EMFILE else error.EINVAL;
}

/// Gives the description this number, closing what had it.
pub fn installAt(open: *Open, number: u32, close_on_exec: bool) Error!u64 {
    if (number >= limits.descriptors_max) {
        open.release();
        return error.EBADF;
    }
    table_lock.acquire();
    const before = descriptors[number].open;
    descriptors[number] = .{ .open = open, .close_on_exec = close_on_exec };
    table_lock.release();
    if (before) |old| old.release();
    return number;
}

/// What a descriptor stands for, with a use that the caller gives up by `release`.
pub fn get(number: i32) Error!*Open {
    if (number < 0 or number >= limits.descriptors_max) return error.EBADF;
    table_lock.acquire();
    defer table_lock.release();
    const open = descriptors[@intCast(number)].open orelse return error.EBADF;
    open.references += 1;
    return open;
}

pub fn close(number: i32) Error!void {
    if (number < 0 or number >= limits.descriptors_max) return error.EBADF;
    table_lock.acquire();
    const open = descriptors[@intCast(number)].open;
    descriptors[@intCast(number)] = .{};
    table_lock.release();
    (open orelse return error.EBADF).release();
}

pub fn closeOnExec(number: i32) Error!bool {
    if (number < 0 or number >= limits.descriptors_max) return error.EBADF;
    table_lock.acquire();
    defer table_lock.release();
    if (descriptors[@intCast(number)].open == null) return error.EBADF;
    return descriptors[@intCast(number)].close_on_exec;
}

pub fn setCloseOnExec(number: i32, value: bool) Error!void {
    _ = try closeOnExec(number);
    table_lock.acquire();
    defer table_lock.release();
    descriptors[@intCast(number)].close_on_exec = value;
}

/// The lowest number from `least` that is in use.
pub fn nextUsed(least: u32) ?u32 {
    table_lock.acquire();
    defer table_lock.release();
    if (least >= limits.descriptors_max) return null;
    for (descriptors[least..], least..) |each, number| if (each.open != null) return @intCast(number);
    return null;
}
