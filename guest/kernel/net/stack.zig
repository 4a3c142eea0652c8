//! The TCP/IP stack of one interface, as a state machine: frames and the time go in, frames come out. It never waits, calls no device and has no memory but the pages
//! it is given. The caller serialises all calls, and calls `transmit` until it gives nothing after each of the others.
const std = @import("std");
const limits = @import("../limits.zig");
const Histogram = @import("../latency.zig").Histogram;
const arp = @import("arp.zig");
const dhcp = @import("dhcp.zig");
const ethernet = @import("ethernet.zig");
const flows = @import("flows.zig");
const input = @import("input.zig");
const ipv4 = @import("ipv4.zig");
const list = @import("list.zig");
const memory = @import("memory.zig");
const output = @import("output.zig");
const replies = @import("replies.zig");
const socket = @import("socket.zig");
const tcp_listener = @import("tcp_listener.zig");
const tcp_segment = @import("tcp_segment.zig");
const time_wait = @import("time_wait.zig");
const timers = @import("timers.zig");
const udp = @import("udp.zig");
const Neighbours = @import("neighbours.zig").Neighbours;
const Numbers = @import("numbers.zig").Numbers;
const assert = std.debug.assert;

pub const Connection = @import("tcp_connection.zig").Connection;
pub const Listener = tcp_listener.Listener;
pub const Datagrams = udp.Datagrams;
pub const Socket = socket.Socket;
pub const Memory = memory.Memory;
pub const Endpoint = ipv4.Endpoint;
pub const Frame = output.Frame;

pub const Addressing = union(enum) {
    fixed: struct { address: ipv4.Address, prefix: u6, gateway: ipv4.Address },
    dhcp,
};

pub const Config = struct {
    mac: ethernet.Mac,
    addressing: Addressing,
    /// Random: what nobody outside may guess follows from it.
    seed: [16]u8,
    mtu: u16 = 1500,
    /// The device completes checksums of what is sent.
    checksum_offload: bool = false,

    pub fn segmentBytes(config: *const Config) u16 {
        return config.mtu - ipv4.header_bytes - tcp_segment.header_bytes;
    }
};

/// Of an arriving frame: not looked at, found right by the device, or of a peer on the same host that left it out.
pub const Checksum = enum { unknown, good, partial };

pub const Counters = struct {
    received: u64 = 0,
    sent: u64 = 0,
    /// Not for us.
    foreign: u64 = 0,
    malformed: u64 = 0,
    checksum: u64 = 0,
    fragments: u64 = 0,
    source_routed: u64 = 0,
    replies_dropped: u64 = 0,
    neighbours_silent: u64 = 0,
    address_conflicts: u64 = 0,
    unreachable_received: u64 = 0,
    path_narrowed: u64 = 0,
    udp_no_socket: u64 = 0,
    udp_queue_full: u64 = 0,
    tcp_established: u64 = 0,
    tcp_no_socket: u64 = 0,
    tcp_retransmitted: u64 = 0,
    tcp_timeouts: u64 = 0,
    tcp_recoveries: u64 = 0,
    tcp_challenges: u64 = 0,
    tcp_out_of_window: u64 = 0,
    tcp_old_timestamps: u64 = 0,
    tcp_backlog_full: u64 = 0,
    tcp_cookies_sent: u64 = 0,
    tcp_cookies_accepted: u64 = 0,
    tcp_no_memory: u64 = 0,
};

pub const OpenError = error{ OutOfMemory, AddressInUse, Unreachable, TooMany };

/// Stays where it was initialised.
pub const Stack = struct {
    config: Config,
    memory: Memory,
    counters: Counters,
    /// From a segment that was sent once to what acknowledged it.
    round_trips: Histogram,
    numbers: Numbers,

    /// `ipv4.any` until there is one.
    address: ipv4.Address,
    prefix: u6,
    gateway: ipv4.Address,
    dhcp: dhcp.Client,

    timers: timers.Timers,
    flows: flows.Flows,
    neighbours: Neighbours,
    replies: replies.Replies,
    echoes: replies.Echoes,
    /// Outputs that may have something to send.
    ready: list.List,
    changed: list.List,
    /// Whose frame is being handled.
    frame_mac: ?ethernet.Mac,
    errors_second: u64,
    errors_sent: u32,
    /// Frames to ourselves wait for the next call.
    unfinished: bool,

    connections: memory.Pool(Connection),
    embryos: memory.Pool(tcp_listener.Embryo),
    time_waits: time_wait.TimeWaits,
    listeners: list.List,
    listeners_count: u32,
    listener_pool: memory.Pool(Listener),
    datagrams: list.List,
    datagrams_count: u32,
    datagram_pool: memory.Pool(Datagrams),

    pub fn init(stack: *Stack, config: Config, given: Memory, now_ns: u64) void {
        stack.* = .{
            .config = config,
            .memory = given,
            .counters = .{},
            .round_trips = .{},
            .numbers = .{ .seed = config.seed },
            .address = ipv4.any,
            .prefix = 0,
            .gateway = ipv4.any,
            .dhcp = .{},
            .timers = .{},
            .flows = .{ .secret = undefined },
            .neighbours = undefined,
            .replies = .{},
            .echoes = .{},
            .ready = undefined,
            .changed = undefined,
            .frame_mac = null,
            .errors_second = 0,
            .errors_sent = 0,
            .unfinished = false,
            .connections = .{},
            .embryos = .{},
            .time_waits = undefined,
            .listeners = undefined,
            .listeners_count = 0,
            .listener_pool = .{},
            .datagrams = undefined,
            .datagrams_count = 0,
            .datagram_pool = .{},
        };
        stack.ready.init();
        stack.changed.init();
        stack.listeners.init();
        stack.datagrams.init();
        stack.time_waits.init();
        stack.neighbours.init();
        std.mem.writeInt(u64, stack.flows.secret[0..8], stack.numbers.random(), .little);
        std.mem.writeInt(u64, stack.flows.secret[8..16], stack.numbers.random(), .little);
        switch (config.addressing) {
            .fixed => |fixed| stack.setAddress(fixed.address, fixed.prefix, fixed.gateway),
            .dhcp => stack.dhcp.start(stack, now_ns),
        }
    }

    /// Takes in one frame.
    pub fn receive(stack: *Stack, frame: []const u8, checksum: Checksum, now_ns: u64) void {
        input.frame(stack, frame, checksum, now_ns);
    }

    /// Does what is due.
    pub fn advance(stack: *Stack, now_ns: u64) void {
        while (stack.timers.takeDue(now_ns)) |timer| {
            switch (timer.kind) {
                .connection => @as(*Connection, @alignCast(@fieldParentPtr("timer", timer))).advance(stack, now_ns),
                .embryo => @as(*tcp_listener.Embryo, @alignCast(@fieldParentPtr("timer", timer))).advance(stack, now_ns),
                .time_wait => stack.time_waits.advance(stack, now_ns),
                .neighbours => stack.neighbours.advance(stack, now_ns),
                .dhcp => stack.dhcp.advance(stack, now_ns),
            }
        }
    }

    /// When `advance` and `transmit` must be called next; `timers.never` when only a frame or a user can bring anything.
    pub fn deadline(stack: *const Stack) u64 {
        return if (stack.unfinished) 0 else stack.timers.deadline();
    }

    /// Writes the next frame into `out`, which holds `ethernet.frame_bytes_max`; null when there is nothing to send now.
    pub fn transmit(stack: *Stack, now_ns: u64, out: []u8) ?Frame {
        return output.next(stack, now_ns, out);
    }

    /// The next socket whose readiness is another than was told; its new readiness counts as told.
    pub fn nextChanged(stack: *Stack) ?*Socket {
        while (stack.changed.first()) |link| {
            link.remove();
            const base: *Socket = @alignCast(@fieldParentPtr("change", link));
            // Its listener speaks for who was not accepted.
            if (base.kind == .connection and Connection.of(base).listener != null) continue;
            const now = readiness(base);
            if (now == base.reported) continue;
            base.reported = now;
            return base;
        }
        return null;
    }

    pub fn readiness(base: *Socket) socket.Readiness {
        return switch (base.kind) {
            .connection => Connection.of(base).readiness(),
            .listener => Listener.of(base).readiness(),
            .datagram => Datagrams.of(base).readiness(),
        };
    }

    /// Its readiness may have changed.
    pub fn touch(stack: *Stack, base: *Socket) void {
        if (!base.change.linked() and readiness(base) != base.reported) stack.changed.append(&base.change);
    }

    /// It may have something to send.
    pub fn schedule(stack: *Stack, from: *socket.Output) void {
        if (!from.link.linked()) stack.ready.append(&from.link);
    }

    // What users open.

    /// Starts a connection; its readiness tells how it went. `port` 0 is one of the stack's choice.
    pub fn connect(stack: *Stack, remote: Endpoint, port: u16, now_ns: u64) OpenError!*Connection {
        return stack.connectFrom(.{ .address = ipv4.any, .port = port }, remote, now_ns);
    }

    /// The same from an address of the VM's, or `ipv4.any`.
    pub fn connectFrom(stack: *Stack, local: Endpoint, remote: Endpoint, now_ns: u64) OpenError!*Connection {
        if (remote.port == 0 or !stack.routable(remote.address) or stack.isBroadcast(remote.address)) return error.Unreachable;
        var key: flows.Key = .{
            .local = stack.sourceOf(local.address, remote.address) orelse return error.Unreachable,
            .remote = remote.address,
            .local_port = local.port,
            .remote_port = remote.port,
        };
        if (local.port == 0) {
            key.local_port = stack.freePort(key) orelse return error.AddressInUse;
        } else if (stack.flows.find(key) != null) return error.AddressInUse;
        const connection = try stack.createConnection(key);
        errdefer connection.destroy(stack);
        try stack.flows.insert(&stack.memory, &connection.flow);
        connection.state = .syn_sent;
        connection.send_initial = stack.numbers.initialSequence(key, now_ns);
        connection.send_unacknowledged = connection.send_initial;
        connection.send_next = connection.send_initial;
        connection.send_base = connection.send_initial +% 1;
        connection.recover = connection.send_initial;
        connection.flags.selective = true;
        connection.flags.timestamps = true;
        connection.flags.scaled = true;
        stack.schedule(&connection.output);
        return connection;
    }

    pub fn createConnection(stack: *Stack, key: flows.Key) OpenError!*Connection {
        if (stack.connections.used >= limits.net_connections_max) return error.TooMany;
        if (stack.memory.scarce()) return error.OutOfMemory;
        const connection = try stack.connections.create(&stack.memory);
        connection.* = .{ .flow = .{ .key = key, .kind = .connection } };
        connection.timestamp_offset = stack.numbers.timestampOffset(key);
        return connection;
    }

    pub fn listen(stack: *Stack, address: ipv4.Address, port: u16, backlog: u32) OpenError!*Listener {
        if (stack.listeners_count >= limits.net_listeners_max) return error.TooMany;
        const chosen = if (port != 0) port else stack.freePort(null) orelse return error.AddressInUse;
        if (stack.listening(address, chosen)) return error.AddressInUse;
        const listener = try stack.listener_pool.create(&stack.memory);
        listener.* = .{
            .address = address,
            .port = chosen,
            .backlog = std.math.clamp(backlog, 1, limits.tcp_backlog_max),
            .waiting = undefined,
            .embryos = undefined,
        };
        listener.waiting.init();
        listener.embryos.init();
        stack.listeners.append(&listener.link);
        stack.listeners_count += 1;
        return listener;
    }

    /// Whether a listener on the port would be refused.
    pub fn listening(stack: *const Stack, address: ipv4.Address, port: u16) bool {
        var link = stack.listeners.end.next.?;
        while (link != &stack.listeners.end) : (link = link.next.?) {
            const listener: *const Listener = @alignCast(@fieldParentPtr("link", link));
            if (listener.port == port and (address == ipv4.any or listener.address == ipv4.any or listener.address == address)) return true;
        }
        return false;
    }

    pub fn findListener(stack: *Stack, address: ipv4.Address, port: u16) ?*Listener {
        var link = stack.listeners.end.next.?;
        while (link != &stack.listeners.end) : (link = link.next.?) {
            const listener: *Listener = @alignCast(@fieldParentPtr("link", link));
            if (listener.port == port and (listener.address == ipv4.any or listener.address == address)) return listener;
        }
        return null;
    }

    pub fn openDatagrams(stack: *Stack, address: ipv4.Address, port: u16) OpenError!*Datagrams {
        if (stack.datagrams_count >= limits.net_datagram_sockets_max) return error.TooMany;
        const chosen = if (port != 0) port else stack.freeDatagramPort() orelse return error.AddressInUse;
        if (stack.datagramPortUsed(address, chosen)) return error.AddressInUse;
        const datagrams = try stack.datagram_pool.create(&stack.memory);
        datagrams.* = .{ .address = address, .port = chosen };
        stack.datagrams.append(&datagrams.link);
        stack.datagrams_count += 1;
        stack.touch(&datagrams.socket);
        return datagrams;
    }

    fn datagramPortUsed(stack: *const Stack, address: ipv4.Address, port: u16) bool {
        var link = stack.datagrams.end.next.?;
        while (link != &stack.datagrams.end) : (link = link.next.?) {
            const other: *const Datagrams = @alignCast(@fieldParentPtr("link", link));
            if (other.port == port and (address == ipv4.any or other.address == ipv4.any or other.address == address)) return true;
        }
        return false;
    }

    const ports_first: u16 = 32768;
    const ports_count: u32 = 65536 - @as(u32, ports_first);

    /// A port that no listener has and, with the other end given, no connection to it: one of some from a random one on (RFC 6056).
    fn freePort(stack: *Stack, key: ?flows.Key) ?u16 {
        const start: u32 = @truncate(stack.numbers.random());
        for (0..limits.net_port_tries_max) |step| {
            const port: u16 = @intCast(ports_first + (start +% @as(u32, @intCast(step))) % ports_count);
            if (stack.listening(ipv4.any, port)) continue;
            var wanted = key orelse return port;
            wanted.local_port = port;
            if (stack.flows.find(wanted) == null) return port;
        }
        return null;
    }

    fn freeDatagramPort(stack: *Stack) ?u16 {
        const start: u32 = @truncate(stack.numbers.random());
        // More than there are sockets, so that one of them is free.
        for (0..limits.net_datagram_sockets_max + 1) |step| {
            const port: u16 = @intCast(ports_first + (start +% @as(u32, @intCast(step))) % ports_count);
            if (!stack.datagramPortUsed(ipv4.any, port)) return port;
        }
        return null;
    }

    // Addresses.

    pub fn setAddress(stack: *Stack, address: ipv4.Address, prefix: u6, gateway: ipv4.Address) void {
        const before = stack.address;
        const same = before == address;
        stack.address = address;
        stack.prefix = prefix;
        stack.gateway = gateway;
        if (same) return;
        stack.neighbours.clear(stack);
        if (before != ipv4.any) input.addressLost(stack, before);
        // Others may know the address by another station (RFC 5227, section 3).
        if (address != ipv4.any) stack.sendArp(ethernet.broadcast, .{
            .operation = .request,
            .sender_mac = stack.config.mac,
            .sender = address,
            .target_mac = @splat(0),
            .target = address,
        });
    }

    pub fn isLocal(stack: *const Stack, address: ipv4.Address) bool {
        return ipv4.loopback(address) or (address == stack.address and address != ipv4.any);
    }

    pub fn isBroadcast(stack: *const Stack, address: ipv4.Address) bool {
        if (address == ipv4.broadcast) return true;
        return stack.prefix < 31 and stack.address != ipv4.any and address == stack.address | ~ipv4.mask(stack.prefix);
    }

    /// Link-local addresses are on the link whatever our own is, and never behind the gateway (RFC 3927, section 2.6.2).
    pub fn onLink(stack: *const Stack, address: ipv4.Address) bool {
        if (stack.address == ipv4.any) return false;
        return ipv4.linkLocal(address) or (address ^ stack.address) & ipv4.mask(stack.prefix) == 0;
    }

    /// Whether there is a way to an address at all.
    pub fn routable(stack: *const Stack, address: ipv4.Address) bool {
        if (stack.isLocal(address)) return true;
        if (stack.address == ipv4.any) return false;
        if (stack.isBroadcast(address)) return true;
        return !ipv4.group(address) and (stack.onLink(address) or stack.gateway != ipv4.any);
    }

    /// The address that what a socket sends comes from, of one that is bound to an address or `ipv4.any`; null when there is no way from there.
    pub fn sourceOf(stack: *const Stack, bound: ipv4.Address, remote: ipv4.Address) ?ipv4.Address {
        if (bound == ipv4.any) return if (ipv4.loopback(remote)) remote else stack.address;
        if (ipv4.loopback(bound)) return if (stack.isLocal(remote)) bound else null;
        return if (bound == stack.address) bound else null;
    }

    pub fn nextHop(stack: *const Stack, address: ipv4.Address) ipv4.Address {
        return if (stack.onLink(address)) address else stack.gateway;
    }

    // What the parts send without a socket.

    pub fn keyOf(segment: *const tcp_segment.Segment) flows.Key {
        return .{
            .local = segment.destination,
            .remote = segment.source,
            .local_port = segment.header.destination_port,
            .remote_port = segment.header.source_port,
        };
    }

    pub fn sendArp(stack: *Stack, destination: ethernet.Mac, packet: arp.Packet) void {
        const reply = stack.replies.push() orelse {
            stack.counters.replies_dropped += 1;
            return;
        };
        reply.length = @intCast(arp.write(&reply.bytes, destination, packet));
        reply.local = false;
    }

    pub fn sendReset(stack: *Stack, key: flows.Key, sequence: u32, acknowledgement: ?u32) void {
        const header: tcp_segment.Header = .{
            .source_port = key.local_port,
            .destination_port = key.remote_port,
            .sequence = sequence,
            .acknowledgement = acknowledgement orelse 0,
            .flags = .{ .rst = true, .ack = acknowledgement != null },
        };
        var bytes: [tcp_segment.header_bytes]u8 = undefined;
        _ = tcp_segment.write(&bytes, &header);
        stack.sendSegment(key, &bytes, null);
    }

    /// Sends a segment without data, to the station it answers, or to that known for the address.
    pub fn sendSegment(stack: *Stack, key: flows.Key, segment: []const u8, mac: ?ethernet.Mac) void {
        output.reply(stack, key, segment, mac);
    }

    /// RFC 9293, section 3.10.7.1.
    pub fn sendNoConnection(stack: *Stack, segment: *const tcp_segment.Segment) void {
        const header = &segment.header;
        if (header.flags.rst) return;
        if (header.flags.ack) return stack.sendReset(keyOf(segment), header.acknowledgement, null);
        stack.sendReset(keyOf(segment), 0, header.sequence +% segment.length());
    }

    pub fn startTimeWait(stack: *Stack, connection: *Connection, now_ns: u64) void {
        // The flow is free before another takes it.
        stack.flows.remove(&stack.memory, &connection.flow);
        stack.time_waits.start(stack, connection, now_ns);
        connection.end(stack, .none);
    }

    /// No station answers for where it wants to send.
    pub fn outputUnreachable(stack: *Stack, from: *socket.Output, now_ns: u64) void {
        output.noWay(stack, from, now_ns);
    }

    pub fn drop(stack: *Stack, reason: enum { foreign, malformed, checksum }) void {
        switch (reason) {
            .foreign => stack.counters.foreign += 1,
            .malformed => stack.counters.malformed += 1,
            .checksum => stack.counters.checksum += 1,
        }
    }

    /// Takes from the rate of ICMP errors; false when it is used up.
    pub fn mayError(stack: *Stack, now_ns: u64) bool {
        const second = now_ns / 1_000_000_000;
        if (second != stack.errors_second) {
            stack.errors_second = second;
            stack.errors_sent = 0;
        }
        if (stack.errors_sent >= limits.net_errors_per_second_max) return false;
        stack.errors_sent += 1;
        return true;
    }
};
