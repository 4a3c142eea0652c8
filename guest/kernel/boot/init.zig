//! The first task: it brings up what may have to wait for devices, loads the workload, and becomes its main thread.
const std = @import("std");
const cpu = @import("../arch/cpu.zig");
const smp = @import("../arch/smp.zig");
const traps = @import("../arch/traps.zig");
const clock = @import("../arch/clock.zig");
const serial = @import("../arch/serial.zig");
const pvh = @import("pvh.zig");
const command_line = @import("command_line.zig");
const start_cpus = @import("start_cpus.zig");
const frames = @import("../mem/frames.zig");
const paging = @import("../mem/paging.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const tasks = @import("../object/tasks.zig");

var boot_information: *const pvh.BootInformation = undefined;
var boot_devices: *const command_line.Devices = undefined;

pub fn run(information: *const pvh.BootInformation, devices: *const command_line.Devices, stack_top: u64) noreturn {
    boot_information = information;
    boot_devices = devices;
    const me = cpu.this();
    lock.acquire();
    const idle = tasks.createIdle(me) catch @panic("no memory for the idle task");
    // The boot CPU idles on the boot stack.
    idle.kernel_stack_top = stack_top;
    me.idle_task = idle;
    me.current = idle;
    me.kernel_rsp = stack_top;
    start_cpus.start(information.commandLine());
    const task = tasks.create(begin) catch @panic("no memory for the first task");
    scheduler.makeReady(task);
    lock.release();
    scheduler.idleLoop(betweenIdle);
}

pub fn betweenIdle() void {
    if (tasks.hasEnded()) tasks.reap();
}

fn begin(frame: *traps.Frame) void {
    serial.print("first task at {d} ns, {d} of {d} frames free, {d} cpus\n", .{ clock.nowNs(), frames.free, frames.total, cpu.count });
    lock.acquire();
    const page = frames.allocateZeroed().?;
    const leaf = paging.findOrMake(0x100000, false) catch unreachable;
    leaf.* = @as(u64, page) << 12 | paging.present | paging.user;
    lock.release();
    const code = [_]u8{ 0x31, 0xc0, 0x0f, 0x05, 0xb0, 0x01, 0x0f, 0x05 };
    @memcpy(@import("../mem/layout.zig").page(page)[0..code.len], &code);
    frame.rip = 0x100000;
}
