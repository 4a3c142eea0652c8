//! The first task: it brings up what may have to wait for devices, loads the workload, and becomes its main thread.
const std = @import("std");
const limits = @import("../limits.zig");
const abi = @import("abi");
const cpu = @import("../arch/cpu.zig");
const lapic = @import("../arch/lapic.zig");
const traps = @import("../arch/traps.zig");
const clock = @import("../arch/clock.zig");
const serial = @import("../arch/serial.zig");
const pvh = @import("pvh.zig");
const command_line = @import("command_line.zig");
const load = @import("load.zig");
const start_cpus = @import("start_cpus.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const paging = @import("../mem/paging.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const channel = @import("../object/channel.zig");
const disk = @import("../object/disk.zig");
const gate = @import("../object/gate.zig");
const handles = @import("../object/handles.zig");
const image = @import("../object/image.zig");
const network = @import("../object/network.zig");
const options = @import("../options.zig").chosen;
const random = @import("../object/random.zig");
const tasks = @import("../object/tasks.zig");
const machine = @import("../machine.zig");
const text = @import("../fs/text.zig");

var boot_information: *const pvh.BootInformation = undefined;
var settings: *const command_line.Settings = undefined;

pub fn run(information: *const pvh.BootInformation, words: *const command_line.Settings, stack_top: u64) noreturn {
    @setRuntimeSafety(limits.start_checks);
    boot_information = information;
    settings = words;
    const me = cpu.this();
    lock.acquire();
    const idle = tasks.createBootIdle(me, stack_top) catch @panic("no memory for the idle task");
    me.idle_task = idle;
    me.current = idle;
    const task = tasks.create(begin) catch @panic("no memory for the first task");
    tasks.main = task;
    task.handle = handles.openPollable(.task, task, &task.source) catch @panic("no memory for the first handle");
    scheduler.startFirst(task);
}

/// What the image and the run-time configuration say; needed while starting only, then its memory is given back.
const Texts = struct {
    manifest_bytes: [text.text_bytes_max]u8,
    manifest: text.Manifest,
    configuration: text.Configuration,
};
var texts: Texts linksection(".init_bss") = undefined;

extern const __init_start: u8;
extern const __init_end: u8;

/// Ends the VM with a message for people and for the host: the kernel could not start the workload.
pub fn refuse(comptime format: []const u8, arguments: anytype) noreturn {
    var buffer: [400]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    writer.print(format, arguments) catch {};
    serial.print("ukernel: {s}\n", .{writer.buffered()});
    machine.shutDown(machine.refused_status, .kernel_panic, writer.buffered());
}

fn begin(frame: *traps.Frame) void {
    channel.phase("kernel");
    lapic.routeInput(4, cpu.all[0].lapic_id);
    serial.enableReceiveInterrupt();
    gate.map() catch refuse("no memory for the gate", .{});
    const root = disk.findRoles();
    channel.phase("devices");
    selfTest(settings.selftest orelse 0);
    if (root == null) refuse("no block device holds an image: attach the packed image as a drive", .{});
    image.mount() catch |failure| refuse("the image's file system cannot be mounted: {s}", .{@errorName(failure)});
    readManifest();
    const configuration_text = configurationText();
    load.keepConfiguration(configuration_text) catch refuse("no memory for the run-time configuration", .{});
    readConfiguration(configuration_text);
    random.seed(texts.configuration.seed);
    if (options.net) network.start(&texts.configuration);
    if (texts.configuration.wall_ns) |wall_ns| machine.wall_at_entry_ns = wall_ns;
    start_cpus.start(settings.cpus);
    const task = scheduler.current();
    for (&task.may_acquire, texts.manifest.rights) |*slot, rights| slot.* = rights;
    load.enter(frame, &texts.manifest, &texts.configuration);
    giveBack();
    disk.endStart();
    task.run_since_ns = clock.nowNs();
    scheduler.callSoon(channel.begin);
    channel.phase("workload");
}

/// `ukernel.selftest=1` panics and `=2` faults inside the kernel, so that tests can see what is said then.
fn selfTest(number: u64) void {
    switch (number) {
        1 => @panic("asked for by ukernel.selftest"),
        2 => {
            const nowhere: *const volatile u64 = @ptrFromInt(layout.mmio_base);
            _ = nowhere.*;
        },
        else => {},
    }
}

fn readManifest() void {
    const manifest = &texts.manifest;
    const content = load.readFile("/manifest", &texts.manifest_bytes) catch |failure|
        refuse("/manifest in the image cannot be read: {s}", .{@errorName(failure)});
    load.keepManifest(content) catch refuse("no memory for the manifest", .{});
    if (manifest.parse(content)) |problem| {
        refuse("/manifest line {d} ({s}): {s}", .{ problem.line, problem.key, problem.reason.explain() });
    }
    if (!manifest.runsOn(abi.version_major, abi.version_minor)) {
        refuse("the workload was built for ABI {d}.{d}, this kernel has {d}.{d}: pack it with a matching kernel", .{
            manifest.abi_major, manifest.abi_minor, abi.version_major, abi.version_minor,
        });
    }
}

fn configurationText() []u8 {
    const bytes = boot_information.module_bytes;
    if (bytes == 0) return &.{};
    if (bytes > text.text_bytes_max) refuse("the run-time configuration is longer than 64 KiB", .{});
    const content: [*]u8 = @ptrFromInt(layout.direct(boot_information.module_address));
    return content[0..bytes];
}

fn readConfiguration(content: []u8) void {
    texts.configuration.clear();
    if (content.len == 0) return;
    if (texts.configuration.parse(content)) |problem| {
        refuse("run-time configuration line {d} ({s}): {s}", .{ problem.line, problem.key, problem.reason.explain() });
    }
}

/// The memory of what only starting needed.
fn giveBack() void {
    const start = @intFromPtr(&__init_start);
    const end = @intFromPtr(&__init_end);
    lock.acquire();
    defer lock.release();
    frames.donate(start - layout.kernel_base, end - layout.kernel_base);
    if (boot_information.module_bytes != 0) {
        frames.donate(boot_information.module_address, boot_information.module_address + boot_information.module_bytes);
    }
}
