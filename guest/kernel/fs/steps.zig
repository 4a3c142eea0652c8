//! Build steps of the file system reader: its unit tests over images that mkfs.erofs makes.
const std = @import("std");

pub fn addTests(b: *std.Build, abi: *std.Build.Module, test_step: *std.Build.Step) void {
    const make = b.addSystemCommand(&.{"sh"});
    make.addFileArg(b.path("kernel/fs/make-test-images.sh"));
    const images = make.addOutputDirectoryArg("images");
    const module = b.createModule(.{
        .root_source_file = b.path("kernel/fs_tests.zig"),
        .target = b.graph.host,
        // Safe and fast: the tests visit the images many thousand times.
        .optimize = .ReleaseSafe,
    });
    module.addImport("abi", abi);
    for ([_][]const u8{ "small.erofs", "plain.erofs", "extended.erofs", "large.erofs" }) |name| {
        module.addAnonymousImport(name, .{ .root_source_file = images.path(b, name) });
    }
    test_step.dependOn(&b.addRunArtifact(b.addTest(.{ .name = "fs", .root_module = module })).step);
}
