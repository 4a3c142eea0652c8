//! What a native workload links besides its own code: start-up, the way to the gate, and a small C environment.
comptime {
    _ = @import("start.zig");
    _ = @import("console.zig");
    _ = @import("print.zig");
    _ = @import("memory.zig");
    _ = @import("strings.zig");
    _ = @import("threads.zig");
    _ = @import("trace.zig");
    _ = @import("waiting.zig");
}

/// A failed safety check of this library ends the VM with a message, as a workload's own would.
pub const panic = @import("ukernel").panic;
