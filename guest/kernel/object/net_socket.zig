//! Sockets as their users know them. A socket lives until its handle is closed and no call is under way on it; what the stack keeps for it
//! goes then. The kernel lock protects all of it. What is sent and received: net_transfer.zig.
const std = @import("std");
const abi = @import("abi");
const clock = @import("../arch/clock.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Pool = @import("../mem/pool.zig").Pool;
const net = @import("../net/stack.zig");
const ipv4 = @import("../net/ipv4.zig");
const net_socket = @import("../net/socket.zig");
const handles = @import("handles.zig");
const network = @import("network.zig");
const Source = @import("poll.zig").Source;
const WaitQueue = @import("task.zig").WaitQueue;
const Failure = abi.Failure;
const Connection = net.Connection;
const Datagrams = net.Datagrams;
const Listener = net.Listener;

pub const Endpoint = net.Endpoint;
pub const Kind = enum { tcp, udp };

var pool: Pool(Socket) = .{};

comptime {
    std.debug.assert(@sizeOf(Socket) <= limits.handle_charge_bytes);
}

pub const Socket = struct {
    /// The handle, and every call under way.
    references: u32 = 1,
    kind: Kind,
    open: bool = true,
    /// Its user has given it an address.
    bound: bool = false,
    /// A user copies from or to the stack's pages.
    reading: bool = false,
    writing: bool = false,
    options: packed struct { reuse_address: bool = false, no_delay: bool = false, keep_alive: bool = false } = .{},
    /// Nothing is received any more.
    read_shut: bool = false,
    failure_taken: bool = false,
    /// Calls on it that wait for the VM's address.
    awaiting_address: u32 = 0,
    local: Endpoint = .{ .address = ipv4.any, .port = 0 },
    /// The stack's side, once there is one.
    base: ?*net_socket.Socket = null,
    readers: WaitQueue = .{},
    writers: WaitQueue = .{},
    source: Source = .{},

    fn create(kind: Kind) Failure!struct { *Socket, u64 } {
        const socket = pool.create() catch return error.OutOfHandles;
        errdefer pool.destroy(socket);
        socket.* = .{ .kind = kind };
        return .{ socket, try handles.openPollable(.net, socket, &socket.source) };
    }

    fn release(socket: *Socket) void {
        std.debug.assert(lock.isHeld() and socket.references > 0);
        socket.references -= 1;
        if (socket.references > 0) return;
        std.debug.assert(!socket.open and !socket.reading and !socket.writing);
        if (socket.base) |base| {
            base.owner = null;
            switch (base.kind) {
                .connection => Connection.of(base).close(&network.stack, clock.nowNs()),
                .listener => Listener.of(base).close(&network.stack),
                .datagram => Datagrams.of(base).close(&network.stack),
            }
            network.settle();
        }
        pool.destroy(socket);
    }

    fn attach(socket: *Socket, base: *net_socket.Socket) void {
        socket.base = base;
        base.owner = socket;
        socket.publish(net.Stack.readiness(base));
    }

    fn publish(socket: *Socket, ready: net_socket.Readiness) void {
        socket.source.update(.{
            .readable = ready.readable or socket.read_shut,
            .writable = ready.writable,
            .closed = ready.closed,
            .failed = ready.failed and !socket.failure_taken,
        });
    }

    /// The stack says that its readiness is another.
    pub fn changed(socket: *Socket, ready: net_socket.Readiness) void {
        socket.publish(ready);
        if (ready.readable or ready.failed) wakeAll(&socket.readers, .woken);
        if (ready.writable or ready.failed) wakeAll(&socket.writers, .woken);
    }

    pub fn connection(socket: *const Socket) ?*Connection {
        const base = socket.base orelse return null;
        return if (base.kind == .connection) Connection.of(base) else null;
    }

    fn listener(socket: *const Socket) ?*Listener {
        const base = socket.base orelse return null;
        return if (base.kind == .listener) Listener.of(base) else null;
    }

    pub fn datagrams(socket: *const Socket) ?*Datagrams {
        const base = socket.base orelse return null;
        return if (base.kind == .datagram) Datagrams.of(base) else null;
    }

    /// Waits in a queue of the socket's. What was done is sent before.
    fn wait(socket: *Socket, queue: *WaitQueue, deadline_ns: u64) Failure!void {
        queue.append(scheduler.current());
        const reason = scheduler.block(deadline_ns, true);
        if (!socket.open) return error.BadHandle;
        switch (reason) {
            .timeout => return error.TimedOut,
            .interrupted => return error.Interrupted,
            else => {},
        }
    }

    pub fn awaitInput(socket: *Socket, deadline_ns: u64) Failure!void {
        return socket.wait(&socket.readers, deadline_ns);
    }

    /// Waits for room. Where memory is short nobody tells of it: then it is looked for again soon.
    pub fn awaitRoom(socket: *Socket, deadline_ns: u64) Failure!void {
        const ready = net.Stack.readiness(socket.base.?);
        if (!ready.writable or socket.writing) return socket.wait(&socket.writers, deadline_ns);
        const soon_ns = clock.nowNs() + look_again_ns;
        socket.wait(&socket.writers, @min(deadline_ns, soon_ns)) catch |failure| {
            if (failure != error.TimedOut or deadline_ns <= soon_ns) return failure;
        };
    }

    fn applyOptions(socket: *Socket) void {
        const to = socket.connection() orelse return;
        to.flags.no_delay = socket.options.no_delay;
        if (to.flags.keepalive != socket.options.keep_alive) {
            to.setKeepAlive(&network.stack, socket.options.keep_alive, limits.tcp_keepalive_idle_ns, limits.tcp_keepalive_interval_ns, clock.nowNs());
        }
        network.stack.schedule(&to.output);
    }
};

const look_again_ns: u64 = 10_000_000;

pub fn wakeAll(queue: *WaitQueue, reason: @import("task.zig").WakeReason) void {
    while (queue.first) |task| if (!scheduler.wake(task, reason)) break;
}

pub fn failureOf(failure: net_socket.Failure) Failure {
    return switch (failure) {
        .none => error.NotConnected,
        .refused => error.ConnectionRefused,
        .reset => error.ConnectionReset,
        .timed_out => error.TimedOut,
        .unreachable_host, .address_lost => error.Unreachable,
        .too_long => error.TooLong,
    };
}

fn openFailure(failure: net.OpenError) Failure {
    return switch (failure) {
        error.OutOfMemory, error.TooMany => error.OutOfMemory,
        error.AddressInUse => error.AddressInUse,
        error.Unreachable => error.Unreachable,
    };
}

pub fn create(kind: Kind) Failure!u64 {
    network.ensure();
    lock.acquire();
    defer lock.release();
    return (try Socket.create(kind))[1];
}

/// The socket behind a handle, for one call: the lock is held from here until `done`.
pub fn begin(handle: u64) Failure!*Socket {
    lock.acquire();
    const socket = handles.get(Socket, handle, .net) catch |failure| {
        lock.release();
        return failure;
    };
    socket.references += 1;
    return socket;
}

pub fn end(socket: *Socket) void {
    socket.release();
    lock.release();
}

pub fn close(handle: u64) Failure!void {
    lock.acquire();
    defer lock.release();
    const socket = try handles.get(Socket, handle, .net);
    handles.close(handle, .net) catch unreachable;
    socket.open = false;
    wakeAll(&socket.readers, .closed);
    wakeAll(&socket.writers, .closed);
    // Those on other sockets wait on.
    if (socket.awaiting_address > 0) wakeAll(&network.address_waiters, .closed);
    socket.release();
}

fn isOurs(address: ipv4.Address) bool {
    return address == ipv4.any or network.stack.isLocal(address);
}

pub fn bind(handle: u64, local: Endpoint) Failure!void {
    const socket = try begin(handle);
    defer end(socket);
    if (socket.bound or socket.base != null or !isOurs(local.address)) return error.BadValue;
    switch (socket.kind) {
        .tcp => if (local.port != 0 and network.stack.listening(local.address, local.port)) return error.AddressInUse,
        .udp => try openDatagrams(socket, local),
    }
    socket.local = local;
    socket.bound = true;
}

pub fn openDatagrams(socket: *Socket, local: Endpoint) Failure!void {
    const opened = network.stack.openDatagrams(local.address, local.port) catch |failure| return openFailure(failure);
    socket.attach(&opened.socket);
}

pub fn listen(handle: u64, backlog: u32) Failure!void {
    const socket = try begin(handle);
    defer end(socket);
    if (socket.kind != .tcp or socket.base != null) return error.UnsupportedOperation;
    const opened = network.stack.listen(socket.local.address, socket.local.port, backlog) catch |failure| return openFailure(failure);
    socket.local.port = opened.port;
    socket.attach(&opened.socket);
}

pub const Accepted = struct { handle: u64, peer: Endpoint };

pub fn accept(handle: u64, deadline_ns: u64) Failure!Accepted {
    const socket = try begin(handle);
    defer end(socket);
    const from = socket.listener() orelse return error.UnsupportedOperation;
    if (from.waiting_count == 0 and deadline_ns <= clock.nowNs()) return error.NothingReady;
    while (from.waiting_count == 0) try socket.awaitInput(deadline_ns);
    // Where there is no handle for it, it waits on.
    const made, const made_handle = try Socket.create(.tcp);
    const connection = from.accept(&network.stack).?;
    made.local = connection.local();
    made.options = socket.options;
    made.attach(&connection.socket);
    made.applyOptions();
    network.settle();
    // The one that is woken for it may be this one alone.
    if (from.waiting_count > 0) wakeAll(&socket.readers, .woken);
    return .{ .handle = made_handle, .peer = connection.remote() };
}

pub fn connect(handle: u64, remote: Endpoint, deadline_ns: u64) Failure!void {
    const socket = try begin(handle);
    defer end(socket);
    if (remote.port == 0 or remote.address == ipv4.any) return error.BadValue;
    if (socket.listener() != null) return error.UnsupportedOperation;
    try awaitAddress(socket, remote, deadline_ns);
    // Meanwhile it may have become one.
    if (socket.listener() != null) return error.UnsupportedOperation;
    if (socket.kind == .udp) return connectDatagrams(socket, remote);
    if (socket.base == null) {
        const opened = network.stack.connectFrom(socket.local, remote, clock.nowNs()) catch |failure| return openFailure(failure);
        socket.attach(&opened.socket);
        socket.applyOptions();
        network.settle();
    }
    const connection = socket.connection().?;
    if (!std.meta.eql(connection.remote(), remote)) return error.BadValue;
    while (connection.state == .syn_sent or connection.state == .syn_received) try socket.wait(&socket.writers, deadline_ns);
    if (connection.failure != .none) return failureOf(connection.failure);
}

fn connectDatagrams(socket: *Socket, remote: Endpoint) Failure!void {
    if (!network.stack.routable(remote.address)) return error.Unreachable;
    if (socket.base == null) try openDatagrams(socket, socket.local);
    const datagrams = socket.datagrams().?;
    if (!datagrams.reaches(&network.stack, remote.address)) return error.Unreachable;
    datagrams.connect(&network.stack, remote);
    network.settle();
}

/// A VM that was just started may have no address yet.
pub fn awaitAddress(socket: *Socket, remote: Endpoint, deadline_ns: u64) Failure!void {
    socket.awaiting_address += 1;
    defer socket.awaiting_address -= 1;
    while (network.awaitsAddress() and !ipv4.loopback(remote.address)) try socket.wait(&network.address_waiters, deadline_ns);
}

pub const Addresses = struct { local: Endpoint, peer: ?Endpoint };

pub fn addresses(handle: u64) Failure!Addresses {
    const socket = try begin(handle);
    defer end(socket);
    const base = socket.base orelse return .{ .local = socket.local, .peer = null };
    return switch (base.kind) {
        .connection => .{ .local = Connection.of(base).local(), .peer = Connection.of(base).remote() },
        .listener => .{ .local = .{ .address = Listener.of(base).address, .port = Listener.of(base).port }, .peer = null },
        .datagram => .{ .local = .{ .address = Datagrams.of(base).address, .port = Datagrams.of(base).port }, .peer = Datagrams.of(base).remote },
    };
}

pub fn setOption(handle: u64, option: abi.NetOption, value: u64) Failure!void {
    const socket = try begin(handle);
    defer end(socket);
    switch (option) {
        .reuse_address, .no_delay, .keep_alive => {
            if (value > 1) return error.BadValue;
            if (option != .reuse_address and socket.kind != .tcp) return error.UnsupportedOperation;
            const on = value == 1;
            switch (option) {
                .reuse_address => socket.options.reuse_address = on,
                .no_delay => socket.options.no_delay = on,
                else => socket.options.keep_alive = on,
            }
            socket.applyOptions();
        },
        .shutdown => {
            if (value < 1 or value > 3) return error.BadValue;
            const connection = socket.connection() orelse return error.NotConnected;
            if (!connection.state.synchronized()) return error.NotConnected;
            if (value & 2 != 0) connection.shutdown(&network.stack);
            if (value & 1 != 0) {
                socket.read_shut = true;
                socket.changed(net.Stack.readiness(&connection.socket));
                wakeAll(&socket.readers, .woken);
            }
        },
        else => return error.UnsupportedOperation,
    }
    network.settle();
}

pub fn getOption(handle: u64, option: abi.NetOption) Failure!u64 {
    const socket = try begin(handle);
    defer end(socket);
    switch (option) {
        .reuse_address => return @intFromBool(socket.options.reuse_address),
        .no_delay => return @intFromBool(socket.options.no_delay),
        .keep_alive => return @intFromBool(socket.options.keep_alive),
        .send_buffer_bytes => return if (socket.kind == .tcp) limits.tcp_send_bytes_max else limits.udp_queue_bytes_max,
        .receive_buffer_bytes => return if (socket.kind == .tcp) limits.tcp_receive_bytes_max else limits.udp_queue_bytes_max,
        .@"error" => return takePending(socket),
        else => return error.UnsupportedOperation,
    }
}

fn takePending(socket: *Socket) u64 {
    if (socket.connection()) |connection| {
        if (connection.failure == .none or socket.failure_taken) return 0;
        socket.failure_taken = true;
        socket.publish(net.Stack.readiness(&connection.socket));
        return @intFromEnum(abi.detailOf(failureOf(connection.failure)));
    }
    const datagrams = socket.datagrams() orelse return 0;
    if (datagrams.failure == .none) return 0;
    defer network.settle();
    return @intFromEnum(abi.detailOf(failureOf(datagrams.takeFailure(&network.stack))));
}
