//! A circular list whose links stand in the items; an item leaves it without knowing which list it is in.
const std = @import("std");
const assert = std.debug.assert;

pub const Link = struct {
    previous: ?*Link = null,
    next: ?*Link = null,

    pub fn linked(link: *const Link) bool {
        return link.next != null;
    }

    pub fn remove(link: *Link) void {
        const next = link.next orelse return;
        next.previous = link.previous;
        link.previous.?.next = next;
        link.* = .{};
    }
};

/// Stays where it was initialised: its items point at it.
pub const List = struct {
    end: Link,

    pub fn init(list: *List) void {
        list.end = .{ .previous = &list.end, .next = &list.end };
    }

    pub fn empty(list: *const List) bool {
        return list.end.next == &list.end;
    }

    pub fn first(list: *List) ?*Link {
        return if (list.empty()) null else list.end.next.?;
    }

    pub fn append(list: *List, link: *Link) void {
        assert(!link.linked());
        const last = list.end.previous.?;
        link.* = .{ .previous = last, .next = &list.end };
        last.next = link;
        list.end.previous = link;
    }

    /// Moves all of `other` to the end of this list.
    pub fn appendAll(list: *List, other: *List) void {
        while (other.first()) |link| {
            link.remove();
            list.append(link);
        }
    }
};
