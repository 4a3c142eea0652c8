//! Shared memory: one set of pages at several places of the address space.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const handlers = @import("handlers.zig");
const abi = uk.abi;

const page = abi.page_bytes;
const r: abi.MemFlags = .{ .read = true };
const rw: abi.MemFlags = .{ .read = true, .write = true };

pub fn run() void {
    const before = conformance.stats();
    places();
    access();
    lifetimes();
    gone();
    executable();
    parts();
    refusals();
    crowd();
    const after = conformance.stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.regions_used, after.regions_used, "regions as before");
    // Page tables may have come; a share of this suite that stayed would be more.
    t.expect(@src(), after.pages_free + 8 > before.pages_free, "pages as before");
}

fn word(address: u64) *volatile u64 {
    return @ptrFromInt(address);
}

fn reserve(pages: u64) u64 {
    var address: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ pages * page, rw, &address });
    return address;
}

fn free(address: u64, pages: u64) void {
    t.ok(@src(), .mem_free, .{ address, pages * page });
}

fn share(address: u64, pages: u64) abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .mem_share, .{ address, pages * page, &handle });
    return handle;
}

fn map(handle: abi.Handle, pages: u64, flags: abi.MemFlags, offset: u64) u64 {
    var address: u64 = 0;
    t.ok(@src(), .mem_map, .{ 0, pages * page, flags, handle, offset * page, &address });
    return address;
}

/// What was there stays, what is touched later is the same at both, and discarding loses nothing.
fn places() void {
    const first = reserve(8);
    word(first).* = 11;
    word(first + 3 * page).* = 33;
    const handle = share(first, 8);
    const second = map(handle, 8, rw, 0);
    t.expect(@src(), first != second, "two places");
    t.expect(@src(), word(second).* == 11 and word(second + 3 * page).* == 33, "what was there before");
    word(second + 3 * page).* = 34;
    t.expectEqual(@src(), 34, word(first + 3 * page).*, "seen at the first place");
    word(second + 5 * page + 8).* = 55;
    t.expectEqual(@src(), 55, word(first + 5 * page + 8).*, "first touched at the second place");
    word(first + 6 * page).* = 66;
    t.expectEqual(@src(), 66, word(second + 6 * page).*, "first touched at the first");
    t.expectEqual(@src(), 0, word(second + 7 * page).*, "zero elsewhere");
    t.ok(@src(), .mem_discard, .{ second, 8 * page });
    t.expect(@src(), word(second).* == 11 and word(second + 6 * page).* == 66, "discarding keeps the bytes");
    var region: abi.MemRegion = .{};
    t.ok(@src(), .mem_query, .{ second + page, &region });
    t.expect(@src(), region.kind == 3 and region.bytes == 8 * page and region.offset == 0, "told as shared");
    free(first, 8);
    free(second, 8);
    t.ok(@src(), .mem_unshare, .{handle});
    t.fails(@src(), .mem_unshare, .bad_handle, .{handle});
}

/// Each place has its own access.
fn access() void {
    const first = reserve(2);
    const handle = share(first, 2);
    const second = map(handle, 2, r, 0);
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    handlers.install(true, false, stack) catch t.expect(@src(), false, "handlers");
    word(first).* = 1;
    t.expectEqual(@src(), 1, word(second).*, "can be read");
    t.expect(@src(), !handlers.canWrite(second), "cannot be written");
    t.ok(@src(), .mem_protect, .{ first, page, r });
    t.expect(@src(), !handlers.canWrite(first) and handlers.canWrite(first + page), "nor where it is protected");
    t.ok(@src(), .mem_protect, .{ second, page, rw });
    t.expect(@src(), handlers.canWrite(second), "where it is allowed");
    t.ok(@src(), .mem_protect, .{ second, page, abi.MemFlags{} });
    t.expect(@src(), !handlers.canRead(second) and handlers.canRead(first), "without access");
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
    free(first, 2);
    free(second, 2);
    t.ok(@src(), .mem_unshare, .{handle});
}

/// The pages stay while the handle or any mapping is there.
fn lifetimes() void {
    const pages = 600;
    const before = conformance.stats();
    const first = reserve(pages);
    for (0..pages) |index| word(first + index * page).* = index;
    const handle = share(first, pages);
    free(first, pages);
    const held = conformance.stats();
    t.expect(@src(), held.pages_free + pages <= before.pages_free, "held by the handle");
    const again = map(handle, pages, rw, 0);
    t.ok(@src(), .mem_unshare, .{handle});
    var good = true;
    for (0..pages) |index| good = good and word(again + index * page).* == index;
    t.expect(@src(), good, "and by a mapping");
    free(again, pages);
    t.expect(@src(), conformance.stats().pages_free > held.pages_free + pages - 8, "given back with the last");
}

/// Freed, replaced or discarded pages of a share are no longer reached by what the processor remembers of them, also where the neighbours stay.
fn gone() void {
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    handlers.install(true, false, stack) catch t.expect(@src(), false, "handlers");
    const first = reserve(8);
    for (0..8) |index| word(first + index * page).* = 0x11 * (index + 1);
    t.ok(@src(), .mem_unshare, .{share(first, 2)});
    t.expect(@src(), word(first).* == 0x11 and word(first + page).* == 0x22, "held by the mapping");
    free(first, 2);
    t.expect(@src(), !handlers.canRead(first) and !handlers.canWrite(first + page), "freed");
    t.ok(@src(), .mem_unshare, .{share(first + 2 * page, 2)});
    t.expect(@src(), word(first + 2 * page).* == 0x33 and word(first + 3 * page).* == 0x44, "held by the mapping");
    var mapped: u64 = 0;
    t.ok(@src(), .mem_map, .{ first + 2 * page, 2 * page, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    t.expect(@src(), word(first + 2 * page).* == 0 and word(first + 3 * page).* == 0, "replaced");
    t.ok(@src(), .mem_unshare, .{share(first + 4 * page, 2)});
    word(first + 4 * page).* = 5;
    t.ok(@src(), .mem_discard, .{ first + 4 * page, 2 * page });
    free(first + 4 * page, 2);
    t.expect(@src(), !handlers.canRead(first + 4 * page) and !handlers.canRead(first + 5 * page), "discarded, then freed");
    t.expect(@src(), word(first + 6 * page).* == 0x77 and word(first + 7 * page).* == 0x88, "the neighbours");
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
    free(first + 2 * page, 2);
    free(first + 6 * page, 2);
}

const rx: abi.MemFlags = .{ .read = true, .exec = true };

/// The suite runs without the exec-write right, which code that is writable at another place needs.
fn executable() void {
    const first = reserve(2);
    const handle = share(first, 1);
    var mapped: u64 = 0;
    var other: abi.Handle = .none;
    t.fails(@src(), .mem_map, .capability_denied, .{ 0, page, rx, handle, 0, &mapped });
    t.fails(@src(), .mem_protect, .capability_denied, .{ first, 2 * page, rx });
    t.ok(@src(), .mem_protect, .{ first + page, page, rx });
    t.fails(@src(), .mem_share, .capability_denied, .{ first + page, page, &other });
    common = @intFromEnum(handle);
    var thread: t.Thread = .{};
    thread.start(withExecWrite, first, .{ .active = 1 << 4 });
    _ = thread.join();
    thread.free();
    free(first, 2);
    t.ok(@src(), .mem_unshare, .{handle});
}

fn withExecWrite(writable: usize) void {
    var capability: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.mem, 3, &capability });
    t.ok(@src(), .cap_enter, .{capability});
    const place = map(@enumFromInt(common), 1, rx, 0);
    const code: *volatile [6]u8 = @ptrFromInt(writable);
    const function: *const fn () callconv(.c) u32 = @ptrFromInt(place);
    for ([_]u8{ 42, 43 }) |value| {
        // mov $n, %eax; ret
        code.* = .{ 0xb8, value, 0, 0, 0, 0xc3 };
        t.expectEqual(@src(), value, function(), "rewritten code");
    }
    free(place, 1);
    t.ok(@src(), .cap_drop, .{capability});
}

/// Mappings of parts, at offsets; mappings that meet become one region and are split again.
fn parts() void {
    const first = reserve(6);
    const handle = share(first + page, 4);
    const base = reserve(4);
    var mapped: u64 = 0;
    const fixed: abi.MemFlags = .{ .read = true, .write = true, .fixed = true };
    t.ok(@src(), .mem_map, .{ base, 2 * page, fixed, handle, 0, &mapped });
    t.ok(@src(), .mem_map, .{ base + 2 * page, 2 * page, fixed, handle, 2 * page, &mapped });
    var region: abi.MemRegion = .{};
    t.ok(@src(), .mem_query, .{ base, &region });
    t.expectEqual(@src(), 4 * page, region.bytes, "one region");
    for (0..4) |index| word(first + (1 + index) * page).* = 100 + index;
    t.ok(@src(), .mem_protect, .{ base + page, page, r });
    free(base, 1);
    t.ok(@src(), .mem_query, .{ base + page, &region });
    t.expect(@src(), region.offset == page and region.bytes == page, "split with its offset");
    for (1..4) |index| t.expectEqual(@src(), 100 + index, word(base + index * page).*, "by the offset");
    const last = map(handle, 1, r, 3);
    t.expectEqual(@src(), 103, word(last).*, "the last page");
    // The same page twice in a row: the ring's trick.
    t.ok(@src(), .mem_map, .{ base + page, page, fixed, handle, 3 * page, &mapped });
    word(base + page).* = 9;
    t.expectEqual(@src(), 9, word(base + 3 * page).*, "the same page");
    free(last, 1);
    free(base + page, 3);
    free(first, 6);
    t.ok(@src(), .mem_unshare, .{handle});
}

fn refusals() void {
    var handle: abi.Handle = .none;
    var mapped: u64 = 0;
    const first = reserve(4);
    t.fails(@src(), .mem_share, .misaligned, .{ first + 8, page, &handle });
    t.fails(@src(), .mem_share, .bad_value, .{ first, 0, &handle });
    t.fails(@src(), .mem_share, .bad_pointer, .{ @as(u64, 0xffff_8000_0000_0000), page, &handle });
    t.fails(@src(), .mem_share, .bad_pointer, .{ uk.startup().gate & ~@as(u64, page - 1), page, &handle });
    free(first + 3 * page, 1);
    t.fails(@src(), .mem_share, .not_mapped, .{ first, 4 * page, &handle });
    word(first).* = 5;
    const good = share(first + page, 1);
    t.fails(@src(), .mem_share, .unsupported_operation, .{ first, 3 * page, &handle });
    t.expectEqual(@src(), 5, word(first).*, "a refusal changes nothing");
    const large = 4 << 30;
    var reserved: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ large + page, rw, &reserved });
    t.fails(@src(), .mem_share, .too_long, .{ reserved, large + page, &handle });
    t.ok(@src(), .mem_free, .{ reserved, large + page });
    t.fails(@src(), .mem_map, .bad_value, .{ 0, 2 * page, rw, good, 0, &mapped });
    t.fails(@src(), .mem_map, .bad_value, .{ 0, page, rw, good, page, &mapped });
    t.fails(@src(), .mem_map, .bad_value, .{ 0, page, rw, good, 1 << 62, &mapped });
    // An arena and a share have the tag in common and nothing else.
    t.ok(@src(), .mem_arena_create, .{ page, &handle });
    t.fails(@src(), .mem_unshare, .bad_handle, .{handle});
    t.fails(@src(), .mem_map, .bad_handle, .{ 0, page, rw, handle, 0, &mapped });
    t.fails(@src(), .mem_arena_drop, .bad_handle, .{good});
    t.ok(@src(), .mem_arena_drop, .{handle});
    t.ok(@src(), .mem_unshare, .{good});
    t.fails(@src(), .mem_map, .bad_handle, .{ 0, page, rw, good, 0, &mapped });
    free(first, 3);
}

const rounds = 200;
var stop: u32 = 0;
var common: u64 = 0;
var wrong: std.atomic.Value(u32) = .init(0);

/// Maps, checks and unmaps the same pages all the time.
fn mapper(_: usize) void {
    const handle: abi.Handle = @enumFromInt(common);
    for (0..rounds) |round| {
        const at = map(handle, 4, rw, 0);
        if (word(at).* != 77 or word(at + 2 * page).* != 0) _ = wrong.fetchAdd(1, .monotonic);
        word(at + 3 * page + 8 * (round % 8)).* = round;
        free(at, 4);
    }
}

/// Several tasks at once, while the range itself is being shared and freed.
fn crowd() void {
    const first = reserve(4);
    word(first).* = 77;
    const handle = share(first, 4);
    common = @intFromEnum(handle);
    var threads: [4]t.Thread = @splat(.{});
    for (&threads) |*thread| thread.start(mapper, 0, .{});
    free(first, 4);
    for (0..rounds) |_| {
        const other = reserve(3);
        word(other).* = 1;
        const short = share(other, 3);
        word(other + page).* = 2;
        t.ok(@src(), .mem_unshare, .{short});
        free(other, 3);
    }
    for (&threads) |*thread| {
        _ = thread.join();
        thread.free();
    }
    t.ok(@src(), .mem_unshare, .{handle});
    t.expectEqual(@src(), 0, wrong.load(.monotonic), "the bytes of the share");
}
