//! Sockets of the network as descriptors. The kernel has the sockets; one task of the adapter's waits for those that a poll found not ready,
//! each until it is told of once, and says so to all who poll.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const errno = @import("errno.zig");
const limits = @import("limits.zig");
const wait = @import("wait.zig");
const Ready = @import("open.zig").Ready;
const Error = errno.Error;

pub const Inet = struct {
    used: bool = false,
    kind: abi.NetType = .tcp,
    handle: abi.Handle = .none,
    /// Protects what follows.
    lock: uk.Lock = .{},
    /// What the watcher waits for.
    armed: u32 = 0,
    activity: u32 = 0,
    /// Of UDP: it has a place in the stack, which says when it is ready.
    attached: bool = false,
    state: enum { fresh, listening, connecting, connected } = .fresh,
    /// How long a call waits where it may; never_ns where nothing was set.
    receive_ns: u64 = wait.never_ns,
    send_ns: u64 = wait.never_ns,

    pub fn close(inet: *Inet) void {
        _ = uk.calls.net_close(inet.handle);
        @atomicStore(bool, &inet.used, false, .release);
    }

    pub fn receiveDeadline(inet: *const Inet, non_block: bool) u64 {
        return if (non_block) 0 else uk.calls.time_now() +| inet.receive_ns;
    }

    pub fn sendDeadline(inet: *const Inet, non_block: bool) u64 {
        return if (non_block) 0 else uk.calls.time_now() +| inet.send_ns;
    }

    /// Gives how much came; of a datagram its whole size.
    pub fn receive(inet: *Inet, address: u64, bytes: u64, deadline_ns: u64, from: ?*abi.NetAddress) Error!u64 {
        var count: u64 = 0;
        perform(deadline_ns, uk.calls.net_recv, .{ inet.handle, @as([*]u8, @ptrFromInt(address)), bytes, from, deadline_ns, &count }) catch |failure| {
            if (failure == error.EAGAIN) inet.arm(Ready.in);
            // A datagram socket that nobody can have sent to.
            if (failure != error.ENOTCONN or inet.kind != .udp) return failure;
            inet.attached = false;
            if (deadline_ns == 0) return error.EAGAIN;
            return if (wait.sleep(deadline_ns) == .interrupted) error.EINTR else error.EAGAIN;
        };
        return count;
    }

    pub fn send(inet: *Inet, address: u64, bytes: u64, deadline_ns: u64, to: ?*const abi.NetAddress) Error!u64 {
        var count: u64 = 0;
        perform(deadline_ns, uk.calls.net_send, .{ inet.handle, @as([*]const u8, @ptrFromInt(address)), bytes, to, deadline_ns, &count }) catch |failure| {
            if (failure == error.EAGAIN) inet.arm(Ready.out);
            if (failure == error.ENOTCONN and inet.kind == .tcp) return error.EPIPE;
            if (failure == error.ENOTCONN) return error.EDESTADDRREQ;
            return failure;
        };
        if (inet.kind == .udp) inet.attached = true;
        return count;
    }

    /// The kernel chooses a connection's port when it listens or connects; here it is known at once, as Linux has it.
    pub fn bind(inet: *Inet, address: *const abi.NetAddress) Error!void {
        if (inet.kind != .tcp or address.port != 0) return inet.bindTo(address);
        var chosen = address.*;
        for (0..port_tries_max) |_| {
            var number: u16 = 0;
            uk.calls.check(uk.calls.random_fill(@ptrCast(&number), @sizeOf(u16))) catch |failure| return errno.of(failure);
            chosen.port = port_first + number % port_count;
            return inet.bindTo(&chosen) catch |failure| if (failure == error.EADDRINUSE) continue else return failure;
        }
        return error.EADDRINUSE;
    }

    fn bindTo(inet: *Inet, address: *const abi.NetAddress) Error!void {
        uk.calls.check(uk.calls.net_bind(inet.handle, address)) catch |failure| {
            if (failure != error.BadValue) return errno.ofNet(failure);
            // Either it has an address already, or this is not the VM's.
            const local = inet.localAddress() catch return error.EINVAL;
            return if (local.port != 0 or local.low != 0) error.EINVAL else error.EADDRNOTAVAIL;
        };
        inet.attached = true;
    }

    pub fn listen(inet: *Inet, backlog: u32) Error!void {
        if (inet.state == .listening) return;
        uk.calls.check(uk.calls.net_listen(inet.handle, backlog)) catch |failure| return errno.ofNet(failure);
        inet.state = .listening;
    }

    pub fn accept(inet: *Inet, deadline_ns: u64, peer: *abi.NetAddress) Error!*Inet {
        if (inet.state != .listening) return error.EINVAL;
        var handle: abi.Handle = .none;
        perform(deadline_ns, uk.calls.net_accept, .{ inet.handle, deadline_ns, &handle, peer }) catch |failure| {
            if (failure == error.EAGAIN) inet.arm(Ready.in);
            return failure;
        };
        const accepted = adopt(.tcp, handle) catch |failure| {
            _ = uk.calls.net_close(handle);
            return failure;
        };
        accepted.state = .connected;
        return accepted;
    }

    /// While DHCP has brought no address yet, this waits for it also where it is not to wait: else nothing would have been begun.
    pub fn connect(inet: *Inet, peer: *const abi.NetAddress, non_block: bool) Error!void {
        if (inet.state == .connected and inet.kind == .tcp) return error.EISCONN;
        if (inet.state == .listening) return error.EINVAL;
        var deadline_ns = inet.sendDeadline(non_block);
        while (true) {
            perform(deadline_ns, uk.calls.net_connect, .{ inet.handle, peer, deadline_ns }) catch |failure| {
                if (failure != error.EAGAIN) return failure;
                if (non_block and deadline_ns == 0 and try begun(inet) == false) {
                    deadline_ns = uk.calls.time_now() +| limits.address_wait_ns;
                    continue;
                }
                inet.arm(Ready.out);
                defer inet.state = .connecting;
                return if (inet.state == .connecting) error.EALREADY else error.EINPROGRESS;
            };
            inet.attached = true;
            inet.state = .connected;
            return;
        }
    }

    fn begun(inet: *Inet) Error!bool {
        const local = try inet.localAddress();
        return local.low != 0;
    }

    pub fn localAddress(inet: *Inet) Error!abi.NetAddress {
        var local: abi.NetAddress = .{};
        uk.calls.check(uk.calls.net_get_address(inet.handle, &local, null)) catch |failure| return errno.ofNet(failure);
        return local;
    }

    pub fn peerAddress(inet: *Inet) Error!abi.NetAddress {
        var peer: abi.NetAddress = .{};
        uk.calls.check(uk.calls.net_get_address(inet.handle, null, &peer)) catch |failure| return errno.ofNet(failure);
        return peer;
    }

    pub fn setOption(inet: *Inet, option: abi.NetOption, value: u64) Error!void {
        uk.calls.check(uk.calls.net_set_option(inet.handle, option, value)) catch |failure| return errno.ofNet(failure);
    }

    pub fn getOption(inet: *Inet, option: abi.NetOption) Error!u64 {
        var value: u64 = 0;
        uk.calls.check(uk.calls.net_get_option(inet.handle, option, &value)) catch |failure| return errno.ofNet(failure);
        return value;
    }

    /// The number of the error that is pending, which is so no more; 0 for none.
    pub fn takeError(inet: *Inet) Error!u32 {
        const detail = try inet.getOption(.@"error");
        if (detail == 0) return 0;
        return errno.numberOf(errno.ofNet(abi.failureOf(@enumFromInt(detail))));
    }

    pub fn ready(inet: *Inet) u32 {
        var entry: abi.IoPollEntry = .{ .handle = @intFromEnum(inet.handle), .wanted = .{ .readable = true, .writable = true } };
        var count: u32 = 0;
        _ = uk.calls.io_poll(@ptrCast(&entry), 1, 0, &count);
        var now: u32 = 0;
        if (entry.ready.readable) now |= Ready.in;
        if (entry.ready.writable or (inet.kind == .udp and !inet.attached)) now |= Ready.out;
        if (entry.ready.closed) now |= Ready.in | Ready.out | Ready.read_hup | Ready.hup;
        if (entry.ready.failed) now |= Ready.in | Ready.out | Ready.err;
        return now;
    }

    /// Has those who poll told when it becomes ready in one of these ways; that the peer has gone is told with any.
    pub fn arm(inet: *Inet, wanted: u32) void {
        inet.lock.acquire();
        defer inet.lock.release();
        const all = inet.armed | wanted & (Ready.in | Ready.out);
        if (all == inet.armed) return;
        inet.armed = all;
        inet.update(.{ .readable = all & Ready.in != 0, .writable = all & Ready.out != 0 });
    }

    fn update(inet: *Inet, wanted: abi.IoEvents) void {
        const index = (@intFromPtr(inet) - @intFromPtr(&pool)) / @sizeOf(Inet);
        // One that is being closed leaves the set by itself.
        _ = uk.calls.io_poll_update(set, &.{ .handle = @intFromEnum(inet.handle), .user = index, .wanted = wanted });
    }

    fn tell(inet: *Inet) void {
        inet.lock.acquire();
        defer inet.lock.release();
        inet.armed = 0;
        inet.update(.{});
        inet.activity +%= 1;
    }
};

/// Those that Linux chooses from.
const port_first = 32768;
const port_count = 28232;
const port_tries_max = 32;

/// Makes a call again that an interrupt ended which was no signal's. EAGAIN also where the time to wait is over.
fn perform(deadline_ns: u64, comptime function: anytype, values: anytype) Error!void {
    while (true) {
        if (deadline_ns != 0 and wait.isInterrupted()) return error.EINTR;
        uk.calls.check(@call(.auto, function, values)) catch |failure| switch (failure) {
            error.Interrupted => continue,
            error.TimedOut => return if (deadline_ns != wait.never_ns and uk.calls.time_now() >= deadline_ns) error.EAGAIN else error.ETIMEDOUT,
            else => return errno.ofNet(failure),
        };
        return;
    }
}

/// Only those below `pool_used` have ever been given out; the others cost no memory.
var pool: [limits.inets_max]Inet = undefined;
var pool_used: u32 = 0;
var pool_lock: uk.Lock = .{};

pub fn create(kind: abi.NetType) Error!*Inet {
    try startWatching();
    var handle: abi.Handle = .none;
    uk.calls.check(uk.calls.net_socket(.ipv4, kind, &handle)) catch |failure| {
        if (failure == error.CapabilityMissing) missing();
        return if (failure == error.UnsupportedOperation) error.EAFNOSUPPORT else errno.ofNet(failure);
    };
    return adopt(kind, handle) catch |failure| {
        _ = uk.calls.net_close(handle);
        return failure;
    };
}

fn adopt(kind: abi.NetType, handle: abi.Handle) Error!*Inet {
    pool_lock.acquire();
    defer pool_lock.release();
    const inet = for (pool[0..pool_used]) |*each| {
        if (!@atomicLoad(bool, &each.used, .acquire)) break each;
    } else if (pool_used < pool.len) &pool[pool_used] else return error.ENFILE;
    inet.* = .{ .used = true, .kind = kind, .handle = handle };
    if (pool_used < pool.len and inet == &pool[pool_used]) pool_used += 1;
    return inet;
}

var told_missing: std.atomic.Value(bool) = .init(false);

fn missing() void {
    if (told_missing.swap(true, .monotonic)) return;
    uk.log(.warn, "a socket was asked for: the manifest does not allow `capability net`") catch {};
}

var set: abi.Handle = .none;
var watcher_lock: uk.Lock = .{};
/// The watcher touches no path and no workload memory: a small stack does.
var stack: [32 * 1024]u8 align(16) = undefined;

fn startWatching() Error!void {
    watcher_lock.acquire();
    defer watcher_lock.release();
    if (set != .none) return;
    var made: abi.Handle = .none;
    uk.calls.check(uk.calls.io_poll_create(&made)) catch |failure| return errno.of(failure);
    set = made;
    const options: abi.TaskOptions = .{
        .entry = @intFromPtr(&run),
        .stack = @intFromPtr(&stack) + stack.len,
        .flags = .{ .detached = true },
        .priority = abi.priority_normal,
        .capabilities = 0xff,
        .active = 0xff,
    };
    var task: abi.Handle = .none;
    uk.calls.check(uk.calls.task_spawn(&options, &task)) catch |failure| {
        _ = uk.calls.io_poll_close(made);
        set = .none;
        return errno.of(failure);
    };
}

fn run() callconv(.c) noreturn {
    var entries: [64]abi.IoPollEntry = undefined;
    while (true) {
        var count: u32 = 0;
        uk.calls.check(uk.calls.io_poll_wait(set, &entries, entries.len, wait.never_ns, &count)) catch |failure| {
            if (failure == error.Interrupted) continue;
            _ = uk.calls.task_exit(0, 0);
            @trap();
        };
        for (entries[0..count]) |entry| pool[@intCast(entry.user)].tell();
        wait.changed();
    }
}
