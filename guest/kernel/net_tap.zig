//! The network stack as a program on a Linux host, on a tap device, so that Linux's own stack can be its judge: net-tap DEVICE [LOSS DUPLICATE REORDER DELAY_MS SEED]
//! (per mille, both ways). 10.99.0.2/24; TCP and UDP port 7 send back, 9 takes, 19 sends as many bytes as the first line asks for;
//! UDP port 5 tells what is in use, port 6 takes "PORT BYTES" and sends so many to the host's port.
const std = @import("std");
const linux = std.os.linux;
const ethernet = @import("net/ethernet.zig");
const heap = @import("sched/heap.zig");
const stack_file = @import("net/stack.zig");
const memory_file = @import("net/memory.zig");
const Stack = stack_file.Stack;
const Connection = stack_file.Connection;

const address: u32 = 0x0a63_0002;
const allocator = std.heap.smp_allocator;

const Waiting = struct {
    due_ns: u64,
    order: u64,
    inbound: bool,
    length: usize,
    links: heap.Links = .{},
    bytes: [ethernet.frame_bytes_max]u8,

    fn less(a: *const Waiting, b: *const Waiting) bool {
        return if (a.due_ns != b.due_ns) a.due_ns < b.due_ns else a.order < b.order;
    }
};

const Faults = struct { loss: u64 = 0, duplicate: u64 = 0, reorder: u64 = 0, delay_ns: u64 = 0 };

/// What a connection is for, and how far it is.
const Service = struct {
    kind: enum { echo, discard, generate },
    connection: *Connection,
    line: [24]u8 = undefined,
    line_bytes: usize = 0,
    asked: ?u64 = null,
    sent: u64 = 0,
};

const Program = struct {
    stack: *Stack,
    device: i32,
    faults: Faults,
    random: std.Random.DefaultPrng,
    waiting: heap.Heap(Waiting, "links", Waiting.less) = .{},
    order: u64 = 0,
    listeners: [3]*stack_file.Listener,
    echo: *stack_file.Datagrams,
    status: *stack_file.Datagrams,
    orders: *stack_file.Datagrams,
    /// What sends a stream of its own, while it does.
    generating: ?*Connection = null,
    flight_max: u32 = 0,

    fn chance(program: *Program, permille: u64) bool {
        return permille > 0 and program.random.random().uintLessThan(u64, 1000) < permille;
    }

    fn pass(program: *Program, inbound: bool, bytes: []const u8) void {
        if (program.chance(program.faults.loss)) return;
        program.passOne(inbound, bytes);
        if (program.chance(program.faults.duplicate)) program.passOne(inbound, bytes);
    }

    fn passOne(program: *Program, inbound: bool, bytes: []const u8) void {
        var delay_ns = program.faults.delay_ns;
        if (program.chance(program.faults.reorder)) delay_ns += 1_000_000 + program.random.random().uintLessThan(u64, 3_000_000);
        if (delay_ns == 0) return program.arrive(inbound, bytes);
        const held = allocator.create(Waiting) catch return;
        held.* = .{ .due_ns = now() + delay_ns, .order = program.order, .inbound = inbound, .length = bytes.len, .bytes = undefined };
        @memcpy(held.bytes[0..bytes.len], bytes);
        program.order += 1;
        program.waiting.insert(held);
    }

    fn arrive(program: *Program, inbound: bool, bytes: []const u8) void {
        if (inbound) program.stack.receive(bytes, .unknown, now()) else _ = linux.write(program.device, bytes.ptr, bytes.len);
    }

    fn turn(program: *Program) !void {
        var poll: [1]linux.pollfd = .{.{ .fd = program.device, .events = linux.POLL.IN, .revents = 0 }};
        var due = program.stack.deadline();
        if (program.waiting.min()) |held| due = @min(due, held.due_ns);
        const left_ns = due -| now();
        _ = linux.poll(&poll, 1, @intCast(@min((left_ns + 999_999) / 1_000_000, 1000)));
        var bytes: [2048]u8 = undefined;
        for (0..64) |_| {
            const got: isize = @bitCast(linux.read(program.device, &bytes, bytes.len));
            if (got <= 0) break;
            if (got <= ethernet.frame_bytes_max) program.pass(true, bytes[0..@intCast(got)]);
        }
        while (program.waiting.min()) |held| {
            if (held.due_ns > now()) break;
            _ = program.waiting.removeMin();
            program.arrive(held.inbound, held.bytes[0..held.length]);
            allocator.destroy(held);
        }
        program.stack.advance(now());
        try program.serve();
        while (program.stack.transmit(now(), &bytes)) |frame| program.pass(false, bytes[0..frame.length]);
        // Here, for what one turn receives may acknowledge all that was in flight.
        if (program.generating) |connection| program.flight_max = @max(program.flight_max, connection.flight());
    }

    fn serve(program: *Program) !void {
        const stack = program.stack;
        while (stack.nextChanged()) |base| switch (base.kind) {
            .listener => {
                const listener: *stack_file.Listener = .of(base);
                while (listener.accept(stack)) |connection| {
                    const service = try allocator.create(Service);
                    service.* = .{ .connection = connection, .kind = switch (listener.port) {
                        7 => .echo,
                        9 => .discard,
                        else => .generate,
                    } };
                    connection.socket.owner = service;
                    program.work(service);
                }
            },
            .connection => if (base.owner) |owner| program.work(@ptrCast(@alignCast(owner))),
            .datagram => try program.datagrams(.of(base)),
        };
    }

    fn datagrams(program: *Program, socket: *stack_file.Datagrams) !void {
        const stack = program.stack;
        while (socket.receive()) |received| {
            var bytes: [1472]u8 = undefined;
            var out: std.Io.Writer = .fixed(&bytes);
            for (received.pieces) |piece| try out.writeAll(piece);
            socket.consume(stack);
            if (socket == program.orders) program.command(out.buffered());
            if (socket == program.status) {
                out.end = 0;
                try out.print("connections {d} embryos {d} waiting {d} pages {d} flight {d} retransmitted {d} timeouts {d} recoveries {d} challenges {d} cookies {d}", .{
                    stack.connections.used,           stack.embryos.used,          stack.time_waits.pool.used,    stack.memory.pages_used,       program.flight_max,
                    stack.counters.tcp_retransmitted, stack.counters.tcp_timeouts, stack.counters.tcp_recoveries, stack.counters.tcp_challenges, stack.counters.tcp_cookies_accepted,
                });
            }
            socket.send(stack, received.from, out.buffered()) catch {};
        }
    }

    /// Opens a connection to the host and sends it bytes.
    fn command(program: *Program, text: []const u8) void {
        var words = std.mem.tokenizeScalar(u8, text, ' ');
        const port = std.fmt.parseInt(u16, words.next() orelse return, 10) catch return;
        const count = std.fmt.parseInt(u64, words.next() orelse return, 10) catch return;
        const connection = program.stack.connect(.{ .address = address - 1, .port = port }, 0, now()) catch return;
        const service = allocator.create(Service) catch return connection.close(program.stack, now());
        service.* = .{ .connection = connection, .kind = .generate, .asked = count };
        connection.socket.owner = service;
    }

    fn end(program: *Program, service: *Service) void {
        if (program.generating == service.connection) program.generating = null;
        service.connection.close(program.stack, now());
        allocator.destroy(service);
    }

    fn work(program: *Program, service: *Service) void {
        const stack = program.stack;
        const connection = service.connection;
        switch (service.kind) {
            .discard => while (true) {
                const pieces = (connection.readable() catch return program.end(service)) orelse return program.end(service);
                const count = pieces[0].len + pieces[1].len;
                if (count == 0) return;
                connection.consume(stack, @intCast(count));
            },
            .echo => while (true) {
                const pieces = (connection.readable() catch return program.end(service)) orelse return program.end(service);
                if (pieces[0].len == 0) return;
                const written = connection.write(stack, pieces[0]) catch 0;
                connection.consume(stack, written);
                if (written == 0) {
                    if (connection.failure != .none or connection.flags.fin_queued) return program.end(service);
                    return;
                }
            },
            .generate => program.generate(service),
        }
    }

    fn generate(program: *Program, service: *Service) void {
        const stack = program.stack;
        const connection = service.connection;
        program.generating = connection;
        while (service.asked == null) {
            const count = (connection.read(stack, service.line[service.line_bytes..]) catch return program.end(service)) orelse return program.end(service);
            if (count == 0) return;
            service.line_bytes += count;
            const line = service.line[0..service.line_bytes];
            const length = std.mem.indexOfScalar(u8, line, '\n') orelse continue;
            service.asked = std.fmt.parseInt(u64, line[0..length], 10) catch return program.end(service);
        }
        while (service.sent < service.asked.?) {
            const pieces = connection.reserve(stack, @intCast(@min(service.asked.? - service.sent, 1 << 20))) catch return program.end(service);
            var count: u32 = 0;
            for (pieces) |piece| for (piece) |*byte| {
                byte.* = @truncate((service.sent + count) *% 2654435761 >> 13);
                count += 1;
            };
            if (count == 0) return;
            connection.commit(stack, count);
            service.sent += count;
        }
        program.end(service);
    }
};

fn now() u64 {
    var time: linux.timespec = undefined;
    _ = linux.clock_gettime(.MONOTONIC, &time);
    return @as(u64, @intCast(time.sec)) * 1_000_000_000 + @as(u64, @intCast(time.nsec));
}

fn allocatePage(_: *anyopaque) ?memory_file.PagePointer {
    const bytes = std.heap.page_allocator.alignedAlloc(u8, .fromByteUnits(memory_file.page_bytes), memory_file.page_bytes) catch return null;
    return bytes[0..memory_file.page_bytes];
}

fn releasePage(_: *anyopaque, page: memory_file.PagePointer) void {
    std.heap.page_allocator.free(@as([]align(memory_file.page_bytes) u8, page));
}

fn openTap(name: []const u8) !i32 {
    const opened: isize = @bitCast(linux.open("/dev/net/tun", .{ .ACCMODE = .RDWR, .NONBLOCK = true }, 0));
    if (opened < 0) return error.NoTunDevice;
    // struct ifreq: a name of 16 bytes, flags.
    var request: [40]u8 = @splat(0);
    @memcpy(request[0..name.len], name);
    const tap_without_header: u16 = 0x0002 | 0x1000;
    std.mem.writeInt(u16, request[16..18], tap_without_header, .little);
    const tunsetiff: u32 = 0x4004_54ca;
    if (@as(isize, @bitCast(linux.ioctl(@intCast(opened), tunsetiff, @intFromPtr(&request)))) < 0) return error.NoTap;
    return @intCast(opened);
}

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    if (arguments.len < 2) return error.Usage;
    var numbers: [5]u64 = @splat(0);
    for (arguments[2..], 0..) |argument, index| numbers[index] = try std.fmt.parseInt(u64, argument, 10);
    const stack = try allocator.create(Stack);
    var seed: [16]u8 = undefined;
    _ = linux.getrandom(&seed, seed.len, 0);
    var context: u8 = 0;
    stack.init(.{
        .mac = .{ 2, 0, 0, 0x99, 0, 2 },
        .addressing = .{ .fixed = .{ .address = address, .prefix = 24, .gateway = 0x0a63_0001 } },
        .seed = seed,
    }, .{ .context = &context, .allocate_page = allocatePage, .release_page = releasePage, .pages_max = 32768 }, now());
    var program: Program = .{
        .stack = stack,
        .device = try openTap(arguments[1]),
        .faults = .{ .loss = numbers[0], .duplicate = numbers[1], .reorder = numbers[2], .delay_ns = numbers[3] * 1_000_000 },
        .random = .init(numbers[4]),
        .listeners = undefined,
        .echo = try stack.openDatagrams(0, 7),
        .status = try stack.openDatagrams(0, 5),
        .orders = try stack.openDatagrams(0, 6),
    };
    for (&program.listeners, [_]u16{ 7, 9, 19 }) |*listener, port| listener.* = try stack.listen(0, port, 256);
    while (true) try program.turn();
}
