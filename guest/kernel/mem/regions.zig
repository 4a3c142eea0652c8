//! The ranges of the address space, in order: a treap by address (Seidel and Aragon, 1996), whose nodes also form a
//! list. It allocates nothing.
const std = @import("std");
const Account = @import("../object/account.zig").Account;
const File = @import("../object/file.zig").File;
const Share = @import("share.zig").Share;

pub const Kind = enum(u8) { anonymous, file, kernel, shared };

pub const Access = packed struct(u8) {
    read: bool = false,
    write: bool = false,
    exec: bool = false,
    pinned: bool = false,
    unused: u4 = 0,
};

pub const Region = struct {
    start: u64,
    end: u64,
    access: Access = .{},
    kind: Kind = .anonymous,
    /// What the bytes come from, of kind file or shared, and where there `start` is.
    file: ?*File = null,
    share: ?*Share = null,
    offset: u64 = 0,
    /// Who pays for this region.
    account: ?*Account = null,

    previous: ?*Region = null,
    next: ?*Region = null,
    parent: ?*Region = null,
    left: ?*Region = null,
    right: ?*Region = null,
    weight: u32 = 0,

    pub fn bytes(region: *const Region) u64 {
        return region.end - region.start;
    }

    /// Whether both may be one, `second` beginning where `first` ends.
    pub fn continues(first: *const Region, second: *const Region) bool {
        return first.end == second.start and first.access == second.access and first.kind == second.kind and
            first.kind != .kernel and !first.access.pinned and first.file == second.file and first.share == second.share and
            ((first.file == null and first.share == null) or first.offset + first.bytes() == second.offset);
    }
};

pub const Tree = struct {
    root: ?*Region = null,
    first: ?*Region = null,
    count: u32 = 0,
    seed: u32 = 0x9e3779b9,

    /// The region that holds `address`, or else the next above it.
    pub fn atOrAfter(tree: *const Tree, address: u64) ?*Region {
        var best: ?*Region = null;
        var at = tree.root;
        while (at) |region| {
            if (region.end > address) {
                best = region;
                at = region.left;
            } else at = region.right;
        }
        return best;
    }

    pub noinline fn find(tree: *const Tree, address: u64) ?*Region {
        const region = tree.atOrAfter(address) orelse return null;
        return if (region.start <= address) region else null;
    }

    pub fn insert(tree: *Tree, region: *Region) void {
        std.debug.assert(region.start < region.end);
        tree.seed = tree.seed *% 1664525 +% 1013904223;
        region.weight = tree.seed;
        region.left = null;
        region.right = null;
        region.parent = null;
        region.previous = null;
        var at = tree.root;
        var went_left = false;
        while (at) |other| {
            region.parent = other;
            went_left = region.start < other.start;
            if (!went_left) region.previous = other;
            at = if (went_left) other.left else other.right;
        }
        if (region.parent) |parent| {
            if (went_left) parent.left = region else parent.right = region;
        } else tree.root = region;
        if (region.previous) |previous| {
            region.next = previous.next;
            previous.next = region;
            std.debug.assert(previous.end <= region.start);
        } else {
            region.next = tree.first;
            tree.first = region;
        }
        if (region.next) |next| {
            next.previous = region;
            std.debug.assert(region.end <= next.start);
        }
        while (region.parent) |parent| {
            if (parent.weight >= region.weight) break;
            tree.rotateUp(region);
        }
        tree.count += 1;
    }

    pub fn remove(tree: *Tree, region: *Region) void {
        while (region.left != null or region.right != null) {
            const left_weight = if (region.left) |left| left.weight else 0;
            const right_weight = if (region.right) |right| right.weight else 0;
            const take_left = region.right == null or (region.left != null and left_weight >= right_weight);
            tree.rotateUp(if (take_left) region.left.? else region.right.?);
        }
        if (region.parent) |parent| {
            if (parent.left == region) parent.left = null else parent.right = null;
        } else tree.root = null;
        if (region.previous) |previous| previous.next = region.next else tree.first = region.next;
        if (region.next) |next| next.previous = region.previous;
        tree.count -= 1;
    }

    fn rotateUp(tree: *Tree, region: *Region) void {
        const parent = region.parent.?;
        const above = parent.parent;
        if (parent.left == region) {
            parent.left = region.right;
            if (region.right) |child| child.parent = parent;
            region.right = parent;
        } else {
            parent.right = region.left;
            if (region.left) |child| child.parent = parent;
            region.left = parent;
        }
        parent.parent = region;
        region.parent = above;
        if (above) |top| {
            if (top.left == parent) top.left = region else top.right = region;
        } else tree.root = region;
    }

    /// Start of a free range of `bytes` in [low, high), the highest one at or below `hint` if there is one, else the highest.
    pub fn findGap(tree: *const Tree, bytes: u64, low: u64, high: u64, hint: u64) ?u64 {
        return tree.gapBelow(bytes, low, @min(hint, high)) orelse if (hint < high) tree.gapBelow(bytes, low, high) else null;
    }

    fn gapBelow(tree: *const Tree, bytes: u64, low: u64, high: u64) ?u64 {
        var top = high;
        var at = tree.lastBefore(high);
        while (true) {
            const floor = if (at) |region| @max(region.end, low) else low;
            if (top > floor and top - floor >= bytes) return top - bytes;
            const region = at orelse return null;
            top = @min(top, region.start);
            if (top <= low) return null;
            at = region.previous;
        }
    }

    /// The last region that starts below `address`.
    pub fn lastBefore(tree: *const Tree, address: u64) ?*Region {
        var best: ?*Region = null;
        var at = tree.root;
        while (at) |region| {
            if (region.start < address) {
                best = region;
                at = region.right;
            } else at = region.left;
        }
        return best;
    }
};

const testing = std.testing;

test "finds, orders and removes as a list does" {
    var nodes: [200]Region = undefined;
    var tree: Tree = .{};
    var order: [200]u32 = undefined;
    for (&order, 0..) |*slot, index| slot.* = @intCast(index);
    var random = std.Random.DefaultPrng.init(3);
    random.random().shuffle(u32, &order);
    for (order) |index| {
        nodes[index] = .{ .start = @as(u64, index) * 100 + 10, .end = @as(u64, index) * 100 + 60 };
        tree.insert(&nodes[index]);
    }
    for (0..200) |index| {
        const base = index * 100;
        try testing.expectEqual(&nodes[index], tree.find(base + 10).?);
        try testing.expectEqual(&nodes[index], tree.find(base + 59).?);
        try testing.expectEqual(null, tree.find(base + 60));
        try testing.expectEqual(&nodes[index], tree.atOrAfter(base + 5).?);
    }
    for (order[0..100]) |index| tree.remove(&nodes[index]);
    var at = tree.first;
    var last: u64 = 0;
    var count: u32 = 0;
    while (at) |region| : (at = region.next) {
        try testing.expect(region.start >= last);
        try testing.expectEqual(region, tree.find(region.start).?);
        last = region.end;
        count += 1;
    }
    try testing.expectEqual(100, count);
    try testing.expectEqual(100, tree.count);
    for (order[0..100]) |index| try testing.expectEqual(null, tree.find(@as(u64, index) * 100 + 20));
}

test "gaps: highest first, around what is there, none when full" {
    var tree: Tree = .{};
    var middle: Region = .{ .start = 400, .end = 600 };
    tree.insert(&middle);
    try testing.expectEqual(900, tree.findGap(100, 100, 1000, 1000));
    try testing.expectEqual(300, tree.findGap(100, 100, 1000, 500));
    try testing.expectEqual(600, tree.findGap(400, 100, 1000, 300));
    try testing.expectEqual(null, tree.findGap(401, 100, 1000, 1000));
    var top: Region = .{ .start = 600, .end = 1000 };
    tree.insert(&top);
    try testing.expectEqual(100, tree.findGap(300, 100, 1000, 1000));
}
