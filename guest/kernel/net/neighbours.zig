//! Who has which address on the link: a bounded cache of what ARP told us. Only what we asked for is believed: an announcement, or a request from an
//! address that we know by another station, makes us ask the known station first (RFC 826 would take it at its word).
const std = @import("std");
const limits = @import("../limits.zig");
const arp = @import("arp.zig");
const ethernet = @import("ethernet.zig");
const ipv4 = @import("ipv4.zig");
const list = @import("list.zig");
const timers = @import("timers.zig");
const Stack = @import("stack.zig").Stack;

pub const State = enum(u8) {
    free,
    /// Asked for by broadcast; nothing can be sent to it.
    incomplete,
    reachable,
    /// Asked for at its known station, and used meanwhile.
    probed,
};

pub const Neighbour = struct {
    state: State = .free,
    tries: u8 = 0,
    mac: ethernet.Mac = undefined,
    address: ipv4.Address = ipv4.any,
    /// Of the next try, or of the end of what was confirmed.
    due_ns: u64 = timers.never,
    used_ns: u64 = 0,
    /// Outputs that wait for the station.
    waiting: list.List,
};

pub const Found = union(enum) { mac: ethernet.Mac, wait: *Neighbour, full };

pub const Neighbours = struct {
    sets: [limits.arp_sets][limits.arp_ways]Neighbour,
    timer: timers.Timer = .{ .kind = .neighbours },

    pub fn init(neighbours: *Neighbours) void {
        neighbours.timer = .{ .kind = .neighbours };
        for (&neighbours.sets) |*set| for (set) |*entry| {
            entry.* = .{ .waiting = undefined };
            entry.waiting.init();
        };
    }

    fn setOf(neighbours: *Neighbours, address: ipv4.Address) []Neighbour {
        return &neighbours.sets[(address ^ address >> 8) % limits.arp_sets];
    }

    pub fn get(neighbours: *Neighbours, address: ipv4.Address) ?*Neighbour {
        for (neighbours.setOf(address)) |*entry| {
            if (entry.state != .free and entry.address == address) return entry;
        }
        return null;
    }

    /// The station of a neighbour, asked for where it is not known.
    pub fn find(neighbours: *Neighbours, stack: *Stack, address: ipv4.Address, now_ns: u64) Found {
        const entry = neighbours.get(address) orelse fresh: {
            const entry = neighbours.place(address, true) orelse return .full;
            entry.state = .incomplete;
            entry.tries = 0;
            entry.address = address;
            neighbours.ask(stack, entry, now_ns);
            break :fresh entry;
        };
        entry.used_ns = now_ns;
        if (entry.state == .incomplete) return .{ .wait = entry };
        if (entry.state == .reachable and entry.due_ns <= now_ns) neighbours.probe(stack, entry, now_ns);
        return .{ .mac = entry.mac };
    }

    /// A place in the set of an address: a free one, or that used longest ago of those that nobody waits for.
    fn place(neighbours: *Neighbours, address: ipv4.Address, evict: bool) ?*Neighbour {
        var oldest: ?*Neighbour = null;
        for (neighbours.setOf(address)) |*entry| {
            if (entry.state == .free) return entry;
            if (entry.state == .incomplete) continue;
            if (oldest == null or entry.used_ns < oldest.?.used_ns) oldest = entry;
        }
        return if (evict) oldest else null;
    }

    fn probe(neighbours: *Neighbours, stack: *Stack, entry: *Neighbour, now_ns: u64) void {
        entry.state = .probed;
        entry.tries = 0;
        neighbours.ask(stack, entry, now_ns);
    }

    fn ask(neighbours: *Neighbours, stack: *Stack, entry: *Neighbour, now_ns: u64) void {
        entry.tries += 1;
        entry.due_ns = now_ns + limits.arp_retry_ns;
        stack.timers.setBy(&neighbours.timer, entry.due_ns);
        stack.sendArp(if (entry.state == .probed) entry.mac else ethernet.broadcast, .{
            .operation = .request,
            .sender_mac = stack.config.mac,
            .sender = stack.address,
            .target_mac = @splat(0),
            .target = entry.address,
        });
    }

    /// The timer: asks again, or gives up and lets those that wait know.
    pub fn advance(neighbours: *Neighbours, stack: *Stack, now_ns: u64) void {
        var next: u64 = timers.never;
        for (&neighbours.sets) |*set| for (set) |*entry| {
            if (entry.state == .incomplete or entry.state == .probed) {
                if (entry.due_ns <= now_ns) neighbours.retry(stack, entry, now_ns);
                if (entry.state == .incomplete or entry.state == .probed) next = @min(next, entry.due_ns);
            }
        };
        stack.timers.setBy(&neighbours.timer, next);
    }

    fn retry(neighbours: *Neighbours, stack: *Stack, entry: *Neighbour, now_ns: u64) void {
        if (entry.tries < limits.arp_tries_max) return neighbours.ask(stack, entry, now_ns);
        if (entry.state == .probed) {
            entry.state = .incomplete;
            entry.tries = 0;
            return neighbours.ask(stack, entry, now_ns);
        }
        entry.state = .free;
        stack.counters.neighbours_silent += 1;
        while (entry.waiting.first()) |link| {
            link.remove();
            stack.outputUnreachable(@alignCast(@fieldParentPtr("link", link)), now_ns);
        }
    }

    fn confirm(stack: *Stack, entry: *Neighbour, mac: ethernet.Mac, now_ns: u64) void {
        entry.state = .reachable;
        entry.mac = mac;
        entry.due_ns = now_ns + limits.arp_confirmed_ns;
        stack.ready.appendAll(&entry.waiting);
    }

    pub fn receive(neighbours: *Neighbours, stack: *Stack, header: ethernet.Header, packet: arp.Packet, now_ns: u64) void {
        if (!ethernet.unicast(packet.sender_mac) or !std.mem.eql(u8, &packet.sender_mac, &header.source)) return stack.drop(.malformed);
        if (stack.address == ipv4.any) return;
        if (packet.sender == stack.address) {
            stack.counters.address_conflicts += 1;
            return;
        }
        const for_us = packet.target == stack.address;
        const answers = packet.operation == .reply and for_us and std.mem.eql(u8, &header.destination, &stack.config.mac);
        if (packet.operation == .request and for_us) stack.sendArp(packet.sender_mac, .{
            .operation = .reply,
            .sender_mac = stack.config.mac,
            .sender = stack.address,
            .target_mac = packet.sender_mac,
            .target = packet.sender,
        });
        if (!stack.onLink(packet.sender)) return;
        if (neighbours.get(packet.sender)) |entry| {
            const same = entry.state != .incomplete and std.mem.eql(u8, &entry.mac, &packet.sender_mac);
            switch (entry.state) {
                .free => unreachable,
                .incomplete => if (answers or (packet.operation == .request and for_us)) confirm(stack, entry, packet.sender_mac, now_ns),
                .probed => if (answers and same) confirm(stack, entry, packet.sender_mac, now_ns),
                .reachable => if (!same) neighbours.probe(stack, entry, now_ns),
            }
        } else if (packet.operation == .request and for_us) {
            // Who asks for us will send to us; but it drives nobody out.
            const entry = neighbours.place(packet.sender, false) orelse return;
            entry.address = packet.sender;
            entry.used_ns = now_ns;
            confirm(stack, entry, packet.sender_mac, now_ns);
        }
    }

    /// Forgets all, when the address is another.
    pub fn clear(neighbours: *Neighbours, stack: *Stack) void {
        for (&neighbours.sets) |*set| for (set) |*entry| {
            entry.state = .free;
            stack.ready.appendAll(&entry.waiting);
        };
        stack.timers.cancel(&neighbours.timer);
    }
};
