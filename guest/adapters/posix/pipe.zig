//! Pipes: a ring of bytes between descriptions of one process.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");
const user = @import("user.zig");
const wait = @import("wait.zig");
const Ready = @import("open.zig").Ready;
const Error = @import("errno.zig").Error;

pub const Pipe = struct {
    used: bool = false,
    lock: uk.Lock = .{},
    memory: []align(4096) u8 = &.{},
    start: u32 = 0,
    count: u32 = 0,
    has_reader: bool = false,
    has_writer: bool = false,
    /// By shutdown of a socket.
    read_ended: bool = false,
    write_ended: bool = false,
    activity: u32 = 0,

    fn change(pipe: *Pipe) void {
        pipe.activity +%= 1;
        pipe.lock.release();
        wait.changed();
    }

    pub fn read(pipe: *Pipe, address: u64, bytes: u64, non_block: bool) Error!u64 {
        while (true) {
            const seen = wait.change();
            pipe.lock.acquire();
            if (pipe.count > 0) {
                const done = pipe.takeLocked(address, bytes) catch |failure| {
                    pipe.lock.release();
                    return failure;
                };
                pipe.change();
                return done;
            }
            const ended = !pipe.has_writer or pipe.write_ended or pipe.read_ended;
            pipe.lock.release();
            if (ended) return 0;
            if (non_block) return error.EAGAIN;
            if (wait.forChange(seen, wait.never_ns) == .interrupted) return error.EINTR;
        }
    }

    fn takeLocked(pipe: *Pipe, address: u64, bytes: u64) Error!u32 {
        const total: u32 = @intCast(@min(bytes, pipe.count));
        const first = @min(total, limits.pipe_bytes - pipe.start);
        try user.write(address, pipe.memory[pipe.start..][0..first]);
        try user.write(address + first, pipe.memory[0 .. total - first]);
        pipe.start = (pipe.start + total) % limits.pipe_bytes;
        pipe.count -= total;
        return total;
    }

    pub fn write(pipe: *Pipe, address: u64, bytes: u64, non_block: bool) Error!u64 {
        var done: u64 = 0;
        while (true) {
            const seen = wait.change();
            pipe.lock.acquire();
            if (!pipe.has_reader or pipe.read_ended or pipe.write_ended) {
                pipe.lock.release();
                return if (done > 0) done else error.EPIPE;
            }
            const room = limits.pipe_bytes - pipe.count;
            const rest = bytes - done;
            // A short write is written whole or not at all.
            const fits = if (bytes <= limits.pipe_atomic_bytes) room >= rest else room > 0;
            if (fits) {
                done += pipe.putLocked(address + done, @min(rest, room)) catch |failure| {
                    pipe.lock.release();
                    return if (done > 0) done else failure;
                };
                pipe.change();
                if (done == bytes) return done;
                continue;
            }
            pipe.lock.release();
            if (non_block) return if (done > 0) done else error.EAGAIN;
            if (wait.forChange(seen, wait.never_ns) == .interrupted) return if (done > 0) done else error.EINTR;
        }
    }

    fn putLocked(pipe: *Pipe, address: u64, bytes: u64) Error!u32 {
        const total: u32 = @intCast(bytes);
        const at = (pipe.start + pipe.count) % limits.pipe_bytes;
        const first = @min(total, limits.pipe_bytes - at);
        try user.read(pipe.memory[at..][0..first], address);
        try user.read(pipe.memory[0 .. total - first], address + first);
        pipe.count += total;
        return total;
    }

    pub fn readyToRead(pipe: *Pipe) u32 {
        pipe.lock.acquire();
        defer pipe.lock.release();
        return (if (pipe.count > 0) Ready.in else 0) | (if (!pipe.has_writer) Ready.hup else 0) | (if (pipe.write_ended or pipe.read_ended) Ready.in else 0);
    }

    pub fn readyToWrite(pipe: *Pipe) u32 {
        pipe.lock.acquire();
        defer pipe.lock.release();
        if (!pipe.has_reader or pipe.read_ended) return Ready.out | Ready.err;
        return if (limits.pipe_bytes - pipe.count >= limits.pipe_atomic_bytes) Ready.out else 0;
    }

    /// As closing an end, which is still to be closed: what is written is refused.
    pub fn endReading(pipe: *Pipe) void {
        pipe.lock.acquire();
        pipe.read_ended = true;
        pipe.change();
    }

    /// Readers find the end behind what is there.
    pub fn endWriting(pipe: *Pipe) void {
        pipe.lock.acquire();
        pipe.write_ended = true;
        pipe.change();
    }

    pub fn closeReader(pipe: *Pipe) void {
        pipe.lock.acquire();
        pipe.has_reader = false;
        pipe.closed();
    }

    pub fn closeWriter(pipe: *Pipe) void {
        pipe.lock.acquire();
        pipe.has_writer = false;
        pipe.closed();
    }

    fn closed(pipe: *Pipe) void {
        const gone = !pipe.has_reader and !pipe.has_writer;
        const memory = pipe.memory;
        if (gone) pipe.memory = &.{};
        pipe.change();
        if (!gone) return;
        uk.release(memory);
        pool_lock.acquire();
        pipe.used = false;
        pool_lock.release();
    }
};

var pool: [limits.pipes_max]Pipe = @splat(.{});
var pool_lock: uk.Lock = .{};

/// A pipe with both ends open.
pub fn create() Error!*Pipe {
    pool_lock.acquire();
    defer pool_lock.release();
    for (&pool) |*each| {
        if (each.used) continue;
        const memory = uk.reserve(limits.pipe_bytes) catch return error.ENFILE;
        each.* = .{ .used = true, .memory = memory, .has_reader = true, .has_writer = true };
        return each;
    }
    return error.ENFILE;
}
