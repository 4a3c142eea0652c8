//! Peers that mean harm or have gone, against tests/net_server.zig: segments that pretend to be of somebody else's connection, SYNs that nobody
//! follows up, scans of all ports. Needs a raw socket and no filter between it and the guest.
const std = @import("std");
const linux = std.os.linux;

const flag_syn = 2;
const flag_reset = 4;
const flag_ack = 16;

/// Less than the window that the guest offers: one of each sweep at least lies within it.
const step = 250_000;

pub const Address = struct { address: u32, port: u16 };

pub const Attacker = struct {
    descriptor: i32,

    /// Null where raw sockets are not allowed.
    pub fn open() ?Attacker {
        // IPPROTO_RAW: the header is ours too.
        const descriptor = linux.socket(linux.AF.INET, linux.SOCK.RAW | linux.SOCK.CLOEXEC, 255);
        if (linux.errno(descriptor) != .SUCCESS) return null;
        return .{ .descriptor = @intCast(descriptor) };
    }

    pub fn close(attacker: Attacker) void {
        _ = linux.close(attacker.descriptor);
    }

    /// Resets, SYNs, and acknowledgements of what was never sent, all over the number space: whoever does not know the connection's numbers
    /// can do no better.
    pub fn sweep(attacker: Attacker, from: Address, to: Address) void {
        for ([_]u8{ flag_reset, flag_reset | flag_ack, flag_syn, flag_ack }) |flags| {
            var sequence: u64 = 0x1357;
            while (sequence < 1 << 32) : (sequence += step) attacker.send(from, to, flags, @truncate(sequence), @truncate(sequence *% 0x9e37_79b9));
        }
    }

    /// SYNs of stations that are not there.
    pub fn flood(attacker: Attacker, network: u32, to: Address, count: u32) void {
        for (0..count) |index| {
            const from: Address = .{ .address = network | @as(u32, @intCast(100 + index % 100)), .port = @intCast(1024 + index) };
            attacker.send(from, to, flag_syn, @truncate(index *% 0x1234_5677), 0);
        }
    }

    fn send(attacker: Attacker, from: Address, to: Address, flags: u8, sequence: u32, acknowledgement: u32) void {
        var packet: [40]u8 = @splat(0);
        packet[0] = 0x45;
        std.mem.writeInt(u16, packet[2..4], packet.len, .big);
        packet[6] = 0x40;
        packet[8] = 64;
        packet[9] = 6;
        std.mem.writeInt(u32, packet[12..16], from.address, .big);
        std.mem.writeInt(u32, packet[16..20], to.address, .big);
        const tcp = packet[20..];
        std.mem.writeInt(u16, tcp[0..2], from.port, .big);
        std.mem.writeInt(u16, tcp[2..4], to.port, .big);
        std.mem.writeInt(u32, tcp[4..8], sequence, .big);
        std.mem.writeInt(u32, tcp[8..12], acknowledgement, .big);
        tcp[12] = 5 << 4;
        tcp[13] = flags;
        std.mem.writeInt(u16, tcp[14..16], 1024, .big);
        std.mem.writeInt(u16, tcp[16..18], checksum(packet[12..20], tcp), .big);
        const target: linux.sockaddr.in = .{ .port = 0, .addr = std.mem.nativeToBig(u32, to.address) };
        // No room in the interface's queue: the link is slower than this loop.
        while (linux.errno(linux.sendto(attacker.descriptor, &packet, packet.len, 0, @ptrCast(&target), @sizeOf(linux.sockaddr.in))) == .NOBUFS) {
            _ = linux.nanosleep(&.{ .sec = 0, .nsec = 100_000 }, null);
        }
    }
};

fn checksum(addresses: []const u8, tcp: []const u8) u16 {
    var sum: u64 = 6 + tcp.len;
    for ([_][]const u8{ addresses, tcp }) |part| {
        var at: usize = 0;
        while (at < part.len) : (at += 2) sum += std.mem.readInt(u16, part[at..][0..2], .big);
    }
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return @truncate(~sum);
}
