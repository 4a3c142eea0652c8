//! State of one processor, reached through GS while in the kernel. A CPU writes its own state; what others may
//! touch is atomic and says so.
const std = @import("std");
const x86 = @import("x86.zig");
const limits = @import("../limits.zig");
const options = @import("../options.zig").chosen;
const Task = @import("../object/task.zig").Task;

pub const selector_kernel_code: u16 = 0x08;
pub const selector_kernel_data: u16 = 0x10;
pub const selector_user_data: u16 = 0x20 | 3;
pub const selector_user_code: u16 = 0x28 | 3;
const selector_task_state: u16 = 0x30;

const TaskState = extern struct {
    reserved0: u32 align(4) = 0,
    rsp0: u64 align(4) = 0,
    rsp1: u64 align(4) = 0,
    rsp2: u64 align(4) = 0,
    reserved1: u64 align(4) = 0,
    ist: [7]u64 align(4) = .{0} ** 7,
    reserved2: u64 align(4) = 0,
    reserved3: u16 align(4) = 0,
    /// Beyond the segment's end: user mode reaches no port.
    io_map_base: u16 align(2) = @sizeOf(TaskState),
};
comptime {
    std.debug.assert(@sizeOf(TaskState) == 104);
}

pub const PerCpu = extern struct {
    self: *PerCpu,
    /// Top of the current task's kernel stack; the system-call entry reads it at GS:8.
    kernel_rsp: u64 = 0,
    /// Scratch of the system-call entry at GS:16.
    user_rsp: u64 = 0,
    current: *Task = undefined,
    index: u32,
    lapic_id: u32 = 0,
    idle_task: *Task = undefined,
    fpu_owner: ?*Task = null,
    /// A switch is due at the next return to user mode or preemption point.
    reschedule: std.atomic.Value(bool) = .init(false),
    online: std.atomic.Value(bool) = .init(false),
    /// Asleep in the idle loop: it flushes by itself before it runs anything else.
    idle: std.atomic.Value(bool) = .init(true),
    /// TLB flushes asked for by other CPUs, and the last one done.
    flush_wanted: std.atomic.Value(u64) = .init(0),
    flush_done: std.atomic.Value(u64) = .init(0),
    /// End of the running task's slice; 0 while nobody waits for it.
    slice_end_ns: u64 = 0,
    /// When the timer fires, and what it was started with.
    armed_ns: u64 = std.math.maxInt(u64),
    armed_tsc: u64 = 0,
    armed_ticks: u32 = 0,
    timer_fired: bool = false,
    idle_ns: u64 = 0,
    idle_since_ns: u64 = 0,
    task_state: TaskState align(16) = .{},
    descriptors: [8]u64 align(8) = .{0} ** 8,
    nmi_stack: [512]u8 align(16) = undefined,
};

comptime {
    std.debug.assert(@offsetOf(PerCpu, "kernel_rsp") == 8);
    std.debug.assert(@offsetOf(PerCpu, "user_rsp") == 16);
}

pub var all: [limits.cpus_max]*PerCpu = undefined;
/// CPUs that exist; those that are online may be fewer while they still start.
pub var count: u32 = 1;

/// Known when it is compiled in a kernel for one.
pub inline fn areSeveral() bool {
    return options.smp and count > 1;
}

var double_fault_stack: [8192]u8 align(16) = undefined;

pub inline fn this() *PerCpu {
    return asm volatile ("movq %%gs:0, %[cpu]"
        : [cpu] "=r" (-> *PerCpu),
    );
}

/// Loads descriptor tables, GS and the control registers of the CPU that calls it. The segments that are loaded stand in the new table as they did in
/// the boot table.
pub fn install(cpu: *PerCpu) void {
    @setRuntimeSafety(limits.start_checks);
    cpu.self = cpu;
    const tss_address = @intFromPtr(&cpu.task_state);
    cpu.task_state.ist[0] = @intFromPtr(&double_fault_stack) + double_fault_stack.len;
    cpu.task_state.ist[1] = @intFromPtr(&cpu.nmi_stack) + cpu.nmi_stack.len;
    cpu.descriptors = .{
        0,
        0x00af9b000000ffff,
        0x00cf93000000ffff,
        // No 32-bit code in user mode: sysret's 64-bit form does not read this one.
        0,
        0x00cff3000000ffff,
        0x00affb000000ffff,
        (@sizeOf(TaskState) - 1) | (tss_address & 0xffffff) << 16 | @as(u64, 0x89) << 40 | (tss_address >> 24 & 0xff) << 56,
        tss_address >> 32,
    };
    const pointer: x86.TablePointer = .{ .limit = @sizeOf(@TypeOf(cpu.descriptors)) - 1, .base = @intFromPtr(&cpu.descriptors) };
    x86.lgdt(&pointer);
    x86.ltr(selector_task_state);
    x86.wrmsr(x86.Msr.gs_base, @intFromPtr(cpu));
    x86.wrmsr(x86.Msr.kernel_gs_base, 0);
    x86.wrmsr(x86.Msr.fs_base, 0);
    installControlRegisters();
}

pub const Support = struct {
    smap: bool = false,
    xsave: bool = false,
    xsaveopt: bool = false,
    /// Bytes of the vector state area, and the state components it holds.
    vector_bytes: u32 = 512,
    vector_mask: u64 = 3,
};
pub var support: Support = .{};

/// The most a vector state area may take: it stands in the task's own page.
pub const vector_bytes_max: u32 = 2752;

pub fn detect() void {
    @setRuntimeSafety(limits.start_checks);
    const basic = x86.cpuid(1, 0);
    const leaf_max = x86.cpuid(0, 0).eax;
    support.xsave = basic.ecx & (1 << 26) != 0;
    if (leaf_max >= 7) support.smap = x86.cpuid(7, 0).ebx & (1 << 20) != 0;
    if (support.xsave and leaf_max >= 0xd) {
        const offered = x86.cpuid(0xd, 0);
        // x87, SSE, AVX and the three parts of AVX-512; whatever else there is stays off.
        var mask: u64 = (@as(u64, offered.edx) << 32 | offered.eax) & 0xe7;
        if (mask & 0xe0 != 0xe0) mask &= 0x7;
        var bytes: u32 = if (mask & 4 != 0) 832 else 576;
        if (mask & 0xe0 != 0) {
            const last = x86.cpuid(0xd, 7);
            bytes = last.ebx + last.eax;
            if (bytes > vector_bytes_max) {
                mask &= 0x7;
                bytes = 832;
            }
        }
        support.vector_mask = mask;
        support.vector_bytes = bytes;
        support.xsaveopt = x86.cpuid(0xd, 1).eax & 1 != 0;
    }
}

/// Whether QEMU's software emulation is the processor.
pub fn isEmulated() bool {
    const leaf = x86.cpuid(0x40000000, 0);
    return std.mem.eql(u8, std.mem.asBytes(&[_]u32{ leaf.ebx, leaf.ecx, leaf.edx }), "TCGTCGTCGTCG");
}

fn installControlRegisters() void {
    @setRuntimeSafety(limits.start_checks);
    // Write protection, native x87 errors, no emulation: CR0.{PG, WP, NE, ET, MP, PE}.
    x86.writeCr0(0x80010033);
    var cr4: u64 = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10;
    const leaf_max = x86.cpuid(0, 0).eax;
    if (leaf_max >= 7) {
        const extended = x86.cpuid(7, 0);
        if (extended.ebx & (1 << 7) != 0) cr4 |= 1 << 20;
        if (extended.ebx & (1 << 20) != 0) cr4 |= 1 << 21;
        if (extended.ecx & (1 << 2) != 0) cr4 |= 1 << 11;
    }
    if (support.xsave) cr4 |= 1 << 18;
    x86.writeCr4(cr4);
    if (support.xsave) x86.xsetbv(support.vector_mask);
    x86.wrmsr(x86.Msr.efer, x86.rdmsr(x86.Msr.efer) | 1);
    x86.wrmsr(x86.Msr.star, @as(u64, selector_kernel_code) << 32 | @as(u64, 0x18 | 3) << 48);
    x86.wrmsr(x86.Msr.sfmask, 0x0000_0000_003f_7fd5);
    x86.wrmsr(x86.Msr.sysenter_cs, 0);
}
