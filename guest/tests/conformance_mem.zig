//! Memory: reserving, mapping, protecting, discarding, asking, arenas.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const handlers = @import("handlers.zig");
const abi = uk.abi;

const page = abi.page_bytes;
const rw: abi.MemFlags = .{ .read = true, .write = true };
const kernel_address: u64 = 0xffff_8000_0000_0000;

var stack: []align(4096) u8 = &.{};

pub fn run() void {
    stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    handlers.install(true, false, stack) catch t.expect(@src(), false, "handlers");
    allocates();
    frees();
    maps();
    mapsFiles();
    protects();
    discards();
    queries();
    rights();
    arenas();
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
}

fn map(address: u64, bytes: u64, flags: abi.MemFlags) u64 {
    var mapped: u64 = 0;
    t.ok(@src(), .mem_map, .{ address, bytes, flags, 0, 0, &mapped });
    return mapped;
}

fn byteAt(address: u64) *volatile u8 {
    return @ptrFromInt(address);
}

fn allocates() void {
    var address: u64 = 0;
    t.fails(@src(), .mem_alloc, .bad_value, .{ 0, rw, &address });
    t.fails(@src(), .mem_alloc, .bad_value, .{ std.math.maxInt(u64), rw, &address });
    t.fails(@src(), .mem_alloc, .bad_flags, .{ page, abi.MemFlags{ .read = true, .fixed = true }, &address });
    t.ok(@src(), .mem_alloc, .{ 1, rw, &address });
    t.expect(@src(), address % page == 0 and address != 0, "aligned");
    t.expectEqual(@src(), 0, byteAt(address + page - 1).*, "zero");
    byteAt(address).* = 1;
    t.ok(@src(), .mem_free, .{ address, page });
    t.expect(@src(), !handlers.canRead(address), "freed");
    // Half the address space fits once, and not a third time.
    var halves: [3]u64 = @splat(0);
    const huge = @as(u64, 1) << 46;
    t.ok(@src(), .mem_alloc, .{ huge, rw, &halves[0] });
    t.fails(@src(), .mem_alloc, .out_of_address_space, .{ huge + huge / 2, rw, &address });
    t.ok(@src(), .mem_free, .{ halves[0], huge });
    // Without access nothing works.
    t.ok(@src(), .mem_alloc, .{ page, abi.MemFlags{}, &address });
    t.expect(@src(), !handlers.canRead(address) and !handlers.canWrite(address), "no access");
    t.ok(@src(), .mem_free, .{ address, page });
}

fn frees() void {
    const start = uk.startup();
    const base = map(0, 8 * page, rw);
    t.fails(@src(), .mem_free, .misaligned, .{ base + 1, page });
    t.fails(@src(), .mem_free, .bad_value, .{ base, 0 });
    t.fails(@src(), .mem_free, .bad_pointer, .{ kernel_address, page });
    t.fails(@src(), .mem_free, .bad_pointer, .{ @as(u64, 0), page });
    t.fails(@src(), .mem_free, .bad_pointer, .{ base, start.user_end - base + page });
    t.fails(@src(), .mem_free, .bad_pointer, .{ start.gate, page });
    for (0..8) |index| byteAt(base + index * page).* = 9;
    // A hole, then the whole with the hole.
    t.ok(@src(), .mem_free, .{ base + 3 * page, 2 * page });
    t.expect(@src(), !handlers.canRead(base + 3 * page) and handlers.canRead(base + 5 * page), "a hole");
    t.ok(@src(), .mem_free, .{ base, 8 * page });
    t.expect(@src(), !handlers.canRead(base) and !handlers.canRead(base + 7 * page), "all of it");
    t.ok(@src(), .mem_free, .{ base, 8 * page });
}

fn maps() void {
    var mapped: u64 = 0;
    const place = 0x1234_5600_0000;
    t.ok(@src(), .mem_map, .{ place, 4 * page, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    t.expectEqual(@src(), place, mapped, "fixed");
    byteAt(place + page).* = 3;
    t.fails(@src(), .mem_map, .range_in_use, .{ place + 3 * page, 2 * page, abi.MemFlags{ .read = true, .fixed_no_replace = true }, 0, 0, &mapped });
    t.ok(@src(), .mem_map, .{ place + 4 * page, page, abi.MemFlags{ .read = true, .fixed_no_replace = true }, 0, 0, &mapped });
    t.ok(@src(), .mem_map, .{ place + page, page, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    t.expectEqual(@src(), 0, byteAt(place + page).*, "replaced");
    t.fails(@src(), .mem_map, .misaligned, .{ place + 8, page, abi.MemFlags{ .read = true, .fixed = true }, 0, 0, &mapped });
    t.fails(@src(), .mem_map, .misaligned, .{ 0, page, rw, 0, 8, &mapped });
    t.fails(@src(), .mem_map, .bad_value, .{ 0, 0, rw, 0, 0, &mapped });
    t.fails(@src(), .mem_map, .bad_flags, .{ place, page, abi.MemFlags{ .fixed = true, .fixed_no_replace = true }, 0, 0, &mapped });
    t.fails(@src(), .mem_map, .bad_pointer, .{ kernel_address, page, abi.MemFlags{ .read = true, .fixed = true }, 0, 0, &mapped });
    t.fails(@src(), .mem_map, .bad_pointer, .{ uk.startup().gate, page, abi.MemFlags{ .read = true, .fixed = true }, 0, 0, &mapped });
    t.fails(@src(), .mem_map, .out_of_address_space, .{ 0, (@as(u64, 1) << 47) - (@as(u64, 1) << 32), rw, 0, 0, &mapped });
    // A wish is followed where the place is free, and the call succeeds where it is not.
    t.ok(@src(), .mem_map, .{ place + 64 * page, page, rw, 0, 0, &mapped });
    t.expectEqual(@src(), place + 64 * page, mapped, "the wish");
    t.ok(@src(), .mem_map, .{ place, page, rw, 0, 0, &mapped });
    t.expect(@src(), mapped != place, "the wish was taken");
    t.ok(@src(), .mem_free, .{ mapped, page });
    t.ok(@src(), .mem_free, .{ place, 65 * page });
}

fn mapsFiles() void {
    var mapped: u64 = 0;
    var file: abi.Handle = .none;
    var other: abi.Handle = .none;
    var stat: abi.IoStat = .{};
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app/start", 10, 0, &file });
    t.ok(@src(), .io_stat, .{ file, &stat });
    const bytes = stat.bytes;
    t.ok(@src(), .mem_map, .{ 0, bytes + 2 * page, abi.MemFlags{ .read = true, .write = true }, file, 0, &mapped });
    t.ok(@src(), .io_close, .{file});
    t.expect(@src(), std.mem.eql(u8, @as([*]const u8, @ptrFromInt(mapped))[0..4], "\x7fELF"), "content outlives the handle");
    const end = mapped + (bytes + page - 1) / page * page;
    if (bytes % page != 0) t.expectEqual(@src(), 0, byteAt(end - 1).*, "zeros behind the end");
    t.expect(@src(), !handlers.canRead(end), "nothing in the pages behind that");
    // A write stays in memory.
    byteAt(mapped).* = 'x';
    t.expectEqual(@src(), 'x', byteAt(mapped).*, "written");
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app/start", 10, 0, &file });
    var again: u64 = 0;
    t.ok(@src(), .mem_map, .{ 0, page, abi.MemFlags{ .read = true }, file, 0, &again });
    t.expectEqual(@src(), 0x7f, byteAt(again).*, "another mapping does not see it");
    t.expect(@src(), !handlers.canWrite(again), "read-only");
    var second_page: [64]u8 = undefined;
    var read: u64 = 0;
    t.ok(@src(), .io_read, .{ file, &second_page, second_page.len, page, &read });
    var offset_map: u64 = 0;
    t.ok(@src(), .mem_map, .{ 0, page, abi.MemFlags{ .read = true }, file, page, &offset_map });
    t.expect(@src(), std.mem.eql(u8, &second_page, @as([*]const u8, @ptrFromInt(offset_map))[0..64]), "mapped from an offset");
    t.ok(@src(), .mem_free, .{ mapped, bytes + 2 * page });
    t.ok(@src(), .mem_free, .{ again, page });
    t.ok(@src(), .mem_free, .{ offset_map, page });

    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app", 4, 0, &other });
    t.fails(@src(), .mem_map, .unsupported_operation, .{ 0, page, rw, other, 0, &mapped });
    t.ok(@src(), .io_close, .{other});
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, 0, &other });
    t.fails(@src(), .mem_map, .unsupported_operation, .{ 0, page, rw, other, 0, &mapped });
    t.ok(@src(), .io_close, .{other});
    t.fails(@src(), .mem_map, .bad_value, .{ 0, page, rw, file, @as(u64, 1) << 63, &mapped });
    t.ok(@src(), .io_close, .{file});
}

fn protects() void {
    const base = map(0, 8 * page, rw);
    for (0..8) |index| byteAt(base + index * page).* = @intCast(index);
    const read_only: abi.MemFlags = .{ .read = true };
    t.ok(@src(), .mem_protect, .{ base + 2 * page, 3 * page, read_only });
    t.expect(@src(), handlers.canWrite(base + page + 8) and !handlers.canWrite(base + 2 * page) and !handlers.canWrite(base + 4 * page), "split");
    t.expect(@src(), handlers.canWrite(base + 5 * page + 8), "behind the split");
    t.expectEqual(@src(), 3, byteAt(base + 3 * page).*, "content stays");
    t.ok(@src(), .mem_protect, .{ base + 2 * page, 3 * page, abi.MemFlags{} });
    t.expect(@src(), !handlers.canRead(base + 3 * page), "no access");
    t.ok(@src(), .mem_protect, .{ base, 8 * page, rw });
    t.expectEqual(@src(), 3, byteAt(base + 3 * page).*, "content is back");
    // Code: written, then made executable.
    byteAt(base).* = 0xc3;
    t.expect(@src(), !handlers.canExecute(base), "not executable");
    t.ok(@src(), .mem_protect, .{ base, page, abi.MemFlags{ .read = true, .exec = true } });
    t.expect(@src(), handlers.canExecute(base) and !handlers.canWrite(base), "executable and not writable");

    t.fails(@src(), .mem_protect, .misaligned, .{ base + 1, page, rw });
    t.fails(@src(), .mem_protect, .bad_value, .{ base, 0, rw });
    t.fails(@src(), .mem_protect, .bad_pointer, .{ kernel_address, page, rw });
    t.fails(@src(), .mem_protect, .bad_pointer, .{ uk.startup().gate, page, rw });
    t.fails(@src(), .mem_protect, .bad_flags, .{ base, page, abi.MemFlags{ .read = true, .zeroed = true } });
    t.ok(@src(), .mem_free, .{ base + 6 * page, page });
    t.fails(@src(), .mem_protect, .not_mapped, .{ base + 4 * page, 4 * page, read_only });
    t.expect(@src(), handlers.canWrite(base + 4 * page), "nothing changed");
    t.ok(@src(), .mem_free, .{ base, 8 * page });
}

fn discards() void {
    const base = map(0, 4 * page, rw);
    for (0..4) |index| byteAt(base + index * page).* = 7;
    t.ok(@src(), .mem_discard, .{ base + page, 2 * page });
    t.expectEqual(@src(), 7, byteAt(base).*, "before");
    t.expectEqual(@src(), 0, byteAt(base + page).*, "discarded");
    t.expectEqual(@src(), 0, byteAt(base + 2 * page).*, "discarded");
    t.expectEqual(@src(), 7, byteAt(base + 3 * page).*, "behind");
    t.fails(@src(), .mem_discard, .misaligned, .{ base + 8, page });
    t.fails(@src(), .mem_discard, .bad_value, .{ base, 0 });
    t.fails(@src(), .mem_discard, .bad_pointer, .{ kernel_address, page });
    t.ok(@src(), .mem_free, .{ base + page, page });
    t.fails(@src(), .mem_discard, .not_mapped, .{ base, 4 * page });
    t.ok(@src(), .mem_free, .{ base, 4 * page });
}

fn queries() void {
    var region: abi.MemRegion = .{};
    const place = 0x2345_0000_0000;
    var mapped: u64 = 0;
    t.ok(@src(), .mem_map, .{ place, 4 * page, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    t.ok(@src(), .mem_protect, .{ place + page, page, abi.MemFlags{ .read = true, .exec = true } });
    t.ok(@src(), .mem_query, .{ place + page + 100, &region });
    t.expect(@src(), region.address == place + page and region.bytes == page, "range");
    t.expect(@src(), region.flags.read and region.flags.exec and !region.flags.write and region.kind == 0, "access");
    t.ok(@src(), .mem_query, .{ place - page, &region });
    t.expectEqual(@src(), place, region.address, "the next above");
    t.ok(@src(), .mem_query, .{ uk.startup().gate, &region });
    t.expectEqual(@src(), 2, region.kind, "the gate");
    t.ok(@src(), .mem_query, .{ @intFromPtr(&region), &region });
    t.expectEqual(@src(), uk.startup().stack_base, region.address, "the stack");
    t.fails(@src(), .mem_query, .not_mapped, .{ uk.startup().user_end, &region });
    t.fails(@src(), .mem_query, .not_mapped, .{ @as(u64, std.math.maxInt(u64)), &region });
    t.ok(@src(), .mem_free, .{ place, 4 * page });
}

/// The suite runs with the map right alone; the manifest allows exec-write and not pin.
fn rights() void {
    var address: u64 = 0;
    const both: abi.MemFlags = .{ .read = true, .write = true, .exec = true };
    const pinned: abi.MemFlags = .{ .read = true, .write = true, .pinned = true };
    t.fails(@src(), .mem_alloc, .capability_denied, .{ page, both, &address });
    t.fails(@src(), .mem_alloc, .capability_denied, .{ page, pinned, &address });
    t.fails(@src(), .mem_map, .capability_denied, .{ 0, page, both, 0, 0, &address });
    const base = map(0, page, rw);
    t.fails(@src(), .mem_protect, .capability_denied, .{ base, page, both });
    t.ok(@src(), .mem_free, .{ base, page });
    var thread: t.Thread = .{};
    thread.start(withExecWrite, 0, .{ .active = 1 << 4 });
    _ = thread.join();
    thread.free();
}

fn withExecWrite(_: usize) void {
    var capability: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.mem, 3, &capability });
    t.ok(@src(), .cap_enter, .{capability});
    var address: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ page, abi.MemFlags{ .read = true, .write = true, .exec = true }, &address });
    const code: *volatile [6]u8 = @ptrFromInt(address);
    // mov $n, %eax; ret: rewritten in place.
    for (0..50) |value| {
        code.* = .{ 0xb8, @intCast(value), 0, 0, 0, 0xc3 };
        const function: *const fn () callconv(.c) u32 = @ptrFromInt(address);
        const result = function();
        if (result != value) t.expectEqual(@src(), value, result, "rewritten code");
    }
    t.ok(@src(), .mem_free, .{ address, page });
    t.ok(@src(), .cap_drop, .{capability});
}

fn arenas() void {
    var arena: abi.Handle = .none;
    var address: u64 = 0;
    t.fails(@src(), .mem_arena_create, .bad_value, .{ 0, &arena });
    t.fails(@src(), .mem_arena_create, .bad_value, .{ abi.arena_bytes_max + 1, &arena });
    t.ok(@src(), .mem_arena_create, .{ 4 * page, &arena });
    t.fails(@src(), .mem_arena_alloc, .bad_value, .{ arena, 0, 8, &address });
    t.fails(@src(), .mem_arena_alloc, .bad_value, .{ arena, 8, 0, &address });
    t.fails(@src(), .mem_arena_alloc, .bad_value, .{ arena, 8, 3, &address });
    t.fails(@src(), .mem_arena_alloc, .bad_value, .{ arena, 8, 2 * page, &address });
    t.ok(@src(), .mem_arena_alloc, .{ arena, 100, 1, &address });
    var second: u64 = 0;
    t.ok(@src(), .mem_arena_alloc, .{ arena, 8, 4096, &second });
    t.expect(@src(), second % 4096 == 0 and second >= address + 100, "apart and aligned");
    byteAt(address).* = 5;
    byteAt(second + 7).* = 5;
    t.fails(@src(), .mem_arena_alloc, .arena_full, .{ arena, 4 * page, 1, &address });
    t.fails(@src(), .mem_arena_alloc, .arena_full, .{ arena, @as(u64, std.math.maxInt(u64)), 1, &address });
    t.ok(@src(), .mem_arena_reset, .{arena});
    t.ok(@src(), .mem_arena_alloc, .{ arena, 4 * page, 1, &address });
    t.expectEqual(@src(), 0, byteAt(address).*, "zero after a reset");
    t.ok(@src(), .mem_arena_drop, .{arena});
    t.fails(@src(), .mem_arena_reset, .bad_handle, .{arena});
    t.expect(@src(), !handlers.canRead(address), "gone with the arena");
}
