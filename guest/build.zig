//! Builds what runs inside a VM: the kernel in its named combinations, and the unit tests that run on the host.
//!
//!   zig build                       every artifact below zig-out/
//!   zig build kernel -Dvariant=net  one kernel: zig-out/kernel/ukernel-net.elf
//!   zig build kernel -Dsmp=false    all of full but this (kernel/options.zig): zig-out/kernel/ukernel-custom.elf
//!   zig build kernel-debug          the same kernels with debug information: zig-out/kernel/ukernel-*.debug
//!   zig build test                  unit tests of the pure kernel modules, on the host
//!   zig build net-fuzz -- 5000000   malformed frames for the network stack, on the host
//!   zig build net-bench             what the network stack costs by itself, on the host
const std = @import("std");
const Abi = @import("abi/steps.zig").Abi;
const fs_steps = @import("kernel/fs/steps.zig");
const Sdk = @import("lib/steps.zig").Sdk;
const adapters = @import("adapters/steps.zig");
const targets = @import("targets.zig");
const workloads = @import("tests/steps.zig");
const Options = @import("kernel/options.zig").Options;

pub fn build(b: *std.Build) void {
    const only = b.option(Options.Name, "variant", "Build only this combination of the kernel (default: all three)");
    const optimize = b.option(std.builtin.OptimizeMode, "kernel-optimize", "Optimisation of the kernel (default: ReleaseSafe)") orelse .ReleaseSafe;

    const abi: Abi = .create(b);
    const kernel_step = b.step("kernel", "Build the kernel");
    const debug_step = b.step("kernel-debug", "Build the kernels' debug information");
    for (std.enums.values(Options.Name)) |variant| {
        if (only) |chosen| if (chosen != variant) continue;
        const name = b.fmt("ukernel-{s}", .{@tagName(variant)});
        installKernel(b, addKernel(b, abi, name, .named(variant), optimize), kernel_step, debug_step);
    }
    if (customOptions(b)) |options| installKernel(b, addKernel(b, abi, "ukernel-custom", options, optimize), kernel_step, debug_step);
    b.getInstallStep().dependOn(kernel_step);
    b.getInstallStep().dependOn(debug_step);

    const test_step = b.step("test", "Run the unit tests of the pure modules on the host");
    addHostTest(b, test_step, "kernel/tests.zig");
    addHostTest(b, test_step, "kernel/dev/tests.zig");
    addHostTest(b, test_step, "kernel/net_tests.zig");
    addHostTest(b, test_step, "lib/zig/dns_test.zig");

    abi.addTests(b, test_step);
    abi.addDocs(b, test_step);
    fs_steps.addTests(b, abi.types, test_step);

    addHostProgram(b, "net-fuzz", "Mutate what two network stacks say to each other: -- FRAMES [SEED]");
    addHostProgram(b, "net-bench", "Measure what the network stack costs by itself");

    const sdk: Sdk = .create(b, abi);
    sdk.install(b);
    adapters.add(b, abi, sdk);
    workloads.add(b, sdk);

    const tidy = b.addFmt(.{ .paths = &.{ "abi", "build.zig", "kernel", "lib", "tests" }, .check = true });
    test_step.dependOn(&tidy.step);
}

/// The options of the full kernel with those that the command line names; null when it names none.
fn customOptions(b: *std.Build) ?Options {
    var options: Options = .named(.full);
    var named = false;
    inline for (comptime std.meta.fieldNames(Options)) |name| {
        if (b.option(bool, name, "Of a kernel of its own: see kernel/options.zig")) |value| {
            @field(options, name) = value;
            named = true;
        }
    }
    return if (named) options else null;
}

fn addKernel(
    b: *std.Build,
    abi: Abi,
    name: []const u8,
    chosen: Options,
    optimize: std.builtin.OptimizeMode,
) *std.Build.Step.Compile {
    const options = b.addOptions();
    inline for (comptime std.meta.fieldNames(Options)) |option| options.addOption(bool, option, @field(chosen, option));

    const module = b.createModule(.{
        .root_source_file = b.path("kernel/main.zig"),
        .target = targets.soft(b),
        .optimize = optimize,
        .code_model = .kernel,
        .strip = false,
        .red_zone = false,
        .omit_frame_pointer = false,
        .stack_protector = false,
        .stack_check = false,
        .unwind_tables = .none,
        .error_tracing = false,
        .single_threaded = false,
        .pic = false,
    });
    module.addOptions("build_options", options);
    module.addImport("abi", abi.types);
    module.addImport("dispatch", abi.dispatch);
    module.addImport("gate", abi.gate);

    const exe = b.addExecutable(.{
        .name = name,
        .root_module = module,
        // Other back ends silently ignore global assembly and the linker script.
        .use_llvm = true,
        .use_lld = true,
    });
    exe.setLinkerScript(b.path("kernel/kernel.ld"));
    exe.entry = .{ .symbol_name = "pvh_entry" };
    exe.build_id = .none;
    exe.link_gc_sections = true;
    exe.pie = false;
    exe.link_z_max_page_size = 4096;
    exe.lto = .none;
    return exe;
}

/// Debug information names the folder it was built in, so it stands in a file of its own, and the kernel is the same wherever it is built.
fn installKernel(b: *std.Build, kernel: *std.Build.Step.Compile, kernel_step: *std.Build.Step, debug_step: *std.Build.Step) void {
    const loadable = b.addExecutable(.{
        .name = "loadable",
        .root_module = b.createModule(.{ .root_source_file = b.path("kernel/loadable.zig"), .target = b.graph.host, .optimize = .ReleaseSafe }),
    });
    const copy = b.addRunArtifact(loadable);
    copy.addArtifactArg(kernel);
    const name = b.fmt("{s}.elf", .{kernel.name});
    kernel_step.dependOn(&b.addInstallFileWithDir(copy.addOutputFileArg(name), .{ .custom = "kernel" }, name).step);
    const debug = b.addInstallFileWithDir(kernel.getEmittedBin(), .{ .custom = "kernel" }, b.fmt("{s}.debug", .{kernel.name}));
    debug_step.dependOn(&debug.step);
}

/// A program that runs on the host what of the kernel is pure: kernel/net_fuzz.zig for net-fuzz.
fn addHostProgram(b: *std.Build, name: []const u8, description: []const u8) void {
    const root = b.fmt("kernel/{s}.zig", .{name});
    std.mem.replaceScalar(u8, root, '-', '_');
    const program = b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{ .root_source_file = b.path(root), .target = b.graph.host, .optimize = .ReleaseSafe }),
    });
    const run = b.addRunArtifact(program);
    if (b.args) |arguments| run.addArgs(arguments);
    b.step(name, description).dependOn(&run.step);
}

fn addHostTest(b: *std.Build, step: *std.Build.Step, root: []const u8) void {
    const tests = b.addTest(.{
        .root_module = b.createModule(.{ .root_source_file = b.path(root), .target = b.graph.host, .optimize = .Debug }),
    });
    step.dependOn(&b.addRunArtifact(tests).step);
}
