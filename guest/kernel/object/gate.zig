//! The gate's pages in the address space, and which instruction is the one entry to the kernel.
const std = @import("std");
const gate_image = @import("gate");
const abi = @import("abi");
const limits = @import("../limits.zig");
const clock = @import("../arch/clock.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const space = @import("../mem/space.zig");

pub const bytes: u64 = gate_image.page_count * limits.page_bytes;
/// Where the gate is mapped; set once, before user mode runs.
pub var base: u64 = 0;
var return_address: u64 = std.math.maxInt(u64);

comptime {
    std.debug.assert(gate_image.page_bytes == limits.page_bytes);
    std.debug.assert(@offsetOf(abi.ClockPage, "sequence") == @offsetOf(clock.Scale, "sequence"));
    std.debug.assert(@offsetOf(abi.ClockPage, "usable") == @offsetOf(clock.Scale, "usable"));
    std.debug.assert(@offsetOf(abi.ClockPage, "tsc_base") == @offsetOf(clock.Scale, "base_tsc"));
    std.debug.assert(@offsetOf(abi.ClockPage, "ns_base") == @offsetOf(clock.Scale, "base_ns"));
    std.debug.assert(@offsetOf(abi.ClockPage, "multiplier") == @offsetOf(clock.Scale, "multiplier"));
}

/// Whether a `syscall` that returns to `rip` was the gate's own.
pub inline fn isCall(rip: u64) bool {
    return rip == return_address;
}

pub fn handlerReturn() u64 {
    return base + gate_image.handler_return_offset;
}
pub fn clockAddress() u64 {
    return base + gate_image.clock_offset;
}

pub fn map() space.Error!void {
    base = try space.map(.anywhere, bytes, .{ .read = true }, .kernel, null);
    for (0..gate_image.page_count) |index| {
        const address = base + index * limits.page_bytes;
        if (index * limits.page_bytes == gate_image.clock_offset) {
            const frame = frames.allocateZeroed() orelse return error.OutOfMemory;
            clock.publish(@ptrCast(layout.page(frame)));
            try space.mapKernelPage(address, @as(u64, frame) << 12, false);
            continue;
        }
        const phys = @intFromPtr(&gate_image.image) + index * limits.page_bytes - layout.kernel_base;
        try space.mapKernelPage(address, phys, gate_image.permissions[index] == .read_exec);
    }
    return_address = base + gate_image.return_offset;
}
