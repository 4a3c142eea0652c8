//! Build steps that make everything of the ABI file.
const std = @import("std");

pub const Abi = struct {
    /// Folder of what guest/abi/generate.zig writes.
    generated: std.Build.LazyPath,
    /// Types and constants, for kernel and workloads.
    types: *std.Build.Module,
    /// The kernel's dispatch.
    dispatch: *std.Build.Module,
    /// The gate's pages and what is where in them.
    gate: *std.Build.Module,

    pub fn create(b: *std.Build) Abi {
        const generator = hostProgram(b, "generate-abi", "abi/generate.zig");
        const generate = b.addRunArtifact(generator);
        generate.addFileArg(b.path("abi/abi.zon"));
        const generated = generate.addOutputDirectoryArg("abi");

        const types = b.createModule(.{ .root_source_file = generated.path(b, "abi.zig") });
        const dispatch = b.createModule(.{ .root_source_file = generated.path(b, "dispatch.zig") });
        dispatch.addImport("abi", types);
        return .{
            .generated = generated,
            .types = types,
            .dispatch = dispatch,
            .gate = gateModule(b, generated),
        };
    }

    fn gateModule(b: *std.Build, generated: std.Build.LazyPath) *std.Build.Module {
        const object = b.addObject(.{
            .name = "gate",
            .root_module = b.createModule(.{
                .target = b.resolveTargetQuery(.{ .cpu_arch = .x86_64, .os_tag = .freestanding, .abi = .none }),
                .optimize = .ReleaseSmall,
                .strip = true,
            }),
            .use_llvm = true,
        });
        object.root_module.addAssemblyFile(generated.path(b, "gate.S"));

        // The compiler makes no shared object for a freestanding target; its linker does.
        const link = b.addSystemCommand(&.{ b.graph.zig_exe, "ld.lld", "-shared", "--hash-style=sysv", "--build-id=none" });
        link.addArgs(&.{ "-soname", "ukernel-gate.so", "-z", "max-page-size=4096", "-z", "norelro", "-z", "rodynamic", "-T" });
        link.addFileArg(b.path("abi/gate.ld"));
        link.addArtifactArg(object);
        link.addArg("-o");
        const linked = link.addOutputFileArg("gate.so");

        const layout = b.addRunArtifact(hostProgram(b, "gate-layout", "abi/gate_layout.zig"));
        layout.addFileArg(linked);
        const folder = layout.addOutputDirectoryArg("gate");
        return b.createModule(.{ .root_source_file = folder.path(b, "gate.zig") });
    }

    /// `abi-docs` writes the reference page into the sources; the unit tests hold the committed one against it.
    pub fn addDocs(abi: Abi, b: *std.Build, test_step: *std.Build.Step) void {
        const page = "../docs/kernel-abi.md";
        const update = b.addUpdateSourceFiles();
        update.addCopyFileToSource(abi.generated.path(b, "kernel-abi.md"), page);
        b.step("abi-docs", "Write docs/kernel-abi.md").dependOn(&update.step);

        const compare = b.addSystemCommand(&.{ "cmp", "--" });
        compare.addFileArg(abi.generated.path(b, "kernel-abi.md"));
        compare.addFileArg(b.path(page));
        compare.setName("compare docs/kernel-abi.md (if it differs: zig build abi-docs)");
        test_step.dependOn(&compare.step);
    }

    pub fn addTests(abi: Abi, b: *std.Build, test_step: *std.Build.Step) void {
        const module = b.createModule(.{ .root_source_file = b.path("abi/tests.zig"), .target = b.graph.host, .optimize = .Debug });
        module.addImport("abi", abi.types);
        module.addImport("dispatch", abi.dispatch);
        module.addImport("gate", abi.gate);
        module.addAnonymousImport("gate_names", .{ .root_source_file = abi.generated.path(b, "gate_names.zig") });
        test_step.dependOn(&b.addRunArtifact(b.addTest(.{ .root_module = module })).step);
    }
};

fn hostProgram(b: *std.Build, name: []const u8, root: []const u8) *std.Build.Step.Compile {
    return b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{ .root_source_file = b.path(root), .target = b.graph.host, .optimize = .Debug }),
    });
}
