//! malloc and its kin: blocks of powers of two from lists, larger ones straight from the kernel.
const std = @import("std");
const uk = @import("ukernel");

const Header = extern struct {
    /// Size class, or large.
    class: u64,
    /// Of a large block, what was reserved.
    bytes: u64,
};

/// Classes of 32 bytes to 64 KiB, header included.
const class_bits_min = 5;
const class_bits_max = 16;
const large = class_bits_max + 1;
const span_bytes = 256 << 10;

const Free = struct { next: ?*Free };

var lock: uk.Lock = .{};
var lists: [class_bits_max + 1]?*Free = @splat(null);

fn take(class: u6) ?[*]align(16) u8 {
    lock.acquire();
    defer lock.release();
    if (lists[class] == null and !refill(class)) return null;
    const block = lists[class].?;
    lists[class] = block.next;
    return @ptrCast(@alignCast(block));
}

/// Cuts a span into blocks of a class.
fn refill(class: u6) bool {
    const span = uk.reserve(span_bytes) catch return false;
    const bytes = @as(usize, 1) << class;
    var offset: usize = span_bytes;
    while (offset > 0) {
        offset -= bytes;
        const block: *Free = @ptrCast(@alignCast(span.ptr + offset));
        block.next = lists[class];
        lists[class] = block;
    }
    return true;
}

export fn malloc(bytes: usize) callconv(.c) ?[*]align(16) u8 {
    const whole = std.math.add(usize, bytes, @sizeOf(Header)) catch return null;
    var header: *Header = undefined;
    if (whole > 1 << class_bits_max) {
        const pages = std.math.add(usize, whole, 4095) catch return null;
        const memory = uk.reserve(pages & ~@as(usize, 4095)) catch return null;
        header = @ptrCast(@alignCast(memory.ptr));
        header.* = .{ .class = large, .bytes = memory.len };
    } else {
        const class: u6 = @intCast(@max(class_bits_min, std.math.log2_int_ceil(usize, whole)));
        header = @ptrCast(@alignCast(take(class) orelse return null));
        header.* = .{ .class = class, .bytes = @as(usize, 1) << class };
    }
    return @ptrFromInt(@intFromPtr(header) + @sizeOf(Header));
}

fn headerOf(block: [*]u8) *Header {
    return @ptrFromInt(@intFromPtr(block) - @sizeOf(Header));
}

export fn free(block: ?[*]u8) callconv(.c) void {
    const header = headerOf(block orelse return);
    // Anything else was not given out by malloc, or was written over.
    if (header.class < class_bits_min or header.class > large) @panic("free: not a block of malloc");
    if (header.class == large) {
        uk.release(@as([*]u8, @ptrCast(header))[0..header.bytes]);
        return;
    }
    const class: u6 = @intCast(header.class);
    header.class = 0;
    const item: *Free = @ptrCast(@alignCast(header));
    lock.acquire();
    defer lock.release();
    item.next = lists[class];
    lists[class] = item;
}

export fn calloc(count: usize, bytes: usize) callconv(.c) ?[*]align(16) u8 {
    const whole = std.math.mul(usize, count, bytes) catch return null;
    const block = malloc(whole) orelse return null;
    @memset(block[0..whole], 0);
    return block;
}

export fn realloc(block: ?[*]u8, bytes: usize) callconv(.c) ?[*]align(16) u8 {
    const old = block orelse return malloc(bytes);
    const room = headerOf(old).bytes - @sizeOf(Header);
    if (bytes <= room) return @alignCast(old);
    const new = malloc(bytes) orelse return null;
    @memcpy(new[0..room], old[0..room]);
    free(old);
    return new;
}
