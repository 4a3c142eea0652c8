//! One connection: lines in, answers out in the order of the lines. Nothing here waits.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");

/// A line that was taken, in its order, with the answer when there is one.
pub const Slot = struct {
    answered: bool = false,
    bytes: usize = 0,
    sent: usize = 0,
    job: uk.Span = .none,
    reply: uk.Span = .none,
    text: [limits.reply_bytes_max]u8 = undefined,

    pub fn answer(slot: *Slot, text: []const u8) void {
        @memcpy(slot.text[0..text.len], text);
        slot.bytes = text.len;
        slot.sent = 0;
        slot.answered = true;
    }
};

pub const State = enum {
    free,
    open,
    /// No more is taken; it ends when every answer is sent.
    finishing,
    /// Our side is closed; it ends when the peer's is.
    lingering,
};

pub const Reading = union(enum) {
    /// Size of a line with its end, which stays in the input until `consume`.
    line: usize,
    too_long,
    nothing,
    end,
};

pub const Connection = struct {
    state: State = .free,
    socket: uk.Socket = undefined,
    /// Counts the connections in this place, so that an answer for an earlier one is known.
    generation: u32 = 0,
    /// What the poll set watches it for.
    watched: uk.abi.IoEvents = .{},
    /// When something last came or went.
    moved_ns: u64 = 0,
    /// The peer sends no more.
    ended: bool = false,
    /// The rest of a line that was too long is passed over.
    skipping: bool = false,
    /// Its next job has found the queue full.
    parked: bool = false,
    /// It is not served, only told so.
    refused: bool = false,
    /// Slots from head to tail, modulo window_max, are under way.
    head: u32 = 0,
    tail: u32 = 0,
    /// Spans of the job whose line is being read, and of its present part.
    job: uk.Span = .none,
    part: uk.Span = .none,
    input_bytes: usize = 0,
    input: [limits.line_bytes_max]u8 = undefined,
    slots: [limits.window_max]Slot = @splat(.{}),

    pub fn open(connection: *Connection, socket: uk.Socket) void {
        connection.state = .open;
        connection.socket = socket;
        connection.generation +%= 1;
        connection.watched = .{};
        connection.moved_ns = uk.calls.time_now();
        connection.ended = false;
        connection.skipping = false;
        connection.parked = false;
        connection.refused = false;
        connection.head = 0;
        connection.tail = 0;
        connection.job = .none;
        connection.part = .none;
        connection.input_bytes = 0;
        // Answers are gathered here; holding small ones back would only delay them. One that was reset meanwhile fails when it is read.
        socket.setOption(.no_delay, 1) catch {};
    }

    /// Ends it at once. Answers to what is under way will find another generation.
    pub fn drop(connection: *Connection) void {
        connection.endSpans();
        while (connection.head != connection.tail) : (connection.head +%= 1) {
            const slot = connection.first();
            if (!slot.answered) continue;
            slot.reply.end();
            slot.job.end();
        }
        connection.socket.close();
        connection.state = .free;
        connection.generation +%= 1;
    }

    pub fn endSpans(connection: *Connection) void {
        connection.part.end();
        connection.job.end();
        connection.job = .none;
        connection.part = .none;
    }

    /// The line that is looked at is a job of its own.
    pub fn beginJob(connection: *Connection) void {
        if (connection.job != .none) return;
        connection.job = .begin("job", .none);
        connection.part = .begin("receive", connection.job);
    }

    pub fn first(connection: *Connection) *Slot {
        return &connection.slots[connection.head % limits.window_max];
    }

    pub fn isAnswered(connection: *Connection) bool {
        return connection.head != connection.tail and connection.first().answered;
    }

    pub fn hasRoom(connection: *const Connection) bool {
        return connection.tail -% connection.head < limits.window_max;
    }

    /// The next slot, of which there must be one.
    pub fn takeSlot(connection: *Connection) *Slot {
        std.debug.assert(connection.hasRoom());
        const slot = &connection.slots[connection.tail % limits.window_max];
        connection.tail +%= 1;
        slot.answered = false;
        slot.job = .none;
        slot.reply = .none;
        return slot;
    }

    /// Sends the answers that are next in order, as much as finds room.
    pub fn send(connection: *Connection) uk.abi.Failure!void {
        while (true) {
            var output: [limits.window_max * limits.reply_bytes_max]u8 = undefined;
            var bytes: usize = 0;
            var at = connection.head;
            while (at != connection.tail) : (at +%= 1) {
                const slot = &connection.slots[at % limits.window_max];
                if (!slot.answered) break;
                const rest = slot.text[slot.sent..slot.bytes];
                @memcpy(output[bytes..][0..rest.len], rest);
                bytes += rest.len;
            }
            if (bytes == 0) return;
            var sent = connection.socket.send(output[0..bytes], 0) catch |failure| return if (failure == error.QueueFull) {} else failure;
            connection.moved_ns = uk.calls.time_now();
            while (sent > 0) {
                const slot = connection.first();
                const part = @min(sent, slot.bytes - slot.sent);
                slot.sent += part;
                sent -= part;
                if (slot.sent < slot.bytes) break;
                slot.reply.end();
                slot.job.end();
                connection.head +%= 1;
            }
        }
    }

    /// Reads up to the end of a line.
    pub fn read(connection: *Connection) uk.abi.Failure!Reading {
        while (true) {
            if (std.mem.indexOfScalar(u8, connection.input[0..connection.input_bytes], '\n')) |end| {
                if (!connection.skipping) return .{ .line = end + 1 };
                connection.skipping = false;
                connection.consume(end + 1);
                continue;
            }
            if (connection.skipping) {
                connection.input_bytes = 0;
            } else if (connection.input_bytes == connection.input.len) {
                connection.skipping = true;
                connection.input_bytes = 0;
                return .too_long;
            }
            const bytes = connection.socket.receive(connection.input[connection.input_bytes..], 0) catch |failure|
                return if (failure == error.NothingReady) .nothing else failure;
            if (bytes.len == 0) {
                connection.ended = true;
                return .end;
            }
            connection.moved_ns = uk.calls.time_now();
            if (!connection.skipping) connection.beginJob();
            connection.input_bytes += bytes.len;
        }
    }

    /// Takes the line, with its end, out of the input.
    pub fn consume(connection: *Connection, line_bytes: usize) void {
        const rest = connection.input_bytes - line_bytes;
        @memmove(connection.input[0..rest], connection.input[line_bytes..connection.input_bytes]);
        connection.input_bytes = rest;
    }
};
