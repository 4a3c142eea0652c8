//! What every arriving segment is looked up in: connections, those not yet established, those that wait out their end. Keyed hashing, so that a peer
//! cannot choose who shares a bucket; the buckets come and go by pages.
const std = @import("std");
const limits = @import("../limits.zig");
const ipv4 = @import("ipv4.zig");
const memory_file = @import("memory.zig");
const Memory = memory_file.Memory;
const assert = std.debug.assert;

pub const Key = struct { local: ipv4.Address, remote: ipv4.Address, local_port: u16, remote_port: u16 };

pub const Kind = enum(u8) { connection, embryo, time_wait };

pub const Flow = struct {
    key: Key,
    kind: Kind,
    listed: bool = false,
    hash: u32 = undefined,
    next: ?*Flow = null,
};

const buckets_per_page: u32 = memory_file.page_bytes / 8;
const Buckets = [buckets_per_page]?*Flow;

/// Linear hashing (Litwin, 1980): the table grows and shrinks by one bucket at a time, in pages; without memory it stays as it is and is slower.
pub const Flows = struct {
    secret: [16]u8,
    pages: [limits.net_flow_pages]?*Buckets = @splat(null),
    count: u32 = 0,
    /// Buckets there are: those of a full round, and one more for each of its first that was split.
    buckets: u32 = 0,

    fn hashOf(flows: *const Flows, key: Key) u32 {
        var bytes: [12]u8 = undefined;
        std.mem.writeInt(u32, bytes[0..4], key.local, .little);
        std.mem.writeInt(u32, bytes[4..8], key.remote, .little);
        std.mem.writeInt(u16, bytes[8..10], key.local_port, .little);
        std.mem.writeInt(u16, bytes[10..12], key.remote_port, .little);
        return @truncate(std.crypto.auth.siphash.SipHash64(1, 3).toInt(&bytes, &flows.secret));
    }

    /// The largest power of two times a page that is not above what there is.
    fn round(flows: *const Flows) u32 {
        return std.math.floorPowerOfTwo(u32, flows.buckets);
    }

    fn slot(flows: *const Flows, index: u32) *?*Flow {
        assert(index < flows.buckets);
        return &flows.pages[index / buckets_per_page].?[index % buckets_per_page];
    }

    fn slotOf(flows: *const Flows, hash: u32) *?*Flow {
        const full = flows.round();
        const split = flows.buckets - full;
        const index = hash & (full - 1);
        return flows.slot(if (index < split) hash & (2 * full - 1) else index);
    }

    pub fn find(flows: *const Flows, key: Key) ?*Flow {
        if (flows.buckets == 0) return null;
        const hash = flows.hashOf(key);
        var next = flows.slotOf(hash).*;
        while (next) |flow| : (next = flow.next) {
            if (flow.hash == hash and std.meta.eql(flow.key, key)) return flow;
        }
        return null;
    }

    /// A flow of a local address, for one pass that removes each: `end` is its own, and begins as `buckets`. From the last bucket down, as the table
    /// shrinks: what moves then goes where the pass has yet to come.
    pub fn lastOf(flows: *const Flows, local: ipv4.Address, end: *u32) ?*Flow {
        end.* = @min(end.*, flows.buckets);
        while (end.* > 0) : (end.* -= 1) {
            var next = flows.slot(end.* - 1).*;
            while (next) |flow| : (next = flow.next) if (flow.key.local == local) return flow;
        }
        return null;
    }

    pub fn insert(flows: *Flows, memory: *Memory, flow: *Flow) error{OutOfMemory}!void {
        assert(!flow.listed);
        if (flows.buckets == 0) {
            if (!flows.addPage(memory, 0)) return error.OutOfMemory;
            flows.buckets = buckets_per_page;
        } else if (flows.count >= flows.buckets) flows.grow(memory);
        flow.hash = flows.hashOf(flow.key);
        const place = flows.slotOf(flow.hash);
        flow.next = place.*;
        flow.listed = true;
        place.* = flow;
        flows.count += 1;
    }

    pub fn remove(flows: *Flows, memory: *Memory, flow: *Flow) void {
        if (!flow.listed) return;
        var place = flows.slotOf(flow.hash);
        while (place.*.? != flow) place = &place.*.?.next;
        place.* = flow.next;
        flow.next = null;
        flow.listed = false;
        flows.count -= 1;
        if (flows.count == 0) return flows.clear(memory);
        if (flows.count < flows.buckets / 4 and flows.buckets > buckets_per_page) flows.shrink(memory);
    }

    fn addPage(flows: *Flows, memory: *Memory, index: u32) bool {
        const page: *Buckets = @ptrCast(memory.allocate() orelse return false);
        page.* = @splat(null);
        flows.pages[index] = page;
        return true;
    }

    fn releasePage(flows: *Flows, memory: *Memory, index: u32) void {
        memory.release(@ptrCast(@alignCast(flows.pages[index].?)));
        flows.pages[index] = null;
    }

    fn grow(flows: *Flows, memory: *Memory) void {
        if (flows.buckets == limits.net_flow_pages * buckets_per_page) return;
        const added = flows.buckets;
        if (added % buckets_per_page == 0 and !flows.addPage(memory, added / buckets_per_page)) return;
        const full = flows.round();
        flows.buckets += 1;
        const from = flows.slot(added - full);
        const to = flows.slot(added);
        var rest = from.*;
        from.* = null;
        while (rest) |flow| {
            rest = flow.next;
            const place = if (flow.hash & (2 * full - 1) == added) to else from;
            flow.next = place.*;
            place.* = flow;
        }
    }

    fn shrink(flows: *Flows, memory: *Memory) void {
        const last = flows.buckets - 1;
        const from = flows.slot(last);
        const to = flows.slot(last - std.math.floorPowerOfTwo(u32, last));
        while (from.*) |flow| {
            from.* = flow.next;
            flow.next = to.*;
            to.* = flow;
        }
        flows.buckets = last;
        if (last % buckets_per_page == 0) flows.releasePage(memory, last / buckets_per_page);
    }

    fn clear(flows: *Flows, memory: *Memory) void {
        for (flows.pages, 0..) |page, index| if (page != null) flows.releasePage(memory, @intCast(index));
        flows.buckets = 0;
    }
};

test "flows are found by all of their key, while the table grows and shrinks, and the buckets go with the last" {
    var given: @import("test_memory.zig").TestMemory = .{ .pages_max = 40 };
    defer given.deinit();
    var memory = given.memory();
    var flows: Flows = .{ .secret = @splat(9) };
    var items: [3000]Flow = undefined;
    for (&items, 0..) |*flow, index| {
        flow.* = .{ .kind = .connection, .key = .{ .local = 1, .remote = 2, .local_port = 80, .remote_port = @intCast(index) } };
        try flows.insert(&memory, flow);
    }
    for (&items) |*flow| try std.testing.expectEqual(flow, flows.find(flow.key).?);
    try std.testing.expectEqual(null, flows.find(.{ .local = 1, .remote = 3, .local_port = 80, .remote_port = 5 }));
    try std.testing.expect(flows.buckets >= items.len);
    for (&items, 1..) |*flow, gone| {
        flows.remove(&memory, flow);
        try std.testing.expectEqual(null, flows.find(flow.key));
        for (items[gone..]) |*left| if (left.key.remote_port % 97 == gone % 97) try std.testing.expectEqual(left, flows.find(left.key).?);
    }
    try std.testing.expectEqual(0, given.pages_given);
}

test "one pass finds each flow of an address, while those that it found go and the table shrinks" {
    var given: @import("test_memory.zig").TestMemory = .{ .pages_max = 40 };
    defer given.deinit();
    var memory = given.memory();
    var flows: Flows = .{ .secret = @splat(4) };
    var items: [4000]Flow = undefined;
    for (&items, 0..) |*flow, index| {
        flow.* = .{ .kind = .connection, .key = .{ .local = if (index % 50 == 0) 7 else 1, .remote = 2, .local_port = 80, .remote_port = @intCast(index) } };
        try flows.insert(&memory, flow);
    }
    var end = flows.buckets;
    while (flows.lastOf(1, &end)) |flow| flows.remove(&memory, flow);
    try std.testing.expectEqual(80, flows.count);
    for (&items) |*flow| try std.testing.expectEqual(flow.key.local == 7, flow.listed);
    end = flows.buckets;
    while (flows.lastOf(7, &end)) |flow| flows.remove(&memory, flow);
    try std.testing.expectEqual(0, given.pages_given);
}
