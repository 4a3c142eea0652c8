//! The kernel from its first instruction in the upper half to the workload's first in user mode.
const std = @import("std");
const limits = @import("limits.zig");
const x86 = @import("arch/x86.zig");
const cpu = @import("arch/cpu.zig");
const traps = @import("arch/traps.zig");
const lapic = @import("arch/lapic.zig");
const clock = @import("arch/clock.zig");
const serial = @import("arch/serial.zig");
const start_cpus = @import("boot/start_cpus.zig");
const pvh = @import("boot/pvh.zig");
const entry = @import("boot/entry.zig");
const memory_map = @import("boot/memory_map.zig");
const command_line = @import("boot/command_line.zig");
const frames = @import("mem/frames.zig");
const paging = @import("mem/paging.zig");
const layout = @import("mem/layout.zig");
const scheduler = @import("sched/scheduler.zig");
const disk = @import("object/disk.zig");
const kernel_panic = @import("panic.zig");
const init = @import("boot/init.zig");

comptime {
    _ = entry;
    _ = @import("arch/dispatch.zig");
    _ = @import("arch/fill.zig");
}

pub const panic = std.debug.FullPanic(kernel_panic.panic);

var boot: pvh.BootInformation = .{};
var settings: command_line.Settings = .{};
var boot_cpu: cpu.PerCpu = .{ .self = undefined, .index = 0 };

/// The kernel starts on the uppermost page of the stack that its idle task takes over.
extern const boot_idle_stack_top: u8;

export fn kernel_main(entry_tsc: u64, start_info: u64) callconv(.c) noreturn {
    @setRuntimeSafety(limits.start_checks);
    // Exceptions first, so that whatever goes wrong from here says what.
    cpu.detect();
    cpu.all[0] = &boot_cpu;
    cpu.install(&boot_cpu);
    boot_cpu.online.store(true, .monotonic);
    boot_cpu.idle.store(false, .monotonic);
    traps.buildTable();
    traps.install();
    serial.init();
    pvh.read(&boot, start_info) catch |failure| switch (failure) {
        error.NoStartInfo => @panic("not started by PVH: no start info"),
        error.NoMemoryMap => @panic("the VMM gave no memory map"),
    };
    settings.read(boot.commandLine());
    setUpMemory();
    lapic.maskLegacyController();
    lapic.install();
    boot_cpu.lapic_id = lapic.id();
    // What the disks are asked for here comes while the rest is set up.
    disk.probe(settings.deviceSlice());
    disk.askRoles();
    clock.init(entry_tsc);
    init.run(&boot, &settings, @intFromPtr(&boot_idle_stack_top));
}

/// Room that the kernel's own tables are built in before the frame allocator stands: what mapping 512 GiB takes.
fn setUpMemory() void {
    @setRuntimeSafety(limits.start_checks);
    var usable = memory_map.usable(boot.map[0..boot.map_entries]);
    const image = paging.kernelImage();
    // Page 0 stays free of use: a physical null is never a frame.
    usable.exclude(.{ .start = 0, .end = limits.page_bytes });
    var mmio: [limits.virtio_devices_max + 2]u64 = undefined;
    const pages = mmioPages(&mmio);
    const tables_end = for (usable.slice()) |range| {
        if (range.start <= image.start and range.end > image.end) break range.end;
    } else @panic("the kernel does not lie in usable memory");
    const module_page = boot.module_address & ~(limits.page_bytes - 1);
    const limit = if (boot.module_bytes != 0 and module_page >= image.end and module_page < tables_end) module_page else tables_end;
    const tables_used = paging.build(&usable, image.end, limit, pages);
    usable.exclude(.{ .start = image.start, .end = tables_used });
    usable.exclude(.{ .start = entry.trampoline_phys, .end = entry.trampoline_phys + limits.page_bytes });
    usable.exclude(.{ .start = boot.module_address, .end = boot.module_address +| boot.module_bytes });
    frames.init(&usable);
}

fn mmioPages(pages: []u64) []const u64 {
    @setRuntimeSafety(limits.start_checks);
    pages[0] = lapic.lapic_phys;
    pages[1] = lapic.ioapic_phys;
    var count: usize = 2;
    // Several transports may stand in one page, which is then mapped several times, to the same effect.
    for (settings.deviceSlice()) |device| {
        pages[count] = device.address & ~(limits.page_bytes - 1);
        count += 1;
    }
    return pages[0..count];
}
