//! What a link saw of TCP, from its frames: bytes in flight each way, and selective acknowledgements.
const std = @import("std");

pub const Way = enum { to_guest, from_guest };

const Numbers = struct {
    /// Behind the last byte that was seen.
    end: u32 = 0,
    /// What the other side has heard of it and said so.
    acknowledged: u32 = 0,
    known: bool = false,
};

const flows_max = 256;
const Flow = struct { guest_port: u16 = 0, host_port: u16 = 0, ways: [2]Numbers = .{ .{}, .{} } };

pub const Watch = struct {
    flows: [flows_max]Flow = @splat(.{}),
    in_flight_max: [2]u32 = .{ 0, 0 },
    selective: [2]u64 = .{ 0, 0 },

    /// A segment leaves its sender.
    pub fn sent(watch: *Watch, way: Way, frame: []const u8) void {
        const segment = parse(frame) orelse return;
        if (segment.selective) watch.selective[@intFromEnum(way)] += 1;
        const numbers = &watch.flowOf(way, segment).ways[@intFromEnum(way)];
        if (segment.flags & flag_syn != 0) numbers.* = .{};
        const end = segment.sequence +% segment.payload_bytes;
        if (!numbers.known) numbers.* = .{ .end = end, .acknowledged = segment.sequence, .known = true };
        if (@as(i32, @bitCast(end -% numbers.end)) > 0) numbers.end = end;
        const flight = numbers.end -% numbers.acknowledged;
        // More than any window is somebody's who made the numbers up.
        if (flight < 1 << 24) watch.in_flight_max[@intFromEnum(way)] = @max(watch.in_flight_max[@intFromEnum(way)], flight);
    }

    /// A segment reaches its receiver, and with it an acknowledgement.
    pub fn arrived(watch: *Watch, way: Way, frame: []const u8) void {
        const segment = parse(frame) orelse return;
        if (segment.flags & flag_ack == 0) return;
        const other: Way = if (way == .to_guest) .from_guest else .to_guest;
        const numbers = &watch.flowOf(way, segment).ways[@intFromEnum(other)];
        if (numbers.known and @as(i32, @bitCast(segment.acknowledgement -% numbers.acknowledged)) > 0) numbers.acknowledged = segment.acknowledgement;
    }

    /// Flows that meet in one place take it from each other: a bulk stream has it for long enough.
    fn flowOf(watch: *Watch, way: Way, segment: Segment) *Flow {
        const guest_port = if (way == .to_guest) segment.destination_port else segment.source_port;
        const host_port = if (way == .to_guest) segment.source_port else segment.destination_port;
        const flow = &watch.flows[(guest_port *% 31 ^ host_port) % flows_max];
        if (flow.guest_port != guest_port or flow.host_port != host_port) flow.* = .{ .guest_port = guest_port, .host_port = host_port };
        return flow;
    }
};

const flag_syn = 2;
const flag_ack = 16;

const Segment = struct {
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    payload_bytes: u32,
    selective: bool,
};

/// Of Ethernet and IPv4 without options, as both sides send it.
fn parse(frame: []const u8) ?Segment {
    if (frame.len < 54 or !std.mem.eql(u8, frame[12..14], &.{ 8, 0 }) or frame[14] != 0x45 or frame[23] != 6) return null;
    const packet = frame[14..];
    const length = std.mem.readInt(u16, packet[2..4], .big);
    if (length < 40 or length > packet.len) return null;
    const tcp = packet[20..length];
    const header = @as(usize, tcp[12] >> 4) * 4;
    if (header < 20 or header > tcp.len) return null;
    return .{
        .source_port = std.mem.readInt(u16, tcp[0..2], .big),
        .destination_port = std.mem.readInt(u16, tcp[2..4], .big),
        .sequence = std.mem.readInt(u32, tcp[4..8], .big),
        .acknowledgement = std.mem.readInt(u32, tcp[8..12], .big),
        .flags = tcp[13],
        .payload_bytes = @intCast(tcp.len - header),
        .selective = hasSelective(tcp[20..header]),
    };
}

/// Blocks of RFC 2018: kind 5.
fn hasSelective(options: []const u8) bool {
    var at: usize = 0;
    while (at < options.len and options[at] != 0) {
        if (options[at] == 5) return true;
        if (options[at] == 1) {
            at += 1;
            continue;
        }
        if (at + 1 >= options.len or options[at + 1] < 2) return false;
        at += options[at + 1];
    }
    return false;
}
