//! The kernel's part of the one address space.
const entry = @import("../boot/entry.zig");

/// The kernel's image at its physical address plus this.
pub const kernel_base = entry.kernel_base;
/// All memory, writable and never executable, except the kernel's own text and constants, which are read-only here too.
pub const direct_base: u64 = 0xffff_8000_0000_0000;
/// Device registers at their physical address plus this, uncached.
pub const mmio_base: u64 = 0xffff_d000_0000_0000;
/// Kernel stacks, each above an unmapped page.
pub const stacks_base: u64 = 0xffff_c000_0000_0000;

pub inline fn direct(phys: u64) u64 {
    return direct_base + phys;
}
pub inline fn pointer(comptime T: type, phys: u64) *T {
    return @ptrFromInt(direct_base + phys);
}
pub inline fn page(frame: u32) *align(4096) [4096]u8 {
    return @ptrFromInt(direct_base + (@as(u64, frame) << 12));
}
