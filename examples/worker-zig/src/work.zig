//! Jobs and answers, and the tasks that make one of the other. The work itself is `doJob`: replace it with yours.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");

/// What a job and its answer are known by. The spans belong to the VM, not to a task: whoever has one may end it.
pub const Ticket = extern struct {
    connection: u32,
    generation: u32,
    /// Place in the connection's order.
    slot: u32,
    bytes: u32,
    /// Span of the job.
    job: uk.Span,
    /// The job's present part: `queue` on the way to the task, `reply` on the way back.
    part: uk.Span,
};

/// A ticket and a line, without its end in a job, with it in an answer.
fn Message(comptime bytes_max: usize) type {
    return extern struct {
        ticket: Ticket,
        text: [bytes_max]u8 = undefined,

        /// The part that is sent.
        pub fn bytes(message: *const @This()) []const u8 {
            return std.mem.asBytes(message)[0 .. @offsetOf(@This(), "text") + message.ticket.bytes];
        }

        pub fn line(message: *const @This()) []const u8 {
            return message.text[0..message.ticket.bytes];
        }
    };
}

pub const Job = Message(limits.line_bytes_max);
pub const Answer = Message(limits.reply_bytes_max);

fn primesUpTo(limit: u32) u32 {
    var count: u32 = @intFromBool(limit >= 2);
    var number: u32 = 3;
    while (number <= limit) : (number += 2) {
        var divisor: u32 = 3;
        while (divisor * divisor <= number and number % divisor != 0) divisor += 2;
        count += @intFromBool(divisor * divisor > number);
    }
    return count;
}

/// A decimal number of at most `max`, and nothing else.
fn numberOf(text: []const u8, max: u32) ?u32 {
    for (text) |digit| if (!std.ascii.isDigit(digit)) return null;
    const number = std.fmt.parseInt(u32, text, 10) catch return null;
    return if (number <= max) number else null;
}

/// Does one job, a line without its end, and writes the answer's line, with its end.
fn doJob(line: []const u8, room: []u8) []u8 {
    if (std.mem.cutPrefix(u8, line, "crc32 ")) |text| {
        return std.fmt.bufPrint(room, "ok {x:0>8}\n", .{std.hash.Crc32.hash(text)}) catch unreachable;
    }
    if (std.mem.cutPrefix(u8, line, "primes ")) |text| {
        const limit = numberOf(text, limits.primes_max) orelse
            return std.fmt.bufPrint(room, "error primes takes a number from 0 to {d}\n", .{limits.primes_max}) catch unreachable;
        return std.fmt.bufPrint(room, "ok {d}\n", .{primesUpTo(limit)}) catch unreachable;
    }
    const shown = line[0..@min(line.len, 20)];
    return std.fmt.bufPrint(room, "error unknown job '{s}': expected 'crc32 TEXT', 'primes N' or 'stats'\n", .{shown}) catch unreachable;
}

/// Takes jobs from the channel and answers them there until its other end is closed.
pub fn run(channel: uk.Channel) void {
    var job: Job = undefined;
    while (true) {
        _ = channel.receive(std.mem.asBytes(&job), uk.abi.deadline_never) catch return;
        job.ticket.part.end();
        const work = uk.Span.begin("work", job.ticket.job);
        var answer: Answer = .{ .ticket = job.ticket };
        answer.ticket.bytes = @intCast(doJob(job.line(), &answer.text).len);
        work.end();
        answer.ticket.part = .begin("reply", job.ticket.job);
        channel.send(answer.bytes(), uk.abi.deadline_never) catch {
            // Nobody waits for it any more.
            answer.ticket.part.end();
            answer.ticket.job.end();
        };
    }
}
