//! Reads the ABI file and writes everything that is made of it into one folder.
//!
//!   generate <abi.zon> <output folder>
const std = @import("std");
const Model = @import("model.zig").Model;
const emit_c = @import("emit_c.zig");
const emit_zig = @import("emit_zig.zig");
const emit_dispatch = @import("emit_dispatch.zig");
const emit_assembly = @import("emit_assembly.zig");
const emit_reference = @import("emit_reference.zig");

const source_bytes_max = 1 << 20;

const Output = struct { name: []const u8, emit: *const fn (Model, std.mem.Allocator, *std.Io.Writer) anyerror!void };

const outputs = [_]Output{
    .{ .name = "ukernel.h", .emit = emit_c.header },
    .{ .name = "abi.zig", .emit = emit_zig.types },
    .{ .name = "calls.zig", .emit = emit_zig.bindings },
    .{ .name = "dispatch.zig", .emit = emit_dispatch.dispatch },
    .{ .name = "gate.S", .emit = emit_assembly.gate },
    .{ .name = "stubs.S", .emit = emit_assembly.stubs },
    .{ .name = "gate_names.zig", .emit = emit_zig.gateNames },
    .{ .name = "kernel-abi.md", .emit = emit_reference.reference },
};

pub fn main(init: std.process.Init) !u8 {
    const arena = init.arena.allocator();
    const io = init.io;
    const arguments = try init.minimal.args.toSlice(arena);
    var error_buffer: [4096]u8 = undefined;
    var error_writer = std.Io.File.stderr().writer(io, &error_buffer);
    const errors = &error_writer.interface;
    defer errors.flush() catch {};
    if (arguments.len != 3) {
        try errors.writeAll("usage: generate <abi.zon> <output folder>\n");
        return 2;
    }
    const text = try std.Io.Dir.cwd().readFileAlloc(io, arguments[1], arena, .limited(source_bytes_max));
    const source = try arena.dupeZ(u8, text);
    var diagnostics: std.zon.parse.Diagnostics = .{};
    const model = Model.parse(arena, source, &diagnostics) catch |failure| switch (failure) {
        error.ParseZon => {
            try errors.print("{s}: {f}\n", .{ arguments[1], diagnostics });
            return 1;
        },
        else => return failure,
    };
    if (!try model.check(errors)) return 1;

    var folder = try std.Io.Dir.cwd().createDirPathOpen(io, arguments[2], .{});
    defer folder.close(io);
    for (outputs) |output| {
        var file = try folder.createFile(io, output.name, .{});
        defer file.close(io);
        var buffer: [16384]u8 = undefined;
        var writer = file.writer(io, &buffer);
        try output.emit(model, arena, &writer.interface);
        try writer.interface.flush();
    }
    return 0;
}
