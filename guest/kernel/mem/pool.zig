//! Small kernel objects of one type, in pages of the frame allocator's. The kernel lock protects every pool.
const frames = @import("frames.zig");
const layout = @import("layout.zig");
const slots = @import("slots.zig");

const Frames = struct {
    pub fn allocate(_: Frames) ?slots.PagePointer {
        return layout.page(frames.allocateUser() orelse return null);
    }

    pub fn release(_: Frames, page: slots.PagePointer) void {
        frames.release(@intCast((@intFromPtr(page) - layout.direct_base) >> 12));
    }
};

pub fn Pool(comptime T: type) type {
    return struct {
        const Self = @This();

        slots: slots.Slots(T, Frames) = .{},

        /// With undefined content.
        pub fn create(pool: *Self) error{OutOfMemory}!*T {
            return pool.slots.create(.{});
        }

        pub fn destroy(pool: *Self, value: *T) void {
            pool.slots.destroy(.{}, value);
        }
    };
}
