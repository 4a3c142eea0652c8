//! Names: opening, status, folders and the working directory, over the image, the file system in memory, /dev and /proc.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const host_files = @import("host_files.zig");
const procfs = @import("procfs.zig");
const time = @import("time.zig");
const stats = @import("stat.zig");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const paths = posix.paths;
const open_file = posix.open;
const tmpfs = posix.tmpfs;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;
const Open = open_file.Open;
const O = std.os.linux.O;

var console: abi.Handle = .none;
var directory: paths.Buffer = undefined;
var directory_bytes: usize = 1;
var directory_lock: uk.Lock = .{};

pub fn check(result: abi.Result) Error!void {
    uk.calls.check(result) catch |failure| return posix.errno.of(failure);
}

/// Standard input, output and error on the console.
pub fn start() Error!void {
    directory[0] = '/';
    try paths.start();
    try check(uk.calls.io_open(.console, .none, "", 0, .{ .write = true }, &console));
    for (0..3) |number| {
        const status: u32 = if (number == 0) 0 else open_file.Status.write_only;
        const open = try open_file.create(.{ .console = console }, status, "/dev/console");
        _ = try open_file.install(open, @intCast(number), false);
    }
}

/// A path in both forms. About two pages: one at a time on a handler stack.
pub const Name = struct {
    raw_buffer: paths.Buffer = undefined,
    normal_buffer: paths.Buffer = undefined,
    raw: []const u8 = "",
    normal: []const u8 = "",

    /// From the workload's memory, relative to a descriptor or the working directory.
    pub fn read(name: *Name, folder: i32, address: u64) Error!void {
        var given_buffer: paths.Buffer = undefined;
        const given = try user.path(&given_buffer, address);
        if (given.len == 0) return error.ENOENT;
        try name.set(folder, given);
    }

    pub fn set(name: *Name, folder: i32, given: []const u8) Error!void {
        if (given[0] == '/' or folder == std.os.linux.AT.FDCWD) {
            directory_lock.acquire();
            defer directory_lock.release();
            return name.join(directory[0..directory_bytes], given);
        }
        const open = try open_file.get(folder);
        defer open.release();
        switch (open.object) {
            .image => |image| if (image.kind != .directory) return error.ENOTDIR,
            .memory => |node| if (!node.is_folder) return error.ENOTDIR,
            else => return error.ENOTDIR,
        }
        try name.join(open.path(), given);
    }

    fn join(name: *Name, folder: []const u8, given: []const u8) Error!void {
        name.raw = try paths.join(&name.raw_buffer, folder, given);
        name.normal = try paths.normalise(&name.normal_buffer, folder, given);
        // What /proc says of the program itself is a link into the image.
        if (procfs.linkOf(name.normal)) |target| {
            name.raw = target;
            name.normal = target;
        }
    }
};

pub fn openImage(path: []const u8, flags: abi.IoFlags) Error!abi.Handle {
    var handle: abi.Handle = .none;
    try check(uk.calls.io_open(.image, .none, path.ptr, path.len, flags, &handle));
    return handle;
}

fn openat(folder: i32, address: u64, flags: O, mode: u32) Error!u64 {
    var name: Name = .{};
    try name.read(folder, address);
    const bits: u32 = @bitCast(flags);
    const status = bits & (open_file.Status.access_mask | open_file.Status.settable);
    const open = try openName(&name, flags, status, @truncate(mode));
    return open_file.install(open, 0, flags.CLOEXEC);
}

fn openName(name: *const Name, flags: O, status: u32, mode: u16) Error!*Open {
    if (deviceOf(name.normal)) |device| return open_file.create(device, status, name.normal);
    if (paths.inMemory(name.normal)) |place| return openMemory(name, place, flags, status, mode);
    if (paths.below(name.normal, "/proc") != null or paths.below(name.normal, "/sys") != null) {
        if (try procfs.open(name.normal)) |object| return open_file.create(object, status, name.normal);
        if (!std.mem.eql(u8, name.normal, "/proc") and !std.mem.eql(u8, name.normal, "/sys")) return error.ENOENT;
    }
    const writes = status & open_file.Status.access_mask != 0 or flags.TRUNC;
    if (paths.below(name.normal, "/etc") != null) if (try host_files.instead(name.normal)) |object| return openText(name, object, status, writes);
    const handle = openImage(name.raw, .{ .no_follow = flags.NOFOLLOW, .directory = flags.DIRECTORY }) catch |failure| {
        if (failure == error.ENOENT) if (try host_files.otherwise(name.normal)) |object| return openText(name, object, status, writes);
        return if (failure == error.ENOENT and flags.CREAT) error.EROFS else failure;
    };
    var stat: abi.IoStat = .{};
    check(uk.calls.io_stat(handle, &stat)) catch |failure| {
        _ = uk.calls.io_close(handle);
        return failure;
    };
    if (stat.kind == .file and stat.bytes == 0) if (try host_files.otherwise(name.normal)) |object| {
        _ = uk.calls.io_close(handle);
        return openText(name, object, status, writes);
    };
    const refused: ?Error = if (flags.CREAT and flags.EXCL)
        error.EEXIST
    else if (stat.kind == .link and !flags.PATH)
        error.ELOOP
    else if (writes)
        if (stat.kind == .directory) error.EISDIR else error.EROFS
    else
        null;
    if (refused) |failure| {
        _ = uk.calls.io_close(handle);
        return failure;
    }
    return open_file.create(.{ .image = .{ .handle = handle, .kind = stat.kind } }, status, name.normal);
}

fn openText(name: *const Name, object: open_file.Object, status: u32, writes: bool) Error!*Open {
    const open = try open_file.create(object, status, name.normal);
    if (!writes) return open;
    open.release();
    return error.EROFS;
}

fn openMemory(name: *const Name, place: paths.InMemory, flags: O, status: u32, mode: u16) Error!*Open {
    const node = if (flags.CREAT and flags.EXCL)
        try tmpfs.make(place.root, place.path, false, mode)
    else
        try tmpfs.open(place.root, place.path, flags.CREAT, mode);
    const open = try open_file.create(.{ .memory = node }, status, name.normal);
    errdefer open.release();
    if (flags.DIRECTORY and !node.is_folder) return error.ENOTDIR;
    if (node.is_folder and (status & open_file.Status.access_mask != 0 or flags.CREAT)) return error.EISDIR;
    if (flags.TRUNC and open.canWrite()) try node.truncate(0);
    return open;
}

fn deviceOf(path: []const u8) ?open_file.Object {
    const rest = paths.below(path, "/dev") orelse return null;
    const list = std.StaticStringMap(open_file.Object).initComptime(.{
        .{ "null", .null },     .{ "zero", .zero },      .{ "full", .full },
        .{ "random", .random }, .{ "urandom", .random },
    });
    if (list.get(rest)) |object| return object;
    for ([_][]const u8{ "console", "tty", "stdin", "stdout", "stderr" }) |each| {
        if (std.mem.eql(u8, rest, each)) return .{ .console = console };
    }
    return null;
}

pub fn sys_open(call: Call) Error!u64 {
    return openat(std.os.linux.AT.FDCWD, call.arg(0), @bitCast(call.word(1)), call.word(2));
}

pub fn sys_openat(call: Call) Error!u64 {
    return openat(call.int(0), call.arg(1), @bitCast(call.word(2)), call.word(3));
}

pub fn creat(call: Call) Error!u64 {
    return openat(std.os.linux.AT.FDCWD, call.arg(0), .{ .CREAT = true, .TRUNC = true, .ACCMODE = .WRONLY }, call.word(1));
}

/// Status of what a name leads to.
pub fn statusOf(name: *const Name, follow: bool) Error!stats.Stat {
    const flags: O = .{ .NOFOLLOW = !follow, .PATH = true };
    const open = try openName(name, flags, 0, 0);
    defer open.release();
    return stats.of(open);
}

fn access(folder: i32, address: u64, mode: u32) Error!u64 {
    if (mode & ~@as(u32, 7) != 0) return error.EINVAL;
    var name: Name = .{};
    try name.read(folder, address);
    const stat = try statusOf(&name, true);
    if (mode & 2 != 0 and paths.inMemory(name.normal) == null and stat.mode & 0o170000 != 0o020000) return error.EROFS;
    if (mode & 1 != 0 and stat.mode & 0o111 == 0) return error.EACCES;
    return 0;
}

pub fn sys_access(call: Call) Error!u64 {
    return access(std.os.linux.AT.FDCWD, call.arg(0), call.word(1));
}

pub fn faccessat(call: Call) Error!u64 {
    return access(call.int(0), call.arg(1), call.word(2));
}

fn readLink(folder: i32, address: u64, buffer: u64, bytes: u64) Error!u64 {
    if (bytes == 0 or bytes > std.math.maxInt(i32)) return error.EINVAL;
    var given_buffer: paths.Buffer = undefined;
    const given = try user.path(&given_buffer, address);
    if (procfs.linkOf(given)) |target| {
        const part = target[0..@min(target.len, bytes)];
        try user.write(buffer, part);
        return part.len;
    }
    if (procfs.descriptorOf(given)) |number| {
        const open = try open_file.get(number);
        defer open.release();
        const part = open.path()[0..@min(open.path().len, bytes)];
        try user.write(buffer, part);
        return part.len;
    }
    var name: Name = .{};
    if (given.len == 0) return error.ENOENT;
    try name.set(folder, given);
    if (deviceOf(name.normal) != null or paths.inMemory(name.normal) != null) {
        _ = try statusOf(&name, false);
        return error.EINVAL;
    }
    const handle = try openImage(name.raw, .{ .no_follow = true });
    defer _ = uk.calls.io_close(handle);
    var stat: abi.IoStat = .{};
    try check(uk.calls.io_stat(handle, &stat));
    if (stat.kind != .link) return error.EINVAL;
    try user.check(buffer, bytes);
    var count: u64 = 0;
    try check(uk.calls.io_read(handle, @ptrFromInt(buffer), bytes, 0, &count));
    return count;
}

pub fn readlink(call: Call) Error!u64 {
    return readLink(std.os.linux.AT.FDCWD, call.arg(0), call.arg(1), call.arg(2));
}

pub fn readlinkat(call: Call) Error!u64 {
    return readLink(call.int(0), call.arg(1), call.arg(2), call.arg(3));
}

pub fn getcwd(call: Call) Error!u64 {
    directory_lock.acquire();
    defer directory_lock.release();
    if (call.arg(1) < directory_bytes + 1) return error.ERANGE;
    try user.write(call.arg(0), directory[0..directory_bytes]);
    try user.put(u8, call.arg(0) + directory_bytes, 0);
    return directory_bytes + 1;
}

fn enter(path: []const u8) void {
    directory_lock.acquire();
    defer directory_lock.release();
    @memcpy(directory[0..path.len], path);
    directory_bytes = path.len;
}

/// The folder to begin in, where the image has it.
pub fn beginIn(path: []const u8) void {
    var name: Name = .{};
    name.set(std.os.linux.AT.FDCWD, path) catch return;
    enterNamed(&name) catch {};
}

fn enterNamed(name: *const Name) Error!void {
    const stat = try statusOf(name, true);
    if (stat.mode & 0o170000 != 0o040000) return error.ENOTDIR;
    enter(name.normal);
}

pub fn chdir(call: Call) Error!u64 {
    var name: Name = .{};
    try name.read(std.os.linux.AT.FDCWD, call.arg(0));
    try enterNamed(&name);
    return 0;
}

pub fn fchdir(call: Call) Error!u64 {
    const open = try open_file.get(call.int(0));
    defer open.release();
    if ((try stats.of(open)).mode & 0o170000 != 0o040000) return error.ENOTDIR;
    enter(open.path());
    return 0;
}

fn memoryPlace(name: *const Name) Error!paths.InMemory {
    if (paths.inMemory(name.normal)) |place| return place;
    return error.EROFS;
}

fn makeFolder(folder: i32, address: u64, mode: u32) Error!u64 {
    var name: Name = .{};
    try name.read(folder, address);
    const place = memoryPlace(&name) catch {
        // What is there already is said before that nothing can be made there.
        _ = statusOf(&name, false) catch return error.EROFS;
        return error.EEXIST;
    };
    (try tmpfs.make(place.root, place.path, true, @truncate(mode))).close();
    return 0;
}

pub fn mkdir(call: Call) Error!u64 {
    return makeFolder(std.os.linux.AT.FDCWD, call.arg(0), call.word(1));
}

pub fn mkdirat(call: Call) Error!u64 {
    return makeFolder(call.int(0), call.arg(1), call.word(2));
}

fn remove(at: i32, address: u64, folder: bool) Error!u64 {
    var name: Name = .{};
    try name.read(at, address);
    const place = memoryPlace(&name) catch |failure| {
        _ = try statusOf(&name, false);
        return failure;
    };
    try tmpfs.remove(place.root, place.path, folder);
    return 0;
}

pub fn unlink(call: Call) Error!u64 {
    return remove(std.os.linux.AT.FDCWD, call.arg(0), false);
}

pub fn rmdir(call: Call) Error!u64 {
    return remove(std.os.linux.AT.FDCWD, call.arg(0), true);
}

pub fn unlinkat(call: Call) Error!u64 {
    return remove(call.int(0), call.arg(1), call.word(2) & 0x200 != 0);
}

fn renameFrom(from_folder: i32, from: u64, to_folder: i32, to: u64) Error!u64 {
    var old: Name = .{};
    var new: Name = .{};
    try old.read(from_folder, from);
    try new.read(to_folder, to);
    const source = try memoryPlace(&old);
    const target = try memoryPlace(&new);
    if (source.root != target.root) return error.EXDEV;
    try tmpfs.rename(source.root, source.path, target.path);
    return 0;
}

pub fn rename(call: Call) Error!u64 {
    return renameFrom(std.os.linux.AT.FDCWD, call.arg(0), std.os.linux.AT.FDCWD, call.arg(1));
}

pub fn renameat(call: Call) Error!u64 {
    return renameFrom(call.int(0), call.arg(1), call.int(2), call.arg(3));
}

pub fn renameat2(call: Call) Error!u64 {
    if (call.word(4) != 0) return error.EINVAL;
    return renameat(call);
}

/// One user and no clocks to set on files: what is there stays as it is.
pub fn keepName(call: Call) Error!u64 {
    var name: Name = .{};
    try name.read(std.os.linux.AT.FDCWD, call.arg(0));
    _ = try statusOf(&name, true);
    return if (paths.inMemory(name.normal) == null) error.EROFS else 0;
}

pub fn umask(_: Call) Error!u64 {
    return 0o022;
}
