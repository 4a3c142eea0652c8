//! What is done with descriptors: reading, writing, positions, folders' entries, pipes, duplicates and their flags.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const files = @import("files.zig");
const message = @import("message.zig");
const signals = @import("signals.zig");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const open_file = posix.open;
const tmpfs = posix.tmpfs;
const Open = open_file.Open;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const Direction = enum { read, write };

fn one(call: Call, direction: Direction, address: u64, bytes: u64, offset: ?u64) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    return transfer(call, open, direction, address, bytes, offset);
}

fn transfer(call: Call, open: *Open, direction: Direction, address: u64, bytes: u64, offset: ?u64) Error!u64 {
    if (direction == .read) return open.read(address, bytes, offset);
    return open.write(address, bytes, offset) catch |failure| {
        if (failure == error.EPIPE) signals.post(call.thread, signals.pipe);
        return failure;
    };
}

fn offsetOf(value: u64) Error!u64 {
    if (value > std.math.maxInt(i64)) return error.EINVAL;
    return value;
}

pub fn read(call: Call) Error!u64 {
    return one(call, .read, call.arg(1), call.arg(2), null);
}

pub fn write(call: Call) Error!u64 {
    return one(call, .write, call.arg(1), call.arg(2), null);
}

pub fn pread64(call: Call) Error!u64 {
    return one(call, .read, call.arg(1), call.arg(2), try offsetOf(call.arg(3)));
}

pub fn pwrite64(call: Call) Error!u64 {
    return one(call, .write, call.arg(1), call.arg(2), try offsetOf(call.arg(3)));
}

const Vector = extern struct { address: u64, bytes: u64 };

fn vectors(call: Call, direction: Direction, first_offset: ?u64) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    const count = call.arg(2);
    if (count > limits.vectors_max) return error.EINVAL;
    // Each part would be a datagram of its own: sendmsg and recvmsg join them.
    if (count > 1 and open.object == .inet) {
        if (open.object.inet.kind == .udp) return error.EOPNOTSUPP;
        if (direction == .write) return message.sendParts(call, open, call.arg(1), count, 0);
    }
    var done: u64 = 0;
    for (0..@intCast(count)) |index| {
        const vector = user.get(Vector, call.arg(1) +% index * @sizeOf(Vector)) catch |failure| return if (done > 0) done else failure;
        if (vector.bytes > std.math.maxInt(i64)) return error.EINVAL;
        if (vector.bytes == 0) continue;
        // What is there is enough: the next part is not waited for.
        if (done > 0 and direction == .read and open.ready() & open_file.Ready.in == 0) break;
        const offset = if (first_offset) |offset| offset + done else null;
        const part = transfer(call, open, direction, vector.address, vector.bytes, offset) catch |failure| return if (done > 0) done else failure;
        done += part;
        if (part < vector.bytes) break;
    }
    return done;
}

pub fn readv(call: Call) Error!u64 {
    return vectors(call, .read, null);
}

pub fn writev(call: Call) Error!u64 {
    return vectors(call, .write, null);
}

pub fn preadv(call: Call) Error!u64 {
    return vectors(call, .read, try offsetOf(call.arg(3)));
}

pub fn pwritev(call: Call) Error!u64 {
    return vectors(call, .write, try offsetOf(call.arg(3)));
}

pub fn lseek(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    open.lock.acquire();
    defer open.lock.release();
    const size: u64 = switch (open.object) {
        .image => |image| blk: {
            if (image.kind == .directory) return seekFolder(open, image.handle, call.long(1), call.word(2));
            var stat: abi.IoStat = .{};
            try files.check(uk.calls.io_stat(image.handle, &stat));
            break :blk stat.bytes;
        },
        .memory => |node| node.bytes,
        .text => |text| text.bytes,
        .null, .zero, .full, .random => 0,
        else => return error.ESPIPE,
    };
    const base: u64 = switch (call.word(2)) {
        0 => 0,
        1 => open.position,
        2 => size,
        // Data and holes: all of it is data, and the end is a hole.
        3, 4 => {
            if (call.long(1) < 0 or call.arg(1) >= size) return error.EINVAL;
            open.position = if (call.word(2) == 3) call.arg(1) else size;
            return open.position;
        },
        else => return error.EINVAL,
    };
    const position = @as(i128, base) + call.long(1);
    if (position < 0 or position > std.math.maxInt(i64)) return error.EINVAL;
    open.position = @intCast(position);
    return open.position;
}

fn seekFolder(open: *Open, handle: abi.Handle, offset: i64, whence: u32) Error!u64 {
    if (whence != 0 or offset < 0) return error.EINVAL;
    var position: u64 = 0;
    try files.check(uk.calls.io_seek(handle, offset, .start, &position));
    open.position = position;
    return position;
}

const Entry = extern struct { inode: u64, next: i64, bytes: u16, kind: u8 };
const entry_head_bytes = 19;

/// One entry of getdents64; false when it does not fit.
fn putEntry(at: u64, room: u64, inode: u64, next: u64, kind: u8, name: []const u8) Error!?u64 {
    const bytes = std.mem.alignForward(u64, entry_head_bytes + name.len + 1, 8);
    if (bytes > room) return null;
    var buffer: [entry_head_bytes + 256 + 8]u8 = @splat(0);
    std.mem.writeInt(u64, buffer[0..8], inode, .little);
    std.mem.writeInt(u64, buffer[8..16], next, .little);
    std.mem.writeInt(u16, buffer[16..18], @intCast(bytes), .little);
    buffer[18] = kind;
    @memcpy(buffer[entry_head_bytes..][0..name.len], name);
    try user.write(at, buffer[0..@intCast(bytes)]);
    return bytes;
}

pub fn getdents64(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    open.lock.acquire();
    defer open.lock.release();
    const room = @min(call.arg(2), 1 << 20);
    return switch (open.object) {
        .image => |image| imageEntries(image.handle, call.arg(1), room),
        .memory => |node| memoryEntries(open, node, call.arg(1), room),
        else => error.ENOTDIR,
    };
}

fn imageEntries(handle: abi.Handle, address: u64, room: u64) Error!u64 {
    var buffer: [4096]u8 align(8) = undefined;
    var done: u64 = 0;
    var position: u64 = 0;
    try files.check(uk.calls.io_seek(handle, 0, .current, &position));
    while (true) {
        var filled: u64 = 0;
        try files.check(uk.calls.io_readdir(handle, &buffer, buffer.len, &filled));
        if (filled == 0) return done;
        var at: usize = 0;
        while (at < filled) {
            const entry: *const abi.IoEntry = @ptrCast(@alignCast(&buffer[at]));
            const name = buffer[at + @sizeOf(abi.IoEntry) ..][0..entry.name_bytes];
            const kind: u8 = switch (entry.kind) {
                .file => 8,
                .directory => 4,
                .char_device => 2,
                .block_device => 6,
                .fifo => 1,
                .socket => 12,
                .link => 10,
                else => 0,
            };
            const bytes = try putEntry(address + done, room - done, entry.inode, entry.next, kind, name) orelse {
                // What was read ahead is read again.
                try files.check(uk.calls.io_seek(handle, @intCast(position), .start, &position));
                return if (done > 0) done else error.EINVAL;
            };
            done += bytes;
            position = entry.next;
            at += entry.entry_bytes;
        }
    }
}

fn memoryEntries(open: *Open, node: *tmpfs.Node, address: u64, room: u64) Error!u64 {
    if (!node.is_folder) return error.ENOTDIR;
    var done: u64 = 0;
    while (tmpfs.entry(node, open.position)) |entry| {
        const kind: u8 = if (entry.is_folder) 4 else 8;
        const bytes = try putEntry(address + done, room - done, entry.number, open.position + 1, kind, entry.name[0..entry.name_bytes]) orelse
            return if (done > 0) done else error.EINVAL;
        done += bytes;
        open.position += 1;
    }
    return done;
}

pub fn close(call: Call) Error!u64 {
    try open_file.close(call.int(0));
    return 0;
}

pub fn close_range(call: Call) Error!u64 {
    const close_on_exec = call.word(2) == 4;
    if (call.word(0) > call.word(1) or (call.word(2) != 0 and !close_on_exec)) return error.EINVAL;
    var at = call.word(0);
    while (open_file.nextUsed(at)) |number| : (at = number + 1) {
        if (number > call.word(1)) break;
        if (close_on_exec) open_file.setCloseOnExec(@intCast(number), true) catch {} else open_file.close(@intCast(number)) catch {};
    }
    return 0;
}

pub fn dup(call: Call) Error!u64 {
    return open_file.install(try open_file.get(call.int(0)), 0, false);
}

pub fn dup2(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    if (call.int(0) == call.int(1)) {
        open.release();
        return call.word(1);
    }
    return open_file.installAt(open, call.word(1), false);
}

pub fn dup3(call: Call) Error!u64 {
    if (call.int(0) == call.int(1) or call.word(2) & ~@as(u32, 0o2000000) != 0) return error.EINVAL;
    return open_file.installAt(try open_file.get(call.int(0)), call.word(1), call.word(2) != 0);
}

pub fn fcntl(call: Call) Error!u64 {
    const number = call.int(0);
    const open = try open_file.get(number);
    var kept = false;
    defer if (!kept) open.release();
    switch (call.word(1)) {
        // Duplicates, without and with close-on-exec.
        0, 1030 => {
            kept = true;
            return open_file.install(open, call.word(2), call.word(1) == 1030);
        },
        1 => return @intFromBool(try open_file.closeOnExec(number)),
        2 => try open_file.setCloseOnExec(number, call.word(2) & 1 != 0),
        3 => return open.status | 0o100000,
        4 => {
            const settable = open_file.Status.settable;
            @atomicStore(u32, &open.status, (open.status & ~settable) | (call.word(2) & settable), .monotonic);
        },
        // Locks: there is no other process to conflict with. Asked for, none is in the way.
        5, 36 => try user.put(u16, call.arg(2), 2),
        6, 7, 37, 38 => {},
        1032 => return limits.pipe_bytes,
        else => return error.EINVAL,
    }
    return 0;
}

const non_block_ioctl = 0x5421;
const readable_bytes_ioctl = 0x541b;
const close_on_exec_ioctl = 0x5451;

/// Nothing here is a terminal: programs buffer their output as for a pipe.
pub fn ioctl(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    switch (call.word(1)) {
        non_block_ioctl => {
            const wanted = try user.get(u32, call.arg(2)) != 0;
            const flag = open_file.Status.non_block;
            @atomicStore(u32, &open.status, if (wanted) open.status | flag else open.status & ~flag, .monotonic);
        },
        readable_bytes_ioctl => try user.put(u32, call.arg(2), switch (open.object) {
            .pipe_read => |end| end.count,
            // The kernel does not tell how much: it is no less.
            .inet => |inet| @intFromBool(inet.ready() & open_file.Ready.in != 0),
            else => return error.ENOTTY,
        }),
        close_on_exec_ioctl => try open_file.setCloseOnExec(call.int(0), true),
        else => return error.ENOTTY,
    }
    return 0;
}

fn makePipe(address: u64, flags: u32) Error!u64 {
    if (flags & ~@as(u32, 0o2004000) != 0) return error.EINVAL;
    const made = try posix.pipe.create();
    const status = flags & open_file.Status.non_block;
    const close_on_exec = flags & 0o2000000 != 0;
    const reader = open_file.create(.{ .pipe_read = made }, status, "pipe:") catch |failure| {
        made.closeWriter();
        return failure;
    };
    const writer = open_file.create(.{ .pipe_write = made }, status | open_file.Status.write_only, "pipe:") catch |failure| {
        reader.release();
        return failure;
    };
    const read_number = open_file.install(reader, 0, close_on_exec) catch |failure| {
        writer.release();
        return failure;
    };
    errdefer open_file.close(@intCast(read_number)) catch {};
    const write_number = try open_file.install(writer, 0, close_on_exec);
    errdefer open_file.close(@intCast(write_number)) catch {};
    try user.put([2]u32, address, .{ @intCast(read_number), @intCast(write_number) });
    return 0;
}

pub fn pipe(call: Call) Error!u64 {
    return makePipe(call.arg(0), 0);
}

pub fn pipe2(call: Call) Error!u64 {
    return makePipe(call.arg(0), call.word(1));
}

pub fn ftruncate(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    if (open.object != .memory or !open.canWrite()) return error.EINVAL;
    try open.object.memory.truncate(try offsetOf(call.arg(1)));
    return 0;
}

pub fn fallocate(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    if (open.object != .memory or !open.canWrite()) return error.EBADF;
    if (call.word(1) != 0) return error.EOPNOTSUPP;
    const end = try offsetOf(call.arg(2)) +| try offsetOf(call.arg(3));
    if (end > open.object.memory.bytes) try open.object.memory.truncate(end);
    return 0;
}

/// Nothing waits to be written.
pub fn sync(call: Call) Error!u64 {
    (try open_file.get(call.int(0))).release();
    return 0;
}

/// Copies through a page of the adapter's.
pub fn sendfile(call: Call) Error!u64 {
    const target = try open_file.get(call.int(0));
    defer target.release();
    const source = try open_file.get(call.int(1));
    defer source.release();
    var offset: ?u64 = if (call.arg(2) != 0) try offsetOf(try user.get(u64, call.arg(2))) else null;
    var page: [4096]u8 = undefined;
    var done: u64 = 0;
    while (done < @min(call.arg(3), limits.transfer_bytes_max)) {
        const wanted = @min(page.len, call.arg(3) - done);
        const got = try source.read(@intFromPtr(&page), wanted, offset);
        if (got == 0) break;
        const put = transfer(call, target, .write, @intFromPtr(&page), got, null) catch |failure| if (done > 0) 0 else return failure;
        done += put;
        if (offset) |*at| at.* += put;
        if (put < got) break;
    }
    if (offset) |at| try user.put(u64, call.arg(2), at);
    return done;
}
