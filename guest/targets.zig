//! The instruction sets that guest code is built for, and how user-mode programs are built.
const std = @import("std");

const Feature = std.Target.x86.Feature;

/// Every x86-64: what native workloads use.
pub fn vector(b: *std.Build) std.Build.ResolvedTarget {
    return b.resolveTargetQuery(bare());
}

/// No vector or x87 registers: they belong to the workload alone, also while the kernel or an adapter runs.
pub fn soft(b: *std.Build) std.Build.ResolvedTarget {
    var query = bare();
    for ([_]Feature{ .x87, .mmx, .sse, .sse2 }) |feature| query.cpu_features_sub.addFeature(@intFromEnum(feature));
    query.cpu_features_add.addFeature(@intFromEnum(Feature.soft_float));
    return b.resolveTargetQuery(query);
}

fn bare() std.Target.Query {
    return .{
        .cpu_arch = .x86_64,
        .os_tag = .freestanding,
        .abi = .none,
        .cpu_model = .{ .explicit = &std.Target.x86.cpu.x86_64 },
    };
}

/// A module of user-mode code: nothing in it that needs a runtime below.
pub fn userModule(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    source: ?std.Build.LazyPath,
    how: struct { strip: bool, pic: bool },
) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = source,
        .target = target,
        .optimize = .ReleaseSafe,
        .strip = how.strip,
        .pic = how.pic,
        .stack_protector = false,
        .stack_check = false,
        .unwind_tables = .none,
        .error_tracing = false,
    });
}

/// A static program of such a module, laid out as the kernel's loader takes it: pages of 4 KiB, no segment that is protected later.
pub fn userProgram(b: *std.Build, name: []const u8, module: *std.Build.Module, pie: bool) *std.Build.Step.Compile {
    const program = b.addExecutable(.{ .name = name, .root_module = module, .use_llvm = true, .use_lld = true });
    program.pie = pie;
    program.build_id = .none;
    program.link_gc_sections = true;
    program.link_z_max_page_size = 4096;
    program.link_z_relro = false;
    return program;
}
