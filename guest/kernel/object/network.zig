//! The network: the device and the TCP/IP stack between it and the sockets. The kernel lock protects both, and no user memory is touched
//! under it. Work is done where it arises: when the device interrupts, when a timer of the stack's is due, and after what a socket's user did.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const cpu = @import("../arch/cpu.zig");
const clock = @import("../arch/clock.zig");
const lapic = @import("../arch/lapic.zig");
const serial = @import("../arch/serial.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const driver = @import("../dev/virtio_net.zig");
const text = @import("../fs/text.zig");
const net = @import("../net/stack.zig");
const net_memory = @import("../net/memory.zig");
const ipv4 = @import("../net/ipv4.zig");
const disk = @import("disk.zig");
const random = @import("random.zig");
const net_socket = @import("net_socket.zig");
const WaitQueue = @import("task.zig").WaitQueue;
const Histogram = @import("../latency.zig").Histogram;

const Device = driver.NetDevice(disk.Bus);

pub var stack: net.Stack = undefined;
var device: Device = undefined;
var device_memory: driver.Memory = undefined;
var broken_told: bool = false;
/// Where frames to ourselves pass when there is no device.
var nowhere: [driver.frame_bytes_max]u8 = undefined;

const State = enum { absent, loopback, running };
var state: State = .absent;

/// What `probe` found; the first of several devices is the one that is used.
var found: ?struct { bus: disk.Bus, input: u32 } = null;

/// Tasks that wait for the address that DHCP is to bring.
pub var address_waiters: WaitQueue = .{};
var address_told: ipv4.Address = ipv4.any;

var timer: scheduler.Timer = .{ .due = &due };

/// A network device stands there: it is started later.
pub fn notice(bus: disk.Bus, input: u32) void {
    if (found == null) found = .{ .bus = bus, .input = input };
}

/// Those of the run-time configuration.
var name_servers: text.NameServers = .{};
const name_server_port = 53;

/// Starts the device that was found. The lock is not held.
pub fn start(configuration: *const text.Configuration) void {
    name_servers = configuration.name_servers;
    const place = found orelse return;
    const seed = makeSeed();
    lock.acquire();
    defer lock.release();
    startDevice(place.bus) catch |failure| {
        serial.print("ukernel: the network device does not start: {s}\n", .{@errorName(failure)});
        return;
    };
    var mac = device.mac orelse seed[0..6].*;
    // Locally administered, one station.
    if (device.mac == null) mac[0] = mac[0] & 0xfc | 2;
    initStack(.{
        .mac = mac,
        .addressing = switch (configuration.address) {
            .dhcp => .dhcp,
            .fixed => |fixed| .{ .fixed = .{ .address = fixed.address, .prefix = fixed.prefix, .gateway = fixed.gateway } },
        },
        .seed = seed,
        .checksum_offload = device.completesChecksums(),
    });
    state = .running;
    lapic.routeInput(place.input, cpu.all[0].lapic_id);
    work();
}

fn makeSeed() [16]u8 {
    var seed: [16]u8 = undefined;
    random.fill(&seed);
    return seed;
}

fn initStack(config: net.Config) void {
    stack.init(config, .{
        .context = &stack,
        .allocate_page = allocatePage,
        .release_page = releasePage,
        .pages_max = frames.total / limits.net_memory_divisor,
    }, clock.nowNs());
}

fn allocatePage(_: *anyopaque) ?net_memory.PagePointer {
    return layout.page(frames.allocateUser() orelse return null);
}

fn releasePage(_: *anyopaque, page: net_memory.PagePointer) void {
    frames.release(@intCast((@intFromPtr(page) - layout.direct_base) >> 12));
}

fn startDevice(bus: disk.Bus) !void {
    // Where there is no memory for it, what was taken stays taken: the VM is too small for a network.
    device_memory.receive_queue = try takePage(true);
    device_memory.send_queue = try takePage(true);
    for (&device_memory.receive) |*page| page.* = try takePage(false);
    for (&device_memory.send) |*page| page.* = try takePage(false);
    try device.init(bus, &device_memory, cpu.isEmulated());
}

fn takePage(zeroed: bool) error{OutOfMemory}!driver.Page {
    const frame = frames.allocateUser() orelse return error.OutOfMemory;
    if (zeroed) frames.zero(frame);
    return .{ .bytes = layout.page(frame), .physical = @as(u64, frame) << 12 };
}

/// The stack is there, for frames to ourselves at least. The lock is not held.
pub fn ensure() void {
    if (@atomicLoad(State, &state, .acquire) != .absent) return;
    const seed = makeSeed();
    lock.acquire();
    defer lock.release();
    if (state != .absent) return;
    initStack(.{
        .mac = @splat(0),
        .addressing = .{ .fixed = .{ .address = ipv4.any, .prefix = 0, .gateway = ipv4.any } },
        .seed = seed,
    });
    state = .loopback;
}

/// How long peers took to acknowledge; null where there is no stack.
pub fn roundTrips() ?*const Histogram {
    return if (state == .absent) null else &stack.round_trips;
}

/// Whether an interrupt input is the network's.
pub fn ownsInput(input: u32) bool {
    const place = found orelse return false;
    return place.input == input;
}

/// Whether an address may still come.
pub fn awaitsAddress() bool {
    return state == .running and stack.address == ipv4.any and stack.config.addressing == .dhcp;
}

/// The name server of that number, of the configuration or else of DHCP, whose address is waited for.
pub fn nameServer(index: u32, deadline_ns: u64) error{ NotFound, TimedOut, Interrupted }!net.Endpoint {
    lock.acquire();
    defer lock.release();
    if (name_servers.count == 0) while (awaitsAddress()) {
        address_waiters.append(scheduler.current());
        switch (scheduler.block(deadline_ns, true)) {
            .timeout => return error.TimedOut,
            .interrupted => return error.Interrupted,
            else => {},
        }
    };
    const servers = if (name_servers.count > 0) name_servers.slice() else if (state == .running) stack.dhcp.nameServers() else &.{};
    if (index >= servers.len) return error.NotFound;
    return .{ .address = servers[index], .port = name_server_port };
}

pub fn interrupt() void {
    lock.acquire();
    defer lock.release();
    if (state != .running) return;
    _ = device.takeInterrupt();
    work();
}

fn due(_: *scheduler.Timer) void {
    work();
}

/// Takes in what has come, and does all that follows. The lock is held.
fn work() void {
    const more = takeFrames();
    settle();
    // The rest when others have had the lock.
    if (more) scheduler.setTimer(&timer, clock.nowNs());
}

/// Takes frames in, as many as are taken under one hold of the lock; whether there are more.
fn takeFrames() bool {
    if (state != .running) return false;
    const now_ns = clock.nowNs();
    for (0..limits.net_frames_per_lock_hold) |_| {
        const frame = device.take() orelse return false;
        stack.receive(frame.bytes, switch (frame.checksum) {
            .unknown => .unknown,
            .good => .good,
            .partial => .partial,
        }, now_ns);
    }
    return true;
}

/// Does what is due, sends what is to be sent, and tells who waits. Called after everything that a socket's user does. The lock is held.
pub fn settle() void {
    std.debug.assert(lock.isHeld());
    const now_ns = clock.nowNs();
    stack.advance(now_ns);
    transmit(now_ns);
    while (stack.nextChanged()) |base| {
        const owner = base.owner orelse continue;
        const socket: *net_socket.Socket = @ptrCast(@alignCast(owner));
        socket.changed(base.reported);
    }
    if (stack.address != address_told) {
        address_told = stack.address;
        while (address_waiters.first) |task| if (!scheduler.wake(task, .woken)) break;
    }
    // One that is set for later than needed would be late; one that is early does no harm.
    const deadline_ns = stack.deadline();
    if (deadline_ns != scheduler.forever and (!timer.isSet() or deadline_ns < timer.deadline_ns)) scheduler.setTimer(&timer, deadline_ns);
}

fn transmit(now_ns: u64) void {
    if (state != .running) {
        // Nothing but what goes to ourselves, which the stack keeps for itself.
        while (stack.transmit(now_ns, &nowhere)) |_| {}
        return;
    }
    while (device.room()) |room| {
        const frame = stack.transmit(now_ns, room) orelse break;
        const completion: ?driver.Completion = if (frame.completion) |sum| .{ .start = sum.start, .offset = sum.offset } else null;
        device.queueFrame(frame.length, completion);
    }
    device.flush();
    if (device.broken and !broken_told) {
        broken_told = true;
        serial.print("ukernel: the network device broke the rules of virtio and is used no more\n", .{});
    }
}
