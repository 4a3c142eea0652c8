//! What programs read below /proc and /sys, made when it is opened.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const loader = @import("loader.zig");
const proc = @import("proc.zig");
const threads = @import("thread.zig");
const abi = uk.abi;
const limits = posix.limits;
const Error = posix.errno.Error;

/// Where a link of /proc leads; null where the path is none.
pub fn linkOf(path: []const u8) ?[]const u8 {
    for ([_][]const u8{ "/proc/self/exe", "/proc/1/exe" }) |each| {
        if (std.mem.eql(u8, path, each)) return std.mem.span(@as([*:0]const u8, @ptrFromInt(uk.startup().entry)));
    }
    return null;
}

/// The number in /proc/self/fd/N.
pub fn descriptorOf(path: []const u8) ?i32 {
    for ([_][]const u8{ "/proc/self/fd", "/proc/1/fd", "/dev/fd" }) |each| {
        const rest = posix.paths.below(path, each) orelse continue;
        return std.fmt.parseInt(i32, rest, 10) catch null;
    }
    return null;
}

const Writer = std.Io.Writer;
const Maker = *const fn (*Writer) Writer.Error!void;

const list = std.StaticStringMap(Maker).initComptime(.{
    .{ "/proc/self/maps", &maps },
    .{ "/proc/self/status", &status },
    .{ "/proc/self/stat", &stat },
    .{ "/proc/self/statm", &statm },
    .{ "/proc/self/cmdline", &commandLine },
    .{ "/proc/self/comm", &name },
    .{ "/proc/meminfo", &memory },
    .{ "/proc/cpuinfo", &processors },
    .{ "/proc/stat", &machine },
    .{ "/proc/uptime", &uptime },
    .{ "/proc/sys/vm/overcommit_memory", &one },
    .{ "/proc/sys/vm/max_map_count", &regions },
    .{ "/sys/devices/system/cpu/online", &online },
    .{ "/sys/devices/system/cpu/possible", &online },
});

/// The text of a path; null where there is none.
pub fn open(path: []const u8) Error!?posix.open.Object {
    var buffer: [64]u8 = undefined;
    // The process asks for itself by either name.
    const wanted = if (posix.paths.below(path, "/proc/1")) |rest| std.fmt.bufPrint(&buffer, "/proc/self/{s}", .{rest}) catch return null else path;
    const maker = list.get(wanted) orelse return null;
    const room = uk.reserve(limits.text_bytes_max) catch return error.ENOMEM;
    var writer: Writer = .fixed(room);
    // What does not fit is left out at the end.
    maker(&writer) catch {};
    return .{ .text = .{ .memory = room, .bytes = writer.end } };
}

fn maps(writer: *Writer) Writer.Error!void {
    var at: u64 = uk.startup().user_base;
    const program = std.mem.span(@as([*:0]const u8, @ptrFromInt(uk.startup().entry)));
    while (true) {
        var region: abi.MemRegion = .{};
        if (uk.calls.mem_query(at, &region) != .ok) return;
        at = region.address + region.bytes;
        const what = if (loader.stack_low >= region.address and loader.stack_low < at) "[stack]" else if (region.kind == 1) program else "";
        try writer.print("{x:0>8}-{x:0>8} {c}{c}{c}p {x:0>8} 00:01 0 {s}\n", .{
            region.address,                               at,
            @as(u8, if (region.flags.read) 'r' else '-'), @as(u8, if (region.flags.write) 'w' else '-'),
            @as(u8, if (region.flags.exec) 'x' else '-'), region.offset,
            what,
        });
    }
}

fn usedPages() u64 {
    const stats = proc.memory();
    return stats.pages_total -| stats.pages_free -| stats.pages_kernel;
}

fn baseName() []const u8 {
    const thread = threads.find(threads.process_id) orelse return "main";
    return std.mem.sliceTo(&thread.name, 0);
}

fn status(writer: *Writer) Writer.Error!void {
    const kib = usedPages() * (abi.page_bytes / 1024);
    try writer.print("Name:\t{s}\nState:\tR (running)\nTgid:\t1\nPid:\t1\nPPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", .{baseName()});
    try writer.print("VmPeak:\t{d} kB\nVmSize:\t{d} kB\nVmHWM:\t{d} kB\nVmRSS:\t{d} kB\nThreads:\t{d}\n", .{ kib, kib, kib, kib, threads.count() });
}

fn stat(writer: *Writer) Writer.Error!void {
    try writer.print("1 ({s}) R 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {d} 0 0 {d} {d} 18446744073709551615 0 0 {d} 0 0", .{
        baseName(), threads.count(), usedPages() * abi.page_bytes, usedPages(), loader.stack_high,
    });
    try writer.writeAll(" 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
}

fn statm(writer: *Writer) Writer.Error!void {
    try writer.print("{d} {d} 0 0 0 {d} 0\n", .{ usedPages(), usedPages(), usedPages() });
}

fn commandLine(writer: *Writer) Writer.Error!void {
    const arguments: [*]const [*:0]const u8 = @ptrFromInt(uk.startup().argv);
    for (arguments[0..@intCast(uk.startup().argc)]) |each| {
        try writer.writeAll(std.mem.span(each));
        try writer.writeByte(0);
    }
}

fn name(writer: *Writer) Writer.Error!void {
    try writer.print("{s}\n", .{baseName()});
}

fn memory(writer: *Writer) Writer.Error!void {
    const stats = proc.memory();
    const page_kib = abi.page_bytes / 1024;
    try writer.print("MemTotal: {d} kB\nMemFree: {d} kB\nMemAvailable: {d} kB\nBuffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", .{
        stats.pages_total * page_kib, stats.pages_free * page_kib, stats.pages_free * page_kib,
    });
}

fn processors(writer: *Writer) Writer.Error!void {
    const startup = uk.startup();
    for (0..startup.cpu_count) |number| {
        try writer.print("processor\t: {d}\nmodel name\t: x86-64\ncpu MHz\t\t: {d}.000\ncpu cores\t: {d}\nflags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2\n\n", .{
            number, startup.tsc_hz / 1_000_000, startup.cpu_count,
        });
    }
}

fn machine(writer: *Writer) Writer.Error!void {
    try writer.writeAll("cpu 0 0 0 0 0 0 0 0 0 0\n");
    for (0..uk.startup().cpu_count) |number| try writer.print("cpu{d} 0 0 0 0 0 0 0 0 0 0\n", .{number});
}

fn uptime(writer: *Writer) Writer.Error!void {
    const hundredths = uk.calls.time_now() / 10_000_000;
    try writer.print("{d}.{d:0>2} 0.00\n", .{ hundredths / 100, hundredths % 100 });
}

fn one(writer: *Writer) Writer.Error!void {
    try writer.writeAll("1\n");
}

fn regions(writer: *Writer) Writer.Error!void {
    try writer.print("{d}\n", .{proc.memory().regions_max});
}

fn online(writer: *Writer) Writer.Error!void {
    const count = uk.startup().cpu_count;
    if (count > 1) try writer.print("0-{d}\n", .{count - 1}) else try writer.writeAll("0\n");
}
