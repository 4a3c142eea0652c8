//! struct stat and struct statx of what is open, and the calls that give them.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const files = @import("files.zig");
const time = @import("time.zig");
const abi = uk.abi;
const user = posix.user;
const open_file = posix.open;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const Mode = struct {
    const fifo = 0o010000;
    const character = 0o020000;
    const folder = 0o040000;
    const file = 0o100000;
};

pub const Stat = extern struct {
    device: u64,
    inode: u64,
    links: u64 = 1,
    mode: u32,
    uid: u32 = 0,
    gid: u32 = 0,
    pad: u32 = 0,
    node_device: u64 = 0,
    bytes: i64 = 0,
    block_bytes: i64 = abi.page_bytes,
    blocks: i64 = 0,
    accessed: time.Timespec = .{ .seconds = 0, .nanoseconds = 0 },
    modified: time.Timespec = .{ .seconds = 0, .nanoseconds = 0 },
    changed: time.Timespec = .{ .seconds = 0, .nanoseconds = 0 },
    unused: [3]i64 = @splat(0),
};

comptime {
    std.debug.assert(@sizeOf(Stat) == 144);
}

const device_image = 1;
const device_memory = 2;
const device_nodes = 3;
const device_others = 4;

pub fn of(open: *open_file.Open) Error!Stat {
    return switch (open.object) {
        .image => |image| ofImage(image.handle),
        .memory => |node| ofMemory(node),
        .console => character(0x501, 1),
        .null => character(0x103, 2),
        .zero => character(0x105, 3),
        .full => character(0x107, 4),
        .random => character(0x109, 5),
        .text => .{ .device = device_others, .inode = 6, .mode = Mode.file | 0o444 },
        .pipe_read, .pipe_write => |pipe| .{ .device = device_others, .inode = @intFromPtr(pipe), .mode = Mode.fifo | 0o600 },
        .pair => |pair| .{ .device = device_others, .inode = @intFromPtr(pair.in), .mode = 0o140000 | 0o600 },
        .inet => |inet| .{ .device = device_others, .inode = @intFromPtr(inet), .mode = 0o140000 | 0o600 },
        .event, .timer, .epoll => .{ .device = device_others, .inode = 7, .mode = 0o600 },
    };
}

fn character(number: u64, inode: u64) Stat {
    return .{ .device = device_nodes, .inode = inode, .mode = Mode.character | 0o666, .node_device = number };
}

fn ofMemory(node: *posix.tmpfs.Node) Stat {
    const modified = time.toTimespec(time.wallAt(node.modified_ns));
    return .{
        .device = device_memory,
        .inode = node.number,
        .links = if (node.is_folder) 2 else 1,
        .mode = @as(u32, if (node.is_folder) Mode.folder else Mode.file) | node.mode,
        .bytes = @intCast(node.bytes),
        .blocks = @intCast((node.bytes + 511) / 512),
        .accessed = modified,
        .modified = modified,
        .changed = modified,
    };
}

fn ofImage(handle: abi.Handle) Error!Stat {
    var found: abi.IoStat = .{};
    try files.check(uk.calls.io_stat(handle, &found));
    const kind: u32 = switch (found.kind) {
        .directory => Mode.folder,
        .char_device => Mode.character,
        .block_device => 0o060000,
        .fifo => Mode.fifo,
        .socket => 0o140000,
        .link => 0o120000,
        else => Mode.file,
    };
    const modified: time.Timespec = .{ .seconds = found.modified_s, .nanoseconds = @intCast(found.modified_ns) };
    return .{
        .device = device_image,
        .inode = found.inode,
        .links = found.links,
        .mode = kind | found.mode,
        .uid = found.uid,
        .gid = found.gid,
        .node_device = found.device,
        .bytes = @intCast(found.bytes),
        .block_bytes = found.block_bytes,
        .blocks = @intCast((found.bytes + 511) / 512),
        .accessed = modified,
        .modified = modified,
        .changed = modified,
    };
}

fn byName(folder: i32, address: u64, follow: bool) Error!Stat {
    var name: files.Name = .{};
    try name.read(folder, address);
    return files.statusOf(&name, follow);
}

fn byNumber(number: i32) Error!Stat {
    const open = try open_file.get(number);
    defer open.release();
    return of(open);
}

pub fn stat(call: Call) Error!u64 {
    try user.put(Stat, call.arg(1), try byName(std.os.linux.AT.FDCWD, call.arg(0), true));
    return 0;
}

pub fn lstat(call: Call) Error!u64 {
    try user.put(Stat, call.arg(1), try byName(std.os.linux.AT.FDCWD, call.arg(0), false));
    return 0;
}

pub fn fstat(call: Call) Error!u64 {
    try user.put(Stat, call.arg(1), try byNumber(call.int(0)));
    return 0;
}

const flag_no_follow = 0x100;
const flag_empty_path = 0x1000;

fn at(folder: i32, address: u64, flags: u32) Error!Stat {
    if (flags & flag_empty_path != 0 and (address == 0 or try user.get(u8, address) == 0)) {
        if (folder != std.os.linux.AT.FDCWD) return byNumber(folder);
        var name: files.Name = .{};
        try name.set(folder, ".");
        return files.statusOf(&name, true);
    }
    return byName(folder, address, flags & flag_no_follow == 0);
}

pub fn newfstatat(call: Call) Error!u64 {
    try user.put(Stat, call.arg(2), try at(call.int(0), call.arg(1), call.word(3)));
    return 0;
}

const Stamp = extern struct {
    seconds: i64,
    nanoseconds: u32,
    pad: u32 = 0,

    fn from(value: time.Timespec) Stamp {
        return .{ .seconds = value.seconds, .nanoseconds = @intCast(value.nanoseconds) };
    }
};

const Statx = extern struct {
    mask: u32 = 0x7ff,
    block_bytes: u32,
    attributes: u64 = 0,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    pad: u16 = 0,
    inode: u64,
    bytes: u64,
    blocks: u64,
    attributes_mask: u64 = 0,
    accessed: Stamp,
    born: Stamp = .{ .seconds = 0, .nanoseconds = 0 },
    changed: Stamp,
    modified: Stamp,
    node_major: u32,
    node_minor: u32,
    major: u32 = 0,
    minor: u32,
    spare: [14]u64 = @splat(0),
};

comptime {
    std.debug.assert(@sizeOf(Statx) == 256);
}

pub fn statx(call: Call) Error!u64 {
    const value = try at(call.int(0), call.arg(1), call.word(2));
    try user.put(Statx, call.arg(4), .{
        .block_bytes = @intCast(value.block_bytes),
        .links = @intCast(@min(value.links, std.math.maxInt(u32))),
        .uid = value.uid,
        .gid = value.gid,
        .mode = @intCast(value.mode),
        .inode = value.inode,
        .bytes = @intCast(value.bytes),
        .blocks = @intCast(value.blocks),
        .accessed = .from(value.accessed),
        .changed = .from(value.changed),
        .modified = .from(value.modified),
        .node_major = @intCast(value.node_device >> 8 & 0xfff),
        .node_minor = @intCast(value.node_device & 0xff),
        .minor = @intCast(value.device),
    });
    return 0;
}

/// As struct statfs: the image and the file system in memory are told apart by their magic numbers.
fn fileSystem(buffer: u64, in_memory: bool) Error!u64 {
    var result: [15]u64 = @splat(0);
    result[0] = if (in_memory) 0x01021994 else 0xe0f5e1e2;
    result[1] = abi.page_bytes;
    if (in_memory) {
        const memory = @import("proc.zig").memory();
        result[2] = memory.pages_total;
        result[3] = memory.pages_free;
        result[4] = memory.pages_free;
    }
    result[8] = posix.limits.name_bytes_max;
    result[9] = abi.page_bytes;
    try user.put([15]u64, buffer, result);
    return 0;
}

pub fn statfs(call: Call) Error!u64 {
    var name: files.Name = .{};
    try name.read(std.os.linux.AT.FDCWD, call.arg(0));
    const value = try files.statusOf(&name, true);
    return fileSystem(call.arg(1), value.device == device_memory);
}

pub fn fstatfs(call: Call) Error!u64 {
    return fileSystem(call.arg(1), (try byNumber(call.int(0))).device == device_memory);
}
