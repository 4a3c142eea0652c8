//! The local APIC (xAPIC, memory mapped) and the IOAPIC. The 8259 is masked before the first `sti`: on
//! Firecracker it comes up unmasked and delivers vector 5.
const x86 = @import("x86.zig");
const layout = @import("../mem/layout.zig");
const traps = @import("traps.zig");

pub const lapic_phys: u64 = 0xfee00000;
pub const ioapic_phys: u64 = 0xfec00000;
pub const ioapic_inputs: u32 = 24;

const Register = struct {
    const id: u32 = 0x20;
    const task_priority: u32 = 0x80;
    const end_of_interrupt: u32 = 0xb0;
    const spurious: u32 = 0xf0;
    const command_low: u32 = 0x300;
    const command_high: u32 = 0x310;
    const timer: u32 = 0x320;
    const lint0: u32 = 0x350;
    const lint1: u32 = 0x360;
    const initial_count: u32 = 0x380;
    const current_count: u32 = 0x390;
    const divide: u32 = 0x3e0;
};

fn pointer(register: u32) *volatile u32 {
    return @ptrFromInt(layout.mmio_base + lapic_phys + register);
}
inline fn read(register: u32) u32 {
    return pointer(register).*;
}
inline fn write(register: u32, value: u32) void {
    pointer(register).* = value;
}

pub fn maskLegacyController() void {
    x86.out8(0x21, 0xff);
    x86.out8(0xa1, 0xff);
}

pub fn install() void {
    x86.wrmsr(x86.Msr.apic_base, x86.rdmsr(x86.Msr.apic_base) | 1 << 11);
    // Enabled first: while it is not, a local vector stays masked whatever is written (SDM 3A, 12.4.7.2). KVM keeps to that, QEMU's own does not.
    write(Register.spurious, 0x100 | @as(u32, traps.Vector.spurious));
    write(Register.task_priority, 0);
    write(Register.lint0, 1 << 16);
    write(Register.lint1, 1 << 16);
    write(Register.divide, 0xb);
    write(Register.timer, traps.Vector.timer);
}

pub fn id() u32 {
    return read(Register.id) >> 24;
}

pub inline fn endOfInterrupt() void {
    write(Register.end_of_interrupt, 0);
}

/// The timer counts down once at 1 GHz, the bus clock of every supported VMM; 0 stops it.
pub inline fn startTimer(ticks: u32) void {
    write(Register.initial_count, ticks);
}
pub inline fn timerRemaining() u32 {
    return read(Register.current_count);
}

pub fn sendInterrupt(lapic_id: u32, vector: u8) void {
    write(Register.command_high, lapic_id << 24);
    write(Register.command_low, vector);
}

const all_but_self: u32 = 3 << 18;
pub fn sendInitToOthers() void {
    write(Register.command_low, all_but_self | 0x4500);
}
pub fn sendStartToOthers(vector: u8) void {
    write(Register.command_low, all_but_self | 0x4600 | @as(u32, vector));
}
pub fn sendNmi(lapic_id: u32) void {
    write(Register.command_high, lapic_id << 24);
    write(Register.command_low, 0x4400);
}

fn ioapicWrite(register: u32, value: u32) void {
    const base: u64 = layout.mmio_base + ioapic_phys;
    @as(*volatile u32, @ptrFromInt(base)).* = register;
    @as(*volatile u32, @ptrFromInt(base + 0x10)).* = value;
}

/// Routes an edge-triggered, active-high input to a CPU. The vector is irq_first + input.
pub fn routeInput(input: u32, lapic_id: u32) void {
    if (input >= ioapic_inputs) return;
    ioapicWrite(0x10 + input * 2 + 1, lapic_id << 24);
    ioapicWrite(0x10 + input * 2, @as(u32, traps.Vector.irq_first) + input);
}
