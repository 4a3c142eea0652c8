//! What the kernel says of itself in the channel, at the VM's end and when the host asks: what it holds, and how long devices and peers took to
//! answer (docs/image-format.md, "Channel").
const std = @import("std");
const abi = @import("abi");
const clock = @import("../arch/clock.zig");
const latency = @import("../latency.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const paging = @import("../mem/paging.zig");
const space = @import("../mem/space.zig");
const lock = @import("../sched/lock.zig");
const options = @import("../options.zig").chosen;
const channel = @import("channel.zig");
const disk = @import("disk.zig");
const handles = @import("handles.zig");
const network = @import("network.zig");
const tasks = @import("tasks.zig");

/// The lock is held.
pub fn statistics() abi.AbiStats {
    std.debug.assert(lock.isHeld());
    return .{
        .pages_total = frames.total,
        .pages_free = frames.free,
        .pages_kernel = frames.total - frames.free - paging.user_frames,
        .handles_used = handles.used,
        .handles_max = limits.handles_max,
        .tasks_used = tasks.alive,
        .tasks_max = limits.tasks_max,
        .regions_used = space.regionCount(),
        .regions_max = limits.regions_max,
        .channel_records = channel.recordCount(),
        .channel_lost = channel.lostCount(),
        .channel_lost_logs = channel.lostOf(.log),
        .channel_lost_spans = channel.lostOf(.span_begin) + channel.lostOf(.span_end),
        .channel_lost_events = channel.lostOf(.event),
        .pages_free_min = frames.free_min,
    };
}

/// The lock is held.
pub fn write() void {
    var numbers: [8 + @sizeOf(abi.AbiStats)]u8 = undefined;
    std.mem.writeInt(u64, numbers[0..8], clock.counterAtEntryNs(), .little);
    @memcpy(numbers[8..], std.mem.asBytes(&statistics()));
    channel.tell(.statistics, &numbers);
    channel.repeatPhases();
    var workload: u8 = 0;
    for (disk.all()) |*each| switch (each.role) {
        .image => writeHistogram(&each.reads, "image read"),
        .channel => writeHistogram(&channel.writes, "channel write"),
        .workload => {
            const number = [1]u8{'0' + workload};
            workload += 1;
            writeHistogram(&each.reads, "disk " ++ number ++ " read");
            writeHistogram(&each.writes, "disk " ++ number ++ " write");
        },
    };
    if (options.net) if (network.roundTrips()) |trips| writeHistogram(trips, "tcp round trip");
}

fn writeHistogram(histogram: *const latency.Histogram, name: []const u8) void {
    if (histogram.count == 0) return;
    var payload: [8 * (3 + latency.buckets_max) + 32]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&payload);
    put(&writer, histogram, name) catch unreachable;
    channel.tell(.latency, writer.buffered());
}

fn put(writer: *std.Io.Writer, histogram: *const latency.Histogram, name: []const u8) !void {
    for ([_]u64{ histogram.count, histogram.sum_ns, histogram.max_ns }) |number| try writer.writeInt(u64, number, .little);
    for (histogram.buckets) |number| try writer.writeInt(u64, number, .little);
    try writer.writeAll(name);
}
