//! The DHCP client (RFC 2131, RFC 2132): finds a server, takes its offer, renews the lease, and gives the address up when it ends.
//! The address is not probed before use: it would cost each start a second; a conflict is counted (neighbours.zig).
const std = @import("std");
const limits = @import("../limits.zig");
const checksum = @import("checksum.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const timers = @import("timers.zig");
const udp = @import("udp.zig");
const Stack = @import("stack.zig").Stack;

pub const State = enum(u8) { off, selecting, requesting, bound, renewing, rebinding };

const Message = enum(u8) { discover = 1, offer = 2, request = 3, decline = 4, ack = 5, nak = 6, _ };

const fixed_bytes = 240;
const message_bytes = 300;
const magic = [_]u8{ 99, 130, 83, 99 };

const second_ns: u64 = 1_000_000_000;

pub const name_servers_max = 3;

pub const Client = struct {
    state: State = .off,
    timer: timers.Timer = .{ .kind = .dhcp },
    transaction: u32 = 0,
    tries: u8 = 0,
    /// A message is to be sent.
    pending: bool = false,
    began_ns: u64 = 0,
    retry_ns: u64 = timers.never,
    offered: ipv4.Address = ipv4.any,
    server: ipv4.Address = ipv4.any,
    renew_ns: u64 = timers.never,
    rebind_ns: u64 = timers.never,
    expire_ns: u64 = timers.never,
    name_servers: [name_servers_max]ipv4.Address = @splat(ipv4.any),

    /// Those that the server told with the address.
    pub fn nameServers(client: *const Client) []const ipv4.Address {
        const told = std.mem.indexOfScalar(ipv4.Address, &client.name_servers, ipv4.any) orelse name_servers_max;
        return client.name_servers[0..told];
    }

    pub fn active(client: *const Client) bool {
        return client.state != .off;
    }

    pub fn start(client: *Client, stack: *Stack, now_ns: u64) void {
        stack.timers.cancel(&client.timer);
        client.* = .{ .state = .selecting, .transaction = @truncate(stack.numbers.random()), .began_ns = now_ns };
        client.ask(stack, now_ns);
    }

    fn ask(client: *Client, stack: *Stack, now_ns: u64) void {
        client.pending = true;
        const base_ns: u64 = switch (client.state) {
            .renewing => @max((client.rebind_ns -| now_ns) / 2, limits.dhcp_renew_retry_min_ns),
            .rebinding => @max((client.expire_ns -| now_ns) / 2, limits.dhcp_renew_retry_min_ns),
            else => @min(limits.dhcp_retry_min_ns << @min(client.tries, 10), limits.dhcp_retry_max_ns),
        };
        if (client.tries < std.math.maxInt(u8)) client.tries += 1;
        // Guests that start together do not ask together for ever.
        client.retry_ns = now_ns + base_ns + stack.numbers.random() % (base_ns / 4);
        client.arm(stack);
    }

    fn arm(client: *Client, stack: *Stack) void {
        const lease_ns = switch (client.state) {
            .bound => client.renew_ns,
            .renewing => client.rebind_ns,
            .rebinding => client.expire_ns,
            else => timers.never,
        };
        stack.timers.setBy(&client.timer, @min(client.retry_ns, lease_ns));
    }

    pub fn advance(client: *Client, stack: *Stack, now_ns: u64) void {
        const step: ?State = switch (client.state) {
            .bound => if (client.renew_ns <= now_ns) .renewing else null,
            .renewing => if (client.rebind_ns <= now_ns) .rebinding else null,
            .rebinding => if (client.expire_ns <= now_ns) .selecting else null,
            // The server that offered is silent: any other will do.
            .requesting => if (client.retry_ns <= now_ns and client.tries >= limits.dhcp_requests_max) .selecting else null,
            .off, .selecting => null,
        };
        if (step) |state| {
            if (state == .selecting) {
                stack.setAddress(ipv4.any, 0, ipv4.any);
                return client.start(stack, now_ns);
            }
            client.state = state;
            client.tries = 0;
            client.transaction = @truncate(stack.numbers.random());
            client.began_ns = now_ns;
            return client.ask(stack, now_ns);
        }
        if (client.retry_ns <= now_ns) return client.ask(stack, now_ns);
        client.arm(stack);
    }

    /// Writes the frame of the message that is due.
    pub fn next(client: *Client, stack: *Stack, now_ns: u64, out: []u8) ?u32 {
        if (!client.pending) return null;
        client.pending = false;
        const renewing = client.state == .renewing;
        const source = if (renewing or client.state == .rebinding) stack.address else ipv4.any;
        const destination = if (renewing) client.server else ipv4.broadcast;
        var mac = ethernet.broadcast;
        if (renewing) switch (stack.neighbours.find(stack, stack.nextHop(destination), now_ns)) {
            .mac => |known| mac = known,
            // The frame for all reaches it as well.
            .wait, .full => {},
        };
        ethernet.write(out, .{ .destination = mac, .source = stack.config.mac, .kind = .ipv4 });
        const datagram_bytes = udp.header_bytes + message_bytes;
        ipv4.write(out[ethernet.header_bytes..], source, destination, .udp, datagram_bytes);
        const datagram = out[ethernet.header_bytes + ipv4.header_bytes ..][0..datagram_bytes];
        udp.writeHeader(datagram, 68, 67, message_bytes);
        client.write(stack, source, datagram[udp.header_bytes..], now_ns);
        const sum = checksum.pseudo(source, destination, @intFromEnum(ipv4.Protocol.udp), datagram_bytes);
        const value = checksum.finish(checksum.add(sum, datagram));
        std.mem.writeInt(u16, datagram[6..8], if (value == 0) 0xffff else value, .big);
        return ethernet.header_bytes + ipv4.header_bytes + datagram_bytes;
    }

    fn write(client: *const Client, stack: *const Stack, address: ipv4.Address, out: []u8, now_ns: u64) void {
        @memset(out, 0);
        out[0..4].* = .{ 1, 1, 6, 0 };
        std.mem.writeInt(u32, out[4..8], client.transaction, .big);
        std.mem.writeInt(u16, out[8..10], @intCast(@min((now_ns -| client.began_ns) / second_ns, 65535)), .big);
        std.mem.writeInt(u32, out[12..16], address, .big);
        out[28..34].* = stack.config.mac;
        out[236..240].* = magic;
        const discover = client.state == .selecting;
        var at: usize = fixed_bytes;
        out[at..][0..3].* = .{ 53, 1, @intFromEnum(if (discover) Message.discover else .request) };
        at += 3;
        // Subnet mask, router, name servers, MTU, lease, renewal, rebinding.
        out[at..][0..9].* = .{ 55, 7, 1, 3, 6, 26, 51, 58, 59 };
        at += 9;
        if (client.state == .requesting) {
            out[at..][0..2].* = .{ 50, 4 };
            std.mem.writeInt(u32, out[at + 2 ..][0..4], client.offered, .big);
            out[at + 6 ..][0..2].* = .{ 54, 4 };
            std.mem.writeInt(u32, out[at + 8 ..][0..4], client.server, .big);
            at += 12;
        }
        out[at] = 255;
    }

    pub fn receive(client: *Client, stack: *Stack, bytes: []const u8, now_ns: u64) void {
        if (bytes.len < fixed_bytes or bytes[0] != 2 or !std.mem.eql(u8, bytes[236..240], &magic)) return stack.drop(.malformed);
        if (std.mem.readInt(u32, bytes[4..8], .big) != client.transaction or !std.mem.eql(u8, bytes[28..34], &stack.config.mac)) return;
        const options = parseOptions(bytes[fixed_bytes..]) orelse return stack.drop(.malformed);
        const yours = std.mem.readInt(u32, bytes[16..20], .big);
        switch (options.message) {
            .offer => {
                if (client.state != .selecting or !usable(yours) or options.server == ipv4.any) return;
                client.state = .requesting;
                client.offered = yours;
                client.server = options.server;
                client.tries = 0;
                client.ask(stack, now_ns);
            },
            .ack => switch (client.state) {
                .requesting, .renewing, .rebinding => client.bind(stack, yours, &options, now_ns),
                else => {},
            },
            .nak => switch (client.state) {
                .requesting, .renewing, .rebinding => {
                    stack.setAddress(ipv4.any, 0, ipv4.any);
                    client.start(stack, now_ns);
                },
                else => {},
            },
            else => {},
        }
    }

    fn within(seconds: ?u64, end_ns: u64) ?u64 {
        const time_ns = (seconds orelse return null) * second_ns;
        return if (time_ns > 0 and time_ns <= end_ns) time_ns else null;
    }

    fn usable(address: ipv4.Address) bool {
        return !ipv4.group(address) and !ipv4.loopback(address);
    }

    fn bind(client: *Client, stack: *Stack, yours: ipv4.Address, options: *const Options, now_ns: u64) void {
        if (!usable(yours)) return;
        if (client.state == .requesting and (yours != client.offered or options.server != client.server)) return;
        if (options.lease_seconds == 0) return;
        client.state = .bound;
        client.pending = false;
        client.tries = 0;
        client.retry_ns = timers.never;
        if (options.server != ipv4.any) client.server = options.server;
        const infinite = options.lease_seconds == std.math.maxInt(u32);
        const lease_ns = @max(@as(u64, options.lease_seconds) * second_ns, limits.dhcp_lease_min_ns);
        // Times that are none, or not in their order, are as if the server had named none (RFC 2131, section 4.4.5).
        const rebind_ns = within(options.rebind_seconds, lease_ns) orelse lease_ns / 8 * 7;
        const renew_ns = within(options.renew_seconds, rebind_ns) orelse @min(lease_ns / 2, rebind_ns);
        client.renew_ns = if (infinite) timers.never else now_ns + renew_ns;
        client.rebind_ns = if (infinite) timers.never else now_ns + rebind_ns;
        client.expire_ns = if (infinite) timers.never else now_ns + lease_ns;
        client.name_servers = options.name_servers;
        if (options.mtu) |mtu| stack.config.mtu = std.math.clamp(mtu, 576, stack.config.mtu);
        stack.setAddress(yours, options.prefix, options.router);
        client.arm(stack);
    }
};

const Options = struct {
    message: Message = @enumFromInt(0),
    server: ipv4.Address = ipv4.any,
    router: ipv4.Address = ipv4.any,
    prefix: u6 = 24,
    mtu: ?u16 = null,
    lease_seconds: u32 = 0,
    renew_seconds: ?u64 = null,
    rebind_seconds: ?u64 = null,
    name_servers: [name_servers_max]ipv4.Address = @splat(ipv4.any),
};

/// Null when they cannot be read or name no message.
fn parseOptions(bytes: []const u8) ?Options {
    var options: Options = .{};
    var rest = bytes;
    while (rest.len > 0 and rest[0] != 255) {
        if (rest[0] == 0) {
            rest = rest[1..];
            continue;
        }
        if (rest.len < 2 or rest.len < 2 + @as(usize, rest[1])) return null;
        const value = rest[2..][0..rest[1]];
        switch (rest[0]) {
            1 => if (value.len == 4) {
                const mask = std.mem.readInt(u32, value[0..4], .big);
                const prefix: u6 = @intCast(@clz(~mask));
                if (ipv4.mask(prefix) != mask) return null;
                options.prefix = prefix;
            },
            3 => if (value.len >= 4) {
                options.router = std.mem.readInt(u32, value[0..4], .big);
            },
            6 => for (0..@min(value.len / 4, name_servers_max)) |index| {
                options.name_servers[index] = std.mem.readInt(u32, value[index * 4 ..][0..4], .big);
            },
            26 => if (value.len == 2) {
                options.mtu = std.mem.readInt(u16, value[0..2], .big);
            },
            51 => if (value.len == 4) {
                options.lease_seconds = std.mem.readInt(u32, value[0..4], .big);
            },
            53 => if (value.len == 1) {
                options.message = @enumFromInt(value[0]);
            },
            54 => if (value.len == 4) {
                options.server = std.mem.readInt(u32, value[0..4], .big);
            },
            58 => if (value.len == 4) {
                options.renew_seconds = std.mem.readInt(u32, value[0..4], .big);
            },
            59 => if (value.len == 4) {
                options.rebind_seconds = std.mem.readInt(u32, value[0..4], .big);
            },
            else => {},
        }
        rest = rest[2 + @as(usize, rest[1]) ..];
    }
    return if (@intFromEnum(options.message) == 0) null else options;
}
