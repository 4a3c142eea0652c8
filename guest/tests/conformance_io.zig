//! The image, block devices, the console and the stop event.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const handlers = @import("handlers.zig");
const conformance = @import("conformance.zig");
const poll = @import("conformance_poll.zig");
const abi = uk.abi;

const never = abi.deadline_never;
const current = abi.offset_current;

pub fn run() void {
    opens();
    reads();
    seeks();
    directories();
    stats();
    console();
    if (conformance.provided.block) blocks();
    if (conformance.provided.corrupt) corrupt();
    stopEvent();
}

fn open(path: []const u8, flags: abi.IoFlags) abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, path.ptr, path.len, flags, &handle });
    return handle;
}

fn refuse(source: std.builtin.SourceLocation, detail: abi.Detail, from: abi.Handle, path: []const u8, flags: abi.IoFlags) void {
    var handle: abi.Handle = .none;
    t.fails(source, .io_open, detail, .{ abi.IoSource.image, from, path.ptr, path.len, flags, &handle });
}

fn close(handle: abi.Handle) void {
    t.ok(@src(), .io_close, .{handle});
}

/// The runner's tree: /data/text holds "0123456789\n" a thousand times, /data/many 300 names, /data/link leads to text, loop to itself.
const text_bytes = 11_000;

fn opens() void {
    refuse(@src(), .not_found, .none, "/missing", .{});
    refuse(@src(), .not_found, .none, "/data/missing/text", .{});
    refuse(@src(), .not_directory, .none, "/data/text/x", .{});
    refuse(@src(), .not_directory, .none, "/data/text", .{ .directory = true });
    refuse(@src(), .link_loop, .none, "/data/loop", .{});
    refuse(@src(), .read_only, .none, "/data/text", .{ .write = true });
    refuse(@src(), .bad_value, .none, "", .{});
    refuse(@src(), .bad_value, .none, "/data\x00/text", .{});
    refuse(@src(), .too_long, .none, "/" ** 4097, .{});
    refuse(@src(), .too_long, .none, "/data/" ++ "n" ** 256, .{});
    close(open("/" ** 4096, .{}));
    const data = open("/data", .{ .directory = true });
    var handle: abi.Handle = .none;
    t.ok(@src(), .io_open, .{ abi.IoSource.image, data, "text", 4, 0, &handle });
    refuse(@src(), .not_directory, handle, "x", .{});
    close(handle);
    t.ok(@src(), .io_open, .{ abi.IoSource.image, data, "../data/./link", 14, 0, &handle });
    close(handle);
    close(data);
    // A stale directory is no root.
    refuse(@src(), .bad_handle, data, "text", .{});
    t.fails(@src(), .io_open, .bad_value, .{ abi.IoSource.console, 0, "x", 1, 0, &handle });
    t.fails(@src(), .io_open, .not_directory, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .directory = true }, &handle });
    t.fails(@src(), .io_open, .not_found, .{ abi.IoSource.block, 0, "7", 1, 0, &handle });
    t.fails(@src(), .io_open, .not_found, .{ abi.IoSource.block, 0, "-1", 2, 0, &handle });
    var thread: t.Thread = .{};
    thread.start(readerOnly, 0, .{ .active = 0 });
    _ = thread.join();
    thread.free();
}

/// With the right to read alone.
fn readerOnly(_: usize) void {
    var capability: abi.Handle = .none;
    var handle: abi.Handle = .none;
    var written: u64 = 0;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.io, 1, &capability });
    t.ok(@src(), .cap_enter, .{capability});
    t.fails(@src(), .io_open, .capability_denied, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .write = true }, &handle });
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, 0, &handle });
    t.fails(@src(), .io_write, .capability_missing, .{ handle, "x", 1, current, &written });
    t.ok(@src(), .io_close, .{handle});
    t.ok(@src(), .cap_drop, .{capability});
}

fn reads() void {
    const file = open("/data/text", .{});
    var buffer: [16_384]u8 = undefined;
    var count: u64 = 9;
    t.ok(@src(), .io_read, .{ file, &buffer, 11, 0, &count });
    t.expect(@src(), count == 11 and std.mem.eql(u8, buffer[0..11], "0123456789\n"), "content");
    t.ok(@src(), .io_read, .{ file, &buffer, buffer.len, 4090, &count });
    t.expectEqual(@src(), text_bytes - 4090, count, "over pages, cut at the end");
    var good = true;
    for (buffer[0..@intCast(count)], 4090..) |byte, at| good = good and byte == "0123456789\n"[at % 11];
    t.expect(@src(), good, "content over pages");
    t.ok(@src(), .io_read, .{ file, &buffer, 10, text_bytes, &count });
    t.expectEqual(@src(), 0, count, "at the end");
    t.ok(@src(), .io_read, .{ file, &buffer, 10, std.math.maxInt(u64) - 1, &count });
    t.expectEqual(@src(), 0, count, "far behind the end");
    t.ok(@src(), .io_read, .{ file, &buffer, 0, 0, &count });
    t.expectEqual(@src(), 0, count, "nothing asked for");
    // By the position.
    t.ok(@src(), .io_read, .{ file, &buffer, 5, current, &count });
    t.ok(@src(), .io_read, .{ file, &buffer, 5, current, &count });
    t.expect(@src(), std.mem.eql(u8, buffer[0..5], "56789"), "the position advances");
    t.fails(@src(), .io_write, .read_only, .{ file, "x", 1, 0, &count });
    t.fails(@src(), .io_read, .bad_pointer, .{ file, @as(u64, 0xffff_8000_0000_0000), 5, 0, &count });
    close(file);
    const link = open("/data/link", .{ .no_follow = true });
    t.ok(@src(), .io_read, .{ link, &buffer, 100, 0, &count });
    t.expect(@src(), std.mem.eql(u8, buffer[0..@intCast(count)], "text"), "a link's target");
    close(link);
    const directory = open("/data", .{});
    t.fails(@src(), .io_read, .is_directory, .{ directory, &buffer, 5, 0, &count });
    t.fails(@src(), .io_write, .is_directory, .{ directory, &buffer, 5, 0, &count });
    close(directory);
    t.fails(@src(), .io_close, .bad_handle, .{directory});
}

fn seeks() void {
    const file = open("/data/text", .{});
    var at: u64 = 0;
    t.ok(@src(), .io_seek, .{ file, 100, abi.IoWhence.start, &at });
    t.ok(@src(), .io_seek, .{ file, -50, abi.IoWhence.current, &at });
    t.expectEqual(@src(), 50, at, "back from here");
    t.ok(@src(), .io_seek, .{ file, -1, abi.IoWhence.end, &at });
    t.expectEqual(@src(), text_bytes - 1, at, "from the end");
    t.ok(@src(), .io_seek, .{ file, 1 << 40, abi.IoWhence.start, &at });
    t.fails(@src(), .io_seek, .bad_value, .{ file, -1, abi.IoWhence.start, &at });
    t.fails(@src(), .io_seek, .bad_value, .{ file, @as(i64, std.math.minInt(i64)), abi.IoWhence.current, &at });
    t.fails(@src(), .io_seek, .bad_value, .{ file, @as(i64, std.math.maxInt(i64)), abi.IoWhence.current, &at });
    t.ok(@src(), .io_seek, .{ file, 0, abi.IoWhence.current, &at });
    t.expectEqual(@src(), 1 << 40, at, "a failed seek moves nothing");
    close(file);
}

fn directories() void {
    const many = open("/data/many", .{ .directory = true });
    var buffer: [1000]u8 align(8) = undefined;
    var filled: u64 = 0;
    var count: u32 = 0;
    var middle: u64 = 0;
    var middle_name: [64]u8 = undefined;
    var middle_bytes: usize = 0;
    while (true) {
        t.ok(@src(), .io_readdir, .{ many, &buffer, buffer.len, &filled });
        if (filled == 0) break;
        var at: usize = 0;
        while (at < filled) {
            const entry: *const abi.IoEntry = @ptrCast(@alignCast(&buffer[at]));
            const name = buffer[at + @sizeOf(abi.IoEntry) ..][0..entry.name_bytes];
            if (count == 151) {
                middle_bytes = name.len;
                @memcpy(middle_name[0..name.len], name);
            }
            if (count == 150) middle = entry.next;
            count += 1;
            at += entry.entry_bytes;
        }
    }
    t.expectEqual(@src(), 302, count, "entries");
    t.ok(@src(), .io_seek, .{ many, @as(i64, @intCast(middle)), abi.IoWhence.start, &filled });
    t.ok(@src(), .io_readdir, .{ many, &buffer, 288, &filled });
    const entry: *const abi.IoEntry = @ptrCast(&buffer);
    t.expect(@src(), std.mem.eql(u8, middle_name[0..middle_bytes], buffer[@sizeOf(abi.IoEntry)..][0..entry.name_bytes]), "goes on behind an entry");
    t.fails(@src(), .io_readdir, .too_small, .{ many, &buffer, 16, &filled });
    close(many);
    const file = open("/data/text", .{});
    t.fails(@src(), .io_readdir, .not_directory, .{ file, &buffer, buffer.len, &filled });
    close(file);
}

fn stats() void {
    var stat: abi.IoStat = .{};
    const file = open("/data/text", .{});
    t.ok(@src(), .io_stat, .{ file, &stat });
    t.expect(@src(), stat.bytes == text_bytes and stat.kind == .file and stat.links == 1 and stat.uid == 0 and stat.inode != 0, "file");
    close(file);
    const directory = open("/data", .{});
    t.ok(@src(), .io_stat, .{ directory, &stat });
    t.expect(@src(), stat.kind == .directory and stat.links == 3, "directory");
    close(directory);
    const link = open("/data/link", .{ .no_follow = true });
    t.ok(@src(), .io_stat, .{ link, &stat });
    t.expect(@src(), stat.kind == .link and stat.bytes == 4, "link");
    close(link);
}

var ready: u32 = 0;
var console_handle: abi.Handle = .none;

fn console() void {
    var handle: abi.Handle = .none;
    var count: u64 = 0;
    var buffer: [64]u8 = undefined;
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .write = true }, &handle });
    t.ok(@src(), .io_write, .{ handle, "console\n", 8, current, &count });
    t.expectEqual(@src(), 8, count, "written");
    t.fails(@src(), .io_read, .unsupported_operation, .{ handle, &buffer, 1, 0, &count });
    t.fails(@src(), .io_write, .unsupported_operation, .{ handle, "x", 1, 0, &count });
    t.fails(@src(), .io_seek, .unsupported_operation, .{ handle, 0, 0, &count });
    var stat: abi.IoStat = .{};
    t.ok(@src(), .io_stat, .{ handle, &stat });
    t.expect(@src(), stat.kind == .char_device, "console");
    var silent: abi.Handle = .none;
    t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, abi.IoFlags{ .non_block = true }, &silent });
    t.fails(@src(), .io_read, .nothing_ready, .{ silent, &buffer, 1, current, &count });
    t.fails(@src(), .io_write, .read_only, .{ silent, "x", 1, current, &count });
    close(silent);

    // Waiting for input ends by an interrupt, and when another task closes the handle.
    var thread: t.Thread = .{};
    thread.start(interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .io_read, .interrupted, .{ handle, &buffer, 1, current, &count });
    _ = thread.join();
    console_handle = handle;
    thread.start(closeSoon, 0, .{});
    t.fails(@src(), .io_read, .bad_handle, .{ handle, &buffer, 1, current, &count });
    _ = thread.join();
    thread.free();
    if (conformance.provided.input) {
        t.ok(@src(), .io_open, .{ abi.IoSource.console, 0, "", 0, 0, &handle });
        t.expect(@src(), !poll.readinessOf(handle).readable, "no input yet");
        t.say("READY 1\n", .{});
        awaitReadable(handle);
        var got: usize = 0;
        while (got < 6) {
            t.ok(@src(), .io_read, .{ handle, buffer[got..].ptr, buffer.len - got, current, &count });
            got += @intCast(count);
        }
        t.expect(@src(), std.mem.eql(u8, buffer[0..got], "input\n"), "input");
        close(handle);
    }
}

fn awaitReadable(handle: abi.Handle) void {
    var entry: abi.IoPollEntry = .{ .handle = @intFromEnum(handle), .wanted = .{ .readable = true } };
    var found: u32 = 0;
    t.ok(@src(), .io_poll, .{ &entry, 1, never, &found });
    t.expect(@src(), found == 1 and entry.ready.readable, "readable");
}

fn interruptSoon(task: usize) void {
    t.sleep(20_000_000);
    t.ok(@src(), .task_interrupt, .{@as(u64, task)});
}

fn closeSoon(_: usize) void {
    t.sleep(20_000_000);
    t.ok(@src(), .io_close, .{console_handle});
}

fn blocks() void {
    var handle: abi.Handle = .none;
    var count: u64 = 0;
    var stat: abi.IoStat = .{};
    var sector: [1024]u8 align(8) = undefined;
    t.ok(@src(), .io_open, .{ abi.IoSource.block, 0, "0", 1, abi.IoFlags{ .write = true }, &handle });
    t.ok(@src(), .io_stat, .{ handle, &stat });
    t.expect(@src(), stat.kind == .block_device and stat.block_bytes == 512 and stat.bytes == 1 << 20, "block device");
    for (&sector, 0..) |*byte, index| byte.* = @truncate(index * 7);
    t.ok(@src(), .io_write, .{ handle, &sector, sector.len, 4096, &count });
    t.expectEqual(@src(), 1024, count, "written");
    var back: [1024]u8 = @splat(0);
    t.ok(@src(), .io_read, .{ handle, &back, back.len, 4096, &count });
    t.expect(@src(), std.mem.eql(u8, &sector, &back), "read as written");
    t.ok(@src(), .io_read, .{ handle, &back, 1024, (1 << 20) - 512, &count });
    t.expectEqual(@src(), 512, count, "cut at the end");
    t.ok(@src(), .io_read, .{ handle, &back, 512, 1 << 20, &count });
    t.expectEqual(@src(), 0, count, "the end");
    t.fails(@src(), .io_read, .misaligned, .{ handle, &back, 100, 0, &count });
    t.fails(@src(), .io_read, .misaligned, .{ handle, &back, 512, 1, &count });
    t.fails(@src(), .io_write, .misaligned, .{ handle, &back, 511, 0, &count });
    close(handle);
    t.ok(@src(), .io_open, .{ abi.IoSource.block, 0, "0", 1, 0, &handle });
    t.fails(@src(), .io_write, .read_only, .{ handle, &sector, 512, 0, &count });
    close(handle);
}

/// The runner has damaged these: an inode, a directory's entries, a file's chunk map.
fn corrupt() void {
    var buffer: [4096]u8 align(8) = undefined;
    var count: u64 = 0;
    var mapped: u64 = 0;
    refuse(@src(), .corrupt_image, .none, "/bad/inode", .{});
    refuse(@src(), .corrupt_image, .none, "/bad/inode/x", .{});
    const directory = open("/bad/directory", .{});
    t.fails(@src(), .io_readdir, .corrupt_image, .{ directory, &buffer, buffer.len, &count });
    close(directory);
    refuse(@src(), .corrupt_image, .none, "/bad/directory/x", .{});
    const file = open("/bad/chunks", .{});
    t.fails(@src(), .io_read, .corrupt_image, .{ file, &buffer, 10, 0, &count });
    t.ok(@src(), .mem_map, .{ 0, 4096, abi.MemFlags{ .read = true }, file, 0, &mapped });
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    handlers.install(true, false, stack) catch t.expect(@src(), false, "handlers");
    t.expect(@src(), !handlers.canRead(mapped), "a page that cannot be read");
    t.expectEqual(@src(), @intFromEnum(abi.Detail.corrupt_image), handlers.last.fault_detail, "says why");
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
    t.ok(@src(), .mem_free, .{ mapped, 4096 });
    close(file);
}

fn stopEvent() void {
    var event: abi.Handle = .none;
    var stat: abi.IoStat = .{};
    var time: u64 = 0;
    var count: u64 = 0;
    t.ok(@src(), .vm_stop_event, .{&event});
    t.ok(@src(), .io_stat, .{ event, &stat });
    t.expect(@src(), stat.kind == .event, "event");
    t.fails(@src(), .io_read, .too_small, .{ event, &time, 4, current, &count });
    t.fails(@src(), .io_read, .unsupported_operation, .{ event, &time, 8, 0, &count });
    t.fails(@src(), .io_write, .unsupported_operation, .{ event, &time, 8, current, &count });
    t.fails(@src(), .io_seek, .unsupported_operation, .{ event, 0, 0, &count });
    if (conformance.provided.input) {
        t.say("READY 2\n", .{});
        awaitReadable(event);
        t.ok(@src(), .io_read, .{ event, &time, 8, current, &count });
        t.expect(@src(), count == 8 and time > 0 and time <= t.now(), "the time of the request");
    }
    close(event);
}
