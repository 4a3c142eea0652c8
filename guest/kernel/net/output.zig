//! What leaves: replies first, then who has something to send, in turn.
const std = @import("std");
const limits = @import("../limits.zig");
const checksum = @import("checksum.zig");
const ethernet = @import("ethernet.zig");
const flows = @import("flows.zig");
const icmp = @import("icmp.zig");
const input = @import("input.zig");
const ipv4 = @import("ipv4.zig");
const replies = @import("replies.zig");
const socket = @import("socket.zig");
const tcp_listener = @import("tcp_listener.zig");
const tcp_send = @import("tcp_send.zig");
const udp = @import("udp.zig");
const stack_file = @import("stack.zig");
const Connection = stack_file.Connection;
const Datagrams = stack_file.Datagrams;
const Stack = stack_file.Stack;

/// What the device is to complete: the sum from `start` on, at `start` + `offset`.
pub const Completion = struct { start: u16, offset: u16 };

pub const Frame = struct { length: u32, completion: ?Completion = null, local: bool = false };

const transport_offset = ethernet.header_bytes + ipv4.header_bytes;

pub fn next(stack: *Stack, now_ns: u64, out: []u8) ?Frame {
    std.debug.assert(out.len >= ethernet.frame_bytes_max);
    stack.unfinished = false;
    for (0..limits.net_local_frames_max) |_| {
        const frame = nextOfAll(stack, now_ns, out) orelse return null;
        if (!frame.local) {
            stack.counters.sent += 1;
            return frame;
        }
        input.local(stack, out[ethernet.header_bytes..frame.length], now_ns);
    }
    stack.unfinished = true;
    return null;
}

fn nextOfAll(stack: *Stack, now_ns: u64, out: []u8) ?Frame {
    if (nextReply(stack, out)) |frame| return frame;
    if (stack.echoes.pop(&stack.memory, out)) |ready| return .{ .length = ready[0], .local = ready[1] };
    if (stack.dhcp.next(stack, now_ns, out)) |length| return .{ .length = length };
    while (stack.ready.first()) |link| {
        const from: *socket.Output = @alignCast(@fieldParentPtr("link", link));
        link.remove();
        if (nextOf(stack, from, now_ns, out)) |frame| return frame;
    }
    // Those that wait for a station may have asked for it.
    return nextReply(stack, out);
}

fn nextReply(stack: *Stack, out: []u8) ?Frame {
    const ready = stack.replies.pop() orelse return null;
    @memcpy(out[0..ready.length], ready.bytes[0..ready.length]);
    return .{ .length = ready.length, .local = ready.local };
}

/// Null when it has nothing to send, or waits for its neighbour's station.
fn nextOf(stack: *Stack, from: *socket.Output, now_ns: u64, out: []u8) ?Frame {
    switch (from.kind) {
        .connection => {
            const connection: *Connection = @alignCast(@fieldParentPtr("output", from));
            const key = connection.flow.key;
            const mac = resolve(stack, from, key.remote, now_ns) orelse return null;
            const length = tcp_send.next(stack, connection, now_ns, out[transport_offset..]) orelse return null;
            stack.schedule(from);
            return finish(stack, out, mac, key.local, key.remote, .tcp, length);
        },
        .embryo => {
            const embryo: *tcp_listener.Embryo = @alignCast(@fieldParentPtr("output", from));
            const key = embryo.flow.key;
            const length = embryo.next(stack, now_ns, out[transport_offset..]);
            return finish(stack, out, embryo.mac, key.local, key.remote, .tcp, length);
        },
        .datagram => {
            const datagrams: *Datagrams = @alignCast(@fieldParentPtr("output", from));
            const remote = datagrams.nextRemote() orelse return null;
            const mac = resolve(stack, from, remote.address, now_ns) orelse return null;
            const local = stack.sourceOf(datagrams.address, remote.address) orelse {
                noWay(stack, from, now_ns);
                return null;
            };
            const length = datagrams.next(stack, out[transport_offset..]);
            if (datagrams.nextRemote() != null) stack.schedule(from);
            return finish(stack, out, mac, local, remote.address, .udp, length);
        },
    }
}

/// The station to send to; where it is not known, the output waits for it.
fn resolve(stack: *Stack, from: *socket.Output, address: ipv4.Address, now_ns: u64) ?ethernet.Mac {
    if (stack.isLocal(address)) return stack.config.mac;
    if (!stack.routable(address)) {
        noWay(stack, from, now_ns);
        return null;
    }
    if (stack.isBroadcast(address)) return ethernet.broadcast;
    switch (stack.neighbours.find(stack, stack.nextHop(address), now_ns)) {
        .mac => |mac| return mac,
        .wait => |neighbour| neighbour.waiting.append(&from.link),
        .full => noWay(stack, from, now_ns),
    }
    return null;
}

pub fn noWay(stack: *Stack, from: *socket.Output, now_ns: u64) void {
    switch (from.kind) {
        .connection => {
            const connection: *Connection = @alignCast(@fieldParentPtr("output", from));
            if (connection.state == .syn_sent) return connection.end(stack, .unreachable_host);
            // One that is established waits for the way to come back, as long as its timer lets it.
            tcp_send.startProbing(connection, now_ns);
            connection.arm(stack);
        },
        .embryo => {},
        .datagram => {
            const datagrams: *Datagrams = @alignCast(@fieldParentPtr("output", from));
            const address = (datagrams.nextRemote() orelse return).address;
            while (datagrams.nextRemote()) |remote| {
                if (remote.address != address) return stack.schedule(from);
                datagrams.dropFirst(stack);
            }
        },
    }
}

/// Puts the headers before a segment or datagram and its checksum into it.
fn finish(stack: *const Stack, out: []u8, mac: ethernet.Mac, source: ipv4.Address, destination: ipv4.Address, protocol: ipv4.Protocol, length: u32) Frame {
    ethernet.write(out, .{ .destination = mac, .source = stack.config.mac, .kind = .ipv4 });
    ipv4.write(out[ethernet.header_bytes..], source, destination, protocol, length);
    var frame: Frame = .{ .length = transport_offset + length, .local = stack.isLocal(destination) };
    if (frame.local) return frame;
    const offset: u16 = if (protocol == .tcp) 16 else 6;
    const transport = out[transport_offset..][0..length];
    const sum = checksum.pseudo(source, destination, @intFromEnum(protocol), length);
    if (stack.config.checksum_offload) {
        std.mem.writeInt(u16, transport[offset..][0..2], checksum.partial(sum), .big);
        frame.completion = .{ .start = transport_offset, .offset = offset };
    } else {
        const value = checksum.finish(checksum.add(sum, transport));
        // In UDP 0 stands for none.
        std.mem.writeInt(u16, transport[offset..][0..2], if (value == 0 and protocol == .udp) 0xffff else value, .big);
    }
    return frame;
}

fn stationOf(stack: *Stack, address: ipv4.Address, mac: ?ethernet.Mac) ?ethernet.Mac {
    if (stack.isLocal(address)) return stack.config.mac;
    if (mac orelse stack.frame_mac) |known| return known;
    const neighbour = stack.neighbours.get(stack.nextHop(address)) orelse return null;
    return if (neighbour.state == .incomplete) null else neighbour.mac;
}

fn takeReply(stack: *Stack) ?*replies.Reply {
    return stack.replies.push() orelse {
        stack.counters.replies_dropped += 1;
        return null;
    };
}

/// Queues a segment without data.
pub fn reply(stack: *Stack, key: flows.Key, segment: []const u8, mac: ?ethernet.Mac) void {
    const station = stationOf(stack, key.remote, mac) orelse return;
    const place = takeReply(stack) orelse return;
    const bytes = &place.bytes;
    ethernet.write(bytes, .{ .destination = station, .source = stack.config.mac, .kind = .ipv4 });
    ipv4.write(bytes[ethernet.header_bytes..], key.local, key.remote, .tcp, segment.len);
    const transport = bytes[transport_offset..][0..segment.len];
    @memcpy(transport, segment);
    const sum = checksum.pseudo(key.local, key.remote, @intFromEnum(ipv4.Protocol.tcp), @intCast(segment.len));
    std.mem.writeInt(u16, transport[16..18], checksum.finish(checksum.add(sum, transport)), .big);
    place.length = @intCast(transport_offset + segment.len);
    place.local = stack.isLocal(key.remote);
}

pub fn portUnreachable(stack: *Stack, packet: *const ipv4.Packet) void {
    const station = stationOf(stack, packet.source, null) orelse return;
    const place = takeReply(stack) orelse return;
    const bytes = &place.bytes;
    const length = icmp.writePortUnreachable(bytes[transport_offset..], packet.whole);
    ethernet.write(bytes, .{ .destination = station, .source = stack.config.mac, .kind = .ipv4 });
    ipv4.write(bytes[ethernet.header_bytes..], packet.destination, packet.source, .icmp, length);
    place.length = @intCast(transport_offset + length);
    place.local = stack.isLocal(packet.source);
}

pub fn echo(stack: *Stack, packet: *const ipv4.Packet) void {
    const length: u32 = @intCast(packet.payload.len);
    if (transport_offset + length > ethernet.frame_bytes_max) return stack.drop(.malformed);
    const station = stationOf(stack, packet.source, null) orelse return;
    if (stack.memory.scarce()) {
        stack.counters.replies_dropped += 1;
        return;
    }
    const bytes = stack.echoes.push(&stack.memory, transport_offset + length, stack.isLocal(packet.source)) orelse {
        stack.counters.replies_dropped += 1;
        return;
    };
    ethernet.write(bytes, .{ .destination = station, .source = stack.config.mac, .kind = .ipv4 });
    ipv4.write(bytes[ethernet.header_bytes..], packet.destination, packet.source, .icmp, length);
    const message = bytes[transport_offset..];
    @memcpy(message, packet.payload);
    icmp.writeReply(message);
}
