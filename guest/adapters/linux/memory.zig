//! mmap and its kin on mem_*.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;
const linux = std.os.linux;

const page_mask: u64 = abi.page_bytes - 1;

fn roundUp(bytes: u64) Error!u64 {
    if (bytes == 0) return error.EINVAL;
    if (bytes > user.end) return error.ENOMEM;
    return (bytes + page_mask) & ~page_mask;
}

fn check(result: abi.Result) Error!void {
    uk.calls.check(result) catch |failure| return posix.errno.of(failure);
}

fn accessOf(protection: u32) Error!abi.MemFlags {
    const prot: linux.PROT = @bitCast(protection);
    // Whatever can be run can be read on this processor, as programs expect.
    return .{ .read = prot.READ or prot.EXEC, .write = prot.WRITE, .exec = prot.EXEC };
}

pub fn mmap(call: Call) Error!u64 {
    const flags: linux.MAP = @bitCast(call.word(3));
    const bytes = try roundUp(call.arg(1));
    var access = try accessOf(call.word(2));
    if (call.arg(5) & page_mask != 0) return error.EINVAL;
    const exact = flags.FIXED or flags.FIXED_NOREPLACE;
    if (exact and call.arg(0) & page_mask != 0) return error.EINVAL;
    switch (flags.TYPE) {
        .PRIVATE, .SHARED, .SHARED_VALIDATE => {},
        else => return error.EINVAL,
    }
    access.fixed_no_replace = flags.FIXED_NOREPLACE;
    access.fixed = flags.FIXED and !flags.FIXED_NOREPLACE;
    if (flags.ANONYMOUS) return map(call.arg(0), bytes, access, .none, 0);
    return mapFile(call, bytes, access, flags.TYPE != .PRIVATE);
}

pub fn map(address: u64, bytes: u64, access: abi.MemFlags, file: abi.Handle, offset: u64) Error!u64 {
    var mapped: u64 = 0;
    try check(uk.calls.mem_map(address & ~page_mask, bytes, access, file, offset, &mapped));
    return mapped;
}

fn mapFile(call: Call, bytes: u64, access: abi.MemFlags, shared: bool) Error!u64 {
    const open = try posix.open.get(call.int(4));
    defer open.release();
    switch (open.object) {
        .image => |image| {
            // The image never changes, so a shared mapping that is only read is a private one.
            if (shared and access.write) return error.EACCES;
            return map(call.arg(0), bytes, access, image.handle, call.arg(5));
        },
        .zero => return map(call.arg(0), bytes, access, .none, 0),
        .memory => |node| {
            // Pages of the file system in memory have one place only.
            if (shared and access.write) return error.ENODEV;
            return mapCopy(call, node, bytes, access);
        },
        else => return error.ENODEV,
    }
}

/// A private mapping of a file in memory is a copy of what it holds now.
fn mapCopy(call: Call, node: *posix.tmpfs.Node, bytes: u64, access: abi.MemFlags) Error!u64 {
    var writable = access;
    writable.read = true;
    writable.write = true;
    writable.exec = false;
    const address = try map(call.arg(0), bytes, writable, .none, 0);
    errdefer _ = uk.calls.mem_free(address, bytes);
    _ = try node.readTo(address, bytes, call.arg(5));
    const wanted: abi.MemFlags = .{ .read = access.read, .write = access.write, .exec = access.exec };
    try check(uk.calls.mem_protect(address, bytes, wanted));
    return address;
}

pub fn munmap(call: Call) Error!u64 {
    if (call.arg(0) & page_mask != 0) return error.EINVAL;
    check(uk.calls.mem_free(call.arg(0), try roundUp(call.arg(1)))) catch |failure| return if (failure == error.EFAULT) error.EINVAL else failure;
    return 0;
}

pub fn mprotect(call: Call) Error!u64 {
    if (call.arg(0) & page_mask != 0) return error.EINVAL;
    if (call.arg(1) == 0) return 0;
    check(uk.calls.mem_protect(call.arg(0), try roundUp(call.arg(1)), try accessOf(call.word(2)))) catch |failure|
        return if (failure == error.EFAULT) error.ENOMEM else failure;
    return 0;
}

pub fn madvise(call: Call) Error!u64 {
    if (call.arg(0) & page_mask != 0) return error.EINVAL;
    if (call.arg(1) == 0) return 0;
    const bytes = try roundUp(call.arg(1));
    switch (call.word(2)) {
        // DONTNEED, FREE, DONTNEED_LOCKED: gone at once, which FREE allows.
        4, 8, 24 => try check(uk.calls.mem_discard(call.arg(0), bytes)),
        // NORMAL to WILLNEED, and hints about forks, merging, huge pages, dumps, cold pages and collapsing.
        0...3, 10...19, 20, 21, 25 => {},
        22, 23 => return populate(call.arg(0), bytes, call.word(2) == 23),
        else => return error.EINVAL,
    }
    return 0;
}

/// Touches each page.
fn populate(address: u64, bytes: u64, write: bool) Error!u64 {
    var at = address;
    while (at < address + bytes) : (at += abi.page_bytes) {
        if (write) {
            const old = try user.get(u32, at);
            _ = try user.swap(at, old, old);
        } else _ = try user.get(u8, at);
    }
    return 0;
}

fn regionAt(address: u64) ?abi.MemRegion {
    var region: abi.MemRegion = .{};
    if (uk.calls.mem_query(address, &region) != .ok) return null;
    return region;
}

/// All of the range is one mapping of anonymous memory or of a file.
fn regionOf(address: u64, bytes: u64) Error!abi.MemRegion {
    const region = regionAt(address) orelse return error.EFAULT;
    if (region.address > address or region.address + region.bytes < address + bytes) return error.EFAULT;
    return region;
}

const remap_may_move = 1;
const remap_fixed = 2;

pub fn mremap(call: Call) Error!u64 {
    const address = call.arg(0);
    const flags = call.arg(3);
    if (address & page_mask != 0 or flags & ~@as(u64, 3) != 0 or flags == remap_fixed) return error.EINVAL;
    const old_bytes = try roundUp(call.arg(1));
    const new_bytes = try roundUp(call.arg(2));
    const region = try regionOf(address, old_bytes);
    if (flags & remap_fixed == 0) {
        if (new_bytes <= old_bytes) {
            if (new_bytes < old_bytes) try check(uk.calls.mem_free(address + new_bytes, old_bytes - new_bytes));
            return address;
        }
        // A file's pages behind the mapping are not known here.
        if (region.kind == 0) {
            var behind: abi.MemFlags = .{ .read = region.flags.read, .write = region.flags.write, .exec = region.flags.exec };
            behind.fixed_no_replace = true;
            if (map(address + old_bytes, new_bytes - old_bytes, behind, .none, 0)) |_| return address else |_| {}
        }
        if (flags & remap_may_move == 0) return error.ENOMEM;
    }
    if (region.kind != 0) return error.EINVAL;
    return move(address, old_bytes, new_bytes, region.flags, if (flags & remap_fixed != 0) call.arg(4) else null);
}

/// Copies page by page what has been touched; a page that reads as zero stays untouched.
fn move(address: u64, old_bytes: u64, new_bytes: u64, access: abi.MemFlags, target: ?u64) Error!u64 {
    if (target) |place| {
        if (place & page_mask != 0 or (place < address + old_bytes and address < place +| new_bytes)) return error.EINVAL;
    }
    var writable: abi.MemFlags = .{ .read = true, .write = true, .fixed = target != null };
    const new = try map(target orelse 0, new_bytes, writable, .none, 0);
    writable.fixed = false;
    errdefer _ = uk.calls.mem_free(new, new_bytes);
    if (access.read or access.write) {
        var page: [abi.page_bytes]u8 = undefined;
        var done: u64 = 0;
        while (done < @min(old_bytes, new_bytes)) : (done += abi.page_bytes) {
            try user.read(&page, address + done);
            if (!std.mem.allEqual(u8, &page, 0)) try user.write(new + done, &page);
        }
    }
    try check(uk.calls.mem_protect(new, new_bytes, .{ .read = access.read, .write = access.write, .exec = access.exec }));
    try check(uk.calls.mem_free(address, old_bytes));
    return new;
}

var break_start: u64 = 0;
var break_now: u64 = 0;
var break_end: u64 = 0;
var break_lock: uk.Lock = .{};

/// Reserves what brk may give, behind the program.
pub fn startBreak(behind: u64) void {
    var bytes = limits.break_bytes_max;
    const wanted = (behind + page_mask) & ~page_mask;
    while (bytes >= 1 << 20) : (bytes /= 2) {
        break_start = map(wanted, bytes, .{ .read = true, .write = true, .fixed_no_replace = true }, .none, 0) catch continue;
        break;
    } else return;
    break_now = break_start;
    break_end = break_start + bytes;
}

pub fn brk(call: Call) Error!u64 {
    break_lock.acquire();
    defer break_lock.release();
    const wanted = call.arg(0);
    if (wanted < break_start or wanted > break_end) return break_now;
    const keep = (wanted + page_mask) & ~page_mask;
    const had = (break_now + page_mask) & ~page_mask;
    // What is given back reads as zero when it is taken again.
    if (keep < had and uk.calls.mem_discard(keep, had - keep) != .ok) return break_now;
    break_now = wanted;
    return wanted;
}

/// Nothing is ever written back or swapped out.
pub fn nothing(_: Call) Error!u64 {
    return 0;
}

pub fn mincore(call: Call) Error!u64 {
    if (call.arg(0) & page_mask != 0) return error.EINVAL;
    const bytes = try roundUp(call.arg(1));
    var at = call.arg(0);
    while (at < call.arg(0) + bytes) {
        const region = regionAt(at) orelse return error.ENOMEM;
        if (region.address > at) return error.ENOMEM;
        at = region.address + region.bytes;
    }
    try user.fill(call.arg(2), 1, bytes / abi.page_bytes);
    return 0;
}
