//! The smallest native workload in Zig.
const uk = @import("ukernel");

pub fn main() !void {
    const arguments = uk.arguments();
    try uk.print("hello from {s} ({d} arguments)\n", .{ if (arguments.len > 0) arguments[0] else "?", arguments.len });
}
