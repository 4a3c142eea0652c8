//! Physical memory in frames of 4 KiB. The kernel lock protects everything here.
//!
//! Free frames hang on a list whose links stand beside the frames, never in them: what a workload may still write to
//! through a stale translation can not lead the kernel astray. Memory that was never used is not on the list but
//! behind each range's mark, so that start-up costs nothing for each frame.
const std = @import("std");
const limits = @import("../limits.zig");
const layout = @import("layout.zig");
const Ranges = @import("../boot/memory_map.zig").Ranges;

pub const Frame = u32;
const none: u32 = 0;

const Range = struct {
    first: u32,
    end: u32,
    /// The next frame that was never handed out.
    untouched: u32,
    links: [*]u32,
};

var ranges: [limits.memory_ranges_max]Range = undefined;
var range_count: usize = 0;
var free_head: u32 = none;

pub var total: u32 = 0;
pub var free: u32 = 0;
/// The fewest there were since the first was handed out.
pub var free_min: u32 = std.math.maxInt(u32);
/// User memory stops here; the rest is the kernel's own.
pub var reserve: u32 = 0;

pub fn init(usable: *const Ranges) void {
    for (usable.slice()) |range| addRange(@intCast(range.start >> 12), @intCast(range.end >> 12));
    reserve = @max(limits.frames_reserved_min, total / limits.frames_reserved_divisor);
}

fn addRange(first: u32, end: u32) void {
    const start = @max(first, 1);
    if (start >= end) return;
    const count = end - start;
    const link_frames: u32 = @intCast((@as(u64, count) * @sizeOf(u32) + limits.page_bytes - 1) / limits.page_bytes);
    if (link_frames >= count) return;
    ranges[range_count] = .{
        .first = start,
        .end = end,
        .untouched = start + link_frames,
        .links = @ptrFromInt(layout.direct(@as(u64, start) << 12)),
    };
    range_count += 1;
    total += count;
    free += count - link_frames;
}

/// Gives the kernel memory that a boot structure no longer needs, as a range of its own.
pub fn donate(start_phys: u64, end_phys: u64) void {
    if (range_count == ranges.len) return;
    addRange(@intCast(std.mem.alignForward(u64, start_phys, limits.page_bytes) >> 12), @intCast(end_phys >> 12));
}

fn link(frame: Frame) *u32 {
    for (ranges[0..range_count]) |*range| {
        if (frame >= range.first and frame < range.end) return &range.links[frame - range.first];
    }
    @panic("frame number outside of memory");
}

/// A frame with undefined content, also from the reserve.
pub noinline fn allocate() ?Frame {
    if (free_head != none) {
        const frame = free_head;
        free_head = link(frame).*;
        takeOne();
        return frame;
    }
    var index = range_count;
    while (index > 0) {
        index -= 1;
        const range = &ranges[index];
        if (range.untouched == range.end) continue;
        const frame = range.untouched;
        range.untouched += 1;
        takeOne();
        return frame;
    }
    return null;
}

fn takeOne() void {
    free -= 1;
    free_min = @min(free_min, free);
}

/// As `allocate`, filled with zeros.
pub fn allocateZeroed() ?Frame {
    const frame = allocate() orelse return null;
    zero(frame);
    return frame;
}

/// For what a workload asks for: leaves the reserve alone.
pub noinline fn allocateUser() ?Frame {
    if (free <= reserve) return null;
    return allocate();
}

/// For the program's own code and constants, which have to be paged in when everything else is out of memory: takes half
/// of the reserve.
pub fn allocateProgram() ?Frame {
    if (free <= reserve / 2) return null;
    return allocate();
}

pub fn zero(frame: Frame) void {
    const words: *[512]u64 = @ptrCast(layout.page(frame));
    asm volatile ("rep stosq"
        :
        : [destination] "{rdi}" (words),
          [count] "{rcx}" (@as(u64, 512)),
          [value] "{rax}" (@as(u64, 0)),
        : .{ .rdi = true, .rcx = true, .memory = true });
}

pub fn release(frame: Frame) void {
    std.debug.assert(frame != none);
    link(frame).* = free_head;
    free_head = frame;
    free += 1;
    std.debug.assert(free <= total);
}

/// Frames set aside until every CPU has forgotten their translations.
pub const Pending = struct {
    head: u32 = none,
    count: u32 = 0,
    /// Translations taken away of frames that are still somebody's.
    borrowed: u32 = 0,

    pub fn add(pending: *Pending, frame: Frame) void {
        link(frame).* = pending.head;
        pending.head = frame;
        pending.count += 1;
    }

    pub fn releaseAll(pending: *Pending) void {
        while (pending.head != none) {
            const frame = pending.head;
            pending.head = link(frame).*;
            release(frame);
        }
        pending.count = 0;
    }
};
