//! Build steps of the workloads that test the kernel from inside: zig-out/tests.
const std = @import("std");
const Sdk = @import("../lib/steps.zig").Sdk;

const Workload = struct { name: []const u8, language: Sdk.Language, source: []const u8, pie: bool = false };

const list = [_]Workload{
    .{ .name = "hello", .language = .c, .source = "tests/hello.c" },
    .{ .name = "hello-pie", .language = .c, .source = "tests/hello.c", .pie = true },
    .{ .name = "library", .language = .c, .source = "tests/library.c" },
    .{ .name = "waiting", .language = .c, .source = "tests/waiting.c" },
    .{ .name = "waiting-zig", .language = .zig, .source = "tests/waiting_zig.zig" },
    .{ .name = "conformance", .language = .zig, .source = "tests/conformance.zig" },
    .{ .name = "stress", .language = .zig, .source = "tests/stress.zig" },
    .{ .name = "fuzz", .language = .zig, .source = "tests/fuzz.zig" },
    .{ .name = "hello-zig", .language = .zig, .source = "tests/hello_zig.zig" },
    .{ .name = "net-server", .language = .zig, .source = "tests/net_server.zig" },
    .{ .name = "net-wait", .language = .zig, .source = "tests/net_wait.zig" },
    .{ .name = "trace", .language = .c, .source = "tests/trace.c" },
    .{ .name = "net-names", .language = .c, .source = "tests/net_names.c" },
    .{ .name = "workloads", .language = .zig, .source = "tests/workloads.zig" },
    .{ .name = "crash", .language = .zig, .source = "tests/crash.zig" },
};

pub fn add(b: *std.Build, sdk: Sdk) void {
    const step = b.step("workloads", "Build the workloads that test the kernel from inside");
    for (list) |workload| {
        const program = sdk.addProgram(b, workload.name, workload.language, b.path(workload.source), workload.pie);
        // What the kernel promises, to be held to it.
        if (program.root_module.import_table.get("workload")) |module| {
            module.addAnonymousImport("kernel_limits", .{ .root_source_file = b.path("kernel/limits.zig") });
        }
        const install = b.addInstallArtifact(program, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
        step.dependOn(&install.step);
    }
    addLinuxProgram(b, step);
    addTool(b, step, "pack", "tests/pack.zig", "erofs", "kernel/fs/erofs.zig");
    addTool(b, step, "mutate", "tests/mutate.zig", "erofs", "kernel/fs/erofs.zig");
    addTool(b, step, "channel", "tests/channel_file.zig", "channel", "kernel/dev/channel.zig");
    addNetTap(b, step);
    addHostProgram(b, step, "net-client", "tests/net_client.zig");
    addHostProgram(b, step, "net-relay", "tests/net_relay.zig");
    b.getInstallStep().dependOn(step);
}

/// A program that runs beside the VM.
fn addHostProgram(b: *std.Build, step: *std.Build.Step, name: []const u8, root: []const u8) void {
    const module = b.createModule(.{ .root_source_file = b.path(root), .target = b.graph.host, .optimize = .ReleaseSafe });
    const install = b.addInstallArtifact(b.addExecutable(.{ .name = name, .root_module = module }), .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
    step.dependOn(&install.step);
}

/// An ordinary static Linux program, which runs on the host as well.
fn addLinuxProgram(b: *std.Build, step: *std.Build.Step) void {
    const program = b.addExecutable(.{
        .name = "linux-calls",
        .root_module = b.createModule(.{
            .root_source_file = b.path("tests/linux_calls.zig"),
            .target = b.resolveTargetQuery(.{ .cpu_arch = .x86_64, .os_tag = .linux, .abi = .none, .cpu_model = .{ .explicit = &std.Target.x86.cpu.x86_64 } }),
            .optimize = .ReleaseSafe,
            .strip = true,
        }),
    });
    const install = b.addInstallArtifact(program, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
    step.dependOn(&install.step);

    // One with a C library, whose resolver is musl's.
    const names = b.addExecutable(.{
        .name = "linux-names",
        .root_module = b.createModule(.{
            .target = b.resolveTargetQuery(.{ .cpu_arch = .x86_64, .os_tag = .linux, .abi = .musl, .cpu_model = .{ .explicit = &std.Target.x86.cpu.x86_64 } }),
            .optimize = .ReleaseSmall,
            .strip = true,
            .link_libc = true,
        }),
    });
    names.root_module.addCSourceFile(.{ .file = b.path("tests/linux_names.c"), .flags = &.{ "-std=gnu17", "-Wall", "-Wextra", "-Werror" } });
    step.dependOn(&b.addInstallArtifact(names, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } }).step);
}

/// The network stack on a tap device of the host.
fn addNetTap(b: *std.Build, step: *std.Build.Step) void {
    const module = b.createModule(.{ .root_source_file = b.path("kernel/net_tap.zig"), .target = b.graph.host, .optimize = .Debug });
    const tool = b.addExecutable(.{ .name = "net-tap", .root_module = module });
    const install = b.addInstallArtifact(tool, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
    step.dependOn(&install.step);
}

/// A program for the host that uses one of the kernel's pure modules.
fn addTool(b: *std.Build, step: *std.Build.Step, name: []const u8, root: []const u8, import: []const u8, import_root: []const u8) void {
    const module = b.createModule(.{ .root_source_file = b.path(root), .target = b.graph.host, .optimize = .Debug });
    module.addAnonymousImport(import, .{ .root_source_file = b.path(import_root) });
    const tool = b.addExecutable(.{ .name = name, .root_module = module });
    const install = b.addInstallArtifact(tool, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
    step.dependOn(&install.step);
}
