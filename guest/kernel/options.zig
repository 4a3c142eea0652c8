//! What a kernel contains. Each option is known when it is compiled, and what is left out is not in the image.
const std = @import("std");

/// The ABI's number; this file is read by the build, too, which has no ABI yet.
const feature_tracing = 4;

pub const Options = struct {
    /// More than one virtual CPU. Without it the kernel runs on the first, whatever the machine has.
    smp: bool,
    /// Block devices for the workload, beside the image and the channel. Without it none is found.
    disks: bool,
    /// Handlers in user mode of foreign calls, faults and interrupts, and the reading and setting of a task's registers: what adapters are built on.
    /// Without it their functions answer UNSUPPORTED; native workloads do without.
    handlers: bool,
    /// A network device, and sockets. Without it none is found, and no socket can be made.
    net: bool,
    /// Trace spans and events. Without it their functions answer UNSUPPORTED.
    tracing: bool,
    /// Registers and memory map in the report of a crash. Without it the report says what happened, where, and who called.
    crash_details: bool,

    /// As abi_features gives them.
    pub fn features(options: Options) u64 {
        return @as(u64, @intFromBool(options.tracing)) << feature_tracing;
    }

    /// The named combinations, which always boot.
    pub const Name = enum { minimal, net, full };

    pub fn named(name: Name) Options {
        return switch (name) {
            .minimal => .{ .smp = false, .disks = false, .handlers = false, .net = false, .tracing = false, .crash_details = false },
            // What a server needs that keeps nothing.
            .net => .{ .smp = true, .disks = false, .handlers = true, .net = true, .tracing = true, .crash_details = true },
            .full => .{ .smp = true, .disks = true, .handlers = true, .net = true, .tracing = true, .crash_details = true },
        };
    }
};

/// Of the kernel that is being compiled.
pub const chosen: Options = blk: {
    const build_options = @import("build_options");
    var options: Options = undefined;
    for (std.meta.fieldNames(Options)) |name| @field(options, name) = @field(build_options, name);
    break :blk options;
};
