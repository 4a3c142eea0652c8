//! One stack on the link with a peer whose every segment a test writes by hand.
const std = @import("std");
const checksum = @import("checksum.zig");
const arp = @import("arp.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const stack_file = @import("stack.zig");
const tcp_segment = @import("tcp_segment.zig");
const udp = @import("udp.zig");
const tcp_send = @import("tcp_send.zig");
const Stack = stack_file.Stack;
pub const Connection = stack_file.Connection;
pub const Listener = stack_file.Listener;
const TestMemory = @import("test_memory.zig").TestMemory;

pub const own_mac: ethernet.Mac = .{ 2, 0, 0, 0, 0, 1 };
pub const peer_mac: ethernet.Mac = .{ 2, 0, 0, 0, 0, 9 };
pub const own: ipv4.Address = 0x0a00_0001;
pub const peer: ipv4.Address = 0x0a00_0009;
pub const millisecond_ns: u64 = 1_000_000;
pub const second_ns: u64 = 1_000_000_000;

pub const Sent = struct {
    header: tcp_segment.Header,
    payload_bytes: u32,
    payload: [1460]u8,
    destination: ipv4.Address,
};

pub const Peer = struct {
    given: TestMemory,
    stack: Stack = undefined,
    now_ns: u64 = 10 * second_ns,
    mac: ethernet.Mac = peer_mac,
    address: ipv4.Address = peer,
    port: u16 = 40000,
    target_port: u16 = 80,
    /// What the peer sends next, and what it acknowledges.
    sequence: u32 = 1000,
    acknowledgement: u32 = 0,
    window: u16 = 65535,
    options: tcp_segment.Options = .{},
    out: [ethernet.frame_bytes_max]u8 = undefined,
    /// The frame that the stack got last.
    last: [ethernet.frame_bytes_max]u8 = undefined,
    last_bytes: usize = 0,

    pub const Setup = struct { pages_max: u32 = 4096, addressing: stack_file.Addressing = .{ .fixed = .{ .address = own, .prefix = 24, .gateway = 0x0a00_00fe } } };

    pub fn create(setup: Setup) !*Peer {
        const self = try std.testing.allocator.create(Peer);
        self.* = .{ .given = .{ .pages_max = setup.pages_max } };
        self.stack.init(.{ .mac = own_mac, .addressing = setup.addressing, .seed = @splat(0x5a) }, self.given.memory(), self.now_ns);
        if (setup.addressing == .fixed) {
            _ = self.nextFrame();
            self.sendArp(.{ .operation = .request, .sender_mac = peer_mac, .sender = peer, .target_mac = @splat(0), .target = own }, ethernet.broadcast);
            _ = self.nextFrame();
        }
        return self;
    }

    /// With nothing of the stack's left.
    pub fn destroy(self: *Peer) void {
        self.given.deinit();
        std.testing.allocator.destroy(self);
    }

    pub fn expectEmpty(self: *Peer) !void {
        try std.testing.expectEqual(0, self.stack.connections.used);
        try std.testing.expectEqual(0, self.stack.embryos.used);
        try std.testing.expectEqual(0, self.stack.flows.count);
        try std.testing.expectEqual(0, self.given.pages_given);
    }

    pub fn nextFrame(self: *Peer) ?[]const u8 {
        const frame = self.stack.transmit(self.now_ns, &self.out) orelse return null;
        return self.out[0..frame.length];
    }

    pub fn receive(self: *Peer, frame: []const u8) void {
        @memcpy(self.last[0..frame.len], frame);
        self.last_bytes = frame.len;
        self.stack.receive(frame, .unknown, self.now_ns);
    }

    pub fn sendArp(self: *Peer, packet: arp.Packet, destination: ethernet.Mac) void {
        var frame: [60]u8 = @splat(0);
        _ = arp.write(&frame, destination, packet);
        self.receive(&frame);
    }

    pub fn sendIp(self: *Peer, protocol: ipv4.Protocol, destination: ipv4.Address, payload: []const u8) void {
        var frame: [ethernet.frame_bytes_max]u8 = undefined;
        ethernet.write(&frame, .{ .destination = own_mac, .source = self.mac, .kind = .ipv4 });
        ipv4.write(frame[14..], self.address, destination, protocol, payload.len);
        @memcpy(frame[34..][0..payload.len], payload);
        self.receive(frame[0 .. 34 + payload.len]);
    }

    /// A segment as given, checksum and all; nothing is counted up.
    pub fn raw(self: *Peer, header: tcp_segment.Header, payload: []const u8) void {
        var bytes: [1480]u8 = undefined;
        const length = tcp_segment.write(&bytes, &header);
        @memcpy(bytes[length..][0..payload.len], payload);
        const segment = bytes[0 .. length + payload.len];
        const sum = checksum.pseudo(self.address, own, 6, @intCast(segment.len));
        std.mem.writeInt(u16, segment[16..18], checksum.finish(checksum.add(sum, segment)), .big);
        self.sendIp(.tcp, own, segment);
    }

    pub fn headerOf(self: *Peer, flags: tcp_segment.Flags) tcp_segment.Header {
        return .{
            .source_port = self.port,
            .destination_port = self.target_port,
            .sequence = self.sequence,
            .acknowledgement = if (flags.ack) self.acknowledgement else 0,
            .flags = flags,
            .window = self.window,
            .options = self.options,
        };
    }

    /// The next segment of the peer's stream.
    pub fn send(self: *Peer, flags: tcp_segment.Flags, payload: []const u8) void {
        self.raw(self.headerOf(flags), payload);
        self.sequence +%= @as(u32, @intCast(payload.len)) + @intFromBool(flags.syn) + @intFromBool(flags.fin);
    }

    fn answerArp(self: *Peer, request: arp.Packet) void {
        if (request.operation != .request or request.target != peer) return;
        self.sendArp(.{ .operation = .reply, .sender_mac = peer_mac, .sender = peer, .target_mac = own_mac, .target = own }, own_mac);
    }

    /// The next segment that the stack sends, if it sends one now.
    pub fn sent(self: *Peer) ?Sent {
        while (self.nextFrame()) |frame| {
            const ethernet_header, const packet = ethernet.parse(frame).?;
            if (ethernet_header.kind == .arp) {
                self.answerArp(arp.parse(packet).?);
                continue;
            }
            const parsed = ipv4.parse(packet).packet;
            if (parsed.protocol != .tcp) continue;
            const sum = checksum.pseudo(parsed.source, parsed.destination, 6, @intCast(parsed.payload.len));
            std.debug.assert(checksum.valid(checksum.add(sum, parsed.payload)));
            const segment = tcp_segment.parse(parsed.source, parsed.destination, parsed.payload).?;
            var result: Sent = .{
                .header = segment.header,
                .payload_bytes = @intCast(segment.payload.len),
                .payload = undefined,
                .destination = parsed.destination,
            };
            @memcpy(result.payload[0..segment.payload.len], segment.payload);
            return result;
        }
        return null;
    }

    pub fn expectSilence(self: *Peer) !void {
        if (self.sent()) |segment| {
            std.debug.print("unexpected: {}\n", .{segment.header});
            return error.NotSilent;
        }
    }

    /// A segment without data that acknowledges what the peer sent.
    pub fn expectAcknowledgement(self: *Peer) !Sent {
        const segment = self.sent() orelse return error.Silent;
        try std.testing.expectEqual(tcp_segment.Flags{ .ack = true }, segment.header.flags);
        try std.testing.expectEqual(0, segment.payload_bytes);
        try std.testing.expectEqual(self.sequence, segment.header.acknowledgement);
        return segment;
    }

    /// The timestamp of what the stack sends now.
    pub fn stampNow(self: *const Peer, connection: *const Connection) u32 {
        return tcp_send.timestampNow(connection, self.now_ns);
    }

    pub fn drain(self: *Peer) void {
        while (self.nextFrame()) |_| {}
    }

    pub fn wait(self: *Peer, duration_ns: u64) void {
        self.now_ns += duration_ns;
        self.stack.advance(self.now_ns);
    }

    /// Goes to the next segment that the timers bring, and how long that took; null when `limit_ns` passed without one.
    pub fn waitSent(self: *Peer, limit_ns: u64) ?struct { Sent, u64 } {
        const start = self.now_ns;
        while (true) {
            if (self.sent()) |segment| return .{ segment, self.now_ns - start };
            const due = self.stack.deadline();
            if (due > start + limit_ns) {
                self.now_ns = start + limit_ns;
                return null;
            }
            self.now_ns = @max(self.now_ns, due);
            self.stack.advance(self.now_ns);
        }
    }

    /// Three-way handshake from the peer's side.
    pub fn open(self: *Peer, listener: *stack_file.Listener) !*stack_file.Connection {
        self.target_port = listener.port;
        const options = self.options;
        self.send(.{ .syn = true }, &.{});
        const answer = self.sent() orelse return error.Silent;
        try std.testing.expect(answer.header.flags.syn and answer.header.flags.ack);
        self.acknowledgement = answer.header.sequence +% 1;
        self.options = .{};
        if (options.timestamp) |timestamp| self.options.timestamp = .{ .value = timestamp.value, .echo = answer.header.options.timestamp.?.value };
        self.send(.{ .ack = true }, &.{});
        return listener.accept(&self.stack) orelse error.NotAccepted;
    }

    pub fn sendUdp(self: *Peer, source_port: u16, destination: ipv4.Address, destination_port: u16, payload: []const u8) void {
        var bytes: [1480]u8 = undefined;
        udp.writeHeader(&bytes, source_port, destination_port, @intCast(payload.len));
        @memcpy(bytes[8..][0..payload.len], payload);
        const datagram = bytes[0 .. 8 + payload.len];
        const sum = checksum.pseudo(self.address, destination, 17, @intCast(datagram.len));
        std.mem.writeInt(u16, datagram[6..8], checksum.finish(checksum.add(sum, datagram)), .big);
        self.sendIp(.udp, destination, datagram);
    }
};
