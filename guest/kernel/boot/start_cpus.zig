//! Starting the other CPUs: INIT and start-up messages to all of them at once; each takes a number as it arrives, so
//! that nothing has to be known about them but how many there are.
const std = @import("std");
const options = @import("../options.zig").chosen;
const x86 = @import("../arch/x86.zig");
const cpu = @import("../arch/cpu.zig");
const traps = @import("../arch/traps.zig");
const lapic = @import("../arch/lapic.zig");
const smp = @import("../arch/smp.zig");
const clock = @import("../arch/clock.zig");
const entry = @import("entry.zig");
const frames = @import("../mem/frames.zig");
const paging = @import("../mem/paging.zig");
const layout = @import("../mem/layout.zig");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const tasks = @import("../object/tasks.zig");

var ap_next_index: u32 = 1;
var ap_index_end: u32 = 1;
var ap_root: u64 = 0;
var ap_stack_tops: [limits.cpus_max]u64 = .{0} ** limits.cpus_max;

comptime {
    // What the trampoline reads, and where it goes.
    if (options.smp) {
        @export(&ap_next_index, .{ .name = "ap_next_index" });
        @export(&ap_index_end, .{ .name = "ap_index_end" });
        @export(&ap_root, .{ .name = "ap_root" });
        @export(&ap_stack_tops, .{ .name = "ap_stack_tops" });
        @export(&ap_main, .{ .name = "ap_main" });
    }
}

extern const ap_trampoline_start: u8;
extern const ap_trampoline_end: u8;

/// How many CPUs the machine has: what the command line says (`ukernel.cpus=`), QEMU's fw_cfg, or the processor's own topology.
fn countCpus(wanted: ?u64) u32 {
    if (wanted) |number| return @intCast(std.math.clamp(number, 1, limits.cpus_max));
    if (firmwareCount()) |number| return std.math.clamp(number, 1, limits.cpus_max);
    const basic = x86.cpuid(1, 0);
    if (basic.edx & (1 << 28) == 0) return 1;
    return std.math.clamp(basic.ebx >> 16 & 0xff, 1, limits.cpus_max);
}

fn firmwareCount() ?u32 {
    const selector: u16 = 0x510;
    const data: u16 = 0x511;
    x86.out16(selector, 0);
    if (firmwareWord(data) != std.mem.readInt(u32, "QEMU", .little)) return null;
    x86.out16(selector, 5);
    return firmwareWord(data) & 0xffff;
}

/// Four bytes without a branch between them.
inline fn firmwareWord(data: u16) u32 {
    var word: u32 = 0;
    inline for (0..4) |index| word |= @as(u32, x86.in8(data)) << 8 * index;
    return word;
}

/// Returns at once; the CPUs take part when they arrive.
pub fn start(wanted: ?u64) void {
    if (!options.smp) return;
    const count = countCpus(wanted);
    if (count == 1) return;
    for (1..count) |index| {
        const frame = frames.allocateZeroed() orelse @panic("no memory for a CPU's state");
        const state: *cpu.PerCpu = @ptrCast(layout.page(frame));
        state.* = .{ .self = state, .index = @intCast(index) };
        const idle = tasks.createIdle(state) catch @panic("no memory for a CPU's idle task");
        state.idle_task = idle;
        state.current = idle;
        state.kernel_rsp = idle.kernel_stack_top;
        ap_stack_tops[index] = idle.kernel_stack_top;
        cpu.all[index] = state;
    }
    ap_root = paging.rootPhys();
    const bytes = @intFromPtr(&ap_trampoline_end) - @intFromPtr(&ap_trampoline_start);
    const code: [*]const u8 = @ptrCast(&ap_trampoline_start);
    @memcpy(layout.page(entry.trampoline_phys >> 12)[0..bytes], code[0..bytes]);
    cpu.count = count;
    @atomicStore(u32, &ap_index_end, count, .seq_cst);
    lapic.sendInitToOthers();
    const vector: u8 = entry.trampoline_phys >> 12;
    // The manuals ask for 10 ms after INIT, for processors of the last century; no VMM needs it.
    waitNs(20_000);
    lapic.sendStartToOthers(vector);
    waitNs(20_000);
    lapic.sendStartToOthers(vector);
}

fn waitNs(duration_ns: u64) void {
    const start_ns = clock.nowNs();
    while (clock.nowNs() - start_ns < duration_ns) x86.pause();
}

fn ap_main(index: u32) callconv(.c) noreturn {
    const state = cpu.all[index];
    cpu.install(state);
    traps.install();
    lapic.install();
    state.lapic_id = lapic.id();
    x86.writeCr3(x86.readCr3());
    state.flush_done.store(state.flush_wanted.load(.seq_cst), .seq_cst);
    state.online.store(true, .seq_cst);
    smp.standStillIfStopped();
    scheduler.idleLoop(tasks.reapEnded);
}
