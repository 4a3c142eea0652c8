//! Build steps of the adapters: zig-out/adapters.
const std = @import("std");
const Abi = @import("../abi/steps.zig").Abi;
const Sdk = @import("../lib/steps.zig").Sdk;

pub fn add(b: *std.Build, abi: Abi, sdk: Sdk) void {
    const step = b.step("adapters", "Build the adapters");
    const install = b.addInstallArtifact(addLinux(b, abi, sdk), .{ .dest_dir = .{ .override = .{ .custom = "adapters" } } });
    step.dependOn(&install.step);
    b.getInstallStep().dependOn(step);
}

/// Without vector or x87 registers, so that they stay the workload's while a handler runs. Position-independent: fixed programs want
/// their own addresses.
fn addLinux(b: *std.Build, abi: Abi, sdk: Sdk) *std.Build.Step.Compile {
    const ukernel = b.createModule(.{ .root_source_file = sdk.zig.path(b, "ukernel.zig") });
    const posix = b.createModule(.{ .root_source_file = b.path("adapters/posix/root.zig") });
    posix.addImport("ukernel", ukernel);
    const gate = b.createModule(.{ .root_source_file = b.path("lib/runtime/gate.zig") });
    gate.addImport("ukernel", ukernel);
    gate.addAnonymousImport("gate_names", .{ .root_source_file = abi.generated.path(b, "gate_names.zig") });
    const module = b.createModule(.{
        .root_source_file = b.path("adapters/linux/main.zig"),
        .target = softTarget(b),
        .optimize = .ReleaseSafe,
        .strip = true,
        .pic = true,
        .stack_protector = false,
        .stack_check = false,
        .unwind_tables = .none,
        .error_tracing = false,
    });
    module.addImport("ukernel", ukernel);
    module.addImport("posix", posix);
    module.addImport("gate", gate);
    module.addAssemblyFile(abi.generated.path(b, "stubs.S"));
    const program = b.addExecutable(.{ .name = "linux", .root_module = module, .use_llvm = true, .use_lld = true });
    program.pie = true;
    program.build_id = .none;
    program.link_gc_sections = true;
    program.link_z_max_page_size = 4096;
    program.link_z_relro = false;
    return program;
}

fn softTarget(b: *std.Build) std.Build.ResolvedTarget {
    const Feature = std.Target.x86.Feature;
    var query: std.Target.Query = .{
        .cpu_arch = .x86_64,
        .os_tag = .freestanding,
        .abi = .none,
        .cpu_model = .{ .explicit = &std.Target.x86.cpu.x86_64 },
    };
    for ([_]Feature{ .x87, .mmx, .sse, .sse2 }) |feature| query.cpu_features_sub.addFeature(@intFromEnum(feature));
    query.cpu_features_add.addFeature(@intFromEnum(Feature.soft_float));
    return b.resolveTargetQuery(query);
}
