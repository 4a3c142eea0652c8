//! ARP packets for IPv4 over Ethernet (RFC 826).
const std = @import("std");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");

pub const packet_bytes = 28;
pub const Operation = enum(u16) { request = 1, reply = 2, _ };

pub const Packet = struct {
    operation: Operation,
    sender_mac: ethernet.Mac,
    sender: ipv4.Address,
    target_mac: ethernet.Mac,
    target: ipv4.Address,
};

const prefix = [_]u8{ 0, 1, 8, 0, 6, 4 };

pub fn parse(bytes: []const u8) ?Packet {
    if (bytes.len < packet_bytes or !std.mem.eql(u8, bytes[0..6], &prefix)) return null;
    return .{
        .operation = @enumFromInt(std.mem.readInt(u16, bytes[6..8], .big)),
        .sender_mac = bytes[8..14].*,
        .sender = std.mem.readInt(u32, bytes[14..18], .big),
        .target_mac = bytes[18..24].*,
        .target = std.mem.readInt(u32, bytes[24..28], .big),
    };
}

/// A whole frame.
pub fn write(out: []u8, destination: ethernet.Mac, packet: Packet) usize {
    ethernet.write(out, .{ .destination = destination, .source = packet.sender_mac, .kind = .arp });
    const bytes = out[ethernet.header_bytes..];
    bytes[0..6].* = prefix;
    std.mem.writeInt(u16, bytes[6..8], @intFromEnum(packet.operation), .big);
    bytes[8..14].* = packet.sender_mac;
    std.mem.writeInt(u32, bytes[14..18], packet.sender, .big);
    bytes[18..24].* = packet.target_mac;
    std.mem.writeInt(u32, bytes[24..28], packet.target, .big);
    return ethernet.header_bytes + packet_bytes;
}

test "what is written is read" {
    var frame: [64]u8 = undefined;
    const packet: Packet = .{ .operation = .reply, .sender_mac = @splat(2), .sender = 1, .target_mac = @splat(4), .target = 3 };
    const length = write(&frame, @splat(9), packet);
    const header, const payload = ethernet.parse(frame[0..length]).?;
    try std.testing.expectEqual(ethernet.Kind.arp, header.kind);
    try std.testing.expectEqual(packet, parse(payload).?);
    for (0..packet_bytes) |cut| try std.testing.expectEqual(null, parse(payload[0..cut]));
}
