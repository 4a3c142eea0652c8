//! io_poll and io_poll_*: waiting for any of many handles.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const clock = @import("../arch/clock.zig");
const user_copy = @import("../arch/user_copy.zig");
const lock = @import("../sched/lock.zig");
const poll = @import("../object/poll.zig");
const task_object = @import("../object/task.zig");
const Task = task_object.Task;
const Failure = abi.Failure;
const Entry = abi.IoPollEntry;

/// Entries copied at once.
const piece_max = 16;

const Array = struct {
    address: u64,
    count: u64,

    fn check(array: Array) Failure!void {
        if (array.count > abi.poll_entries_max) return error.TooLong;
        if (array.count != 0 and !user_copy.isUserRange(array.address, array.count * @sizeOf(Entry))) return error.BadPointer;
    }

    fn read(array: Array, from: u64, buffer: *[piece_max]Entry) Failure![]Entry {
        const piece = buffer[0..@intCast(@min(piece_max, array.count - from))];
        try user_copy.read(std.mem.sliceAsBytes(piece), array.address + from * @sizeOf(Entry));
        return piece;
    }

    fn write(array: Array, from: u64, piece: []const Entry) Failure!void {
        try user_copy.write(array.address + from * @sizeOf(Entry), std.mem.sliceAsBytes(piece));
    }
};

pub fn io_poll(_: *Task, arguments: dispatch.IoPoll) Failure!void {
    const array: Array = .{ .address = arguments.entries.address, .count = arguments.entries.count };
    try array.check();
    try user_copy.writeValue(u32, arguments.ready.address, 0);
    while (true) {
        const count = try lookAtAll(array);
        if (count > 0) return user_copy.writeValue(u32, arguments.ready.address, count);
        if (arguments.deadline_ns <= clock.nowNs()) return error.TimedOut;
        try awaitAny(array, arguments.deadline_ns);
    }
}

fn lookAtAll(array: Array) Failure!u32 {
    var buffer: [piece_max]Entry = undefined;
    var count: u32 = 0;
    var from: u64 = 0;
    while (from < array.count) : (from += piece_max) {
        const piece = try array.read(from, &buffer);
        const found = poll.look(piece);
        // Memory that cannot be written is the first thing that is wrong.
        try array.write(from, piece);
        count += try found;
    }
    return count;
}

fn awaitAny(array: Array, deadline_ns: u64) Failure!void {
    var once: poll.Once = .{};
    defer once.end();
    var buffer: [piece_max]Entry = undefined;
    var from: u64 = 0;
    while (from < array.count) : (from += piece_max) try once.add(try array.read(from, &buffer));
    try once.wait(deadline_ns);
}

pub fn io_poll_create(_: *Task, arguments: dispatch.IoPollCreate) Failure!void {
    try user_copy.writeValue(u64, arguments.set.address, 0);
    const handle = try poll.create();
    user_copy.writeValue(u64, arguments.set.address, handle) catch |failure| {
        poll.close(handle) catch {};
        return failure;
    };
}

pub fn io_poll_update(_: *Task, arguments: dispatch.IoPollUpdate) Failure!void {
    const entry = try user_copy.readValue(Entry, arguments.entry.address);
    try poll.update(@intFromEnum(arguments.set), &entry);
}

pub fn io_poll_wait(_: *Task, arguments: dispatch.IoPollWait) Failure!void {
    const array: Array = .{ .address = arguments.entries.address, .count = arguments.entries.count };
    if (array.count == 0) return error.BadValue;
    try array.check();
    const set = try poll.hold(@intFromEnum(arguments.set));
    defer poll.put(set);
    try user_copy.writeValue(u32, arguments.ready.address, 0);
    var buffer: [piece_max]Entry = undefined;
    const round = try poll.wait(set, arguments.deadline_ns);
    var filled: u64 = 0;
    while (true) {
        const room = buffer[0..@intCast(@min(piece_max, array.count - filled))];
        const count = poll.take(set, round, room);
        lock.release();
        try array.write(filled, room[0..count]);
        filled += count;
        if (count < room.len or filled == array.count) break;
        lock.acquire();
    }
    try user_copy.writeValue(u32, arguments.ready.address, @intCast(filled));
}

pub fn io_poll_close(_: *Task, arguments: dispatch.IoPollClose) Failure!void {
    try poll.close(@intFromEnum(arguments.set));
}
