//! What a runtime of microVMs is tested with: argument 1 says what to do, in any case of letters.
//!
//!   runs         until it is asked to stop, then ends at once with 0
//!   stubborn     writes "stubborn", runs, and does not heed being asked
//!   fails        writes "boom" and ends at once with 3
//!   talks        writes the lines "one", "two" and "three", then as runs
//!   long_line    writes a line of 40,000 times "x" and the line "end", and ends with 0
//!   ticks        writes "tick" ten times, 100 ms apart, and ends with 0
//!   serves       answers HTTP on port 8080: 200 to /ok, 404 else; then as runs
//!   mute         accepts connections on port 8080 and says nothing; then as runs
//!   reports      writes "greeting=$GREETING secret=$PASSWORD file=F user=0", then as runs; F is what the first block device begins
//!                with, up to a line's end or a NUL, and nothing where there is none
//!   panic        ends by a fault: status 139
//!   hang         computes for ever, and does not heed being asked to stop
//!   flood        writes lines for ever
//!   fill         writes the first block device full, one byte more, and what became of it; then as runs
//!   ask          argument 2 a host, argument 3 a port: asks it each second by "GET / HTTP/1.0" and writes the first line of the answer; then as runs
//!
//! There is one output, the console. Needs the capabilities io and net, and of a kernel the network for the three that talk by it.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const calls = uk.calls;

const never = abi.deadline_never;
const second_ns: u64 = 1_000_000_000;

pub fn main() !u8 {
    const arguments = uk.arguments();
    const wanted = if (arguments.len > 1) std.mem.span(arguments[1]) else "";
    inline for (@typeInfo(workloads).@"struct".decls) |each| {
        if (std.ascii.eqlIgnoreCase(wanted, each.name)) return @field(workloads, each.name)();
    }
    try uk.print("argument 1 names no workload: '{s}'\n", .{wanted});
    return 2;
}

const workloads = struct {
    pub fn runs() !u8 {
        return untilAsked(try uk.stopEvent());
    }

    pub fn stubborn() !u8 {
        _ = try uk.stopEvent();
        try uk.print("stubborn\n", .{});
        while (true) uk.time.sleep(3600 * second_ns);
    }

    pub fn fails() !u8 {
        try uk.print("boom\n", .{});
        return 3;
    }

    pub fn talks() !u8 {
        const stop = try uk.stopEvent();
        for ([_][]const u8{ "one", "two", "three" }) |line| try uk.print("{s}\n", .{line});
        return untilAsked(stop);
    }

    pub fn long_line() !u8 {
        const part: [1000]u8 = @splat('x');
        for (0..40) |_| try uk.writeConsoleAll(&part);
        try uk.print("\nend\n", .{});
        return 0;
    }

    pub fn ticks() !u8 {
        for (0..10) |_| {
            try uk.print("tick\n", .{});
            uk.time.sleep(second_ns / 10);
        }
        return 0;
    }

    pub fn serves() !u8 {
        return serve(.answer);
    }

    pub fn mute() !u8 {
        return serve(.silence);
    }

    pub fn reports() !u8 {
        const stop = try uk.stopEvent();
        var sector: [sector_bytes]u8 = undefined;
        const content = try firstSector(&sector);
        const greeting = uk.environment("GREETING") orelse "";
        const secret = uk.environment("PASSWORD") orelse "";
        try uk.print("greeting={s} secret={s} file={s} user=0\n", .{ greeting, secret, content[0 .. std.mem.indexOfAny(u8, content, "\r\n\x00") orelse content.len] });
        return untilAsked(stop);
    }

    pub fn panic() !u8 {
        try uk.print("writing to nowhere\n", .{});
        asm volatile ("xorl %%eax, %%eax\n movq %%rax, 8(%%rax)" ::: .{ .rax = true, .memory = true });
        return 1;
    }

    pub fn hang() !u8 {
        _ = try uk.stopEvent();
        try uk.print("computing for ever\n", .{});
        while (true) std.atomic.spinLoopHint();
    }

    pub fn flood() !u8 {
        var line: u64 = 0;
        while (true) : (line += 1) try uk.print("flood {d:0>20} {s}\n", .{ line, &@as([100]u8, @splat('.')) });
    }

    pub fn fill() !u8 {
        const stop = try uk.stopEvent();
        try fillDisk();
        return untilAsked(stop);
    }

    pub fn ask() !u8 {
        const stop = try uk.stopEvent();
        const arguments = uk.arguments();
        if (arguments.len < 4) {
            try uk.print("ask takes a host and a port\n", .{});
            return 2;
        }
        const port = std.fmt.parseInt(u16, std.mem.span(arguments[3]), 10) catch 0;
        while (true) {
            const next_ns = uk.time.after(second_ns);
            var line: [256]u8 = undefined;
            const text = askOnce(std.mem.span(arguments[2]), port, &line) catch |failure| @errorName(failure);
            try uk.print("{s}\n", .{text});
            if (try asked(stop, next_ns)) return 0;
        }
    }
};

/// Whether the host asks for a stop before the deadline.
fn asked(stop: abi.Handle, deadline_ns: u64) abi.Failure!bool {
    var entries = [1]abi.IoPollEntry{.{ .handle = @intFromEnum(stop), .wanted = .{ .readable = true } }};
    return try uk.poll(&entries, deadline_ns) > 0;
}

fn untilAsked(stop: abi.Handle) abi.Failure!u8 {
    while (!try asked(stop, never)) {}
    return 0;
}

// The block device.

const io_needs: uk.Needs = .{ .kind = .io, .rights = @bitCast(abi.IoRights{ .read = true, .write = true }) };
const sector_bytes = 512;

/// Null where there is none.
fn openDisk(flags: abi.IoFlags) abi.Failure!?abi.Handle {
    var handle: abi.Handle = .none;
    uk.perform(io_needs, calls.io_open, .{ .block, .none, "0", 1, flags, &handle }) catch |failure| return if (failure == error.NotFound) null else failure;
    return handle;
}

fn firstSector(sector: *[sector_bytes]u8) abi.Failure![]const u8 {
    const disk = try openDisk(.{}) orelse return "";
    var bytes: u64 = 0;
    try uk.perform(io_needs, calls.io_read, .{ disk, sector, sector.len, 0, &bytes });
    return sector[0..@intCast(bytes)];
}

var block: [256 << 10]u8 align(4096) = @splat('f');

fn fillDisk() abi.Failure!void {
    const disk = try openDisk(.{ .write = true }) orelse return uk.print("fill: there is no block device\n", .{});
    var stat: abi.IoStat = .{};
    try uk.perform(io_needs, calls.io_stat, .{ disk, &stat });
    var done: u64 = 0;
    while (done < stat.bytes) {
        const count = @min(stat.bytes - done, block.len);
        var written: u64 = 0;
        uk.perform(io_needs, calls.io_write, .{ disk, &block, count, done, &written }) catch |failure| {
            return uk.print("fill: {s} after {d} of {d} bytes\n", .{ @errorName(failure), done, stat.bytes });
        };
        done += written;
    }
    try uk.print("fill: wrote {d} of {d} bytes\n", .{ done, stat.bytes });
    var written: u64 = 0;
    uk.perform(io_needs, calls.io_write, .{ disk, &block, sector_bytes, done, &written }) catch |failure| {
        return uk.print("fill: {s} behind the end\n", .{@errorName(failure)});
    };
    try uk.print("fill: {d} bytes behind the end\n", .{written});
}

// The network.

fn askOnce(host: []const u8, port: u16, line: *[256]u8) ![]const u8 {
    const deadline_ns = uk.time.after(5 * second_ns);
    const peer = try uk.net.resolve(host, port, deadline_ns);
    const connection: uk.Socket = try .connect(peer, deadline_ns);
    defer connection.close();
    try connection.sendAll("GET / HTTP/1.0\r\n\r\n", deadline_ns);
    var count: usize = 0;
    while (count < line.len and std.mem.indexOfScalar(u8, line[0..count], '\n') == null) {
        const bytes = try connection.receive(line[count..], deadline_ns);
        if (bytes.len == 0) break;
        count += bytes.len;
    }
    return line[0 .. std.mem.indexOfAny(u8, line[0..count], "\r\n") orelse count];
}

const connections_max = 64;
const request_bytes_max = 2048;

const Connection = struct {
    socket: uk.Socket,
    accepted: u64,
    bytes: usize = 0,
    answered: bool = false,
    request: [request_bytes_max]u8 = undefined,
};

var places: [connections_max]?Connection = @splat(null);
var accepted_count: u64 = 0;

const user_listener = connections_max;
const user_stop = connections_max + 1;

fn serve(manner: enum { answer, silence }) !u8 {
    const set: uk.PollSet = try .create();
    const listener: uk.Socket = try .listen(8080, connections_max);
    try set.watch(try uk.stopEvent(), .{ .readable = true }, user_stop);
    try set.watch(listener.handle, .{ .readable = true }, user_listener);
    while (true) {
        var buffer: [16]abi.IoPollEntry = undefined;
        for (try set.wait(&buffer, never)) |entry| switch (entry.user) {
            user_stop => return 0,
            user_listener => try accept(set, listener),
            else => {
                const place = &places[@intCast(entry.user)];
                if (place.* == null or @intFromEnum(place.*.?.socket.handle) != entry.handle) continue;
                const goes_on = switch (manner) {
                    .answer => answer(&place.*.?),
                    .silence => swallow(&place.*.?),
                } catch |failure| (failure == error.NothingReady);
                if (!goes_on) drop(place);
            },
        };
    }
}

fn drop(place: *?Connection) void {
    place.*.?.socket.close();
    place.* = null;
}

/// Where all places are taken the oldest gives way.
fn accept(set: uk.PollSet, listener: uk.Socket) abi.Failure!void {
    const socket = listener.accept(0, null) catch |failure| return if (failure == error.NothingReady) {} else failure;
    var chosen: usize = 0;
    for (&places, 0..) |*place, index| {
        if (place.* == null) {
            chosen = index;
            break;
        }
        if (place.*.?.accepted < places[chosen].?.accepted) chosen = index;
    }
    if (places[chosen] != null) drop(&places[chosen]);
    accepted_count += 1;
    places[chosen] = .{ .socket = socket, .accepted = accepted_count };
    try set.watch(socket.handle, .{ .readable = true }, chosen);
}

/// Takes what is there of a request and answers it when it is whole; false when the connection is done with.
fn answer(connection: *Connection) abi.Failure!bool {
    const room = connection.request[connection.bytes..];
    const bytes = try connection.socket.receive(room, 0);
    if (bytes.len == 0) return false;
    // What follows the answered one is of no interest, but is read, so that closing resets nothing.
    if (connection.answered) return true;
    connection.bytes += bytes.len;
    const request = connection.request[0..connection.bytes];
    const whole = std.mem.indexOf(u8, request, "\r\n\r\n") != null or std.mem.indexOf(u8, request, "\n\n") != null;
    if (!whole) return connection.bytes < request_bytes_max;
    var words = std.mem.tokenizeAny(u8, request[0..std.mem.indexOfScalar(u8, request, '\n').?], " \r");
    const method = words.next() orelse return false;
    const found = std.mem.eql(u8, words.next() orelse return false, "/ok");
    const body: []const u8 = if (found) "ok\n" else "not found\n";
    var text: [256]u8 = undefined;
    const head = std.fmt.bufPrint(&text, "HTTP/1.1 {s}\r\nContent-Type: text/plain\r\nContent-Length: {d}\r\nConnection: close\r\n\r\n{s}", .{
        if (found) "200 OK" else "404 Not Found",
        body.len,
        if (std.mem.eql(u8, method, "HEAD")) "" else body,
    }) catch unreachable;
    // An empty connection has room for an answer.
    _ = try connection.socket.send(head, 0);
    try connection.socket.shutdown(.send);
    connection.answered = true;
    connection.bytes = 0;
    return true;
}

fn swallow(connection: *Connection) abi.Failure!bool {
    return (try connection.socket.receive(&connection.request, 0)).len > 0;
}
