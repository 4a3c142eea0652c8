//! Build steps of the workloads that test the kernel from inside: zig-out/tests.
const std = @import("std");
const Sdk = @import("../lib/steps.zig").Sdk;

const Workload = struct { name: []const u8, language: Sdk.Language, source: []const u8 };

const list = [_]Workload{
    .{ .name = "hello", .language = .c, .source = "tests/hello.c" },
    .{ .name = "hello-zig", .language = .zig, .source = "tests/hello_zig.zig" },
};

pub fn add(b: *std.Build, sdk: Sdk) void {
    const step = b.step("workloads", "Build the workloads that test the kernel from inside");
    for (list) |workload| {
        const program = sdk.addProgram(b, workload.name, workload.language, b.path(workload.source));
        const install = b.addInstallArtifact(program, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
        step.dependOn(&install.step);
    }
    const pack_module = b.createModule(.{ .root_source_file = b.path("tests/pack.zig"), .target = b.graph.host, .optimize = .Debug });
    pack_module.addAnonymousImport("erofs", .{ .root_source_file = b.path("kernel/fs/erofs.zig") });
    const pack = b.addExecutable(.{ .name = "pack", .root_module = pack_module });
    const install_pack = b.addInstallArtifact(pack, .{ .dest_dir = .{ .override = .{ .custom = "tests" } } });
    step.dependOn(&install_pack.step);
    b.getInstallStep().dependOn(step);
}
