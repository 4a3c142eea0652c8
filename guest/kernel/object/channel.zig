//! The channel to the host: messages go into a ring of records, and from there to the block device in the background. The kernel lock
//! protects it; the last message is written while everything else stands still.
//!
//! Messages for people are written as they come. Trace entries wait for more of their kind: until there are records for a good write, or for a
//! few milliseconds. While the device is busy all of them wait in the ring, so the busier it is, the larger the writes.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const clock = @import("../arch/clock.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const driver = @import("../dev/virtio_block.zig");
const format = @import("../dev/channel.zig");
const Disk = @import("disk.zig").Disk;
const Histogram = @import("../latency.zig").Histogram;

var writer: ?format.Writer = null;
var device: ?*Disk = null;
/// Of the ring, and of the slots in it.
var ring_physical: u64 = 0;
var ring_address: usize = 0;
/// From the workload's start on, records are written as they come; before, that would only delay the start.
var started = false;

/// How long the device's answers took.
pub var writes: Histogram = .{};
var write_start_ns: u64 = 0;

const Phase = struct { name: []const u8, tsc: u64 };
/// Phases of the start, until the workload runs.
var phases: [8]Phase = undefined;
var phase_count: usize = 0;
var phases_told = false;

/// False if there is a channel already, or no memory for one. The lock is held.
pub fn open(disk: *Disk, slots: u32) bool {
    if (writer != null) return false;
    const wanted = std.math.clamp(frames.total / limits.channel_memory_divisor, limits.channel_frames_min, limits.channel_frames_max);
    const run = consecutiveFrames(wanted) orelse return false;
    ring_physical = @as(u64, run.first) << 12;
    const ring: [*]format.Slot = @ptrCast(@alignCast(layout.page(run.first)));
    ring_address = @intFromPtr(ring);
    writer = .init(ring[0 .. run.count * (limits.page_bytes / format.slot_bytes)], slots);
    device = disk;
    return true;
}

const Run = struct { first: frames.Frame, count: u32 };

/// Frames one behind the other, as they come while the kernel starts: as many as wanted, at least channel_frames_min.
fn consecutiveFrames(wanted: u32) ?Run {
    var skipped: frames.Pending = .{};
    defer skipped.releaseAll();
    var run: Run = .{ .first = frames.allocate() orelse return null, .count = 1 };
    while (run.count < wanted) {
        const next = frames.allocate();
        if (next != null and next.? == run.first + run.count) {
            run.count += 1;
            continue;
        }
        if (run.count >= limits.channel_frames_min) {
            if (next) |frame| frames.release(frame);
            return run;
        }
        for (0..run.count) |index| skipped.add(@intCast(run.first + index));
        run = .{ .first = next orelse return null, .count = 1 };
    }
    return run;
}

/// Records that a phase of the start is complete.
pub inline fn phase(name: []const u8) void {
    phases[phase_count] = .{ .name = name, .tsc = x86.rdtsc() };
    phase_count += 1;
}

/// The lock is held, or nothing else runs.
fn appendPhases() void {
    const to = if (writer) |*each| each else return;
    if (phases_told) return;
    for (phases[0..phase_count]) |each| {
        const time_ns = clock.at(each.tsc);
        var payload: [8 + 32]u8 = undefined;
        std.mem.writeInt(u64, payload[0..8], time_ns, .little);
        const name = each.name[0..@min(each.name.len, 32)];
        @memcpy(payload[8..][0..name.len], name);
        _ = to.append(.boot_phase, .{ .time_ns = time_ns }, payload[0 .. 8 + name.len]);
    }
    phases_told = true;
}

/// Once more, where newer records have taken their place. The lock is held, or nothing else runs.
pub fn repeatPhases() void {
    const to = if (writer) |*each| each else return;
    if (to.next_number <= to.device_slots) return;
    phases_told = false;
    appendPhases();
}

/// The workload runs. The lock is held.
pub fn begin() void {
    started = true;
    appendPhases();
    pump();
}

pub fn log(task: u32, level: u8, text: []const u8) void {
    lock.acquire();
    defer lock.release();
    if (!started) begin();
    if (writer) |*to| _ = to.append(.log, .{ .time_ns = clock.nowNs(), .task = task, .level = level }, text);
    pump();
}

pub fn fault(task: u32, text: []const u8) void {
    lock.acquire();
    defer lock.release();
    if (!started) begin();
    if (writer) |*to| _ = to.append(.fault, .{ .time_ns = clock.nowNs(), .task = task, .level = 3 }, text);
    pump();
}

/// An entry of the trace. The lock is held.
pub fn trace(subject: format.Subject, time_ns: u64, entry: []const u8) void {
    std.debug.assert(lock.isHeld());
    const to = if (writer) |*each| each else return;
    if (!started) begin();
    _ = to.trace(subject, time_ns, entry);
    if (to.pending() >= limits.trace_records_per_write) return pump();
    if (!trace_timer.isSet()) scheduler.setTimer(&trace_timer, time_ns + limits.trace_delay_max_ns);
}

var trace_timer: scheduler.Timer = .{ .due = &traceDue };

fn traceDue(_: *scheduler.Timer) void {
    if (writer) |*to| to.seal();
    pump();
}

/// A message of the kernel's own. The lock is held.
pub fn tell(kind: format.Kind, payload: []const u8) void {
    std.debug.assert(lock.isHeld());
    if (!started) begin();
    if (writer) |*to| _ = to.append(kind, .{ .time_ns = clock.nowNs() }, payload);
    pump();
}

pub fn recordCount() u64 {
    return if (writer) |*from| from.recordsWritten() else 0;
}
pub fn lostCount() u64 {
    return if (writer) |*from| from.lostCount() else 0;
}
pub fn lostOf(subject: format.Subject) u64 {
    return if (writer) |*from| from.lost_total[@intFromEnum(subject)] else 0;
}

/// Gives the device what waits. The lock is held.
fn pump() void {
    if (!started) return;
    const to = if (writer) |*each| each else return;
    const batch = to.take() orelse return;
    const physical = ring_physical + (@intFromPtr(batch.slots.ptr) - ring_address);
    write_start_ns = clock.nowNs();
    const piece: driver.Piece = .{ .physical = physical, .bytes = @intCast(batch.slots.len * format.slot_bytes) };
    _ = device.?.device.submit(.write, batch.sector, &.{piece}, null) catch to.fail();
}

/// The device has answered. The lock is held.
pub fn completed(good: bool) void {
    const to = if (writer) |*each| each else return;
    if (to.writing == 0) return;
    writes.add(clock.nowNs() -| write_start_ns);
    if (good) to.written() else to.fail();
    pump();
}

/// How long the end waits for the device.
const end_wait_ns: u64 = 3_000_000_000;

/// Writes what waits and the exit status as the last record. Nothing else runs any more; the lock is held, or whoever
/// held it stands still for good.
pub fn writeExit(status: i32, cause: u32, text: []const u8) void {
    const to = if (writer) |*each| each else return;
    const start_ns = clock.nowNs();
    started = true;
    appendPhases();
    pump();
    drain(to, start_ns);
    to.end(.{ .time_ns = clock.nowNs() }, status, @enumFromInt(cause), text);
    pump();
    drain(to, start_ns);
}

fn drain(to: *format.Writer, start_ns: u64) void {
    while (!to.isIdle() and clock.nowNs() -| start_ns < end_wait_ns) {
        if (device.?.device.complete()) |completion| completed(completion.good) else x86.pause();
    }
}
