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
    next: ?*Flow = null,
};

const Buckets = struct {
    used: u64,
    first: [count]?*Flow,

    const count = memory_file.page_bytes / 8 - 1;
    comptime {
        assert(@sizeOf(Buckets) == memory_file.page_bytes);
    }
};

pub const Flows = struct {
    secret: [16]u8,
    pages: [limits.net_flow_pages]?*Buckets = @splat(null),
    count: u32 = 0,

    const Place = struct { page: usize, bucket: usize };

    fn place(flows: *const Flows, key: Key) Place {
        var bytes: [12]u8 = undefined;
        std.mem.writeInt(u32, bytes[0..4], key.local, .little);
        std.mem.writeInt(u32, bytes[4..8], key.remote, .little);
        std.mem.writeInt(u16, bytes[8..10], key.local_port, .little);
        std.mem.writeInt(u16, bytes[10..12], key.remote_port, .little);
        const hash = std.crypto.auth.siphash.SipHash64(1, 3).toInt(&bytes, &flows.secret);
        return .{ .page = @intCast(hash >> 32 & (limits.net_flow_pages - 1)), .bucket = @intCast(@as(u32, @truncate(hash)) % Buckets.count) };
    }

    pub fn find(flows: *const Flows, key: Key) ?*Flow {
        const at = flows.place(key);
        const page = flows.pages[at.page] orelse return null;
        var next = page.first[at.bucket];
        while (next) |flow| : (next = flow.next) {
            if (std.meta.eql(flow.key, key)) return flow;
        }
        return null;
    }

    /// Some flow of a local address, by a walk over all.
    pub fn firstOf(flows: *const Flows, local: ipv4.Address) ?*Flow {
        for (flows.pages) |maybe| if (maybe) |page| {
            for (page.first) |bucket| {
                var next = bucket;
                while (next) |flow| : (next = flow.next) if (flow.key.local == local) return flow;
            }
        };
        return null;
    }

    pub fn insert(flows: *Flows, memory: *Memory, flow: *Flow) error{OutOfMemory}!void {
        assert(!flow.listed);
        const at = flows.place(flow.key);
        if (flows.pages[at.page] == null) {
            const fresh: *Buckets = @ptrCast(memory.allocate() orelse return error.OutOfMemory);
            fresh.* = .{ .used = 0, .first = @splat(null) };
            flows.pages[at.page] = fresh;
        }
        const page = flows.pages[at.page].?;
        flow.next = page.first[at.bucket];
        flow.listed = true;
        page.first[at.bucket] = flow;
        page.used += 1;
        flows.count += 1;
    }

    pub fn remove(flows: *Flows, memory: *Memory, flow: *Flow) void {
        if (!flow.listed) return;
        const at = flows.place(flow.key);
        const page = flows.pages[at.page].?;
        var slot = &page.first[at.bucket];
        while (slot.*.? != flow) slot = &slot.*.?.next;
        slot.* = flow.next;
        flow.next = null;
        flow.listed = false;
        page.used -= 1;
        flows.count -= 1;
        if (page.used == 0) {
            flows.pages[at.page] = null;
            memory.release(@ptrCast(@alignCast(page)));
        }
    }
};

test "flows are found by all of their key, and the buckets go with the last" {
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
    for (&items) |*flow| {
        flows.remove(&memory, flow);
        try std.testing.expectEqual(null, flows.find(flow.key));
    }
    try std.testing.expectEqual(0, given.pages_given);
}
