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
const kernel_panic = @import("panic.zig");
const init = @import("boot/init.zig");

comptime {
    _ = entry;
    _ = @import("arch/dispatch.zig");
}

pub const panic = std.debug.FullPanic(kernel_panic.panic);

var boot: pvh.BootInformation = .{};
var boot_cpu: cpu.PerCpu = .{ .self = undefined, .index = 0 };

extern const boot_stack_top: u8;

export fn kernel_main(entry_tsc: u64, start_info: u64) callconv(.c) noreturn {
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
    var devices = command_line.virtioDevices(boot.commandLine());
    if (devices.count == 0) devices = command_line.fixedTransports();
    setUpMemory(&devices);
    lapic.maskLegacyController();
    lapic.install();
    boot_cpu.lapic_id = lapic.id();
    clock.init(entry_tsc);
    init.run(&boot, &devices, @intFromPtr(&boot_stack_top));
}

/// Room that the kernel's own tables are built in before the frame allocator stands: what mapping 512 GiB takes.
fn setUpMemory(devices: *const command_line.Devices) void {
    var usable = memory_map.usable(boot.map[0..boot.map_entries]);
    const image = paging.kernelImage();
    // Page 0 stays free of use: a physical null is never a frame.
    usable.exclude(.{ .start = 0, .end = limits.page_bytes });
    var mmio: [limits.virtio_devices_max + 2]u64 = undefined;
    const pages = mmioPages(devices, &mmio);
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

fn mmioPages(devices: *const command_line.Devices, pages: []u64) []const u64 {
    pages[0] = lapic.lapic_phys;
    pages[1] = lapic.ioapic_phys;
    var count: usize = 2;
    for (devices.slice()) |device| {
        const page = device.address & ~(limits.page_bytes - 1);
        if (std.mem.indexOfScalar(u64, pages[0..count], page) != null) continue;
        pages[count] = page;
        count += 1;
    }
    return pages[0..count];
}
