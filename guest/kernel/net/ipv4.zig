//! IPv4 (RFC 791, RFC 1122): headers without options go out, with options that do not route come in, fragments do neither.
const std = @import("std");
const checksum = @import("checksum.zig");

pub const header_bytes = 20;
pub const Address = u32;
pub const any: Address = 0;
pub const broadcast: Address = 0xffff_ffff;

pub const Protocol = enum(u8) { icmp = 1, tcp = 6, udp = 17, _ };

pub const Endpoint = struct { address: Address, port: u16 };

pub const Packet = struct {
    source: Address,
    destination: Address,
    protocol: Protocol,
    payload: []const u8,
    /// The header and the payload, for what an error quotes.
    whole: []const u8,
};

pub const Fault = enum { malformed, checksum, fragment, source_route };

pub const Parsed = union(enum) { packet: Packet, fault: Fault };

pub fn parse(bytes: []const u8) Parsed {
    if (bytes.len < header_bytes or bytes[0] >> 4 != 4) return .{ .fault = .malformed };
    const length = @as(usize, bytes[0] & 0xf) * 4;
    const total = std.mem.readInt(u16, bytes[2..4], .big);
    if (length < header_bytes or total < length or total > bytes.len) return .{ .fault = .malformed };
    if (!checksum.valid(checksum.add(0, bytes[0..length]))) return .{ .fault = .checksum };
    // More fragments, or an offset.
    if (std.mem.readInt(u16, bytes[6..8], .big) & 0x3fff != 0) return .{ .fault = .fragment };
    if (routed(bytes[header_bytes..length])) return .{ .fault = .source_route };
    return .{ .packet = .{
        .source = std.mem.readInt(u32, bytes[12..16], .big),
        .destination = std.mem.readInt(u32, bytes[16..20], .big),
        .protocol = @enumFromInt(bytes[9]),
        .payload = bytes[length..total],
        .whole = bytes[0..total],
    } };
}

/// Whether options ask for a source route (RFC 7126: dropped), or cannot be read.
fn routed(options: []const u8) bool {
    var rest = options;
    while (rest.len > 0) {
        switch (rest[0]) {
            0 => return false,
            1 => rest = rest[1..],
            else => {
                if (rest.len < 2 or rest[1] < 2 or rest[1] > rest.len) return true;
                if (rest[0] == 131 or rest[0] == 137) return true;
                rest = rest[rest[1]..];
            },
        }
    }
    return false;
}

/// Never to be fragmented, so the identification says nothing (RFC 6864).
pub fn write(out: []u8, source: Address, destination: Address, protocol: Protocol, payload_bytes: usize) void {
    out[0..4].* = .{ 0x45, 0, 0, 0 };
    std.mem.writeInt(u16, out[2..4], @intCast(header_bytes + payload_bytes), .big);
    out[4..10].* = .{ 0, 0, 0x40, 0, 64, @intFromEnum(protocol) };
    std.mem.writeInt(u16, out[10..12], 0, .big);
    std.mem.writeInt(u32, out[12..16], source, .big);
    std.mem.writeInt(u32, out[16..20], destination, .big);
    std.mem.writeInt(u16, out[10..12], checksum.finish(checksum.add(0, out[0..header_bytes])), .big);
}

pub fn loopback(address: Address) bool {
    return address >> 24 == 127;
}

/// 169.254.0.0/16, whose hosts are reached on their link alone (RFC 3927).
pub fn linkLocal(address: Address) bool {
    return address >> 16 == 0xa9fe;
}

/// Not the address of one host: this network, a group, reserved or the broadcast.
pub fn group(address: Address) bool {
    return address >> 24 == 0 or address >> 28 >= 0xe;
}

pub fn mask(prefix: u6) u32 {
    return if (prefix == 0) 0 else @as(u32, 0xffff_ffff) << @intCast(32 - @min(prefix, 32));
}

test "what is written is read" {
    var bytes: [40]u8 = @splat(7);
    write(&bytes, 0x0a000002, 0x0a000001, .udp, 20);
    const packet = parse(&bytes).packet;
    try std.testing.expectEqual(0x0a000002, packet.source);
    try std.testing.expectEqual(0x0a000001, packet.destination);
    try std.testing.expectEqual(Protocol.udp, packet.protocol);
    try std.testing.expectEqual(20, packet.payload.len);
    for (0..20) |at| {
        var broken = bytes;
        broken[at] ^= 4;
        try std.testing.expect(parse(&broken) == .fault);
    }
    for (0..40) |length| try std.testing.expect(parse(bytes[0..length]) == .fault);
}

test "fragments and source routes are told apart" {
    var bytes: [28]u8 = @splat(0);
    write(&bytes, 1, 2, .tcp, 8);
    bytes[6] = 0x20;
    fixChecksum(bytes[0..20]);
    try std.testing.expectEqual(Fault.fragment, parse(&bytes).fault);
    bytes[6..8].* = .{ 0, 1 };
    fixChecksum(bytes[0..20]);
    try std.testing.expectEqual(Fault.fragment, parse(&bytes).fault);
    bytes[6..8].* = .{ 0, 0 };
    bytes[0] = 0x47;
    bytes[20..28].* = .{ 1, 131, 7, 4, 0, 0, 0, 0 };
    fixChecksum(&bytes);
    try std.testing.expectEqual(Fault.source_route, parse(&bytes).fault);
    bytes[20..28].* = .{ 1, 7, 7, 4, 0, 0, 0, 0 };
    fixChecksum(&bytes);
    try std.testing.expectEqual(0, parse(&bytes).packet.payload.len);
}

fn fixChecksum(header: []u8) void {
    std.mem.writeInt(u16, header[10..12], 0, .big);
    std.mem.writeInt(u16, header[10..12], checksum.finish(checksum.add(0, header)), .big);
}
