//! Build steps of what native workloads are compiled against: zig-out/sdk/{include,lib,zig}.
const std = @import("std");
const Abi = @import("../abi/steps.zig").Abi;
const targets = @import("../targets.zig");

pub const Sdk = struct {
    library: *std.Build.Step.Compile,
    headers: std.Build.LazyPath,
    /// root.zig, ukernel.zig, trace.zig and what they import.
    zig: std.Build.LazyPath,

    pub fn create(b: *std.Build, abi: Abi) Sdk {
        const zig_files = b.addWriteFiles();
        const zig_root = zig_files.addCopyFile(b.path("lib/zig/ukernel.zig"), "ukernel.zig");
        for ([_][]const u8{ "root.zig", "channel.zig", "dns.zig", "names.zig", "net.zig", "poll.zig", "task.zig", "time.zig", "trace.zig" }) |name| {
            _ = zig_files.addCopyFile(b.path(b.fmt("lib/zig/{s}", .{name})), name);
        }
        _ = zig_files.addCopyFile(abi.generated.path(b, "abi.zig"), "abi.zig");
        _ = zig_files.addCopyFile(abi.generated.path(b, "calls.zig"), "calls.zig");

        const header_files = b.addWriteFiles();
        _ = header_files.addCopyFile(abi.generated.path(b, "ukernel.h"), "ukernel.h");
        for ([_][]const u8{ "uk.h", "uk_channel.h", "uk_net.h", "uk_poll.h", "uk_time.h", "stdio.h", "stdlib.h", "string.h" }) |name| {
            _ = header_files.addCopyFile(b.path(b.fmt("lib/include/{s}", .{name})), name);
        }

        const module = targets.userModule(b, targets.vector(b), b.path("lib/runtime/runtime.zig"), .{ .strip = true, .pic = true });
        module.addAnonymousImport("ukernel", .{ .root_source_file = zig_root });
        module.addAnonymousImport("gate_names", .{ .root_source_file = abi.generated.path(b, "gate_names.zig") });
        module.addAssemblyFile(abi.generated.path(b, "stubs.S"));
        const library = b.addLibrary(.{ .name = "ukernel", .linkage = .static, .root_module = module, .use_llvm = true });
        // memcpy and its kin, also for who links with `zig cc -nostdlib`.
        library.bundle_compiler_rt = true;
        library.link_function_sections = true;
        library.link_data_sections = true;
        return .{ .library = library, .headers = header_files.getDirectory(), .zig = zig_files.getDirectory() };
    }

    pub fn install(sdk: Sdk, b: *std.Build) void {
        const step = b.step("sdk", "Build what native workloads are compiled against");
        const library = b.addInstallArtifact(sdk.library, .{ .dest_dir = .{ .override = .{ .custom = "sdk/lib" } } });
        const headers = b.addInstallDirectory(.{ .source_dir = sdk.headers, .install_dir = .prefix, .install_subdir = "sdk/include" });
        const zig = b.addInstallDirectory(.{ .source_dir = sdk.zig, .install_dir = .prefix, .install_subdir = "sdk/zig" });
        for ([_]*std.Build.Step{ &library.step, &headers.step, &zig.step }) |part| step.dependOn(part);
        b.getInstallStep().dependOn(step);
    }

    pub const Language = enum { c, zig };

    /// A static workload of one source file.
    /// Position-independent with `pie`: the kernel chooses its place and relocates it.
    pub fn addProgram(sdk: Sdk, b: *std.Build, name: []const u8, language: Language, source: std.Build.LazyPath, pie: bool) *std.Build.Step.Compile {
        const main = if (language == .zig) sdk.zig.path(b, "root.zig") else null;
        const module = targets.userModule(b, targets.vector(b), main, .{ .strip = false, .pic = pie });
        switch (language) {
            .zig => {
                const ukernel = b.createModule(.{ .root_source_file = sdk.zig.path(b, "ukernel.zig") });
                const workload = b.createModule(.{ .root_source_file = source });
                workload.addImport("ukernel", ukernel);
                module.addImport("ukernel", ukernel);
                module.addImport("workload", workload);
            },
            .c => {
                module.addIncludePath(sdk.headers);
                module.addCSourceFile(.{ .file = source, .flags = &.{ "-std=c17", "-Wall", "-Wextra", "-Werror", "-ffreestanding" } });
            },
        }
        module.linkLibrary(sdk.library);
        return targets.userProgram(b, name, module, pie);
    }
};
