//! ICMP (RFC 792): echo, and what a host does with errors (RFC 1122, section 3.2.2; RFC 5927 against forged ones).
const std = @import("std");
const checksum = @import("checksum.zig");
const ipv4 = @import("ipv4.zig");
const sequence = @import("sequence.zig");
const limits = @import("../limits.zig");
const udp = @import("udp.zig");
const Connection = @import("tcp_connection.zig").Connection;
const Stack = @import("stack.zig").Stack;

pub const header_bytes = 8;
pub const Kind = enum(u8) { echo_reply = 0, unreachable_destination = 3, echo = 8, _ };

const code_protocol: u8 = 2;
const code_port: u8 = 3;
const code_fragmentation: u8 = 4;

/// Handles a message for us; true when it is an echo request, to be answered with `writeReply`.
pub fn receive(stack: *Stack, packet: *const ipv4.Packet) bool {
    const bytes = packet.payload;
    if (bytes.len < header_bytes) {
        stack.drop(.malformed);
        return false;
    }
    if (!checksum.valid(checksum.add(0, bytes))) {
        stack.drop(.checksum);
        return false;
    }
    switch (@as(Kind, @enumFromInt(bytes[0]))) {
        .echo => return bytes[1] == 0,
        .unreachable_destination => unreachableDestination(stack, bytes),
        else => {},
    }
    return false;
}

/// Turns the copy of a request into its reply.
pub fn writeReply(message: []u8) void {
    message[0] = @intFromEnum(Kind.echo_reply);
    std.mem.writeInt(u16, message[2..4], 0, .big);
    std.mem.writeInt(u16, message[2..4], checksum.finish(checksum.add(0, message)), .big);
}

/// A port that nobody has: the header and 8 bytes of what came.
pub fn writePortUnreachable(out: []u8, whole: []const u8) usize {
    const header_length = @as(usize, whole[0] & 0xf) * 4;
    const quoted = @min(whole.len, header_length + 8);
    const length = header_bytes + quoted;
    out[0..8].* = .{ @intFromEnum(Kind.unreachable_destination), code_port, 0, 0, 0, 0, 0, 0 };
    @memcpy(out[header_bytes..length], whole[0..quoted]);
    std.mem.writeInt(u16, out[2..4], checksum.finish(checksum.add(0, out[0..length])), .big);
    return length;
}

/// The message quotes a packet of ours; what it quotes must be in flight, or it is forged or old.
fn unreachableDestination(stack: *Stack, bytes: []const u8) void {
    const code = bytes[1];
    const quoted = bytes[header_bytes..];
    if (quoted.len < ipv4.header_bytes + 8 or quoted[0] >> 4 != 4) return;
    const header_length = @as(usize, quoted[0] & 0xf) * 4;
    if (header_length < ipv4.header_bytes or quoted.len < header_length + 8) return;
    const source = std.mem.readInt(u32, quoted[12..16], .big);
    const destination = std.mem.readInt(u32, quoted[16..20], .big);
    const transport = quoted[header_length..];
    const local_port = std.mem.readInt(u16, transport[0..2], .big);
    const remote_port = std.mem.readInt(u16, transport[2..4], .big);
    stack.counters.unreachable_received += 1;
    switch (@as(ipv4.Protocol, @enumFromInt(quoted[9]))) {
        .udp => if (code == code_port) {
            udp.refused(stack, source, local_port, .{ .address = destination, .port = remote_port });
        },
        .tcp => {
            const flow = stack.flows.find(.{ .local = source, .remote = destination, .local_port = local_port, .remote_port = remote_port }) orelse return;
            if (flow.kind != .connection) return;
            const connection: *Connection = .ofFlow(flow);
            const number = std.mem.readInt(u32, transport[4..8], .big);
            if (sequence.before(number, connection.send_unacknowledged) or !sequence.before(number, connection.send_next)) return;
            if (code == code_fragmentation) return lowerSegments(stack, connection, std.mem.readInt(u16, bytes[6..8], .big));
            // Only a connection that is not yet one ends by it (RFC 5927, section 5.2).
            if (connection.state != .syn_sent) return;
            connection.end(stack, if (code == code_port or code == code_protocol) .refused else .unreachable_host);
        },
        else => {},
    }
}

/// RFC 1191: the path takes less than we sent.
fn lowerSegments(stack: *Stack, connection: *Connection, path_bytes: u16) void {
    const least = @as(u16, limits.tcp_segment_bytes_default);
    const wanted = @max(path_bytes -| (ipv4.header_bytes + 20), least);
    if (wanted >= connection.segment_bytes_max) return;
    connection.segment_bytes_max = wanted;
    stack.counters.path_narrowed += 1;
    // What was too long is sent again in smaller pieces, at once.
    connection.retransmitted = connection.send_unacknowledged;
    connection.lost_edge = connection.send_next;
    connection.undo = null;
    if (connection.mode == .open) {
        connection.mode = .lost;
        connection.recover = connection.send_next;
    }
    stack.schedule(&connection.output);
}
