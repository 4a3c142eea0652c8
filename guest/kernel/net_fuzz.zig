//! Malformed frames by the million for the network stack: net-fuzz FRAMES [SEED]. Each hundred thousand has a seed of its own, which is named when they fail.
const std = @import("std");
const fuzz = @import("net/fuzz.zig");

const frames_per_seed: u64 = 100_000;

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    if (arguments.len < 2) return error.Usage;
    const frames = try std.fmt.parseInt(u64, arguments[1], 10);
    var seed = if (arguments.len > 2) try std.fmt.parseInt(u64, arguments[2], 10) else 1;
    var done: u64 = 0;
    while (done < frames) : (done += frames_per_seed) {
        errdefer std.debug.print("seed {d}\n", .{seed});
        if (done % 1_000_000 == 0) std.debug.print("{d} frames, seed {d}\n", .{ done, seed });
        try fuzz.run(@min(frames_per_seed, frames - done), seed);
        seed += 1;
    }
    std.debug.print("{d} malformed frames broke nothing and left nothing\n", .{frames});
}
