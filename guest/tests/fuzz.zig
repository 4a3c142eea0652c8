//! Random calls, handles, pointers and flags at the ABI: fuzz <seed> <calls>. One task for each processor and one more make them; a ticker
//! interrupts them, so that no wait is endless. Every result must be one that the ABI file declares, and afterwards the kernel holds as many
//! handles, tasks and regions as before.
//!
//! Left out is what would end the fuzzer itself: vm_exit, task_exit with a good pointer, jumps by task_resume, handlers at random addresses,
//! and changes of memory outside an arena of its own.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

const page = abi.page_bytes;
const playground: u64 = 0x5000_0000_0000;
const playground_bytes: u64 = 16 << 20;
const ring_size = 64;
const fuzzers_max = 33;

const Fuzzer = struct {
    thread: t.Thread = .{},
    random: std.Random.DefaultPrng = undefined,
    calls: u64 = 0,
    good: u64 = 0,
    done: u32 = 0,
    handles: [ring_size]Held = @splat(.{}),
    next: usize = 0,
    buffer: [8192]u8 align(16) = undefined,
    frame: abi.TaskFrame = .{},
    address: abi.NetAddress = .{},
    options: abi.TaskOptions = .{},
    entries: [8]abi.IoPollEntry = undefined,
    fields: [4]abi.TraceField = undefined,
    word: u32 = 0,
    stack: []align(4096) u8 = &.{},
};

const Held = struct { handle: u64 = 0, by: t.Id = .abi_version };

var fuzzers: [fuzzers_max]Fuzzer = undefined;
var count: usize = 0;
var calls_each: u64 = 0;
var undeclared: std.atomic.Value(u32) = .init(0);
var seen: [abi.functions.len]std.atomic.Value(u64) = @splat(.init(0));

pub fn main() u8 {
    const arguments = uk.arguments();
    const seed = if (arguments.len > 1) std.fmt.parseInt(u64, std.mem.span(arguments[1]), 10) catch 1 else 1;
    const calls = if (arguments.len > 2) std.fmt.parseInt(u64, std.mem.span(arguments[2]), 10) catch 100_000 else 100_000;
    count = uk.startup().cpu_count + 1;
    calls_each = calls / count;
    t.say("seed {d}\n", .{seed});
    enableAll();
    var mapped: u64 = 0;
    t.ok(@src(), .mem_map, .{ playground, playground_bytes, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    const before = stats();
    for (fuzzers[0..count], 0..) |*fuzzer, index| {
        fuzzer.* = .{ .random = .init(seed *% 0x9e3779b97f4a7c15 +% index), .stack = uk.reserve(128 << 10) catch @panic("no stack") };
        fuzzer.thread.start(run, index, .{});
    }
    tick();
    for (fuzzers[0..count]) |*fuzzer| {
        var status: i32 = 0;
        while (uk.calls.task_join(fuzzer.thread.handle, abi.deadline_never, &status) == .interrupted) {}
        fuzzer.thread.free();
        uk.release(fuzzer.stack);
    }
    enableAll();
    t.ok(@src(), .mem_map, .{ playground, playground_bytes, abi.MemFlags{ .read = true, .write = true, .fixed = true }, 0, 0, &mapped });
    t.sleep(20_000_000);
    const after = stats();
    var total: u64 = 0;
    var good: u64 = 0;
    for (fuzzers[0..count]) |*fuzzer| {
        total += fuzzer.calls;
        good += fuzzer.good;
    }
    var outcomes: u32 = 0;
    for (&seen) |*bits| outcomes += @popCount(bits.load(.monotonic));
    t.say("\n{d} calls, {d} succeeded, {d} kinds of outcome\n", .{ total, good, outcomes });
    t.expectEqual(@src(), 0, undeclared.load(.monotonic), "undeclared outcomes");
    t.expect(@src(), total + count > calls and good > total / 20, "enough calls, and enough that succeed");
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.tasks_used, after.tasks_used, "tasks as before");
    t.expectEqual(@src(), before.regions_used, after.regions_used, "regions as before");
    t.expect(@src(), after.pages_free + 256 >= before.pages_free, "pages as before, but for the kernel's stocks");
    return t.finish();
}

fn stats() abi.AbiStats {
    var result: abi.AbiStats = .{};
    t.ok(@src(), .abi_stats, .{&result});
    return result;
}

fn enableAll() void {
    for ([_]struct { abi.CapKind, u32 }{ .{ .log, 1 }, .{ .time, 3 }, .{ .task, 3 }, .{ .mem, 3 }, .{ .io, 3 }, .{ .ipc, 1 }, .{ .net, 3 }, .{ .trace, 1 } }) |entry| uk.enable(entry[0], entry[1]) catch {};
}

/// Interrupts every fuzzer from time to time until all are done.
fn tick() void {
    while (true) {
        t.sleep(2_000_000);
        // A fuzzer may have dropped the capability that this task uses.
        enableAll();
        var done: usize = 0;
        for (fuzzers[0..count]) |*fuzzer| {
            if (@atomicLoad(u32, &fuzzer.done, .acquire) == 1) done += 1 else _ = uk.calls.task_interrupt(fuzzer.thread.handle);
        }
        if (done == count) return;
    }
}

fn run(index: usize) void {
    const fuzzer = &fuzzers[index];
    while (fuzzer.calls < calls_each) {
        if (fuzzer.calls % 512 == 0) enableAll();
        step(fuzzer);
        fuzzer.calls += 1;
    }
    for (&fuzzer.handles) |*held| {
        enableAll();
        close(held.*);
    }
    @atomicStore(u32, &fuzzer.done, 1, .release);
}

fn nothing(_: u64) callconv(.c) noreturn {
    _ = uk.calls.task_exit(0, 0);
    @trap();
}

fn onFault(frame: *abi.TaskFrame) callconv(.c) void {
    if (frame.kind == .interrupt) return;
    t.say("\nFAIL fault {d} at {x}, address {x}\n", .{ @intFromEnum(frame.fault), frame.rip, frame.fault_address });
    _ = uk.calls.vm_exit(9);
}

fn step(fuzzer: *Fuzzer) void {
    const random = fuzzer.random.random();
    const id: t.Id = @enumFromInt(random.uintLessThan(u16, abi.functions.len));
    switch (id) {
        .vm_exit, .task_resume => return,
        else => {},
    }
    const function = abi.functions[@intFromEnum(id)];
    var registers: [6]u64 = undefined;
    for (&registers) |*register| register.* = random.int(u64);
    for (function.arguments, 0..) |argument, index| registers[index] = value(fuzzer, id, argument);
    if (!shape(fuzzer, id, &registers)) return;
    const result = t.callWith(id, registers);
    if (function.gives_value) return;
    const detail: abi.Detail = @enumFromInt(uk.calls.err_get_last());
    check(id, function, result, detail, registers);
    if (result != 0) return;
    fuzzer.good += 1;
    keep(fuzzer, id, registers);
}

fn check(id: t.Id, function: abi.Function, result: u64, detail: abi.Detail, registers: [6]u64) void {
    const bit = @intFromEnum(detail);
    if (bit < 64) _ = seen[@intFromEnum(id)].fetchOr(@as(u64, 1) << @intCast(bit), .monotonic);
    // A page behind a pointer may be one that there is no memory for.
    const declared = detail == .none or detail == .out_of_memory or std.mem.indexOfScalar(abi.Detail, function.details, detail) != null;
    if (declared and result == @intFromEnum(detail.result())) return;
    if (undeclared.fetchAdd(1, .monotonic) < 20) {
        t.say("\nFAIL {s} gave {d}, detail {d}; arguments {x} {x} {x} {x} {x} {x}\n", .{
            function.name, result, bit, registers[0], registers[1], registers[2], registers[3], registers[4], registers[5],
        });
    }
}

fn value(fuzzer: *Fuzzer, id: t.Id, argument: abi.Argument) u64 {
    const random = fuzzer.random.random();
    return switch (argument.kind) {
        .enumeration => if (chance(random, 20)) random.int(u64) else random.uintLessThan(u64, 9),
        .flags => if (chance(random, 20)) random.int(u64) else random.int(u32) & argument.known_bits & random.int(u32),
        .handle => handle(fuzzer, argument),
        .in, .out, .inout, .in_bytes, .out_bytes, .in_array, .out_array, .inout_array => pointer(fuzzer, id, argument),
        .address => playgroundAddress(random),
        .value => switch (random.uintLessThan(u8, 8)) {
            0 => random.int(u64),
            1 => @as(u64, 1) << random.int(u6),
            2 => 0,
            3 => (random.uintLessThan(u64, 64) + 1) * page,
            4 => @as(u64, 0) -% random.uintLessThan(u64, 64),
            else => random.uintLessThan(u64, 64),
        },
    };
}

fn chance(random: std.Random, one_in: u32) bool {
    return random.uintLessThan(u32, one_in) == 0;
}

fn handle(fuzzer: *Fuzzer, argument: abi.Argument) u64 {
    const random = fuzzer.random.random();
    switch (random.uintLessThan(u8, 12)) {
        0 => return random.int(u64),
        1 => return 0,
        2 => return fuzzer.handles[random.uintLessThan(usize, ring_size)].handle +% 1,
        3 => if (argument.tag == .task) return @intFromEnum(fuzzers[random.uintLessThan(usize, count)].thread.handle),
        // Another fuzzer's.
        4 => return fuzzers[random.uintLessThan(usize, count)].handles[random.uintLessThan(usize, ring_size)].handle,
        else => {},
    }
    for (0..16) |_| {
        const held = fuzzer.handles[random.uintLessThan(usize, ring_size)];
        if (held.handle != 0 and argument.tag == tagOf(held.by)) return held.handle;
    }
    return 0;
}

fn tagOf(id: t.Id) ?abi.HandleTag {
    return switch (id) {
        .io_open, .vm_stop_event => .io,
        .cap_acquire => .cap,
        .task_spawn => .task,
        .mem_arena_create, .mem_share => .mem,
        .ipc_channel_create => .ipc,
        .io_poll_create => .poll,
        .time_deadline => .time,
        .net_socket, .net_accept => .net,
        .trace_span_begin => .span,
        else => null,
    };
}

fn pointer(fuzzer: *Fuzzer, id: t.Id, argument: abi.Argument) u64 {
    const random = fuzzer.random.random();
    if (chance(random, 10)) return switch (random.uintLessThan(u8, 6)) {
        0 => 0,
        1 => random.int(u64),
        2 => 0xffff_8000_0000_0000 + @as(u64, random.int(u32)),
        3 => uk.startup().user_end - random.uintLessThan(u64, 16),
        4 => uk.startup().gate,
        else => random.int(u16),
    };
    if (chance(random, 4)) return playgroundAddress(random) +% random.uintLessThan(u64, 64);
    switch (id) {
        .task_spawn => if (argument.kind == .in) {
            fuzzer.options = .{
                .entry = if (chance(random, 20)) 0xffff_8000_0000_0000 else @intFromPtr(&nothing),
                .stack = @intFromPtr(fuzzer.stack.ptr) + (64 << 10) + (1 + random.uintLessThan(u64, 16)) * 4096,
                .priority = random.uintLessThan(u32, 18),
                .mode = @enumFromInt(random.uintLessThan(u32, 3)),
                .flags = .{ .detached = random.boolean() },
                .capabilities = random.int(u8),
            };
            fuzzer.options.active = fuzzer.options.capabilities & random.int(u32);
            return @intFromPtr(&fuzzer.options);
        },
        .task_set_context => if (argument.kind == .in) {
            // Never a good one: the target is another fuzzer.
            fuzzer.frame = .{ .bytes = if (random.boolean()) random.int(u32) | 1 else @sizeOf(abi.TaskFrame), .rip = random.int(u64) | 1 << 63 };
            return @intFromPtr(&fuzzer.frame);
        },
        .io_poll, .io_poll_update => if (argument.kind != .out) {
            for (&fuzzer.entries) |*entry| entry.* = .{
                .handle = fuzzer.handles[random.uintLessThan(usize, ring_size)].handle,
                .wanted = @bitCast(if (chance(random, 40)) random.int(u32) else random.uintLessThan(u32, 16)),
            };
            return @intFromPtr(&fuzzer.entries);
        },
        .trace_event => {
            for (&fuzzer.fields) |*field| field.* = .{
                .key = if (chance(random, 20)) random.int(u64) else @intFromPtr(&fuzzer.buffer),
                .key_bytes = if (chance(random, 20)) random.int(u64) else random.uintLessThan(u64, 64),
                .value = if (chance(random, 20)) random.int(u64) else @intFromPtr(&fuzzer.buffer),
                .value_bytes = random.uintLessThan(u64, 300),
            };
            return @intFromPtr(&fuzzer.fields);
        },
        .task_wait, .task_requeue => if (argument.kind == .in) return @intFromPtr(&fuzzers[random.uintLessThan(usize, count)].word),
        .io_open => if (argument.kind == .in_bytes) {
            const paths = [_][]const u8{ "/", "/app", "/app/start", "/manifest", "..", "app/../kernel", "0", "7", "missing", "/app/start/x" };
            const path = paths[random.uintLessThan(usize, paths.len)];
            @memcpy(fuzzer.buffer[0..path.len], path);
            @memset(fuzzer.buffer[path.len..64], 0);
            fuzzer.buffer[4000] = @intCast(path.len);
        },
        else => {},
    }
    return @intFromPtr(&fuzzer.buffer) + (if (argument.pointee_bytes > 1) random.uintLessThan(u64, 16) * 8 else 0);
}

fn playgroundAddress(random: std.Random) u64 {
    return switch (random.uintLessThan(u8, 8)) {
        0 => playground + random.uintLessThan(u64, playground_bytes),
        1 => 0,
        2 => 0xffff_8000_0000_0000 + @as(u64, random.int(u32)),
        else => playground + random.uintLessThan(u64, playground_bytes / page) * page,
    };
}

/// Makes of random arguments ones that the fuzzer survives; false to leave the call out.
fn shape(fuzzer: *Fuzzer, id: t.Id, registers: *[6]u64) bool {
    const random = fuzzer.random.random();
    // What a call gives must not be lost: another fuzzer may write to the playground.
    if (resultAt(id)) |where| if (registers[where] -% playground < playground_bytes) {
        registers[where] = @intFromPtr(&fuzzer.buffer) + 4096;
    };
    switch (id) {
        .mem_free, .mem_protect, .mem_discard, .mem_share => {
            if (registers[0] -% playground >= playground_bytes) registers[0] = 0xffff_8000_0000_0000 | registers[0];
            if (registers[0] < 1 << 47 and registers[1] > playground + playground_bytes - registers[0]) registers[1] = random.uintLessThan(u64, 32) * page;
            registers[1] = if (registers[0] < 1 << 47) @min(registers[1], playground + playground_bytes - registers[0]) & ~@as(u64, page - 1) else registers[1];
        },
        .mem_map => {
            // Fixed ones in the playground; no others, which nobody would free.
            const fixed: u64 = if (random.boolean()) 1 << 5 else 1 << 6;
            registers[2] = (registers[2] & ~@as(u64, 3 << 5)) | fixed;
            if (registers[0] -% playground < playground_bytes) registers[1] = @min(registers[1], playground + playground_bytes - registers[0]);
            if (registers[0] -% playground >= playground_bytes) registers[0] |= 0xffff_8000_0000_0000;
            if (chance(random, 3)) registers[3] = 0;
            // It takes every tag: a file or a share.
            if (random.boolean()) registers[3] = fuzzer.handles[random.uintLessThan(usize, ring_size)].handle;
            registers[4] &= 0xffff_f000;
        },
        .mem_alloc => registers[1] &= ~@as(u64, 3 << 5),
        .task_set_fault_handler, .task_set_foreign_handler => {
            if (chance(random, 2)) registers[0] = 0 else {
                registers[0] = @intFromPtr(&onFault);
                registers[1] = @intFromPtr(fuzzer.stack.ptr) + random.uintLessThan(u64, 2) * 8;
                registers[2] = random.uintLessThan(u64, 5) * 16384;
                // The upper half is for the tasks that are spawned.
                if (registers[1] + registers[2] > @intFromPtr(fuzzer.stack.ptr) + (64 << 10)) return false;
            }
        },
        .task_exit => registers[1] |= 1,
        .task_sleep => registers[0] = if (chance(random, 10)) registers[0] else t.now() + random.uintLessThan(u64, 100_000),
        .task_join, .task_wait => {
            const at: usize = if (id == .task_join) 1 else 2;
            if (!chance(random, 10)) registers[at] = t.now() + random.uintLessThan(u64, 50_000);
            if (id == .task_wait and random.boolean()) registers[1] = 0;
        },
        .task_wake, .task_requeue => {
            if (random.boolean()) registers[if (id == .task_wake) 0 else 3] = @intFromPtr(&fuzzers[random.uintLessThan(usize, count)].word);
            if (id == .task_requeue and random.boolean()) registers[1] = 0;
        },
        .task_set_priority => if (chance(random, 4)) {
            registers[1] = random.uintLessThan(u64, 16);
            registers[2] = random.uintLessThan(u64, 2);
        },
        .io_open => {
            if (registers[2] == @intFromPtr(&fuzzer.buffer) and !chance(random, 8)) registers[3] = fuzzer.buffer[4000];
            // A console without non_block waits for input that never comes; the ticker ends that. One for writing would fill the log.
            registers[4] &= ~@as(u64, 1);
            if (registers[2] != @intFromPtr(&fuzzer.buffer)) registers[3] = @min(registers[3], 5000);
        },
        .io_read, .io_write, .io_readdir => {
            // The buffer is the fuzzer's own or the playground.
            if (registers[1] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) registers[2] = @min(registers[2], fuzzer.buffer.len - 256);
            if (registers[1] -% playground < playground_bytes) registers[2] = @min(registers[2], playground + playground_bytes - registers[1]);
            if (id != .io_readdir and random.boolean()) registers[3] = abi.offset_current;
        },
        .ipc_channel_create => if (registers[3] -% playground < playground_bytes or registers[3] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) {
            // Each handle in a place of its own, or one is lost.
            registers[3] = @intFromPtr(&fuzzer.buffer) + 4112;
            if (registers[2] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) registers[2] = @intFromPtr(&fuzzer.buffer) + 4096;
        },
        .time_deadline, .time_deadline_set => if (!chance(random, 4)) {
            registers[if (id == .time_deadline) 0 else 1] = t.now() + random.uintLessThan(u64, 2_000_000);
        },
        .ipc_send, .ipc_recv => {
            if (registers[1] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) registers[2] = @min(registers[2], fuzzer.buffer.len - 256);
            if (registers[1] -% playground < playground_bytes) registers[2] = @min(registers[2], playground + playground_bytes - registers[1]);
            if (!chance(random, 10)) registers[3] = t.now() + random.uintLessThan(u64, 50_000);
        },
        .net_bind, .net_connect, .net_send, .net_recv, .net_accept => {
            if (id == .net_send or id == .net_recv) {
                if (registers[1] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) registers[2] = @min(registers[2], fuzzer.buffer.len - 256);
                if (registers[1] -% playground < playground_bytes) registers[2] = @min(registers[2], playground + playground_bytes - registers[1]);
            }
            // Few ports, so that they meet.
            fuzzer.address = .{ .family = .ipv4, .port = 5000 + random.uintLessThan(u32, 3), .low = 127 | 1 << 24 };
            const address: ?usize = switch (id) {
                .net_bind, .net_connect => 1,
                .net_send => 3,
                else => null,
            };
            if (address) |at| if (!chance(random, 8)) {
                registers[at] = if (id == .net_send and random.boolean()) 0 else @intFromPtr(&fuzzer.address);
            };
            const deadline: ?usize = switch (id) {
                .net_connect => 2,
                .net_send, .net_recv => 4,
                .net_accept => 1,
                else => null,
            };
            if (deadline) |at| if (!chance(random, 20)) {
                registers[at] = t.now() + random.uintLessThan(u64, 50_000);
            };
        },
        .net_socket => if (!chance(random, 8)) {
            registers[0] = 4;
        },
        .io_poll, .io_poll_wait => {
            const at: usize = if (id == .io_poll) 0 else 1;
            if (registers[at] -% playground < playground_bytes) registers[at] = @intFromPtr(&fuzzer.buffer);
            if (registers[at] == @intFromPtr(&fuzzer.entries)) {
                registers[at + 1] = if (chance(random, 20)) 1 << 20 else @min(registers[at + 1], fuzzer.entries.len);
            } else registers[at + 1] = @min(registers[at + 1], 64);
            if (!chance(random, 10)) registers[at + 2] = t.now() + random.uintLessThan(u64, 50_000);
        },
        .trace_span_begin => if (!chance(random, 8)) {
            registers[1] = random.uintLessThan(u64, 140);
        },
        .trace_event => if (registers[1] == @intFromPtr(&fuzzer.fields)) {
            registers[2] = @min(registers[2], fuzzer.fields.len);
        },
        .random_fill => {
            if (registers[0] -% @intFromPtr(&fuzzer.buffer) < fuzzer.buffer.len) registers[1] = if (chance(random, 8)) 1 << 20 else @min(registers[1], 4096);
            if (registers[0] -% playground < playground_bytes) registers[1] = @min(registers[1], playground + playground_bytes - registers[0]);
        },
        .cap_acquire => if (random.boolean()) {
            registers[0] = random.uintLessThan(u64, 5);
            registers[1] = 1;
        },
        else => {},
    }
    return true;
}

/// Remembers what a call gave, and gives back what was remembered before in its place.
fn keep(fuzzer: *Fuzzer, id: t.Id, registers: [6]u64) void {
    const where = resultAt(id) orelse return;
    const result: *align(1) const u64 = @ptrFromInt(registers[where]);
    const held: Held = .{ .handle = result.*, .by = id };
    if (id == .mem_alloc) {
        const bytes = (registers[0] + page - 1) & ~@as(u64, page - 1);
        _ = t.callWith(.mem_free, .{ held.handle, bytes, 0, 0, 0, 0 });
        return;
    }
    if (id == .task_spawn and fuzzer.options.flags.detached) return;
    keepOne(fuzzer, held);
    // The other end.
    if (id == .ipc_channel_create and registers[3] != registers[2]) {
        const other: *align(1) const u64 = @ptrFromInt(registers[3]);
        keepOne(fuzzer, .{ .handle = other.*, .by = id });
    }
}

fn keepOne(fuzzer: *Fuzzer, held: Held) void {
    close(fuzzer.handles[fuzzer.next]);
    fuzzer.handles[fuzzer.next] = held;
    fuzzer.next = (fuzzer.next + 1) % ring_size;
}

/// Which argument points to the handle or memory that a call gives.
fn resultAt(id: t.Id) ?usize {
    return switch (id) {
        .io_open => 5,
        .vm_stop_event => 0,
        .cap_acquire, .mem_alloc, .mem_share => 2,
        .task_spawn, .mem_arena_create, .time_deadline => 1,
        .io_poll_create => 0,
        .ipc_channel_create, .net_socket, .net_accept => 2,
        .trace_span_begin => 3,
        else => null,
    };
}

fn close(held: Held) void {
    if (held.handle == 0) return;
    var status: i32 = 0;
    const item: abi.Handle = @enumFromInt(held.handle);
    for (0..100) |_| {
        const result = switch (held.by) {
            .io_open, .vm_stop_event => uk.calls.io_close(item),
            .ipc_channel_create => uk.calls.ipc_close(item),
            .net_socket, .net_accept => uk.calls.net_close(item),
            .io_poll_create => uk.calls.io_poll_close(item),
            .time_deadline => uk.calls.time_deadline_close(item),
            .cap_acquire => uk.calls.cap_drop(item),
            .mem_arena_create => uk.calls.mem_arena_drop(item),
            .mem_share => uk.calls.mem_unshare(item),
            .trace_span_begin => uk.calls.trace_span_end(item),
            .task_spawn => uk.calls.task_join(item, abi.deadline_never, &status),
            else => return,
        };
        switch (result) {
            .ok, .invalid => return,
            // Another fuzzer may have taken the capability away, or joins the task.
            else => enableAll(),
        }
    }
}
