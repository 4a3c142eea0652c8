const uk = @import("ukernel");

pub fn main() !void {
    const arguments = uk.arguments();
    try uk.print("hello from {s} on the µKernel\n", .{arguments[0]});
    for (arguments[1..], 1..) |argument, number| {
        try uk.print("argument {d}: {s}\n", .{ number, argument });
    }
    try uk.log(.info, "said hello");
}
