//! The privileged instructions, each behind a function. Nothing else in the kernel names one, so that a
//! paravirtual back end can stand beside this file.

pub inline fn out8(port: u16, value: u8) void {
    asm volatile ("outb %[value], %[port]"
        :
        : [value] "{al}" (value),
          [port] "N{dx}" (port),
    );
}

pub inline fn out16(port: u16, value: u16) void {
    asm volatile ("outw %[value], %[port]"
        :
        : [value] "{ax}" (value),
          [port] "N{dx}" (port),
    );
}

pub inline fn in8(port: u16) u8 {
    return asm volatile ("inb %[port], %[value]"
        : [value] "={al}" (-> u8),
        : [port] "N{dx}" (port),
    );
}

pub inline fn rdmsr(msr: u32) u64 {
    var low: u32 = undefined;
    var high: u32 = undefined;
    asm volatile ("rdmsr"
        : [low] "={eax}" (low),
          [high] "={edx}" (high),
        : [msr] "{ecx}" (msr),
    );
    return @as(u64, high) << 32 | low;
}

pub inline fn wrmsr(msr: u32, value: u64) void {
    asm volatile ("wrmsr"
        :
        : [msr] "{ecx}" (msr),
          [low] "{eax}" (@as(u32, @truncate(value))),
          [high] "{edx}" (@as(u32, @truncate(value >> 32))),
        : .{ .memory = true });
}

pub const Msr = struct {
    pub const apic_base: u32 = 0x1b;
    pub const sysenter_cs: u32 = 0x174;
    pub const efer: u32 = 0xc0000080;
    pub const star: u32 = 0xc0000081;
    pub const lstar: u32 = 0xc0000082;
    pub const cstar: u32 = 0xc0000083;
    pub const sfmask: u32 = 0xc0000084;
    pub const fs_base: u32 = 0xc0000100;
    pub const gs_base: u32 = 0xc0000101;
    pub const kernel_gs_base: u32 = 0xc0000102;
    pub const kvm_system_time: u32 = 0x4b564d01;
};

pub inline fn rdtsc() u64 {
    var low: u32 = undefined;
    var high: u32 = undefined;
    asm volatile ("rdtsc"
        : [low] "={eax}" (low),
          [high] "={edx}" (high),
        :
        : .{ .memory = true });
    return @as(u64, high) << 32 | low;
}

pub const CpuidResult = struct { eax: u32, ebx: u32, ecx: u32, edx: u32 };

pub fn cpuid(leaf: u32, subleaf: u32) CpuidResult {
    var eax: u32 = undefined;
    var ebx: u32 = undefined;
    var ecx: u32 = undefined;
    var edx: u32 = undefined;
    asm volatile ("cpuid"
        : [eax] "={eax}" (eax),
          [ebx] "={ebx}" (ebx),
          [ecx] "={ecx}" (ecx),
          [edx] "={edx}" (edx),
        : [leaf] "{eax}" (leaf),
          [subleaf] "{ecx}" (subleaf),
    );
    return .{ .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx };
}

pub inline fn readCr0() u64 {
    return asm volatile ("mov %%cr0, %[value]"
        : [value] "=r" (-> u64),
    );
}
pub inline fn writeCr0(value: u64) void {
    asm volatile ("mov %[value], %%cr0"
        :
        : [value] "r" (value),
        : .{ .memory = true });
}
pub inline fn readCr2() u64 {
    return asm volatile ("mov %%cr2, %[value]"
        : [value] "=r" (-> u64),
    );
}
pub inline fn readCr3() u64 {
    return asm volatile ("mov %%cr3, %[value]"
        : [value] "=r" (-> u64),
    );
}
pub inline fn writeCr3(value: u64) void {
    asm volatile ("mov %[value], %%cr3"
        :
        : [value] "r" (value),
        : .{ .memory = true });
}
pub inline fn readCr4() u64 {
    return asm volatile ("mov %%cr4, %[value]"
        : [value] "=r" (-> u64),
    );
}
pub inline fn writeCr4(value: u64) void {
    asm volatile ("mov %[value], %%cr4"
        :
        : [value] "r" (value),
        : .{ .memory = true });
}

pub inline fn invlpg(address: u64) void {
    asm volatile ("invlpg (%[address])"
        :
        : [address] "r" (address),
        : .{ .memory = true });
}

pub inline fn xsetbv(value: u64) void {
    asm volatile ("xsetbv"
        :
        : [index] "{ecx}" (@as(u32, 0)),
          [low] "{eax}" (@as(u32, @truncate(value))),
          [high] "{edx}" (@as(u32, @truncate(value >> 32))),
        : .{ .memory = true });
}

pub const TablePointer = extern struct {
    limit: u16 align(1),
    base: u64 align(1),
};

pub inline fn lgdt(pointer: *const TablePointer) void {
    asm volatile ("lgdt (%[pointer])"
        :
        : [pointer] "r" (pointer),
        : .{ .memory = true });
}
pub inline fn lidt(pointer: *const TablePointer) void {
    asm volatile ("lidt (%[pointer])"
        :
        : [pointer] "r" (pointer),
        : .{ .memory = true });
}
pub inline fn ltr(selector: u16) void {
    asm volatile ("ltr %[selector]"
        :
        : [selector] "r" (selector),
        : .{ .memory = true });
}

pub inline fn cli() void {
    asm volatile ("cli" ::: .{ .memory = true });
}
pub inline fn sti() void {
    asm volatile ("sti" ::: .{ .memory = true });
}
pub inline fn pause() void {
    asm volatile ("pause" ::: .{ .memory = true });
}
/// Takes what interrupts are pending, then forbids them again.
pub inline fn interruptWindow() void {
    asm volatile ("sti\nnop\nnop\ncli" ::: .{ .memory = true });
}
/// Sleeps until an interrupt; no interrupt is lost between permission and sleep.
pub inline fn waitForInterrupt() void {
    asm volatile ("sti\nhlt\ncli" ::: .{ .memory = true });
}
pub fn haltForever() noreturn {
    while (true) asm volatile ("cli\nhlt" ::: .{ .memory = true });
}
pub inline fn interruptsEnabled() bool {
    const flags = asm volatile ("pushfq\npopq %[flags]"
        : [flags] "=r" (-> u64),
        :
        : .{ .memory = true });
    return flags & (1 << 9) != 0;
}

/// Permits kernel access to user pages where the processor forbids it (SMAP).
pub inline fn stac() void {
    asm volatile ("stac" ::: .{ .memory = true });
}
pub inline fn clac() void {
    asm volatile ("clac" ::: .{ .memory = true });
}

/// Ends the machine on every VMM: an empty interrupt table turns the next trap into a triple fault.
pub fn tripleFault() noreturn {
    const empty: TablePointer = .{ .limit = 0, .base = 0 };
    lidt(&empty);
    asm volatile ("ud2" ::: .{ .memory = true });
    haltForever();
}

pub const Flags = struct {
    pub const carry: u64 = 1 << 0;
    pub const always_one: u64 = 1 << 1;
    pub const trap: u64 = 1 << 8;
    pub const interrupt: u64 = 1 << 9;
    pub const direction: u64 = 1 << 10;
    /// What user mode may choose: the arithmetic flags, direction, trap, alignment check, ID and AC.
    pub const user_mask: u64 = 0x0000_0000_0024_0dd5 | (1 << 8);
};

/// A random number of the processor's, if it has one now.
pub fn rdrand() ?u64 {
    var value: u64 = undefined;
    const ok = asm volatile (
        \\ rdrand %[value]
        \\ setc %[ok]
        : [ok] "=&r" (-> u8),
          [value] "=&r" (value),
        :
        : .{ .cc = true });
    return if (ok != 0) value else null;
}
