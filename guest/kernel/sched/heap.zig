//! A pairing heap whose links stand in the items, so that queueing never allocates: insert and minimum in constant
//! time, removal in logarithmic time, amortised (Fredman et al., "The pairing heap", 1986).
const std = @import("std");

pub const Links = struct {
    child: ?*Links = null,
    next: ?*Links = null,
    /// The elder sibling, or the parent of a first child; null at the root.
    previous: ?*Links = null,
    queued: bool = false,
};

pub fn Heap(comptime T: type, comptime field: []const u8, comptime less: fn (*const T, *const T) bool) type {
    return struct {
        const Self = @This();

        root: ?*Links = null,

        fn item(links: *Links) *T {
            return @alignCast(@fieldParentPtr(field, links));
        }

        pub fn min(heap: *const Self) ?*T {
            return if (heap.root) |links| item(links) else null;
        }

        pub fn insert(heap: *Self, value: *T) void {
            const links = &@field(value, field);
            std.debug.assert(!links.queued);
            links.* = .{ .queued = true };
            heap.root = if (heap.root) |root| meld(root, links) else links;
        }

        pub fn removeMin(heap: *Self) ?*T {
            const root = heap.root orelse return null;
            heap.root = mergePairs(root.child);
            if (heap.root) |new| new.previous = null;
            root.* = .{};
            return item(root);
        }

        pub fn remove(heap: *Self, value: *T) void {
            const links = &@field(value, field);
            std.debug.assert(links.queued);
            if (heap.root == links) {
                _ = heap.removeMin();
                return;
            }
            const previous = links.previous.?;
            if (previous.child == links) previous.child = links.next else previous.next = links.next;
            if (links.next) |sibling| sibling.previous = previous;
            if (mergePairs(links.child)) |rest| {
                rest.previous = null;
                heap.root = meld(heap.root.?, rest);
            }
            links.* = .{};
        }

        fn meld(a: *Links, b: *Links) *Links {
            const first, const second = if (less(item(b), item(a))) .{ b, a } else .{ a, b };
            second.next = first.child;
            if (first.child) |child| child.previous = second;
            second.previous = first;
            first.child = second;
            first.next = null;
            first.previous = null;
            return first;
        }

        fn mergePairs(first: ?*Links) ?*Links {
            // Left to right in pairs, onto a reversed list; then right to left into one.
            var rest = first;
            var pairs: ?*Links = null;
            while (rest) |a| {
                var merged = a;
                if (a.next) |b| {
                    rest = b.next;
                    a.next = null;
                    b.next = null;
                    merged = meld(a, b);
                } else rest = null;
                merged.next = pairs;
                pairs = merged;
            }
            var result = pairs orelse return null;
            var remaining = result.next;
            result.next = null;
            while (remaining) |links| {
                remaining = links.next;
                links.next = null;
                result = meld(result, links);
            }
            return result;
        }
    };
}

const TestItem = struct {
    key: u32,
    links: Links = .{},

    fn less(a: *const TestItem, b: *const TestItem) bool {
        return a.key < b.key;
    }
};

test "items leave in order, whatever was removed from the middle" {
    var random = std.Random.DefaultPrng.init(7);
    var items: [300]TestItem = undefined;
    var heap: Heap(TestItem, "links", TestItem.less) = .{};
    for (0..50) |_| {
        for (&items) |*value| {
            value.* = .{ .key = random.random().int(u32) };
            heap.insert(value);
        }
        for (items[0..100]) |*value| heap.remove(value);
        var last: u32 = 0;
        var count: usize = 0;
        while (heap.removeMin()) |value| : (count += 1) {
            try std.testing.expect(value.key >= last);
            try std.testing.expect(!value.links.queued);
            last = value.key;
        }
        try std.testing.expectEqual(200, count);
    }
}
