//! The channel to the host: messages go into a ring of records, and from there to the block device in the background. The kernel lock
//! protects it; the last message is written while everything else stands still.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const clock = @import("../arch/clock.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const driver = @import("../dev/virtio_block.zig");
const format = @import("../dev/channel.zig");
const Disk = @import("disk.zig").Disk;

const ring_slots = 64;
var ring: [ring_slots]format.Slot align(512) = undefined;
var writer: ?format.Writer = null;
var device: ?*Disk = null;
/// From the workload's start on, records are written as they come; before, that would only delay the start.
var started = false;

const Phase = struct { name: []const u8, tsc: u64 };
/// Phases of the start, until the workload runs.
var phases: [8]Phase = undefined;
var phase_count: usize = 0;

/// False if there is a channel already. The lock is held.
pub fn open(disk: *Disk, slots: u32) bool {
    if (writer != null) return false;
    writer = .init(&ring, slots);
    device = disk;
    return true;
}

/// Records that a phase of the start is complete.
pub inline fn phase(name: []const u8) void {
    phases[phase_count] = .{ .name = name, .tsc = x86.rdtsc() };
    phase_count += 1;
}

/// The lock is held, or nothing else runs.
fn appendPhases() void {
    const to = if (writer) |*each| each else return;
    for (phases[0..phase_count]) |each| {
        const time_ns = clock.at(each.tsc);
        var payload: [8 + 32]u8 = undefined;
        std.mem.writeInt(u64, payload[0..8], time_ns, .little);
        const name = each.name[0..@min(each.name.len, 32)];
        @memcpy(payload[8..][0..name.len], name);
        _ = to.append(.boot_phase, .{ .time_ns = time_ns }, payload[0 .. 8 + name.len]);
    }
    phase_count = 0;
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

pub fn recordCount() u64 {
    return if (writer) |*from| from.recordsWritten() else 0;
}
pub fn lostCount() u64 {
    return if (writer) |*from| from.lost_total else 0;
}

/// Gives the device what waits. The lock is held.
fn pump() void {
    if (!started) return;
    const to = if (writer) |*each| each else return;
    const batch = to.take() orelse return;
    const physical = @intFromPtr(batch.slots.ptr) - layout.kernel_base;
    const piece: driver.Piece = .{ .physical = physical, .bytes = @intCast(batch.slots.len * format.slot_bytes) };
    _ = device.?.device.submit(.write, batch.sector, &.{piece}, null) catch to.fail();
}

/// The device has answered. The lock is held.
pub fn completed(good: bool) void {
    const to = if (writer) |*each| each else return;
    if (to.writing == 0) return;
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
