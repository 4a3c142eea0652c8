//! What happens when something runs out: handles, tasks, address space, regions, memory. Last, because what was full may stay
//! in the kernel's own stocks afterwards.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const net = @import("conformance_net.zig");
const abi = uk.abi;

const page = abi.page_bytes;
const rw: abi.MemFlags = .{ .read = true, .write = true };

pub fn run() void {
    addressSpace();
    regions();
    handles();
    messages();
    tasks();
    memory();
}

fn addressSpace() void {
    var arenas: [200]abi.Handle = undefined;
    var count: usize = 0;
    while (count < arenas.len and t.call(.mem_arena_create, .{ abi.arena_bytes_max, &arenas[count] }) == 0) count += 1;
    var arena: abi.Handle = .none;
    t.fails(@src(), .mem_arena_create, .out_of_address_space, .{ abi.arena_bytes_max, &arena });
    t.expect(@src(), count > 64, "more than half of the address space");
    for (arenas[0..count]) |handle| t.ok(@src(), .mem_arena_drop, .{handle});
}

/// Alternating access makes a region of every page, until there are no more regions.
fn regions() void {
    const before = conformance.stats();
    const pages = before.regions_max + 64;
    var base: u64 = 0;
    t.ok(@src(), .mem_alloc, .{ (pages + 8) * page, rw, &base });
    const read_only: abi.MemFlags = .{ .read = true };
    var at: u64 = 1;
    while (at < pages and t.call(.mem_protect, .{ base + at * page, page, read_only }) == 0) at += 2;
    t.expect(@src(), at < pages and at > 1000, "some, and not endlessly many");
    t.fails(@src(), .mem_protect, .out_of_memory, .{ base + (pages + 4) * page, page, read_only });
    // Use up the last one, if a split needs two.
    var address: u64 = 0;
    var extra: [4]u64 = @splat(0);
    for (&extra) |*place| if (t.call(.mem_map, .{ 0x3000_0000_0000 + @intFromPtr(place) % 4096 * 0x1000_0000, page, read_only, 0, 0, place }) != 0) break;
    t.fails(@src(), .mem_map, .out_of_memory, .{ 0x4000_0000_0000, page, read_only, 0, 0, &address });
    t.fails(@src(), .mem_alloc, .out_of_memory, .{ page, abi.MemFlags{ .read = true, .exec = true }, &address });
    var arena: abi.Handle = .none;
    t.fails(@src(), .mem_arena_create, .out_of_memory, .{ 4096, &arena });
    t.fails(@src(), .mem_free, .out_of_memory, .{ base + (pages + 4) * page, page });
    for (extra) |place| if (place != 0) t.ok(@src(), .mem_free, .{ place, page });
    t.ok(@src(), .mem_free, .{ base, (pages + 8) * page });
    t.expectEqual(@src(), before.regions_used, conformance.stats().regions_used, "regions as before");
}

fn handles() void {
    const before = conformance.stats();
    const listening = net.listener(4999, 1);
    const client = net.socket(.tcp);
    t.ok(@src(), .net_connect, .{ client, &abi.NetAddress{ .family = .ipv4, .port = 4999, .low = 127 | 1 << 24 }, abi.deadline_never });
    const list = uk.reserve(@intCast((before.handles_max * 8 + page - 1) / page * page)) catch @panic("no memory");
    const opened: [*]abi.Handle = @ptrCast(list.ptr);
    var count: usize = 0;
    while (count < before.handles_max and t.call(.io_open, .{ abi.IoSource.image, 0, "/", 1, 0, &opened[count] }) == 0) count += 1;
    t.expect(@src(), count > 1000, "many handles");
    var handle: abi.Handle = .none;
    t.fails(@src(), .io_open, .out_of_handles, .{ abi.IoSource.image, 0, "/", 1, 0, &handle });
    t.fails(@src(), .cap_acquire, .out_of_handles, .{ abi.CapKind.log, 1, &handle });
    t.fails(@src(), .vm_stop_event, .out_of_handles, .{&handle});
    t.fails(@src(), .mem_arena_create, .out_of_handles, .{ page, &handle });
    const shared = uk.reserve(page) catch @panic("no memory");
    defer uk.release(shared);
    t.fails(@src(), .mem_share, .out_of_handles, .{ shared.ptr, page, &handle });
    t.fails(@src(), .time_deadline, .out_of_handles, .{ 0, &handle });
    t.fails(@src(), .io_poll_create, .out_of_handles, .{&handle});
    t.fails(@src(), .ipc_channel_create, .out_of_handles, .{ 1, 1, &handle, &handle });
    t.fails(@src(), .net_socket, .out_of_handles, .{ abi.NetFamily.ipv4, abi.NetType.udp, &handle });
    t.fails(@src(), .net_accept, .out_of_handles, .{ listening, 0, &handle, null });
    t.fails(@src(), .trace_span_begin, .out_of_handles, .{ "span", 4, 0, &handle });
    var stack: [256]u8 align(16) = undefined;
    const options: abi.TaskOptions = .{ .entry = @intFromPtr(&sleeper), .stack = @intFromPtr(&stack) + stack.len };
    t.fails(@src(), .task_spawn, .out_of_handles, .{ &options, &handle });
    for (opened[0..count]) |item| {
        if (t.call(.io_close, .{item}) != 0) t.expect(@src(), false, "close");
    }
    // Those that are told of the same thing are fewer.
    count = 0;
    while (count < 1000 and t.call(.io_open, .{ abi.IoSource.console, 0, "", 0, 0, &opened[count] }) == 0) count += 1;
    t.expect(@src(), count > 8 and count <= 64, "consoles");
    t.fails(@src(), .io_open, .out_of_handles, .{ abi.IoSource.console, 0, "", 0, 0, &handle });
    for (opened[0..count]) |item| t.ok(@src(), .io_close, .{item});
    uk.release(list);
    t.ok(@src(), .net_accept, .{ listening, 0, &handle, null });
    for ([_]abi.Handle{ handle, client, listening }) |item| net.close(item);
    t.expectEqual(@src(), before.handles_used, conformance.stats().handles_used, "handles as before");
}

/// Messages that nobody receives are charged to their sender, until half of memory is his.
fn messages() void {
    const before = conformance.stats();
    const bytes = abi.ipc_message_bytes_max;
    const message = uk.reserve(bytes) catch @panic("no memory");
    var channel: [2]abi.Handle = undefined;
    t.ok(@src(), .ipc_channel_create, .{ abi.ipc_messages_max, bytes, &channel[0], &channel[1] });
    var thread: t.Thread = .{};
    thread.start(sendOne, @intFromEnum(channel[0]), .{});
    var sent: u64 = 0;
    while (t.call(.ipc_send, .{ channel[0], message.ptr, bytes, 0 }) == 0) sent += 1;
    t.fails(@src(), .ipc_send, .out_of_memory, .{ channel[0], message.ptr, bytes, 0 });
    t.expect(@src(), sent > 100 and sent * bytes <= uk.startup().memory_bytes / 2, "no more than half of memory");
    // What a long one has no room for, short ones take.
    while (t.call(.ipc_send, .{ channel[0], message.ptr, 1, 0 }) == 0) {}
    var share: abi.Handle = .none;
    t.fails(@src(), .mem_share, .out_of_memory, .{ message.ptr, page, &share });
    // Another task has an account of its own.
    @atomicStore(u32, &send_one, 1, .release);
    _ = thread.join();
    thread.free();
    for (channel) |end| t.ok(@src(), .ipc_close, .{end});
    uk.release(message);
    const after = conformance.stats();
    t.expect(@src(), after.pages_free + 8 > before.pages_free, "memory is back");
}

var send_one: u32 = 0;

fn sendOne(channel: usize) void {
    t.awaitValue(&send_one, 1);
    t.ok(@src(), .ipc_send, .{ @as(u64, channel), "one", 3, 0 });
}

var leave: u32 = 0;

/// Waits until the word is set.
fn sleeper(word: u64) callconv(.c) noreturn {
    while (@atomicLoad(u32, @as(*u32, @ptrFromInt(word)), .acquire) == 0) _ = uk.calls.task_wait(@ptrFromInt(word), 0, abi.deadline_never);
    _ = uk.calls.task_exit(0, 0);
    @trap();
}

fn tasks() void {
    const before = conformance.stats();
    const stack_bytes = 4096;
    const stacks = uk.reserve(@intCast((before.tasks_max + 1) * stack_bytes)) catch @panic("no memory");
    var options: abi.TaskOptions = .{ .entry = @intFromPtr(&sleeper), .argument = @intFromPtr(&leave), .flags = .{ .detached = true }, .priority = 8 };
    var handle: abi.Handle = .none;
    var count: u64 = 0;
    while (count <= before.tasks_max) : (count += 1) {
        options.stack = @intFromPtr(stacks.ptr) + (count + 1) * stack_bytes;
        if (t.call(.task_spawn, .{ &options, &handle }) != 0) break;
    }
    t.expect(@src(), count > 100, "many tasks");
    t.expectEqual(@src(), before.tasks_max, count + before.tasks_used, "all of them");
    t.fails(@src(), .task_spawn, .out_of_tasks, .{ &options, &handle });
    @atomicStore(u32, &leave, 1, .release);
    var woken: u32 = 0;
    t.ok(@src(), .task_wake, .{ &leave, std.math.maxInt(u32), &woken });
    var tries: u32 = 0;
    while (conformance.stats().tasks_used > before.tasks_used and tries < 5000) : (tries += 1) t.sleep(1_000_000);
    t.expectEqual(@src(), before.tasks_used, conformance.stats().tasks_used, "tasks as before");
    uk.release(stacks);
}

/// Touches memory until there is none, in a task of its own whose fault handler ends it; then what needs memory says so.
fn memory() void {
    const handlers = @import("handlers.zig");
    const bytes: usize = @intCast(uk.startup().memory_bytes);
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    handlers.install(true, false, stack) catch t.expect(@src(), false, "handlers");
    // The pages that the tests below need are there before: a handler whose stack cannot be written ends the VM.
    @memset(stack, 0);
    touchProgram();
    var thread_stack: [1024]u8 align(16) = @splat(0);
    const options: abi.TaskOptions = .{ .entry = @intFromPtr(&sleeper), .argument = @intFromPtr(&leave), .stack = @intFromPtr(&thread_stack) + thread_stack.len, .priority = 8 };
    var handle: abi.Handle = .none;
    const listening = net.listener(4999, 1);
    const pair: net.Pair = .create(listening, 4999);
    const buffer = uk.reserve(200 << 10) catch @panic("no memory");
    @memset(buffer, 7);
    const before = conformance.stats();
    const all = uk.reserve(bytes) catch @panic("no address space");
    var touched: usize = 0;
    while (touched < bytes and handlers.canWrite(@intFromPtr(all.ptr) + touched)) touched += page;
    t.expect(@src(), touched < bytes and touched > bytes / 4, "memory ran out");
    t.expectEqual(@src(), @intFromEnum(abi.Detail.out_of_memory), handlers.last.fault_detail, "the fault says so");
    t.fails(@src(), .task_spawn, .out_of_memory, .{ &options, &handle });
    const accepted = sendWithoutMemory(pair, buffer, all[touched - 10 * page ..][0 .. 10 * page]);
    t.ok(@src(), .mem_free, .{ all.ptr, bytes });
    receiveAccepted(pair, buffer, accepted);
    const after = conformance.stats();
    t.expect(@src(), after.pages_free + 64 > before.pages_free, "memory is back");
    for ([_]abi.Handle{ pair.client, pair.server, listening }) |item| net.close(item);
    uk.release(buffer);
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
}

/// The network is far from its own bound when memory runs out: a sender waits, others go on, and what was taken arrives when there is memory again.
fn sendWithoutMemory(pair: net.Pair, buffer: []u8, last: []u8) u64 {
    const wait_ns = 200_000_000;
    var sent: u64 = 0;
    t.fails(@src(), .net_send, .out_of_memory, .{ pair.client, buffer.ptr, buffer.len, null, t.now() + wait_ns, &sent });
    t.ok(@src(), .mem_free, .{ last.ptr, last.len });
    t.ok(@src(), .net_send, .{ pair.client, buffer.ptr, buffer.len, null, t.now() + wait_ns, &sent });
    t.expect(@src(), sent > 0 and sent < buffer.len, "what there is memory for");
    var more: u64 = 0;
    t.fails(@src(), .net_send, .timed_out, .{ pair.client, buffer.ptr, buffer.len, null, t.now() + wait_ns, &more });
    return sent;
}

fn receiveAccepted(pair: net.Pair, buffer: []u8, accepted: u64) void {
    @memset(buffer, 0);
    var received: u64 = 0;
    while (received < accepted) {
        var bytes: u64 = 0;
        t.ok(@src(), .net_recv, .{ pair.server, buffer.ptr + received, buffer.len - received, null, t.now() + 20_000_000_000, &bytes });
        if (bytes == 0) break;
        received += bytes;
    }
    t.expectEqual(@src(), accepted, received, "all that was taken");
    t.expect(@src(), std.mem.allEqual(u8, buffer[0..@intCast(received)], 7), "the bytes");
}

/// Reads a byte of each page of the program, so that none has to be loaded when memory has run out.
fn touchProgram() void {
    var region: abi.MemRegion = .{};
    var at: u64 = 0;
    while (t.call(.mem_query, .{ at, &region }) == 0) : (at = region.address + region.bytes) {
        if (region.kind != 1) continue;
        var page_address = region.address;
        while (page_address < region.address + region.bytes) : (page_address += page) {
            std.mem.doNotOptimizeAway(@as(*const volatile u8, @ptrFromInt(page_address)).*);
        }
    }
}
