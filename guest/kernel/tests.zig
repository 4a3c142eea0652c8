//! Unit tests of the modules that need no machine.
test {
    _ = @import("boot/memory_map.zig");
    _ = @import("boot/command_line.zig");
    _ = @import("arch/rate.zig");
    _ = @import("sched/heap.zig");
    _ = @import("mem/regions.zig");
    _ = @import("latency.zig");
}
