//! The machine as a whole: its end.
const x86 = @import("arch/x86.zig");
const clock = @import("arch/clock.zig");

/// Called with the other CPUs standing still and locks in any state.
pub fn recordPanic(message: []const u8) void {
    _ = message;
}

/// Ends the VM. Firecracker ends on 0xFE to port 0x64; where nothing is there, a triple fault does (QEMU with -no-reboot).
pub fn end() noreturn {
    x86.cli();
    x86.out8(0x64, 0xfe);
    // Firecracker ends asynchronously; a triple fault in the meantime would look like a crash.
    if (x86.in8(0x64) != 0xff) {
        var spins: u32 = 0;
        while (spins < 50_000_000) : (spins += 1) x86.pause();
    }
    x86.tripleFault();
}
