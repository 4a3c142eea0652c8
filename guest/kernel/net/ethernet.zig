//! Ethernet II frames (RFC 894), without tags.
const std = @import("std");

pub const Mac = [6]u8;
pub const broadcast: Mac = @splat(0xff);
pub const header_bytes = 14;
/// What every transmit buffer must hold: a header and the largest payload.
pub const frame_bytes_max = header_bytes + 1500;

pub const Kind = enum(u16) { ipv4 = 0x0800, arp = 0x0806, _ };

pub const Header = struct { destination: Mac, source: Mac, kind: Kind };

pub fn parse(frame: []const u8) ?struct { Header, []const u8 } {
    if (frame.len < header_bytes) return null;
    return .{ .{
        .destination = frame[0..6].*,
        .source = frame[6..12].*,
        .kind = @enumFromInt(std.mem.readInt(u16, frame[12..14], .big)),
    }, frame[header_bytes..] };
}

pub fn write(out: []u8, header: Header) void {
    out[0..6].* = header.destination;
    out[6..12].* = header.source;
    std.mem.writeInt(u16, out[12..14], @intFromEnum(header.kind), .big);
}

/// Of one station: neither a group nor nobody.
pub fn unicast(mac: Mac) bool {
    return mac[0] & 1 == 0 and !std.mem.eql(u8, &mac, &@as(Mac, @splat(0)));
}
