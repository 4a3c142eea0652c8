//! The one set of page tables: the kernel's half, fixed after start-up but for its stacks, and the workload's half.
//! Tables are changed under the kernel lock.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const frames = @import("frames.zig");
const layout = @import("layout.zig");
const limits = @import("../limits.zig");
const Ranges = @import("../boot/memory_map.zig").Ranges;

pub const Entry = u64;
pub const present: Entry = 1 << 0;
pub const writable: Entry = 1 << 1;
pub const user: Entry = 1 << 2;
pub const cache_disable: Entry = 1 << 4;
pub const large: Entry = 1 << 7;
pub const global: Entry = 1 << 8;
/// Software: the frame belongs to the kernel or to a file and is not freed with the mapping.
pub const borrowed: Entry = 1 << 9;
/// Software: not present, but the frame with its content belongs here (memory without access).
pub const retained: Entry = 1 << 10;
pub const no_execute: Entry = 1 << 63;
pub const address_mask: Entry = 0x000f_ffff_ffff_f000;

pub const Table = [512]Entry;

var root_phys: u64 = 0;
/// The final tables are in use.
var switched = false;

extern const __text_start: u8;
extern const __text_end: u8;
extern const __rodata_end: u8;
extern const __kernel_end: u8;
extern const __kernel_start_phys: u8;

pub fn kernelImage() struct { start: u64, end: u64 } {
    return .{ .start = @intFromPtr(&__kernel_start_phys), .end = @intFromPtr(&__kernel_end) - layout.kernel_base };
}

/// While the boot tables stand, memory is reached where they map it.
const Bump = struct {
    next: u64,
    end: u64,
    base: u64,

    noinline fn table(bump: *Bump) u64 {
        @setRuntimeSafety(limits.start_checks);
        if (bump.next >= bump.end) @panic("no memory for the kernel's page tables");
        const phys = bump.next;
        bump.next += limits.page_bytes;
        const entries: *Table = @ptrFromInt(bump.base + phys);
        @memset(entries, 0);
        return phys;
    }

    noinline fn leaf(bump: *Bump, address: u64, level_large: bool) *Entry {
        @setRuntimeSafety(limits.start_checks);
        var entries: *Table = @ptrFromInt(bump.base + root_phys);
        var shift: u6 = 39;
        const last: u6 = if (level_large) 21 else 12;
        while (shift > last) : (shift -= 9) {
            const entry = &entries[address >> shift & 511];
            if (entry.* & present == 0) entry.* = bump.table() | present | writable;
            entries = @ptrFromInt(bump.base + (entry.* & address_mask));
        }
        return &entries[address >> last & 511];
    }
};

const large_bytes: u64 = 1 << 21;

/// Builds the final tables in the memory from `from` to `to` and switches to them; returns the first byte left over.
pub fn build(usable: *const Ranges, from: u64, to: u64, mmio: []const u64) u64 {
    @setRuntimeSafety(limits.start_checks);
    var bump: Bump = .{ .next = from, .end = to, .base = layout.kernel_base };
    root_phys = bump.table();
    mapKernelImage(&bump);
    const image = kernelImage();
    for (usable.slice()) |range| mapDirect(&bump, range.start, range.end, image.start, image.end);
    mapDirect(&bump, image.start, image.end, image.start, image.end);
    for (mmio) |address| {
        bump.leaf(layout.mmio_base + address, false).* =
            (address & address_mask) | present | writable | global | no_execute | cache_disable;
    }
    x86.writeCr3(root_phys);
    switched = true;
    return bump.next;
}

fn mapKernelImage(bump: *Bump) void {
    @setRuntimeSafety(limits.start_checks);
    const image = kernelImage();
    var phys = image.start + limits.page_bytes;
    while (phys < image.end) : (phys += limits.page_bytes) {
        const address = layout.kernel_base + phys;
        bump.leaf(address, false).* = phys | present | global | kernelProtection(address);
    }
}

fn kernelProtection(address: u64) Entry {
    @setRuntimeSafety(limits.start_checks);
    if (address < @intFromPtr(&__text_end)) return 0;
    if (address < @intFromPtr(&__rodata_end)) return no_execute;
    return writable | no_execute;
}

fn mapDirect(bump: *Bump, start: u64, end: u64, image_start: u64, image_end: u64) void {
    @setRuntimeSafety(limits.start_checks);
    var phys = start;
    while (phys < end) {
        const block = phys & ~(large_bytes - 1);
        const in_image = block < image_end and block + large_bytes > image_start;
        if (!in_image) {
            bump.leaf(layout.direct(block), true).* = block | present | writable | global | no_execute | large;
            phys = block + large_bytes;
            continue;
        }
        var protection: Entry = writable | no_execute;
        if (phys >= image_start and phys < image_end) protection = kernelProtection(layout.kernel_base + phys) | no_execute;
        bump.leaf(layout.direct(phys), false).* = phys | present | global | protection;
        phys += limits.page_bytes;
    }
}

pub fn root() *Table {
    return layout.pointer(Table, root_phys);
}
/// 0 while the boot tables are still in use.
pub fn rootPhys() u64 {
    return if (switched) root_phys else 0;
}

inline fn next(entry: Entry) *Table {
    return layout.pointer(Table, entry & address_mask);
}

/// The entry that maps `address`, or null when a table on the way is missing. Never meets a large page in the
/// workload's half.
pub noinline fn find(address: u64) ?*Entry {
    var table = root();
    var shift: u6 = 39;
    while (shift > 12) : (shift -= 9) {
        const entry = table[address >> shift & 511];
        if (entry & present == 0) return null;
        table = next(entry);
    }
    return &table[address >> 12 & 511];
}

/// As `find`, making the tables that are missing. They come out of the kernel's memory, with the reserve kept when
/// `keep_reserve`.
pub fn findOrMake(address: u64, keep_reserve: bool) error{NoMemory}!*Entry {
    const half = if (address < limits.user_address_end) user else 0;
    var table = root();
    var shift: u6 = 39;
    while (shift > 12) : (shift -= 9) {
        const entry = &table[address >> shift & 511];
        if (entry.* & present == 0) {
            const frame = (if (keep_reserve) frames.allocateUser() else frames.allocate()) orelse return error.NoMemory;
            frames.zero(frame);
            entry.* = @as(u64, frame) << 12 | present | writable | half;
        }
        table = next(entry.*);
    }
    return &table[address >> 12 & 511];
}

pub inline fn holdsFrame(entry: Entry) bool {
    return entry & (present | retained) != 0;
}

/// Frames that hold the workload's memory, borrowed ones left out.
pub var user_frames: u64 = 0;

pub inline fn frameOf(entry: Entry) frames.Frame {
    return @intCast((entry & address_mask) >> 12);
}

/// Takes every page of [start, end) out of the workload's half, at most `budget` frames and tables at a time, and puts frames and emptied tables
/// into `pending`. Returns where to go on; `end` when done.
pub fn clear(start: u64, end: u64, pending: *frames.Pending, budget: u32) u64 {
    std.debug.assert(end <= limits.user_address_end);
    var address = start;
    while (address < end) {
        if (pending.count + pending.borrowed >= budget) return address;
        address = clearStep(address, end, pending);
    }
    return end;
}

fn clearStep(address: u64, end: u64, pending: *frames.Pending) u64 {
    const level4 = &root()[address >> 39 & 511];
    if (level4.* & present == 0) return nextBoundary(address, 39);
    const level3 = &next(level4.*)[address >> 30 & 511];
    if (level3.* & present == 0) return nextBoundary(address, 30);
    const level2 = &next(level3.*)[address >> 21 & 511];
    if (level2.* & present == 0) return nextBoundary(address, 21);
    const table = next(level2.*);
    const stop = @min(nextBoundary(address, 21), end);
    var at = address;
    while (at < stop) : (at += limits.page_bytes) {
        const entry = &table[at >> 12 & 511];
        if (!holdsFrame(entry.*)) continue;
        if (entry.* & borrowed == 0) {
            pending.add(frameOf(entry.*));
            user_frames -= 1;
        } else {
            pending.borrowed += 1;
        }
        entry.* = 0;
    }
    prune(level4, level3, level2, pending);
    return stop;
}

/// Gives back tables that hold nothing any more.
fn prune(level4: *Entry, level3: *Entry, level2: *Entry, pending: *frames.Pending) void {
    for ([_]*Entry{ level2, level3, level4 }) |entry| {
        for (next(entry.*)) |inner| if (inner != 0) return;
        pending.add(frameOf(entry.*));
        entry.* = 0;
    }
}

inline fn nextBoundary(address: u64, comptime shift: u6) u64 {
    return ((address >> shift) + 1) << shift;
}

/// Calls `change` for each entry that holds a frame of [start, end).
pub fn forEachFrame(start: u64, end: u64, context: anytype, comptime change: fn (@TypeOf(context), *Entry) void) void {
    var address = start;
    while (address < end) {
        const level4 = root()[address >> 39 & 511];
        if (level4 & present == 0) {
            address = nextBoundary(address, 39);
            continue;
        }
        const level3 = next(level4)[address >> 30 & 511];
        if (level3 & present == 0) {
            address = nextBoundary(address, 30);
            continue;
        }
        const level2 = next(level3)[address >> 21 & 511];
        if (level2 & present == 0) {
            address = nextBoundary(address, 21);
            continue;
        }
        const table = next(level2);
        const stop = @min(nextBoundary(address, 21), end);
        while (address < stop) : (address += limits.page_bytes) {
            const entry = &table[address >> 12 & 511];
            if (holdsFrame(entry.*)) change(context, entry);
        }
    }
}
