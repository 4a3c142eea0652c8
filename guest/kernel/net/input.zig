//! What arrives, taken apart and handed on: Ethernet, then ARP or IPv4, then ICMP, UDP or TCP.
const std = @import("std");
const arp = @import("arp.zig");
const checksum = @import("checksum.zig");
const ethernet = @import("ethernet.zig");
const icmp = @import("icmp.zig");
const ipv4 = @import("ipv4.zig");
const output = @import("output.zig");
const tcp_listener = @import("tcp_listener.zig");
const tcp_receive = @import("tcp_receive.zig");
const tcp_segment = @import("tcp_segment.zig");
const udp = @import("udp.zig");
const stack_file = @import("stack.zig");
const Connection = stack_file.Connection;
const Stack = stack_file.Stack;

pub fn frame(stack: *Stack, bytes: []const u8, state: stack_file.Checksum, now_ns: u64) void {
    stack.counters.received += 1;
    // Nobody was told that more is taken.
    if (bytes.len > ethernet.frame_bytes_max) return stack.drop(.malformed);
    const header, const payload = ethernet.parse(bytes) orelse return stack.drop(.malformed);
    const ours = std.mem.eql(u8, &header.destination, &stack.config.mac);
    if (!ours and !std.mem.eql(u8, &header.destination, &ethernet.broadcast)) return stack.drop(.foreign);
    if (!ethernet.unicast(header.source)) return stack.drop(.malformed);
    switch (header.kind) {
        .arp => {
            const parsed = arp.parse(payload) orelse return stack.drop(.malformed);
            stack.neighbours.receive(stack, header, parsed, now_ns);
        },
        .ipv4 => {
            stack.frame_mac = header.source;
            defer stack.frame_mac = null;
            packet(stack, payload, ours, state != .unknown, now_ns);
        },
        else => stack.drop(.foreign),
    }
}

fn packet(stack: *Stack, bytes: []const u8, ours: bool, checked: bool, now_ns: u64) void {
    const parsed = switch (ipv4.parse(bytes)) {
        .packet => |parsed| parsed,
        .fault => |fault| return switch (fault) {
            .malformed => stack.drop(.malformed),
            .checksum => stack.drop(.checksum),
            .fragment => stack.counters.fragments += 1,
            .source_route => stack.counters.source_routed += 1,
        },
    };
    // No host sends from these, and nobody else from ours (RFC 1122, section 3.2.1.3).
    if (ipv4.loopback(parsed.source) or ipv4.loopback(parsed.destination) or ipv4.group(parsed.source)) return stack.drop(.foreign);
    if (stack.address != ipv4.any and (parsed.source == stack.address or stack.isBroadcast(parsed.source))) return stack.drop(.foreign);
    if (parsed.protocol == .udp and stack.dhcp.active() and isDhcp(&parsed)) {
        const datagram = udp.parse(parsed.payload) orelse return stack.drop(.malformed);
        if (!checked and !udpValid(&parsed, &datagram)) return stack.drop(.checksum);
        return stack.dhcp.receive(stack, datagram.payload, now_ns);
    }
    const broadcast = stack.isBroadcast(parsed.destination);
    if (stack.address == ipv4.any or (parsed.destination != stack.address and !broadcast)) return stack.drop(.foreign);
    deliver(stack, &parsed, ours and !broadcast, checked, now_ns);
}

/// A packet of ours to ourselves.
pub fn local(stack: *Stack, bytes: []const u8, now_ns: u64) void {
    switch (ipv4.parse(bytes)) {
        .packet => |parsed| deliver(stack, &parsed, true, true, now_ns),
        .fault => unreachable,
    }
}

fn isDhcp(parsed: *const ipv4.Packet) bool {
    return parsed.payload.len >= udp.header_bytes and std.mem.readInt(u16, parsed.payload[2..4], .big) == 68;
}

fn deliver(stack: *Stack, parsed: *const ipv4.Packet, ours: bool, checked: bool, now_ns: u64) void {
    switch (parsed.protocol) {
        .icmp => if (ours and icmp.receive(stack, parsed)) output.echo(stack, parsed),
        .udp => deliverUdp(stack, parsed, ours, checked, now_ns),
        .tcp => if (ours) deliverTcp(stack, parsed, checked, now_ns),
        else => stack.drop(.foreign),
    }
}

fn udpValid(parsed: *const ipv4.Packet, datagram: *const udp.Parsed) bool {
    if (!datagram.checked) return true;
    const sum = checksum.pseudo(parsed.source, parsed.destination, @intFromEnum(ipv4.Protocol.udp), @intCast(datagram.whole.len));
    return checksum.valid(checksum.add(sum, datagram.whole));
}

fn deliverUdp(stack: *Stack, parsed: *const ipv4.Packet, ours: bool, checked: bool, now_ns: u64) void {
    const datagram = udp.parse(parsed.payload) orelse return stack.drop(.malformed);
    if (!checked and !udpValid(parsed, &datagram)) return stack.drop(.checksum);
    if (udp.deliver(stack, parsed, &datagram)) return;
    stack.counters.udp_no_socket += 1;
    // Never about what was sent to all.
    if (ours and stack.mayError(now_ns)) output.portUnreachable(stack, parsed);
}

fn deliverTcp(stack: *Stack, parsed: *const ipv4.Packet, checked: bool, now_ns: u64) void {
    const segment = tcp_segment.parse(parsed.source, parsed.destination, parsed.payload) orelse return stack.drop(.malformed);
    if (!checked) {
        const sum = checksum.pseudo(parsed.source, parsed.destination, @intFromEnum(ipv4.Protocol.tcp), @intCast(parsed.payload.len));
        if (!checksum.valid(checksum.add(sum, parsed.payload))) return stack.drop(.checksum);
    }
    if (stack.flows.find(Stack.keyOf(&segment))) |flow| switch (flow.kind) {
        .connection => return tcp_receive.input(stack, .ofFlow(flow), &segment, now_ns),
        .embryo => {
            const embryo: *tcp_listener.Embryo = @alignCast(@fieldParentPtr("flow", flow));
            return embryo.input(stack, &segment, now_ns);
        },
        .time_wait => if (!stack.time_waits.input(stack, flow, &segment, stack.frame_mac, now_ns)) return,
    };
    if (stack.findListener(segment.destination, segment.header.destination_port)) |listener| {
        return listener.input(stack, &segment, stack.frame_mac orelse @splat(0), now_ns);
    }
    stack.counters.tcp_no_socket += 1;
    stack.sendNoConnection(&segment);
}

/// The connections of an address that is no longer ours end.
pub fn addressLost(stack: *Stack, address: ipv4.Address) void {
    var end = stack.flows.buckets;
    while (stack.flows.lastOf(address, &end)) |flow| switch (flow.kind) {
        .connection => Connection.ofFlow(flow).end(stack, .address_lost),
        .embryo => @as(*tcp_listener.Embryo, @alignCast(@fieldParentPtr("flow", flow))).destroy(stack),
        .time_wait => stack.time_waits.remove(stack, @alignCast(@fieldParentPtr("flow", flow))),
    };
}
