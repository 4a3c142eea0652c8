//! UDP (RFC 768) and its sockets: two bounded queues of whole datagrams, in pages as they are used.
const std = @import("std");
const limits = @import("../limits.zig");
const chain = @import("chain.zig");
const ipv4 = @import("ipv4.zig");
const list = @import("list.zig");
const socket = @import("socket.zig");
const Stack = @import("stack.zig").Stack;
const assert = std.debug.assert;

pub const header_bytes = 8;

/// Before each datagram in a queue.
const Entry = extern struct {
    address: u32,
    port: u16,
    length: u16,
};
const entry_bytes = @sizeOf(Entry);

const Queue = struct {
    chain: chain.Chain = .{},
    bytes: u32 = 0,

    fn push(queue: *Queue, stack: *Stack, remote: ipv4.Endpoint, payload: []const u8) bool {
        const end = queue.bytes + entry_bytes + @as(u32, @intCast(payload.len));
        if (end > limits.udp_queue_bytes_max) return false;
        if (end > queue.chain.capacity() and (stack.memory.scarce() or !queue.chain.extend(&stack.memory, end))) return false;
        const entry: Entry = .{ .address = remote.address, .port = remote.port, .length = @intCast(payload.len) };
        queue.chain.write(queue.bytes, std.mem.asBytes(&entry));
        queue.chain.write(queue.bytes + entry_bytes, payload);
        queue.bytes = end;
        return true;
    }

    fn first(queue: *Queue) ?Entry {
        if (queue.bytes == 0) return null;
        var entry: Entry = undefined;
        queue.chain.read(0, std.mem.asBytes(&entry));
        return entry;
    }

    fn pop(queue: *Queue, stack: *Stack) void {
        const count = entry_bytes + queue.first().?.length;
        queue.chain.drop(&stack.memory, count);
        queue.bytes -= count;
        if (queue.bytes == 0) queue.chain.trim(&stack.memory, 0);
    }
};

pub const Received = struct { from: ipv4.Endpoint, pieces: [2][]const u8 };

pub const Datagrams = struct {
    socket: socket.Socket = .{ .kind = .datagram },
    output: socket.Output = .{ .kind = .datagram },
    /// Among all UDP sockets.
    link: list.Link = .{},
    /// `ipv4.any`, or the one address it is bound to.
    address: ipv4.Address = ipv4.any,
    port: u16 = 0,
    /// Where set, datagrams come from and go there alone.
    remote: ?ipv4.Endpoint = null,
    /// The last datagram was refused; told once, by `takeFailure`.
    failure: socket.Failure = .none,
    reading: bool = false,
    received: Queue = .{},
    sending: Queue = .{},
    dropped: u64 = 0,

    pub fn of(base: *socket.Socket) *Datagrams {
        assert(base.kind == .datagram);
        return @fieldParentPtr("socket", base);
    }

    pub fn readiness(datagrams: *const Datagrams) socket.Readiness {
        return .{
            .readable = datagrams.received.bytes > 0,
            .writable = datagrams.sending.bytes <= limits.udp_queue_bytes_max / 2,
            .failed = datagrams.failure != .none,
        };
    }

    pub fn reaches(datagrams: *const Datagrams, stack: *const Stack, address: ipv4.Address) bool {
        return stack.routable(address) and stack.sourceOf(datagrams.address, address) != null;
    }

    /// From now on datagrams come from there alone, and go there where nothing else is said.
    pub fn connect(datagrams: *Datagrams, stack: *Stack, remote: ipv4.Endpoint) void {
        datagrams.remote = remote;
        if (!datagrams.reading) datagrams.dropOthers(stack);
        stack.touch(&datagrams.socket);
    }

    /// Those of others that came before the peer was set, up to the first of the peer's.
    fn dropOthers(datagrams: *Datagrams, stack: *Stack) void {
        const only = datagrams.remote orelse return;
        while (datagrams.received.first()) |entry| {
            if (entry.address == only.address and entry.port == only.port) return;
            datagrams.received.pop(stack);
        }
    }

    pub const SendError = error{ WouldBlock, TooLong, NotConnected, Unreachable };

    /// Queues a datagram of at most what a frame holds; it is sent whole or dropped.
    pub fn send(datagrams: *Datagrams, stack: *Stack, to: ?ipv4.Endpoint, payload: []const u8) SendError!void {
        const remote = to orelse datagrams.remote orelse return error.NotConnected;
        if (payload.len > stack.config.mtu - ipv4.header_bytes - header_bytes) return error.TooLong;
        if (remote.port == 0 or !datagrams.reaches(stack, remote.address)) return error.Unreachable;
        if (!datagrams.sending.push(stack, remote, payload)) return error.WouldBlock;
        stack.schedule(&datagrams.output);
    }

    /// The first datagram, in pieces that stay until `consume`. One user at a time.
    pub fn receive(datagrams: *Datagrams) ?Received {
        assert(!datagrams.reading);
        const entry = datagrams.received.first() orelse return null;
        datagrams.reading = true;
        const pieces = datagrams.received.chain.slices(entry_bytes, entry.length);
        return .{ .from = .{ .address = entry.address, .port = entry.port }, .pieces = .{ pieces[0], pieces[1] } };
    }

    pub fn consume(datagrams: *Datagrams, stack: *Stack) void {
        assert(datagrams.reading);
        datagrams.reading = false;
        datagrams.received.pop(stack);
        datagrams.dropOthers(stack);
        stack.touch(&datagrams.socket);
    }

    pub fn takeFailure(datagrams: *Datagrams, stack: *Stack) socket.Failure {
        const failure = datagrams.failure;
        datagrams.failure = .none;
        stack.touch(&datagrams.socket);
        return failure;
    }

    pub fn close(datagrams: *Datagrams, stack: *Stack) void {
        assert(!datagrams.reading);
        datagrams.link.remove();
        datagrams.output.link.remove();
        datagrams.socket.change.remove();
        datagrams.received.chain.trim(&stack.memory, 0);
        datagrams.sending.chain.trim(&stack.memory, 0);
        stack.datagrams_count -= 1;
        stack.datagram_pool.destroy(&stack.memory, datagrams);
    }

    pub fn nextRemote(datagrams: *Datagrams) ?ipv4.Endpoint {
        const entry = datagrams.sending.first() orelse return null;
        return .{ .address = entry.address, .port = entry.port };
    }

    /// Writes the first datagram, checksum 0, and takes it off the queue.
    pub fn next(datagrams: *Datagrams, stack: *Stack, out: []u8) u32 {
        const entry = datagrams.sending.first().?;
        writeHeader(out, datagrams.port, entry.port, entry.length);
        datagrams.sending.chain.read(entry_bytes, out[header_bytes..][0..entry.length]);
        datagrams.dropFirst(stack);
        return header_bytes + @as(u32, entry.length);
    }

    pub fn dropFirst(datagrams: *Datagrams, stack: *Stack) void {
        datagrams.sending.pop(stack);
        stack.touch(&datagrams.socket);
    }

    fn takes(datagrams: *const Datagrams, destination: ipv4.Address, port: u16, from: ipv4.Endpoint) bool {
        if (datagrams.port != port or (datagrams.address != ipv4.any and datagrams.address != destination)) return false;
        const only = datagrams.remote orelse return true;
        return std.meta.eql(only, from);
    }
};

pub fn writeHeader(out: []u8, source_port: u16, destination_port: u16, payload_bytes: u16) void {
    std.mem.writeInt(u16, out[0..2], source_port, .big);
    std.mem.writeInt(u16, out[2..4], destination_port, .big);
    std.mem.writeInt(u16, out[4..6], header_bytes + payload_bytes, .big);
    std.mem.writeInt(u16, out[6..8], 0, .big);
}

pub const Parsed = struct { source_port: u16, destination_port: u16, payload: []const u8, checked: bool, whole: []const u8 };

pub fn parse(bytes: []const u8) ?Parsed {
    if (bytes.len < header_bytes) return null;
    const length = std.mem.readInt(u16, bytes[4..6], .big);
    if (length < header_bytes or length > bytes.len) return null;
    return .{
        .source_port = std.mem.readInt(u16, bytes[0..2], .big),
        .destination_port = std.mem.readInt(u16, bytes[2..4], .big),
        .payload = bytes[header_bytes..length],
        .checked = std.mem.readInt(u16, bytes[6..8], .big) != 0,
        .whole = bytes[0..length],
    };
}

/// Gives a datagram to its socket, that of its peer alone before one for everybody; false when there is none.
pub fn deliver(stack: *Stack, packet: *const ipv4.Packet, parsed: *const Parsed) bool {
    const from: ipv4.Endpoint = .{ .address = packet.source, .port = parsed.source_port };
    var chosen: ?*Datagrams = null;
    var link = stack.datagrams.end.next.?;
    while (link != &stack.datagrams.end) : (link = link.next.?) {
        const candidate: *Datagrams = @alignCast(@fieldParentPtr("link", link));
        if (!candidate.takes(packet.destination, parsed.destination_port, from)) continue;
        chosen = candidate;
        if (candidate.remote != null) break;
    }
    const datagrams = chosen orelse return false;
    if (datagrams.received.push(stack, from, parsed.payload)) {
        stack.touch(&datagrams.socket);
    } else {
        datagrams.dropped += 1;
        stack.counters.udp_queue_full += 1;
    }
    return true;
}

/// The peer of a socket that has one said that nobody is there.
pub fn refused(stack: *Stack, local: ipv4.Address, port: u16, remote: ipv4.Endpoint) void {
    if (!stack.isLocal(local)) return;
    var link = stack.datagrams.end.next.?;
    while (link != &stack.datagrams.end) : (link = link.next.?) {
        const datagrams: *Datagrams = @alignCast(@fieldParentPtr("link", link));
        if (datagrams.port != port) continue;
        const only = datagrams.remote orelse continue;
        if (!std.meta.eql(only, remote)) continue;
        datagrams.failure = .refused;
        stack.touch(&datagrams.socket);
    }
}
