//! What holds of every function alike, by the ABI file's own description of its arguments: bad pointers, stale and wrong handles, unknown
//! flags and values, and a missing capability.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const net = @import("conformance_net.zig");
const abi = uk.abi;

/// Arguments with which a call would succeed, or would if it were not for the one that is made bad.
const Bases = struct {
    registers: [abi.functions.len]?[6]u64 = @splat(null),

    fn set(self: *Bases, id: t.Id, arguments: anytype) void {
        self.registers[@intFromEnum(id)] = t.registersOf(arguments);
    }
};

var bases: Bases = .{};

/// Where out arguments go: large enough for each.
var out: [4096]u8 align(16) = undefined;
var word: u32 = 7;
var listening_at: abi.NetAddress = .{ .family = .ipv4, .port = 4999, .low = 127 | 1 << 24 };
var entry: abi.IoPollEntry = .{};
var options: abi.TaskOptions = .{};
var trace_field: abi.TraceField = .{};
var frame: abi.TaskFrame = .{ .bytes = @sizeOf(abi.TaskFrame) };
var code_stack: [256]u8 align(16) = undefined;

const Objects = struct {
    file: abi.Handle = .none,
    directory: abi.Handle = .none,
    console: abi.Handle = .none,
    capability: abi.Handle = .none,
    arena: abi.Handle = .none,
    left: abi.Handle = .none,
    right: abi.Handle = .none,
    set: abi.Handle = .none,
    deadline: abi.Handle = .none,
    share: abi.Handle = .none,
    listener: abi.Handle = .none,
    client: abi.Handle = .none,
    server: abi.Handle = .none,
    plain: abi.Handle = .none,
    span: abi.Handle = .none,
    sleeper: t.Thread = .{},
    memory: []align(4096) u8 = &.{},
    stale: [10]u64 = @splat(0),
};

var objects: Objects = .{};
var sleeping: u32 = 0;

pub fn run() void {
    open();
    fill();
    for (abi.functions, 0..) |function, index| {
        if (function.unsupported) continue;
        const id: t.Id = @enumFromInt(index);
        const base = bases.registers[index] orelse {
            if (function.arguments.len > 0 and !function.gives_value and id != .time_wall) t.expect(@src(), false, "a function without arguments to begin from");
            continue;
        };
        for (function.arguments, 0..) |argument, position| sweep(id, base, argument, position);
    }
    withoutCapabilities();
    close();
}

fn open() void {
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app/start", 10, 0, &objects.file });
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/", 1, 0, &objects.directory });
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .write = true }, &objects.console });
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &objects.capability });
    t.ok(@src(), .mem_arena_create, .{ 1 << 20, &objects.arena });
    // With a message each way, so that whatever is asked of them could be done.
    t.ok(@src(), .ipc_channel_create, .{ 4, 64, &objects.left, &objects.right });
    t.ok(@src(), .ipc_send, .{ objects.left, "message", 7, 0 });
    t.ok(@src(), .io_poll_create, .{&objects.set});
    t.ok(@src(), .time_deadline, .{ abi.deadline_never, &objects.deadline });
    entry = .{ .handle = @intFromEnum(objects.right), .wanted = .{ .readable = true } };
    t.ok(@src(), .io_poll_update, .{ objects.set, &entry });
    objects.memory = uk.reserve(16 << 12) catch @panic("no memory");
    t.ok(@src(), .mem_share, .{ objects.memory.ptr + 15 * 4096, 4096, &objects.share });
    objects.sleeper.start(sleepLong, 0, .{});
    t.awaitValue(&sleeping, 1);

    objects.listener = net.listener(4999, 1);
    const pair: net.Pair = .create(objects.listener, 4999);
    objects.client = pair.client;
    objects.server = pair.server;
    objects.plain = net.socket(.tcp);
    var sent: u64 = 0;
    t.ok(@src(), .net_send, .{ objects.server, "message", 7, null, 0, &sent });

    t.ok(@src(), .trace_span_begin, .{ "sweep", 5, 0, &objects.span });
    // One stale handle of each tag that this kernel gives out.
    var handle: abi.Handle = .none;
    t.ok(@src(), .trace_span_begin, .{ "stale", 5, objects.span, &handle });
    t.ok(@src(), .trace_span_end, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.span)] = @intFromEnum(handle);
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/", 1, 0, &handle });
    t.ok(@src(), .io_close, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.io)] = @intFromEnum(handle);
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &handle });
    t.ok(@src(), .cap_drop, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.cap)] = @intFromEnum(handle);
    t.ok(@src(), .mem_arena_create, .{ 1 << 20, &handle });
    t.ok(@src(), .mem_arena_drop, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.mem)] = @intFromEnum(handle);
    t.ok(@src(), .time_deadline, .{ 0, &handle });
    t.ok(@src(), .time_deadline_close, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.time)] = @intFromEnum(handle);
    handle = net.socket(.udp);
    net.close(handle);
    objects.stale[@intFromEnum(abi.HandleTag.net)] = @intFromEnum(handle);
    var peer: abi.Handle = .none;
    t.ok(@src(), .ipc_channel_create, .{ 1, 1, &handle, &peer });
    t.ok(@src(), .ipc_close, .{handle});
    t.ok(@src(), .ipc_close, .{peer});
    objects.stale[@intFromEnum(abi.HandleTag.ipc)] = @intFromEnum(handle);
    t.ok(@src(), .io_poll_create, .{&handle});
    t.ok(@src(), .io_poll_close, .{handle});
    objects.stale[@intFromEnum(abi.HandleTag.poll)] = @intFromEnum(handle);
    var thread: t.Thread = .{};
    thread.start(nothing, 0, .{});
    _ = thread.join();
    objects.stale[@intFromEnum(abi.HandleTag.task)] = @intFromEnum(thread.handle);
    thread.free();
}

fn nothing(_: usize) void {}

fn sleepLong(_: usize) void {
    @atomicStore(u32, &sleeping, 1, .release);
    while (@atomicLoad(u32, &sleeping, .acquire) == 1) _ = uk.calls.task_wait(&sleeping, 1, abi.deadline_never);
}

fn close() void {
    @atomicStore(u32, &sleeping, 2, .release);
    _ = uk.calls.task_wake(@intFromPtr(&sleeping), 1, null);
    _ = objects.sleeper.join();
    objects.sleeper.free();
    for ([_]abi.Handle{ objects.file, objects.directory, objects.console }) |handle| t.ok(@src(), .io_close, .{handle});
    t.ok(@src(), .cap_drop, .{objects.capability});
    t.ok(@src(), .mem_arena_drop, .{objects.arena});
    t.ok(@src(), .ipc_close, .{objects.left});
    t.ok(@src(), .ipc_close, .{objects.right});
    t.ok(@src(), .io_poll_close, .{objects.set});
    t.ok(@src(), .time_deadline_close, .{objects.deadline});
    t.ok(@src(), .mem_unshare, .{objects.share});
    t.ok(@src(), .trace_span_end, .{objects.span});
    for ([_]abi.Handle{ objects.listener, objects.client, objects.server, objects.plain }) |handle| net.close(handle);
    uk.release(objects.memory);
}

fn fill() void {
    options = .{ .entry = @intFromPtr(&nothing), .stack = @intFromPtr(&code_stack) + code_stack.len, .priority = abi.priority_normal };
    const pages = @intFromPtr(objects.memory.ptr);
    bases.set(.abi_stats, .{&out});
    bases.set(.cap_acquire, .{ abi.CapKind.log, 1, &out });
    bases.set(.cap_drop, .{objects.capability});
    bases.set(.cap_enter, .{objects.capability});
    bases.set(.cap_exit, .{objects.capability});
    bases.set(.task_spawn, .{ &options, &out });
    bases.set(.task_sleep, .{0});
    bases.set(.task_exit, .{ 0, 2 });
    bases.set(.task_join, .{ objects.sleeper.handle, 0, &out });
    bases.set(.task_set_priority, .{ objects.sleeper.handle, abi.priority_normal, 0 });
    bases.set(.task_get_stats, .{ objects.sleeper.handle, &out });
    bases.set(.task_wait, .{ &word, 8, 0 });
    bases.set(.task_wake, .{ &word, 1, &out });
    bases.set(.task_requeue, .{ &word, 7, 1, &out, 1, &out });
    bases.set(.task_set_thread_pointer, .{ 0, 0 });
    bases.set(.task_set_foreign_handler, .{ 0, 0, 0, 0 });
    bases.set(.task_set_fault_handler, .{ 0, 0, 0, 0 });
    bases.set(.task_resume, .{@as(u64, 8)});
    bases.set(.task_interrupt, .{objects.sleeper.handle});
    bases.set(.task_get_context, .{ objects.sleeper.handle, &out });
    bases.set(.task_set_context, .{ objects.sleeper.handle, &frame });
    bases.set(.vm_exit, .{0});
    bases.set(.vm_stop_event, .{&out});
    if (conformance.provided.wall) bases.set(.time_wall, .{&out});
    bases.set(.time_deadline, .{ abi.deadline_never, &out });
    bases.set(.time_deadline_set, .{ objects.deadline, 0 });
    bases.set(.time_deadline_close, .{objects.deadline});
    bases.set(.mem_alloc, .{ 4096, 3, &out });
    bases.set(.mem_free, .{ pages + 4096, 4096 });
    bases.set(.mem_map, .{ 0, 4096, 1, objects.file, 0, &out });
    bases.set(.mem_protect, .{ pages, 4096, 3 });
    bases.set(.mem_discard, .{ pages, 4096 });
    bases.set(.mem_query, .{ pages, &out });
    bases.set(.mem_share, .{ pages + 2 * 4096, 4096, &out });
    bases.set(.mem_unshare, .{objects.share});
    bases.set(.mem_arena_create, .{ 4096, &out });
    bases.set(.mem_arena_alloc, .{ objects.arena, 8, 8, &out });
    bases.set(.mem_arena_reset, .{objects.arena});
    bases.set(.mem_arena_drop, .{objects.arena});
    bases.set(.io_open, .{ abi.IoSource.image, objects.directory, "app", 3, 0, &out });
    bases.set(.io_read, .{ objects.file, &out, 16, 0, &out });
    bases.set(.io_write, .{ objects.console, " ", 1, abi.offset_current, &out });
    bases.set(.io_seek, .{ objects.file, 0, 0, &out });
    bases.set(.io_stat, .{ objects.file, &out });
    bases.set(.io_readdir, .{ objects.directory, &out, out.len, &out });
    bases.set(.io_close, .{objects.file});
    bases.set(.io_poll, .{ &entry, 1, 0, &out });
    bases.set(.io_poll_create, .{&out});
    bases.set(.io_poll_update, .{ objects.set, &entry });
    bases.set(.io_poll_wait, .{ objects.set, &out, 1, 0, out[out.len - 8 ..].ptr });
    bases.set(.io_poll_close, .{objects.set});
    bases.set(.ipc_channel_create, .{ 1, 64, &out, out[8..].ptr });
    bases.set(.ipc_send, .{ objects.left, "message", 7, 0 });
    bases.set(.ipc_recv, .{ objects.right, &out, 64, 0, out[out.len - 8 ..].ptr });
    bases.set(.ipc_close, .{objects.left});
    bases.set(.net_socket, .{ abi.NetFamily.ipv4, abi.NetType.tcp, &out });
    bases.set(.net_bind, .{ objects.plain, &listening_at });
    bases.set(.net_listen, .{ objects.plain, 1 });
    bases.set(.net_accept, .{ objects.listener, 0, &out, out[64..].ptr });
    bases.set(.net_connect, .{ objects.client, &listening_at, 0 });
    bases.set(.net_send, .{ objects.client, "x", 1, 0, 0, &out });
    bases.set(.net_recv, .{ objects.client, &out, 16, out[64..].ptr, 0, out[out.len - 8 ..].ptr });
    bases.set(.net_get_address, .{ objects.client, &out, out[64..].ptr });
    bases.set(.net_set_option, .{ objects.client, abi.NetOption.no_delay, 1 });
    bases.set(.net_get_option, .{ objects.client, abi.NetOption.no_delay, &out });
    bases.set(.net_close, .{objects.client});
    bases.set(.net_name_server, .{ 0, 0, &out });
    bases.set(.random_fill, .{ &out, 16 });
    bases.set(.log_write, .{ 1, "x", 1 });
    bases.set(.trace_span_begin, .{ "span", 4, objects.span, &out });
    bases.set(.trace_span_end, .{objects.span});
    trace_field = .{ .key = @intFromPtr("key"), .key_bytes = 3 };
    bases.set(.trace_event, .{ objects.span, &trace_field, 1 });
}

fn sweep(id: t.Id, base: [6]u64, argument: abi.Argument, position: usize) void {
    switch (argument.kind) {
        .in, .out, .inout, .in_bytes, .out_bytes, .in_array, .out_array, .inout_array => badPointers(id, base, argument, position),
        .handle => badHandles(id, base, argument, position),
        .enumeration => for ([_]u64{ 77, 0x7fff_ffff, 0xffff_ffff }) |value| {
            t.failsWith(@src(), id, .bad_value, with(base, position, value));
        },
        .flags => for (0..32) |bit| {
            const mask = @as(u64, 1) << @intCast(bit);
            if (argument.known_bits & mask == 0) t.failsWith(@src(), id, .bad_flags, with(base, position, base[position] | mask));
        },
        .value, .address => {},
    }
}

fn with(base: [6]u64, position: usize, value: u64) [6]u64 {
    var registers = base;
    registers[position] = value;
    return registers;
}

fn badPointers(id: t.Id, base: [6]u64, argument: abi.Argument, position: usize) void {
    const start = uk.startup();
    const addresses = [_]u64{
        0,                     8,                     0x1000,
        start.user_base - 16,  start.user_end,        0x0000_8000_0000_0000,
        0xffff_8000_0000_0000, 0xffff_ffff_8010_0000, std.math.maxInt(u64) - 4095,
        0x1234_5678_9abc_def0, start.user_end - 8192,
    };
    for (addresses) |address| {
        if (address == 0 and argument.optional) continue;
        // The last one is inside the range and nothing is mapped there, unless the gate is.
        if (address == start.user_end - 8192 and start.gate + start.gate_bytes > address) continue;
        t.failsWith(@src(), id, .bad_pointer, with(base, position, address));
    }
    const writes = switch (argument.kind) {
        .out, .inout, .out_bytes, .out_array, .inout_array => true,
        else => false,
    };
    // Read-only memory: the gate, and the program's own code.
    if (writes) for ([_]u64{ start.gate, @intFromPtr(&nothing) & ~@as(u64, 15) }) |address| {
        t.failsWith(@src(), id, .bad_pointer, with(base, position, address));
    };
}

fn badHandles(id: t.Id, base: [6]u64, argument: abi.Argument, position: usize) void {
    const good = base[position];
    const values = [_]u64{ 0, 1, 2, 0xffff_ffff, std.math.maxInt(u64), good ^ 1 << 63, good +% 1, good ^ 0x100 };
    for (values) |value| {
        if (value == 0 and argument.optional) continue;
        if (isLive(value)) continue;
        t.failsWith(@src(), id, .bad_handle, with(base, position, value));
    }
    for (objects.stale) |value| if (value != 0 and !isLive(value)) t.failsWith(@src(), id, .bad_handle, with(base, position, value));
    // Live handles of every other tag.
    const tagged = [_]struct { abi.HandleTag, abi.Handle }{
        .{ .io, objects.file },             .{ .cap, objects.capability }, .{ .mem, objects.arena },
        .{ .task, objects.sleeper.handle }, .{ .ipc, objects.left },       .{ .poll, objects.set },
        .{ .time, objects.deadline },       .{ .net, objects.client },     .{ .span, objects.span },
    };
    for (tagged) |live| {
        if (argument.tag != null and argument.tag.? != live[0]) {
            t.failsWith(@src(), id, .bad_handle, with(base, position, @intFromEnum(live[1])));
        }
    }
}

fn isLive(value: u64) bool {
    var list = [_]abi.Handle{ objects.file, objects.directory, objects.console, objects.capability, objects.arena, objects.left, objects.right, objects.set, objects.deadline, objects.share, objects.sleeper.handle, objects.listener, objects.client, objects.server, objects.plain, objects.span, t.me() };
    for (&list) |*handle| if (@intFromEnum(handle.*) == value) return true;
    return false;
}

/// A task with no capability gets nowhere, whatever it passes.
fn withoutCapabilities() void {
    var thread: t.Thread = .{};
    thread.start(powerless, 0, .{ .capabilities = 1 << 4, .active = 0 });
    _ = thread.join();
    thread.free();
}

fn powerless(_: usize) void {
    for (abi.functions, 0..) |function, index| {
        if (function.unsupported or function.capability == null) continue;
        const id: t.Id = @enumFromInt(index);
        if (bases.registers[index]) |base| t.failsWith(@src(), id, .capability_missing, base);
        t.failsWith(@src(), id, .capability_missing, @splat(std.math.maxInt(u64)));
    }
}
