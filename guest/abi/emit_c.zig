//! The C header: types, constants and prototypes.
const std = @import("std");
const schema = @import("model.zig");
const names = @import("names.zig");
const Model = schema.Model;
const Writer = std.Io.Writer;
const Allocator = std.mem.Allocator;

pub fn header(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.print(
        \\/* The ABI of the µKernel, version {d}.{d}. Generated from guest/abi/abi.zon; docs/kernel-abi.md explains it.
        \\ *
        \\ * Every function but those that give a plain value returns a result: UK_OK or what went wrong, of which
        \\ * err_get_last() gives the detail. */
        \\#ifndef UKERNEL_H
        \\#define UKERNEL_H
        \\
        \\#include <stddef.h>
        \\#include <stdint.h>
        \\
        \\#ifdef __cplusplus
        \\extern "C" {{
        \\#endif
        \\
        \\#define UK_ABI_MAJOR {d}
        \\#define UK_ABI_MINOR {d}
        \\
        \\typedef uint32_t result_t;
        \\
        \\/* Opaque; 0 is no handle. */
        \\typedef uint64_t uk_handle_t;
        \\
        \\/* Results. */
        \\
    , .{ model.major, model.minor, model.major, model.minor });
    for (model.results) |result| try define(out, allocator, "", result.name, result.value, result.doc);
    try out.writeAll("\n/* Details, given by err_get_last. */\n");
    for (model.details) |detail| try define(out, allocator, "DETAIL_", detail.name, detail.value, detail.doc);
    try out.writeAll("\n/* Constants and limits. */\n");
    for (model.constants) |constant| {
        const macro = if (std.mem.eql(u8, constant.type, "u64")) "UINT64_C" else "UINT32_C";
        try out.print("#define UK_{s} {s}({d}) /* {s} */\n", .{ try names.shout(allocator, constant.name), macro, constant.value, constant.doc });
    }
    for (model.enums) |enumeration| {
        try out.print("\n/* {s}: {s} */\n", .{ enumeration.name, enumeration.doc });
        const prefix = try std.fmt.allocPrint(allocator, "{s}_", .{try names.shout(allocator, enumeration.prefix)});
        for (enumeration.values) |value| try define(out, allocator, prefix, value.name, value.value, value.doc);
    }
    for (model.flags) |set| {
        try out.print("\n/* {s}: {s} */\n", .{ set.name, set.doc });
        const prefix = try std.fmt.allocPrint(allocator, "{s}_", .{try names.shout(allocator, set.prefix)});
        for (set.values) |flag| try define(out, allocator, prefix, flag.name, @as(u32, 1) << flag.bit, flag.doc);
    }
    for (model.structs) |structure| {
        try out.print("\n/* {s} */\nstruct uk_{s} {{\n", .{ structure.doc, structure.name });
        for (structure.fields) |field| {
            try out.print("    {s} {s}; /* {s} */\n", .{ fieldType(model, field.type), field.name, field.doc });
        }
        try out.print("}};\n#ifndef __cplusplus\n_Static_assert(sizeof(struct uk_{s}) == {d}, \"layout\");\n#endif\n", .{ structure.name, model.sizeOf(structure.name).? });
    }
    for (model.namespaces) |namespace| {
        try out.print("\n/* {s}: {s} */\n", .{ namespace.name, namespace.doc });
        for (namespace.functions) |function| try prototype(model, out, function);
    }
    try out.writeAll(
        \\
        \\#ifdef __cplusplus
        \\}
        \\#endif
        \\
        \\#endif
        \\
    );
}

fn define(out: *Writer, allocator: Allocator, prefix: []const u8, name: []const u8, value: u32, doc: []const u8) !void {
    try out.print("#define UK_{s}{s} UINT32_C({d}) /* {s} */\n", .{ prefix, try names.shout(allocator, name), value, doc });
}

fn prototype(model: Model, out: *Writer, function: schema.Function) !void {
    try out.print("\n/* {s}", .{function.doc});
    for (function.args) |arg| try out.print("\n * {s}: {s}", .{ arg.name, arg.doc });
    if (function.capability) |capability| try out.print("\n * Needs the capability {s}.", .{capability});
    if (function.unsupported) try out.writeAll("\n * Not in this kernel yet: UK_UNSUPPORTED.");
    try out.print(" */\n{s} {s}(", .{ resultType(function.returns), function.name });
    if (function.args.len == 0) try out.writeAll("void");
    for (function.args, 0..) |arg, index| {
        if (index != 0) try out.writeAll(", ");
        try argument(model, out, arg);
    }
    try out.writeAll(");\n");
}

fn argument(model: Model, out: *Writer, arg: schema.Argument) !void {
    const subject = arg.subject();
    switch (arg.kind()) {
        .value => try out.print("{s} {s}", .{ fieldType(model, subject), arg.name }),
        .handle => try out.print("uk_handle_t {s}", .{arg.name}),
        .in_bytes => try out.print("const void *{s}", .{arg.name}),
        .out_bytes => try out.print("void *{s}", .{arg.name}),
        .in, .in_array, .out, .inout, .out_array, .inout_array => {
            const constant = if (arg.kind() == .in or arg.kind() == .in_array) "const " else "";
            if (model.findStructure(subject) != null) {
                try out.print("{s}struct uk_{s} *{s}", .{ constant, subject, arg.name });
            } else {
                try out.print("{s}{s} *{s}", .{ constant, fieldType(model, subject), arg.name });
            }
        },
    }
}

fn resultType(returns: []const u8) []const u8 {
    if (std.mem.eql(u8, returns, "u32")) return "uint32_t";
    if (std.mem.eql(u8, returns, "u64")) return "uint64_t";
    return "result_t";
}

fn fieldType(model: Model, name: []const u8) []const u8 {
    const scalars = .{
        .{ "u16", "uint16_t" }, .{ "u32", "uint32_t" },     .{ "i32", "int32_t" },        .{ "u64", "uint64_t" },
        .{ "i64", "int64_t" },  .{ "address", "uint64_t" }, .{ "handle", "uk_handle_t" },
    };
    inline for (scalars) |scalar| if (std.mem.eql(u8, name, scalar[0])) return scalar[1];
    std.debug.assert(model.findEnumeration(name) != null or model.findFlags(name) != null);
    return "uint32_t";
}
