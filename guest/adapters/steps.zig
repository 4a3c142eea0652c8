//! Build steps of the adapters: zig-out/adapters.
const std = @import("std");
const Abi = @import("../abi/steps.zig").Abi;
const Sdk = @import("../lib/steps.zig").Sdk;
const targets = @import("../targets.zig");

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
    const module = targets.userModule(b, targets.soft(b), b.path("adapters/linux/main.zig"), .{ .strip = true, .pic = true });
    module.addImport("ukernel", ukernel);
    module.addImport("posix", posix);
    module.addImport("gate", gate);
    module.addAssemblyFile(abi.generated.path(b, "stubs.S"));
    return targets.userProgram(b, "linux", module, true);
}
