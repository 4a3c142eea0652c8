//! The workload's address space: what is reserved, and what a touch of it gives.
//!
//! Changes are serialised by a sleeping mutex, because they wait for other CPUs; a page fault takes the kernel lock alone.
//! A change first alters the regions, which faults look at, then the tables, in pieces, flushing between.
const std = @import("std");
const limits = @import("../limits.zig");
const smp = @import("../arch/smp.zig");
const x86 = @import("../arch/x86.zig");
const frames = @import("frames.zig");
const paging = @import("paging.zig");
const layout = @import("layout.zig");
const regions = @import("regions.zig");
const Pool = @import("pool.zig").Pool;
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Mutex = @import("../object/mutex.zig").Mutex;
const File = @import("../object/file.zig").File;
const Share = @import("share.zig").Share;
const Region = regions.Region;
const Access = regions.Access;

pub const Error = error{ BadPointer, RangeInUse, OutOfAddressSpace, OutOfMemory, NotMapped };

pub var tree: regions.Tree = .{};
var pool: Pool(Region) = .{};
/// Held by whoever changes what is mapped, before the kernel lock.
pub var changes: Mutex = .{};
/// Shared memory whose last mapping went with the change in progress.
var dead: ?*Share = null;
/// What a change in progress takes apart: a fault in it by another task waits for the change.
var busy_start: u64 = 0;
var busy_end: u64 = 0;
/// New mappings go below the last one.
var hint: u64 = default_top;

const default_top: u64 = 0x7f00_0000_0000;

pub fn regionCount() u32 {
    return tree.count;
}

pub const Placement = union(enum) {
    anywhere,
    /// Near here if that is free.
    wish: u64,
    /// Exactly here; replaces what is there.
    fixed: u64,
    fixed_no_replace: u64,
};

pub const Source = struct { file: ?*File = null, share: ?*Share = null, offset: u64 };

/// Reserves `bytes`, a multiple of the page size; returns where. Takes a reference to the file or share.
pub fn map(placement: Placement, bytes: u64, access: Access, kind: regions.Kind, source: ?Source) Error!u64 {
    std.debug.assert(bytes > 0 and bytes % limits.page_bytes == 0);
    changes.acquire();
    defer changes.release();
    const start = try reserve(placement, bytes, access, kind, source);
    if (access.pinned) populate(start, start + bytes) catch |failure| {
        // A pinned region is never merged with others, so that taking it out needs nothing.
        removeRange(start, start + bytes) catch {};
        return failure;
    };
    return start;
}

fn reserve(placement: Placement, bytes: u64, access: Access, kind: regions.Kind, source: ?Source) Error!u64 {
    const start: u64 = switch (placement) {
        .fixed => |address| address,
        .fixed_no_replace => |address| address,
        .anywhere, .wish => 0,
    };
    if (start != 0 or placement == .fixed or placement == .fixed_no_replace) {
        if (start < limits.user_address_min or start > limits.user_address_end or bytes > limits.user_address_end - start) return error.BadPointer;
    }
    if (placement == .fixed) try removeRange(start, start + bytes);

    lock.acquire();
    defer lock.release();
    const where = switch (placement) {
        .fixed => start,
        .fixed_no_replace => if (isFree(start, start + bytes)) start else return error.RangeInUse,
        .wish => |address| if (fitsAt(address, bytes)) address else try gap(bytes),
        .anywhere => try gap(bytes),
    };
    if (tree.count >= limits.regions_max) return error.OutOfMemory;
    const account = scheduler.current().account;
    if (account) |payer| try payer.charge(@sizeOf(Region));
    errdefer if (account) |payer| payer.credit(@sizeOf(Region));
    const region = try pool.create();
    region.* = .{ .start = where, .end = where + bytes, .access = access, .kind = kind, .account = account };
    if (source) |from| {
        region.file = from.file;
        region.share = from.share;
        region.offset = from.offset;
        retainSource(region);
    }
    tree.insert(region);
    mergeAround(region);
    return where;
}

fn fitsAt(address: u64, bytes: u64) bool {
    return address >= limits.user_address_min and address <= limits.user_address_end and
        bytes <= limits.user_address_end - address and isFree(address, address + bytes);
}

fn isFree(start: u64, end: u64) bool {
    const region = tree.atOrAfter(start) orelse return true;
    return region.start >= end;
}

fn gap(bytes: u64) Error!u64 {
    const start = tree.findGap(bytes, limits.user_address_min, limits.user_address_end, hint) orelse return error.OutOfAddressSpace;
    hint = if (start > limits.user_address_end / 4) start else default_top;
    return start;
}

fn mergeAround(region: *Region) void {
    if (region.next) |next| if (region.continues(next)) {
        region.end = next.end;
        drop(next);
    };
    if (region.previous) |previous| if (previous.continues(region)) {
        previous.end = region.end;
        drop(region);
    };
}

fn retainSource(region: *Region) void {
    if (region.file) |file| file.retainLocked();
    if (region.share) |share| share.retain();
}

fn drop(region: *Region) void {
    tree.remove(region);
    if (region.file) |file| file.releaseLocked();
    if (region.share) |share| if (share.release()) {
        // Until every CPU has forgotten it its frames are nobody's.
        share.next_dead = dead;
        dead = share;
    };
    if (region.account) |payer| payer.credit(@sizeOf(Region));
    pool.destroy(region);
}

/// Makes `address` a boundary between regions. The lock is held.
pub fn splitAt(address: u64) Error!void {
    const region = tree.find(address) orelse return;
    if (region.start == address) return;
    if (tree.count >= limits.regions_max) return error.OutOfMemory;
    const account = scheduler.current().account;
    if (account) |payer| try payer.charge(@sizeOf(Region));
    errdefer if (account) |payer| payer.credit(@sizeOf(Region));
    const upper = try pool.create();
    upper.* = .{
        .start = address,
        .end = region.end,
        .access = region.access,
        .kind = region.kind,
        .file = region.file,
        .share = region.share,
        .offset = if (region.file != null or region.share != null) region.offset + (address - region.start) else 0,
        .account = account,
    };
    retainSource(upper);
    region.end = address;
    tree.insert(upper);
}

/// Frees what lies in [start, end). `changes` is held.
fn removeRange(start: u64, end: u64) Error!void {
    {
        lock.acquire();
        defer lock.release();
        var at = tree.atOrAfter(start);
        while (at) |region| : (at = region.next) {
            if (region.start >= end) break;
            if (region.kind == .kernel) return error.BadPointer;
        }
        try splitAt(start);
        try splitAt(end);
        at = tree.atOrAfter(start);
        while (at) |region| {
            if (region.start >= end) break;
            at = region.next;
            drop(region);
        }
        busy_start = start;
        busy_end = end;
    }
    clearTables(start, end);
    while (dead) |share| {
        dead = share.next_dead;
        share.destroy();
    }
    lock.acquire();
    busy_start = 0;
    busy_end = 0;
    lock.release();
}

/// Gives the frames of a range back, in pieces. Until a piece is flushed everywhere its frames are nobody's; borrowed ones may go with their owner.
fn clearTables(start: u64, end: u64) void {
    var at = start;
    while (at < end) {
        var pending: frames.Pending = .{};
        lock.acquire();
        at = paging.clear(at, end, &pending, limits.frames_per_lock_hold);
        lock.release();
        if (pending.count + pending.borrowed != 0) smp.flushEverywhere();
        lock.acquire();
        pending.releaseAll();
        lock.release();
        x86.interruptWindow();
        scheduler.preempt();
    }
}

fn populate(start: u64, end: u64) Error!void {
    var at = start;
    while (at < end) : (at += limits.page_bytes) {
        switch (resolve(at, .{})) {
            .ok => {},
            else => return error.OutOfMemory,
        }
    }
}

/// Gives a part of a kernel region other access, before user mode runs.
pub fn replaceKernel(start: u64, bytes: u64, access: Access) Error!void {
    lock.acquire();
    defer lock.release();
    try splitAt(start);
    try splitAt(start + bytes);
    tree.find(start).?.access = access;
}

pub fn free(start: u64, bytes: u64) Error!void {
    changes.acquire();
    defer changes.release();
    try removeRange(start, start + bytes);
}

/// Every byte of the range lies in a region that the workload may change. The lock is held.
pub fn checkReserved(start: u64, end: u64) Error!void {
    var at = start;
    while (at < end) {
        const region = tree.find(at) orelse return error.NotMapped;
        if (region.kind == .kernel) return error.BadPointer;
        at = region.end;
    }
}

/// `shared_executable`: pages of shares may become executable, which can be writable elsewhere.
pub fn protect(start: u64, bytes: u64, access: Access, shared_executable: bool) (Error || error{CapabilityDenied})!void {
    const end = start + bytes;
    changes.acquire();
    defer changes.release();
    var narrowed = false;
    {
        lock.acquire();
        defer lock.release();
        try checkReserved(start, end);
        if (access.exec and !shared_executable and holdsShared(start, end)) return error.CapabilityDenied;
        try splitAt(start);
        splitAt(end) catch |failure| {
            if (tree.find(start)) |region| mergeAround(region);
            return failure;
        };
        var at = tree.find(start);
        while (at) |region| {
            if (region.start >= end) break;
            const pinned = region.access.pinned;
            if (isNarrower(access, region.access)) narrowed = true;
            region.access = access;
            region.access.pinned = pinned;
            at = region.next;
        }
        at = tree.find(start);
        while (at) |region| {
            if (region.start > end) break;
            at = region.next;
            if (region.previous) |previous| if (previous.continues(region)) {
                previous.end = region.end;
                drop(region);
            };
        }
    }
    var touched = false;
    const Change = struct { entry_bits: paging.Entry, touched: *bool };
    const change: Change = .{ .entry_bits = entryBits(access), .touched = &touched };
    var from = start;
    while (from < end) {
        const to = @min(end, (from | (protect_chunk_bytes - 1)) + 1);
        lock.acquire();
        paging.forEachFrame(from, to, change, struct {
            fn apply(context: Change, entry: *paging.Entry) void {
                const kept = entry.* & (paging.address_mask | paging.borrowed);
                entry.* = kept | context.entry_bits;
                context.touched.* = true;
            }
        }.apply);
        lock.release();
        from = to;
        x86.interruptWindow();
        scheduler.preempt();
    }
    // Wider access needs no flush: a stale translation faults, and the fault finds nothing to do.
    // The regions tell what was narrowed, not the entries: a fault of another task may have changed those already.
    if (narrowed and touched) smp.flushEverywhere();
}

fn holdsShared(start: u64, end: u64) bool {
    var at = tree.atOrAfter(start);
    while (at) |region| : (at = region.next) {
        if (region.start >= end) return false;
        if (region.kind == .shared) return true;
    }
    return false;
}

fn isNarrower(new: Access, old: Access) bool {
    return (old.write and !new.write) or (old.exec and !new.exec) or (isAccessible(old) and !isAccessible(new));
}

fn isAccessible(access: Access) bool {
    return access.read or access.write or access.exec;
}

const protect_chunk_bytes: u64 = 1 << 30;

fn entryBits(access: Access) paging.Entry {
    if (!isAccessible(access)) return paging.retained | paging.user | paging.no_execute;
    var bits: paging.Entry = paging.present | paging.user;
    if (access.write) bits |= paging.writable;
    if (!access.exec) bits |= paging.no_execute;
    return bits;
}

/// Gives the pages of a range back and keeps the reservation.
pub fn discard(start: u64, bytes: u64) Error!void {
    const end = start + bytes;
    changes.acquire();
    defer changes.release();
    lock.acquire();
    checkReserved(start, end) catch |failure| {
        lock.release();
        return failure;
    };
    lock.release();
    clearTables(start, end);
}

pub const Description = struct { start: u64, bytes: u64, access: Access, kind: regions.Kind, offset: u64 };

/// The region that holds `address`, or the next above.
pub fn query(address: u64) ?Description {
    lock.acquire();
    defer lock.release();
    const region = tree.atOrAfter(address) orelse return null;
    return .{ .start = region.start, .bytes = region.bytes(), .access = region.access, .kind = region.kind, .offset = region.offset };
}

/// Maps a page of the kernel's for the workload to read, and perhaps execute.
pub fn mapKernelPage(address: u64, phys: u64, exec: bool) Error!void {
    lock.acquire();
    defer lock.release();
    const entry = paging.findOrMake(address, true) catch return error.OutOfMemory;
    entry.* = (phys & paging.address_mask) | paging.borrowed | entryBits(.{ .read = true, .exec = exec });
}

pub const Touch = packed struct { write: bool = false, exec: bool = false };

pub const Resolution = enum { ok, not_mapped, denied, out_of_memory, device_error, corrupt_image };

/// Makes the page at `address` present if a region allows the access. May sleep; the lock is not held.
pub fn resolve(address: u64, touch: Touch) Resolution {
    const page = address & ~(limits.page_bytes - 1);
    var attempts: u32 = 0;
    while (true) : (attempts += 1) {
        lock.acquire();
        const region = tree.find(page) orelse {
            const busy = page >= busy_start and page < busy_end and changes.owner != scheduler.current();
            lock.release();
            if (!busy) return .not_mapped;
            // The change that took the region away may put another there.
            changes.acquire();
            changes.release();
            continue;
        };
        if (!allows(region.access, touch)) {
            lock.release();
            return .denied;
        }
        if (region.file) |file| if (!isPresent(page)) {
            const outcome = readPage(region, file, page);
            if (outcome) |resolution| return resolution;
            continue;
        };
        const outcome = fill(region, page);
        lock.release();
        return outcome;
    }
}

/// A page of the workload's memory, made present, as the kernel reaches it. Before user mode runs; the lock is not held.
pub noinline fn obtain(address: u64, touch: Touch) error{ NotMapped, BadPointer, OutOfMemory, DeviceError, CorruptImage }!*align(4096) [4096]u8 {
    switch (resolve(address, touch)) {
        .ok => return layout.page(paging.frameOf(paging.find(address).?.*)),
        .not_mapped => return error.NotMapped,
        .denied => return error.BadPointer,
        .out_of_memory => return error.OutOfMemory,
        .device_error => return error.DeviceError,
        .corrupt_image => return error.CorruptImage,
    }
}

fn allows(access: Access, touch: Touch) bool {
    if (touch.write and !access.write) return false;
    if (touch.exec and !access.exec) return false;
    return access.read or access.write or access.exec or access.pinned;
}

fn isPresent(page: u64) bool {
    const entry = paging.find(page) orelse return false;
    return paging.holdsFrame(entry.*);
}

fn fill(region: *const Region, page: u64) Resolution {
    const entry = paging.findOrMake(page, true) catch return .out_of_memory;
    if (paging.holdsFrame(entry.*)) {
        // Another CPU was quicker, or this one's translation is stale.
        const wanted = (entry.* & (paging.address_mask | paging.borrowed)) | entryBits(region.access);
        if (entry.* & ~accessed_bits != wanted) entry.* = wanted;
        x86.invlpg(page);
        return .ok;
    }
    if (region.share) |share| {
        const frame = share.obtain((region.offset + (page - region.start)) / limits.page_bytes) orelse return .out_of_memory;
        entry.* = @as(u64, frame) << 12 | paging.borrowed | entryBits(region.access);
        return .ok;
    }
    const frame = frames.allocateUser() orelse return .out_of_memory;
    frames.zero(frame);
    entry.* = @as(u64, frame) << 12 | entryBits(region.access);
    paging.user_frames += 1;
    return .ok;
}

/// Set by the processor.
const accessed_bits: paging.Entry = 1 << 5 | 1 << 6;

/// Reads a page of a file without the lock and maps it if the region still is what it was. Enters with the lock held and leaves without.
/// Null: look again.
fn readPage(region: *const Region, file: *File, page: u64) ?Resolution {
    const offset = region.offset + (page - region.start);
    const program = !region.access.write;
    const frame = (if (program) frames.allocateProgram() else frames.allocateUser()) orelse {
        lock.release();
        return .out_of_memory;
    };
    file.retainLocked();
    lock.release();
    const content = layout.page(frame);
    const outcome = file.readPage(offset, content);
    lock.acquire();
    defer lock.release();
    defer file.releaseLocked();
    const filled = outcome catch |failure| {
        frames.release(frame);
        return switch (failure) {
            error.CorruptImage => .corrupt_image,
            error.DeviceError => .device_error,
            error.OutOfMemory => .out_of_memory,
            error.BehindEnd => .not_mapped,
        };
    };
    @memset(content[filled..], 0);
    const now = tree.find(page);
    const same = if (now) |found| found.file == file and found.offset + (page - found.start) == offset else false;
    if (!same or isPresent(page)) {
        frames.release(frame);
        return if (same) .ok else null;
    }
    const entry = paging.findOrMake(page, !program) catch {
        frames.release(frame);
        return .out_of_memory;
    };
    entry.* = @as(u64, frame) << 12 | entryBits(now.?.access);
    paging.user_frames += 1;
    return .ok;
}

/// The kernel's address of a user word that is present and readable, or null. The lock is held and the address good only as long.
pub fn peek(address: u64) ?*u32 {
    std.debug.assert(lock.isHeld() and address % 4 == 0);
    const entry = paging.find(address) orelse return null;
    if (entry.* & paging.present == 0) return null;
    return @ptrFromInt(layout.direct((entry.* & paging.address_mask) + (address & (limits.page_bytes - 1))));
}
