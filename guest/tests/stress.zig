//! Workloads that press, each in a VM of its own: the first argument says which. They print what they measured and return 0 when all held.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const registers = @import("registers.zig");
const scheduling = @import("scheduling.zig");
const abi = uk.abi;

const page = abi.page_bytes;

const Mode = enum { jump, reserve, spinners, fair, late, work, wake, disk, registers, signals, poll };

pub fn main() u8 {
    const arguments = uk.arguments();
    const mode = if (arguments.len > 1) std.meta.stringToEnum(Mode, std.mem.span(arguments[1])) else null;
    const number = if (arguments.len > 2) std.fmt.parseInt(u64, std.mem.span(arguments[2]), 10) catch 0 else 0;
    uk.enable(.task, 3) catch {};
    return switch (mode orelse {
        t.say("unknown mode\n", .{});
        return 2;
    }) {
        .jump => jump(number),
        .reserve => reserve(),
        .spinners => scheduling.spinners(),
        .fair => scheduling.fair(),
        .late => scheduling.late(),
        .work => scheduling.work(number),
        .wake => wake(number),
        .disk => disk(number),
        .registers => registers.run(),
        .signals => registers.signals(number),
        .poll => @import("polling.zig").run(),
    };
}

fn mem(rights: u32) void {
    uk.enable(.mem, rights) catch t.expect(@src(), false, "mem capability");
}

/// The gate's own syscall instruction: the first 0f 05 in its code.
fn gateSyscall() u64 {
    const start = uk.startup();
    const code = @as([*]const u8, @ptrFromInt(start.gate + page))[0..page];
    return start.gate + page + (std.mem.indexOf(u8, code, "\x0f\x05") orelse 0);
}

/// Jumps to the gate's syscall with random registers: each is a call like any other, whose result the ABI declares. Numbers of calls that
/// end or wait without a bound are left out; pointers are random and so never good.
fn jump(count: u64) u8 {
    var random: std.Random.DefaultPrng = .init(42);
    const instruction = gateSyscall();
    var refused: u64 = 0;
    for (0..count) |_| {
        const number = random.random().int(u32);
        const low = if (random.random().boolean()) number % 128 else number;
        if (low < abi.functions.len) switch (@as(t.Id, @enumFromInt(low))) {
            .vm_exit, .task_exit, .task_sleep, .task_set_thread_pointer, .task_set_fault_handler, .task_set_foreign_handler, .task_interrupt => continue,
            else => {},
        };
        const result = asm volatile (
            \\ callq *%[target]
            : [ret] "={rax}" (-> u64),
            : [number] "{rax}" (@as(u64, low)),
              [target] "{rbx}" (instruction),
              [a] "{rdi}" (random.random().int(u64) | 1 << 63),
              [b] "{rsi}" (random.random().int(u64) | 1 << 63),
              [c] "{rdx}" (random.random().int(u64) | 1 << 63),
              [d] "{r10}" (random.random().int(u64) | 1 << 63),
              [e] "{r8}" (random.random().int(u64) | 1 << 63),
              [f] "{r9}" (random.random().int(u64) | 1 << 63),
            : .{ .rcx = true, .r11 = true, .memory = true });
        if (low >= abi.functions.len and result != @intFromEnum(abi.Result.unsupported)) {
            t.say("number {d} gave {d}\n", .{ low, result });
            return 1;
        }
        refused += @intFromBool(result != 0);
    }
    t.say("ok {d} calls, {d} refused\n", .{ count, refused });
    return 0;
}

/// In 32 MiB: a 1 TiB reservation touched in every 64 GiB, Go's fixed address, half of a range protected, four tasks that toggle write and
/// execute; then everything is as it was.
fn reserve() u8 {
    t.say("reserving\n", .{});
    mem(3);
    // A first round loads the program's own pages and makes the kernel's stocks.
    reserveOnce();
    const before = stats();
    reserveOnce();
    const after = stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.regions_used, after.regions_used, "regions as before");
    t.expectEqual(@src(), before.pages_free, after.pages_free, "pages as before");
    t.expectEqual(@src(), before.pages_kernel, after.pages_kernel, "the kernel's pages as before");
    return t.finish();
}

fn reserveOnce() void {
    const tebi = 1 << 40;
    var address: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ tebi, abi.MemFlags{ .read = true, .write = true }, &address });
    var at: u64 = 0;
    while (at < tebi) : (at += 64 << 30) {
        const byte: *volatile u8 = @ptrFromInt(address + at);
        t.expectEqual(@src(), 0, byte.*, "zero");
        byte.* = @truncate(at >> 36 | 1);
    }
    at = 0;
    while (at < tebi) : (at += 64 << 30) {
        t.expectEqual(@src(), @as(u8, @truncate(at >> 36 | 1)), @as(*volatile u8, @ptrFromInt(address + at)).*, "kept");
    }
    var fixed: u64 = 0;
    t.ok(@src(), .mem_map, .{ @as(u64, 0xc0_0000_0000), 512 << 20, abi.MemFlags{ .fixed_no_replace = true }, 0, 0, &fixed });
    t.ok(@src(), .mem_map, .{ @as(u64, 0xc0_0000_0000), 64 << 20, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &fixed });
    @as(*volatile u8, @ptrFromInt(0xc0_0000_0000)).* = 1;
    t.ok(@src(), .mem_protect, .{ @as(u64, 0xc0_0000_0000) + (32 << 20), 32 << 20, abi.MemFlags{ .read = true } });
    toggleAll();
    t.ok(@src(), .mem_free, .{ address, tebi });
    t.ok(@src(), .mem_free, .{ @as(u64, 0xc0_0000_0000), 512 << 20 });
    t.sleep(5_000_000);
}

fn toggleAll() void {
    var threads: [4]t.Thread = @splat(.{});
    for (&threads) |*thread| thread.start(toggle, 0, .{});
    for (&threads) |*thread| {
        _ = thread.join();
        thread.free();
    }
}

fn toggle(_: usize) void {
    var address: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ 4 * page, abi.MemFlags{ .read = true, .write = true }, &address });
    for (0..500) |round| {
        const code: *volatile [6]u8 = @ptrFromInt(address);
        code.* = .{ 0xb8, @truncate(round), @truncate(round >> 8), 0, 0, 0xc3 };
        uk.calls.check(uk.calls.mem_protect(address, page, .{ .read = true, .exec = true })) catch t.expect(@src(), false, "to executable");
        const function: *const fn () callconv(.c) u32 = @ptrFromInt(address);
        const got = function();
        if (got != round) t.expectEqual(@src(), round, got, "the code that was written");
        uk.calls.check(uk.calls.mem_protect(address, page, .{ .read = true, .write = true })) catch t.expect(@src(), false, "to writable");
    }
    t.ok(@src(), .mem_free, .{ address, 4 * page });
}

fn stats() abi.AbiStats {
    var result: abi.AbiStats = .{};
    t.ok(@src(), .abi_stats, .{&result});
    return result;
}

/// Pairs of tasks that wake each other in turn; a lost wake-up is a hang, which the runner's limit ends.
fn wake(rounds: u64) u8 {
    var threads: [8]t.Thread = @splat(.{});
    turn_limit = rounds;
    for (&threads, 0..) |*thread, index| thread.start(pingPong, index, .{});
    const start = t.now();
    for (&threads) |*thread| _ = thread.join();
    t.say("ok {d} wake-ups in 4 pairs, {d} ns each\n", .{ rounds * 4, (t.now() - start) / (rounds * 4) });
    return 0;
}

var turns: [4]u32 align(64) = @splat(0);
var turn_limit: u64 = 0;

fn pingPong(index: usize) void {
    const word = &turns[index / 2];
    while (true) {
        const value = @atomicLoad(u32, word, .acquire);
        if (value >= turn_limit) break;
        if (value % 2 != index % 2) {
            _ = uk.calls.task_wait(word, value, abi.deadline_never);
            continue;
        }
        @atomicStore(u32, word, value + 1, .release);
        _ = uk.calls.task_wake(@intFromPtr(word), 1, null);
    }
    _ = uk.calls.task_wake(@intFromPtr(word), 1, null);
}

const disk_sectors = 1024;
const sector_bytes = 512;
/// More than a device takes requests at once, so that some wait for a place.
const disk_readers = 16;
var disk_handle: abi.Handle = .none;
var disk_reads: u64 = 0;

/// Tasks that read one block device at the same time, each sector with its number in it. A request whose end nobody is told is a hang,
/// which the runner's limit ends.
fn disk(reads: u64) u8 {
    uk.enable(.io, 3) catch t.expect(@src(), false, "io capability");
    t.ok(@src(), .io_open, .{ abi.IoSource.block, 0, "0", 1, abi.IoFlags{ .write = true }, &disk_handle });
    var sector: [sector_bytes]u8 align(8) = @splat(0);
    var count: u64 = 0;
    for (0..disk_sectors) |number| {
        std.mem.writeInt(u64, sector[0..8], number, .little);
        t.ok(@src(), .io_write, .{ disk_handle, &sector, sector_bytes, number * sector_bytes, &count });
    }
    disk_reads = reads;
    var threads: [disk_readers]t.Thread = @splat(.{});
    for (&threads, 0..) |*thread, index| thread.start(readSectors, index, .{});
    for (&threads) |*thread| _ = thread.join();
    t.say("{d} tasks read {d} sectors each\n", .{ disk_readers, reads });
    return t.finish();
}

fn readSectors(index: usize) void {
    var random: std.Random.DefaultPrng = .init(index);
    var sector: [sector_bytes]u8 align(8) = undefined;
    for (0..@intCast(disk_reads)) |_| {
        const number = random.random().uintLessThan(u64, disk_sectors);
        var count: u64 = 0;
        const result = uk.calls.io_read(disk_handle, &sector, sector_bytes, number * sector_bytes, &count);
        const good = result == .ok and count == sector_bytes and std.mem.readInt(u64, sector[0..8], .little) == number;
        if (!good) t.expect(@src(), false, "the sector that was asked for");
    }
}
