//! The task that talks: it takes lines from connections, hands jobs to the working tasks and gives their answers back.
const std = @import("std");
const uk = @import("ukernel");
const limits = @import("limits.zig");
const work = @import("work.zig");
const Connection = @import("connection.zig").Connection;

/// What the poll set gives back with a handle: a connection's place, or one of these.
const user_listener = limits.places;
const user_jobs = limits.places + 1;
const user_stop = limits.places + 2;

var connections: [limits.places]Connection = @splat(.{});
var set: uk.PollSet = undefined;
var listener: uk.Socket = undefined;
var jobs: uk.Channel = undefined;
var stop: uk.abi.Handle = .none;
var served: u32 = 0;
var taken: u32 = 0;
var in_flight: u32 = 0;
var parked: u32 = 0;
var next_parked: u32 = 0;
var listening = false;
var jobs_wanted = false;
var stop_deadline_ns: ?u64 = null;

/// Since the start; every job that was taken is answered or dropped with its connection in the end.
var counts: struct { accepted: u64 = 0, answered: u64 = 0, dropped: u64 = 0, malformed: u64 = 0, refused: u64 = 0 } = .{};

fn countsText(buffer: []u8, what: []const u8) []u8 {
    var stats: uk.abi.AbiStats = .{};
    uk.calls.check(uk.calls.abi_stats(&stats)) catch unreachable;
    return std.fmt.bufPrint(
        buffer,
        "{s} jobs={d} answered={d} dropped={d} malformed={d} refused={d} in_flight={d} connections={d} pages_used={d} handles={d} tasks={d}\n",
        .{ what, counts.accepted, counts.answered, counts.dropped, counts.malformed, counts.refused, in_flight, served, stats.pages_total - stats.pages_free, stats.handles_used, stats.tasks_used },
    ) catch unreachable;
}

fn report(level: uk.abi.LogLevel, what: []const u8) void {
    var buffer: [limits.reply_bytes_max + 64]u8 = undefined;
    const text = countsText(&buffer, what);
    // A log that is not allowed is no reason to stop.
    uk.log(level, text[0 .. text.len - 1]) catch {};
}

fn indexOf(connection: *const Connection) u32 {
    return @intCast((@intFromPtr(connection) - @intFromPtr(&connections)) / @sizeOf(Connection));
}

fn unpark(connection: *Connection) void {
    if (connection.parked) parked -= 1;
    connection.parked = false;
}

fn freePlace(connection: *Connection) void {
    unpark(connection);
    if (!connection.refused) served -= 1;
    taken -= 1;
    connection.drop();
}

/// Answers a line without a task's help.
fn answerNow(connection: *Connection, text: []const u8) void {
    connection.beginJob();
    connection.part.end();
    const slot = connection.takeSlot();
    slot.job = connection.job;
    slot.reply = .begin("reply", connection.job);
    connection.job = .none;
    connection.part = .none;
    slot.answer(text);
}

fn answerMalformed(connection: *Connection, text: []const u8) void {
    counts.malformed += 1;
    answerNow(connection, text);
}

fn isText(line: []const u8) bool {
    for (line) |byte| if (std.ascii.isControl(byte)) return false;
    return true;
}

/// Takes a line, or parks the connection where the queue has no room.
fn takeLine(connection: *Connection, line_bytes: usize) uk.abi.Failure!void {
    var line = connection.input[0 .. line_bytes - 1];
    if (std.mem.endsWith(u8, line, "\r")) line.len -= 1;
    connection.beginJob();
    if (line.len == 0) {
        answerMalformed(connection, "error empty line: expected 'crc32 TEXT', 'primes N' or 'stats'\n");
    } else if (!isText(line)) {
        answerMalformed(connection, "error the line holds a byte that is not text\n");
    } else if (std.mem.eql(u8, line, "stats")) {
        var buffer: [limits.reply_bytes_max]u8 = undefined;
        answerNow(connection, countsText(&buffer, "ok"));
    } else {
        if (!connection.parked) {
            connection.part.end();
            connection.part = .begin("queue", connection.job);
        }
        var job: work.Job = .{ .ticket = .{
            .connection = indexOf(connection),
            .generation = connection.generation,
            .slot = connection.tail % limits.window_max,
            .bytes = @intCast(line.len),
            .job = connection.job,
            .part = connection.part,
        } };
        @memcpy(job.text[0..line.len], line);
        jobs.send(job.bytes(), 0) catch |failure| {
            if (failure != error.QueueFull) return failure;
            // The line stays, nothing more is read: the peer's own window fills and it waits.
            if (!connection.parked) parked += 1;
            connection.parked = true;
            return;
        };
        unpark(connection);
        _ = connection.takeSlot();
        connection.job = .none;
        connection.part = .none;
        counts.accepted += 1;
        in_flight += 1;
    }
    connection.consume(line_bytes);
}

/// Takes no more of it; a line that waits for the queue or for its end is not taken.
fn finish(connection: *Connection) void {
    if (connection.state == .open) connection.state = .finishing;
    unpark(connection);
    connection.endSpans();
}

/// Takes what the peer has sent.
fn receive(connection: *Connection) uk.abi.Failure!void {
    while (connection.state == .open and connection.hasRoom()) switch (try connection.read()) {
        .line => |line_bytes| {
            try takeLine(connection, line_bytes);
            if (connection.parked) return;
        },
        .too_long => answerMalformed(connection, std.fmt.comptimePrint("error a line has at most {d} bytes\n", .{limits.line_bytes_max - 1})),
        .end => {
            if (connection.input_bytes > 0) answerMalformed(connection, "error the last line has no end\n");
            finish(connection);
        },
        .nothing => return,
    };
}

const Ended = error{Ended} || uk.abi.Failure;

/// Reads to the peer's end.
fn linger(connection: *Connection) Ended!void {
    for (0..16) |_| {
        var passed: [512]u8 = undefined;
        const bytes = connection.socket.receive(&passed, 0) catch |failure| return if (failure == error.NothingReady) {} else failure;
        if (bytes.len == 0) return error.Ended;
    }
}

/// Does what can be done without waiting, and has the rest watched for.
fn advance(connection: *Connection) void {
    tryAdvance(connection) catch freePlace(connection);
}

fn tryAdvance(connection: *Connection) Ended!void {
    // Answers that went out have made room for lines that were read already; but others have their turn.
    var again = true;
    for (0..limits.rounds_max) |_| {
        try receive(connection);
        const full = !connection.hasRoom();
        try connection.send();
        again = full and connection.hasRoom();
        if (!again) break;
    }
    if (connection.state == .finishing and connection.head == connection.tail) {
        if (connection.ended) return error.Ended;
        try connection.socket.shutdown(.send);
        connection.state = .lingering;
        connection.moved_ns = uk.calls.time_now();
    }
    if (connection.state == .lingering) try linger(connection);
    const wanted: uk.abi.IoEvents = .{
        .writable = again or connection.isAnswered(),
        .readable = connection.state == .lingering or (connection.state == .open and !connection.parked and connection.hasRoom()),
    };
    if (wanted == connection.watched) return;
    connection.watched = wanted;
    try set.watch(connection.socket.handle, wanted, indexOf(connection));
}

fn watchListener() uk.abi.Failure!void {
    const wanted = taken < limits.places;
    if (wanted == listening) return;
    listening = wanted;
    try set.watch(listener.handle, .{ .readable = wanted }, user_listener);
}

fn acceptAll() void {
    while (taken < limits.places) {
        const socket = listener.accept(0, null) catch return;
        const connection = for (&connections) |*place| {
            if (place.state == .free) break place;
        } else unreachable;
        connection.open(socket);
        taken += 1;
        if (served == limits.connections_max) {
            counts.refused += 1;
            connection.refused = true;
            connection.state = .finishing;
            connection.takeSlot().answer(std.fmt.comptimePrint("error busy: {d} connections are served already\n", .{limits.connections_max}));
            if (counts.refused == 1 or counts.refused % 1000 == 0) report(.warn, "connection refused");
        } else served += 1;
        advance(connection);
    }
}

/// Takes the tasks' answers, then serves each connection that got some once.
fn takeAnswers() uk.abi.Failure!void {
    var touched: std.StaticBitSet(limits.places) = .initEmpty();
    for (0..limits.queue_max) |_| {
        var answer: work.Answer = undefined;
        _ = jobs.receive(std.mem.asBytes(&answer), 0) catch |failure| if (failure == error.NothingReady) break else return failure;
        const connection = &connections[answer.ticket.connection];
        in_flight -= 1;
        if (connection.state == .free or connection.generation != answer.ticket.generation) {
            counts.dropped += 1;
            answer.ticket.part.end();
            answer.ticket.job.end();
            continue;
        }
        counts.answered += 1;
        const slot = &connection.slots[answer.ticket.slot];
        slot.job = answer.ticket.job;
        slot.reply = answer.ticket.part;
        slot.answer(answer.line());
        touched.set(answer.ticket.connection);
    }
    var list = touched.iterator(.{});
    while (list.next()) |index| if (connections[index].state != .free) advance(&connections[index]);
}

/// Those who found the queue full try again, each in its turn.
fn retryParked() void {
    const first = next_parked;
    for (0..limits.places) |step| {
        if (parked == 0) return;
        const index: u32 = @intCast((first + step) % limits.places);
        const connection = &connections[index];
        if (connection.state == .free or !connection.parked) continue;
        advance(connection);
        next_parked = index;
        if (connection.state != .free and connection.parked) return;
    }
}

fn watchJobs() uk.abi.Failure!void {
    const wanted = parked > 0;
    if (wanted == jobs_wanted) return;
    jobs_wanted = wanted;
    try set.watch(jobs.handle, .{ .readable = true, .writable = wanted }, user_jobs);
}

fn beginStop() uk.abi.Failure!void {
    report(.info, "stopping");
    stop_deadline_ns = uk.time.after(limits.stop_ns);
    try set.forget(stop);
    listener.close();
    for (&connections) |*connection| {
        if (connection.state == .free) continue;
        finish(connection);
        advance(connection);
    }
}

/// Ends connections that do nothing, and all of them when the time to stop is over.
fn expire(now: u64) void {
    const over = if (stop_deadline_ns) |deadline_ns| now > deadline_ns else false;
    for (&connections) |*connection| {
        if (connection.state == .free) continue;
        const idle = now > connection.moved_ns + limits.idle_ns;
        if (over or (connection.state == .lingering and now > connection.moved_ns + limits.linger_ns)) {
            freePlace(connection);
        } else if (idle and connection.state == .open and connection.head == connection.tail and !connection.parked) {
            finish(connection);
            connection.takeSlot().answer("error nothing came for a minute\n");
            advance(connection);
        } else if (idle and connection.isAnswered()) {
            freePlace(connection);
        }
    }
}

/// Serves until the host asks for a stop, then finishes what is under way.
pub fn run(channel: uk.Channel, workers: usize) uk.abi.Failure!void {
    jobs = channel;
    set = try .create();
    stop = try uk.stopEvent();
    try set.watch(stop, .{ .readable = true }, user_stop);
    try set.watch(jobs.handle, .{ .readable = true }, user_jobs);
    listener = try .listen(limits.port, limits.connections_max);
    try watchListener();
    report(.info, "listening");
    try uk.print("worker: listening on port {d}, {d} tasks\n", .{ limits.port, workers });
    var report_ns = uk.time.after(limits.report_ns);
    var look_ns = uk.time.after(std.time.ns_per_s);
    var reported: u64 = 0;
    while (stop_deadline_ns == null or taken > 0 or (in_flight > 0 and uk.calls.time_now() < stop_deadline_ns.?)) {
        var buffer: [64]uk.abi.IoPollEntry = undefined;
        // Nothing to look at, nothing to wake up for.
        const looks = taken > 0 or stop_deadline_ns != null;
        for (try set.wait(&buffer, if (looks) look_ns else uk.abi.deadline_never)) |ready| switch (ready.user) {
            user_stop => try beginStop(),
            user_listener => if (stop_deadline_ns == null) acceptAll(),
            user_jobs => try takeAnswers(),
            else => {
                const connection = &connections[@intCast(ready.user)];
                // One that ended in this round may stand in it still.
                if (connection.state != .free and @intFromEnum(connection.socket.handle) == ready.handle) advance(connection);
            },
        };
        retryParked();
        try watchJobs();
        const now = uk.calls.time_now();
        if (now >= look_ns) {
            look_ns = now + std.time.ns_per_s;
            expire(now);
        }
        if (stop_deadline_ns == null) try watchListener();
        if (now >= report_ns) {
            report_ns = now + limits.report_ns;
            if (counts.accepted != reported) report(.info, "working");
            reported = counts.accepted;
        }
    }
    report(.info, "stopped");
}
