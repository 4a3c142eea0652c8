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
    b.getInstallStep().dependOn(step);
}
