//! What the network stack costs the processor, without a device or a kernel: two of them hand each other their frames, first alone, then beside 1,000 idle connections.
//! The checksums are the device's. Prints nanoseconds of both sides together; exit status 1 when idle connections make a request dearer.
const std = @import("std");
const linux = std.os.linux;
const ethernet = @import("net/ethernet.zig");
const memory_file = @import("net/memory.zig");
const stack_file = @import("net/stack.zig");
const Connection = stack_file.Connection;

const pages_count = 2048;
const idle_count = 1000;
const requests: u64 = 200_000;
const bulk_bytes: u64 = 400 << 20;
/// Of a request beside idle connections, over one without.
const dearer_percent_max = 25;

var pages: [pages_count]memory_file.Page align(memory_file.page_bytes) = undefined;
var free: [pages_count]u32 = undefined;
var free_count: usize = 0;

fn allocatePage(_: *anyopaque) ?memory_file.PagePointer {
    if (free_count == 0) return null;
    free_count -= 1;
    return @alignCast(&pages[free[free_count]]);
}

fn releasePage(_: *anyopaque, page: memory_file.PagePointer) void {
    free[free_count] = @intCast((@intFromPtr(page) - @intFromPtr(&pages)) / memory_file.page_bytes);
    free_count += 1;
}

fn processorNs() u64 {
    var time: linux.timespec = undefined;
    _ = linux.clock_gettime(.THREAD_CPUTIME_ID, &time);
    return @as(u64, @intCast(time.sec)) * 1_000_000_000 + @as(u64, @intCast(time.nsec));
}

const Pair = struct {
    nodes: [2]stack_file.Stack,
    now_ns: u64,
    frames: u64,

    fn settle(pair: *Pair) void {
        var out: [ethernet.frame_bytes_max]u8 = undefined;
        var quiet = false;
        while (!quiet) {
            quiet = true;
            for (&pair.nodes, 0..) |*node, index| {
                while (node.transmit(pair.now_ns, &out)) |frame| {
                    quiet = false;
                    pair.frames += 1;
                    pair.nodes[1 - index].receive(out[0..frame.length], .good, pair.now_ns);
                }
                while (node.nextChanged()) |_| {}
            }
        }
    }

    fn pass(pair: *Pair) void {
        pair.now_ns += 50_000;
        for (&pair.nodes) |*node| if (node.deadline() <= pair.now_ns) node.advance(pair.now_ns);
    }

    fn open(pair: *Pair, listener: *stack_file.Listener) ![2]*Connection {
        const client = try pair.nodes[0].connect(.{ .address = 0x0a00_0002, .port = 80 }, 0, pair.now_ns);
        pair.settle();
        return .{ client, listener.accept(&pair.nodes[1]) orelse return error.NotAccepted };
    }

    fn request(pair: *Pair, ends: [2]*Connection) !void {
        var bytes: [100]u8 = @splat(1);
        for (0..2) |index| {
            if (try ends[index].write(&pair.nodes[index], &bytes) != bytes.len) return error.NotWritten;
            pair.settle();
            if ((try ends[1 - index].read(&pair.nodes[1 - index], &bytes) orelse 0) != bytes.len) return error.NotRead;
        }
        pair.pass();
    }

    fn bulk(pair: *Pair, ends: [2]*Connection) !void {
        var bytes: [16384]u8 = @splat(2);
        var done: u64 = 0;
        while (done < bulk_bytes) {
            _ = try ends[0].write(&pair.nodes[0], &bytes);
            pair.settle();
            while (try ends[1].read(&pair.nodes[1], &bytes)) |count| {
                if (count == 0) break;
                done += count;
            }
            pair.settle();
            pair.pass();
        }
    }
};

var simulation: Pair = undefined;

pub fn main() !u8 {
    for (&free, 0..) |*index, value| index.* = @intCast(value);
    free_count = pages_count;
    var context: u8 = 0;
    const pair = &simulation;
    pair.now_ns = 1_000_000_000;
    for (&pair.nodes, 0..) |*node, index| node.init(.{
        .mac = .{ 2, 0, 0, 0, 0, @intCast(index + 1) },
        .addressing = .{ .fixed = .{ .address = 0x0a00_0001 + @as(u32, @intCast(index)), .prefix = 24, .gateway = 0 } },
        .seed = @splat(3),
        .checksum_offload = true,
    }, .{ .context = &context, .allocate_page = allocatePage, .release_page = releasePage, .pages_max = pages_count }, pair.now_ns);
    const listener = try pair.nodes[1].listen(0, 80, 16);
    var costs: [2]u64 = undefined;
    for (&costs, [_]u32{ 0, idle_count }) |*cost, idle| {
        for (0..idle) |_| _ = try pair.open(listener);
        const ends = try pair.open(listener);
        var start = processorNs();
        for (0..requests) |_| try pair.request(ends);
        cost.* = (processorNs() - start) / requests;
        pair.frames = 0;
        start = processorNs();
        try pair.bulk(ends);
        const bulk_ns = processorNs() - start;
        std.debug.print("beside {d} idle connections: {d} ns for a request of 100 bytes and its answer, {d} ns for a frame of bulk data ({d} MB/s)\n", .{
            idle, cost.*, bulk_ns / pair.frames, bulk_bytes * 1000 / bulk_ns,
        });
    }
    return @intFromBool(costs[1] * 100 > costs[0] * (100 + dearer_percent_max));
}
