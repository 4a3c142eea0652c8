//! A bad link between a tap interface of this host, which it makes, and a VM on QEMU's datagram back end.
//!
//!   net-relay <tap> <socket of ours> <socket of QEMU's> <loss> <double> <reorder> <delay ms> <seed>
//!
//! Loss, doubling and reordering in parts of a thousand frames, each way. A frame that is reordered is held back for as long again as the
//! delay, at least 2 ms. Runs until it is ended, and then prints what it did.
const std = @import("std");
const linux = std.os.linux;
const net_watch = @import("net_watch.zig");

const frame_bytes_max = 2048;
const frames_max = 4096;

const Held = struct { due_ns: u64 = 0, to_guest: bool = false, length: u16 = 0, bytes: [frame_bytes_max]u8 = undefined };

var store: [frames_max]Held = undefined;
/// Places by when they are due; free ones behind `held`.
var order: [frames_max]u16 = undefined;
var held: usize = 0;
var counts: struct { carried: u64 = 0, lost: u64 = 0, doubled: u64 = 0, reordered: u64 = 0, full: u64 = 0 } = .{};

const Link = struct { loss: u64, double: u64, reorder: u64, delay_ns: u64 };
var link: Link = undefined;
var prng: std.Random.DefaultPrng = undefined;
var ended: bool = false;
var watch: net_watch.Watch = .{};

fn nowNs() u64 {
    var time: linux.timespec = undefined;
    _ = linux.clock_gettime(.MONOTONIC, &time);
    return @as(u64, @intCast(time.sec)) * 1_000_000_000 + @as(u64, @intCast(time.nsec));
}

fn must(value: usize, comptime what: []const u8) usize {
    const code = linux.errno(value);
    if (code != .SUCCESS) std.debug.panic(what ++ ": {t}", .{code});
    return value;
}

fn openTap(name: []const u8) i32 {
    const tap: i32 = @intCast(must(linux.open("/dev/net/tun", .{ .ACCMODE = .RDWR, .NONBLOCK = true }, 0), "/dev/net/tun"));
    var request: extern struct { name: [16]u8 = @splat(0), flags: i16, rest: [22]u8 = @splat(0) } = .{
        // IFF_TAP, IFF_NO_PI
        .flags = 0x0002 | 0x1000,
    };
    @memcpy(request.name[0..name.len], name);
    // TUNSETIFF
    _ = must(linux.ioctl(tap, 0x400454ca, @intFromPtr(&request)), "the tap interface");
    return tap;
}

fn unixAddress(path: []const u8) linux.sockaddr.un {
    var address: linux.sockaddr.un = .{ .path = @splat(0) };
    @memcpy(address.path[0..path.len], path);
    return address;
}

fn chance(thousandths: u64) bool {
    return prng.random().uintLessThan(u64, 1000) < thousandths;
}

fn pass(to_guest: bool, bytes: []const u8, now_ns: u64) void {
    watch.sent(if (to_guest) .to_guest else .from_guest, bytes);
    if (chance(link.loss)) {
        counts.lost += 1;
        return;
    }
    var due_ns = now_ns + link.delay_ns;
    if (chance(link.reorder)) {
        counts.reordered += 1;
        due_ns += @max(link.delay_ns, 2_000_000);
    }
    hold(to_guest, bytes, due_ns);
    if (chance(link.double)) {
        counts.doubled += 1;
        hold(to_guest, bytes, due_ns);
    }
}

fn hold(to_guest: bool, bytes: []const u8, due_ns: u64) void {
    if (held == frames_max) {
        counts.full += 1;
        return;
    }
    const place = order[held];
    store[place].due_ns = due_ns;
    store[place].to_guest = to_guest;
    store[place].length = @intCast(bytes.len);
    @memcpy(store[place].bytes[0..bytes.len], bytes);
    // Nearly always the last.
    var at = held;
    while (at > 0 and store[order[at - 1]].due_ns > due_ns) : (at -= 1) order[at] = order[at - 1];
    order[at] = place;
    held += 1;
}

fn end(_: linux.SIG) callconv(.c) void {
    ended = true;
}

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    if (arguments.len != 9) return error.Usage;
    var numbers: [5]u64 = undefined;
    for (&numbers, arguments[4..]) |*number, text| number.* = try std.fmt.parseInt(u64, text, 10);
    link = .{ .loss = numbers[0], .double = numbers[1], .reorder = numbers[2], .delay_ns = numbers[3] * 1_000_000 };
    prng = .init(numbers[4]);
    for (&order, 0..) |*place, index| place.* = @intCast(index);
    const tap = openTap(arguments[1]);
    const socket: i32 = @intCast(must(linux.socket(linux.AF.UNIX, linux.SOCK.DGRAM | linux.SOCK.NONBLOCK | linux.SOCK.CLOEXEC, 0), "socket"));
    const ours = unixAddress(arguments[2]);
    const theirs = unixAddress(arguments[3]);
    _ = must(linux.bind(socket, @ptrCast(&ours), @sizeOf(linux.sockaddr.un)), "bind");
    const action: linux.Sigaction = .{ .handler = .{ .handler = end }, .mask = linux.sigemptyset(), .flags = 0 };
    _ = linux.sigaction(.TERM, &action, null);

    var buffer: [frame_bytes_max]u8 = undefined;
    while (!ended) {
        var now_ns = nowNs();
        var waits_for_guest = false;
        while (held > 0 and store[order[0]].due_ns <= now_ns) {
            const place = order[0];
            const frame = store[place].bytes[0..store[place].length];
            const sent = if (store[place].to_guest)
                linux.sendto(socket, frame.ptr, frame.len, 0, @ptrCast(&theirs), @sizeOf(linux.sockaddr.un))
            else
                linux.write(tap, frame.ptr, frame.len);
            // QEMU has ten frames waiting: it is asked again soon, so that nothing is lost but by chance.
            waits_for_guest = linux.errno(sent) == .AGAIN;
            if (waits_for_guest) break;
            counts.carried += 1;
            watch.arrived(if (store[place].to_guest) .to_guest else .from_guest, frame);
            std.mem.copyForwards(u16, order[0 .. held - 1], order[1..held]);
            held -= 1;
            order[held] = place;
        }
        var waits = [_]linux.pollfd{ .{ .fd = tap, .events = linux.POLL.IN, .revents = 0 }, .{ .fd = socket, .events = linux.POLL.IN, .revents = 0 } };
        var time: linux.timespec = .{ .sec = 1, .nsec = 0 };
        if (held > 0) {
            const left = store[order[0]].due_ns -| now_ns;
            time = .{ .sec = @intCast(left / 1_000_000_000), .nsec = @intCast(left % 1_000_000_000) };
            if (waits_for_guest or held >= frames_max / 2) time = .{ .sec = 0, .nsec = 200_000 };
        }
        _ = linux.ppoll(&waits, if (held >= frames_max / 2) 0 else waits.len, &time, null);
        now_ns = nowNs();
        for ([_]i32{ tap, socket }) |from| for (0..64) |_| {
            // Who sends faster than the other takes waits, as at any full interface.
            if (held >= frames_max / 2) break;
            const got = linux.read(from, &buffer, buffer.len);
            if (linux.errno(got) != .SUCCESS or got == 0) break;
            pass(from == tap, buffer[0..got], now_ns);
        };
    }
    std.debug.print("relay: {d} carried, {d} lost, {d} doubled, {d} reordered, {d} found it full\n", .{ counts.carried, counts.lost, counts.doubled, counts.reordered, counts.full });
    const flight = watch.in_flight_max;
    std.debug.print("in flight at most {d} bytes to the guest, {d} from it; selective acknowledgements: {d} to the guest, {d} from it\n", .{ flight[0], flight[1], watch.selective[0], watch.selective[1] });
}
