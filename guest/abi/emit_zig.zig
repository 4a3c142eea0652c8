//! The Zig side: types shared by kernel and workloads, the functions a workload links, the names in the gate.
const std = @import("std");
const schema = @import("model.zig");
const names = @import("names.zig");
const Model = schema.Model;
const Writer = std.Io.Writer;
const Allocator = std.mem.Allocator;

/// Writes a name, quoted where it is a keyword.
fn id(name: []const u8) std.zig.FormatId {
    return std.zig.fmtId(name);
}

pub fn types(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.print(
        \\//! The ABI of the µKernel, version {d}.{d}: types, constants and what is known of each function. Generated from
        \\//! guest/abi/abi.zon.
        \\const std = @import("std");
        \\
        \\pub const version_major: u16 = {d};
        \\pub const version_minor: u16 = {d};
        \\
        \\/// Opaque.
        \\pub const Handle = enum(u64) {{ none = 0, _ }};
        \\
        \\
    , .{ model.major, model.minor, model.major, model.minor });
    try results(model, allocator, out);
    for (model.constants) |constant| {
        try out.print("/// {s}\npub const {s}: {s} = {d};\n", .{ constant.doc, constant.name, constant.type, constant.value });
    }
    try out.writeAll("\n");
    for (model.enums) |enumeration| {
        try out.print("/// {s}\npub const {s} = enum(u32) {{\n", .{ enumeration.doc, try names.pascal(allocator, enumeration.name) });
        for (enumeration.values) |value| try out.print("    /// {s}\n    {f} = {d},\n", .{ value.doc, id(value.name), value.value });
        try out.writeAll(
            \\    _,
            \\
            \\    pub fn isKnown(value: @This()) bool {
            \\        return std.enums.tagName(@This(), value) != null;
            \\    }
            \\};
            \\
            \\
        );
    }
    for (model.flags) |set| try flags(allocator, out, set);
    for (model.structs) |structure| {
        try out.print("/// {s}\npub const {s} = extern struct {{\n", .{ structure.doc, try names.pascal(allocator, structure.name) });
        for (structure.fields) |field| {
            const default = if (model.findFlags(field.type) != null)
                ".{}"
            else if (model.findEnumeration(field.type) != null) "@enumFromInt(0)" else "0";
            try out.print("    /// {s}\n    {f}: {s} = {s},\n", .{ field.doc, id(field.name), try fieldType(allocator, field.type), default });
        }
        try out.print("\n    comptime {{\n        std.debug.assert(@sizeOf(@This()) == {d});\n    }}\n}};\n\n", .{model.sizeOf(structure.name).?});
    }
    try metadata(model, allocator, out);
}

fn results(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.writeAll("/// What a call came to.\npub const Result = enum(u32) {\n");
    for (model.results) |result| try out.print("    /// {s}\n    {f} = {d},\n", .{ result.doc, id(result.name), result.value });
    try out.writeAll("    _,\n};\n\n/// Why a call failed.\npub const Detail = enum(u32) {\n");
    for (model.details) |detail| try out.print("    /// {s}\n    {f} = {d},\n", .{ detail.doc, id(detail.name), detail.value });
    try out.writeAll(
        \\    _,
        \\
        \\    /// The result that goes with a detail; invalid for an unknown one.
        \\    pub fn result(detail: Detail) Result {
        \\        return switch (detail) {
        \\
    );
    for (model.details) |detail| try out.print("            .{f} => .{f},\n", .{ id(detail.name), id(detail.result) });
    try out.writeAll(
        \\            _ => .invalid,
        \\        };
        \\    }
        \\};
        \\
        \\/// The details as errors.
        \\pub const Failure = error{
        \\
    );
    for (model.details[1..]) |detail| try out.print("    {s},\n", .{try names.pascal(allocator, detail.name)});
    try out.writeAll(
        \\};
        \\
        \\pub fn detailOf(failure: Failure) Detail {
        \\    return switch (failure) {
        \\
    );
    for (model.details[1..]) |detail| {
        try out.print("        error.{s} => .{f},\n", .{ try names.pascal(allocator, detail.name), id(detail.name) });
    }
    try out.writeAll(
        \\    };
        \\}
        \\
        \\/// The error of a detail; BadValue for none and unknown ones.
        \\pub fn failureOf(detail: Detail) Failure {
        \\    return switch (detail) {
        \\
    );
    for (model.details[1..]) |detail| {
        try out.print("        .{f} => error.{s},\n", .{ id(detail.name), try names.pascal(allocator, detail.name) });
    }
    try out.writeAll(
        \\        .none, _ => error.BadValue,
        \\    };
        \\}
        \\
        \\
    );
}

fn flags(allocator: Allocator, out: *Writer, set: schema.FlagSet) !void {
    try out.print("/// {s}\npub const {s} = packed struct(u32) {{\n", .{ set.doc, try names.pascal(allocator, set.name) });
    var bit: u32 = 0;
    for (set.values) |flag| {
        // Gaps would need a filler field each; the file has none.
        if (flag.bit != bit) return error.FlagsNotContiguous;
        bit += 1;
        try out.print("    /// {s}\n    {f}: bool = false,\n", .{ flag.doc, id(flag.name) });
    }
    try out.print(
        \\    reserved: u{d} = 0,
        \\
        \\    pub fn isKnown(flags: @This()) bool {{
        \\        return flags.reserved == 0;
        \\    }}
        \\}};
        \\
        \\
    , .{32 - bit});
}

fn metadata(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.writeAll(
        \\/// What an argument is, for those who make calls from a table: tests and fuzzers.
        \\pub const Argument = struct {
        \\    name: []const u8,
        \\    kind: Kind,
        \\    optional: bool = false,
        \\    /// Size of what a pointer points at, of one element for an array; 1 for bytes.
        \\    pointee_bytes: u32 = 0,
        \\    /// The tag that a handle must have, null for any.
        \\    tag: ?HandleTag = null,
        \\    /// Bits that a flag set may have.
        \\    known_bits: u32 = 0,
        \\
        \\    pub const Kind = enum { value, enumeration, flags, address, handle, in, out, inout, in_bytes, out_bytes, in_array, out_array, inout_array };
        \\};
        \\
        \\pub const Function = struct {
        \\    name: []const u8,
        \\    arguments: []const Argument,
        \\    /// Every detail it may give.
        \\    details: []const Detail,
        \\    capability: ?Capability = null,
        \\    unsupported: bool = false,
        \\    no_return: bool = false,
        \\    /// Gives a plain value and cannot fail.
        \\    gives_value: bool = false,
        \\};
        \\
        \\pub const Capability = struct { kind: CapKind, rights: u32 };
        \\
        \\pub const FunctionId = enum(u16) {
        \\
    );
    for (model.namespaces) |namespace| for (namespace.functions) |function| try out.print("    {s},\n", .{function.name});
    try out.writeAll("};\n\n/// Indexed by FunctionId.\npub const functions = [_]Function{\n");
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        try out.print("    .{{ .name = \"{s}\", .arguments = &.{{", .{function.name});
        for (function.args) |arg| try argumentEntry(model, out, arg);
        try out.writeAll("}, .details = &.{");
        for (try model.detailsOf(allocator, function)) |detail| try out.print(" .{f},", .{id(detail)});
        try out.writeAll(" }");
        if (function.capability) |capability| {
            const dot = std.mem.indexOfScalar(u8, capability, '.').?;
            try out.print(", .capability = .{{ .kind = .{s}, .rights = {d} }}", .{ capability[0..dot], @as(u32, 1) << model.rightBit(capability).? });
        }
        if (function.unsupported) try out.writeAll(", .unsupported = true");
        if (function.no_return) try out.writeAll(", .no_return = true");
        if (!std.mem.eql(u8, function.returns, "result")) try out.writeAll(", .gives_value = true");
        try out.writeAll(" },\n");
    };
    try out.writeAll("};\n");
}

fn argumentEntry(model: Model, out: *Writer, arg: schema.Argument) !void {
    try out.print(" .{{ .name = \"{s}\"", .{arg.name});
    switch (arg.kind()) {
        .value => {
            if (model.findEnumeration(arg.type) != null) {
                try out.writeAll(", .kind = .enumeration");
            } else if (model.findFlags(arg.type)) |set| {
                var bits: u32 = 0;
                for (set.values) |flag| bits |= @as(u32, 1) << flag.bit;
                try out.print(", .kind = .flags, .known_bits = {d}", .{bits});
            } else if (std.mem.eql(u8, arg.type, "address")) {
                try out.writeAll(", .kind = .address");
            } else try out.writeAll(", .kind = .value");
        },
        .handle => {
            try out.writeAll(", .kind = .handle");
            if (!std.mem.eql(u8, arg.subject(), "any")) try out.print(", .tag = .{s}", .{arg.subject()});
        },
        .in_bytes, .out_bytes => try out.print(", .kind = .{t}, .pointee_bytes = 1", .{arg.kind()}),
        .in, .out, .inout, .in_array, .out_array, .inout_array => {
            try out.print(", .kind = .{t}, .pointee_bytes = {d}", .{ arg.kind(), model.sizeOf(arg.subject()).? });
        },
    }
    if (arg.optional) try out.writeAll(", .optional = true");
    try out.writeAll(" },");
}

/// The functions as a workload links them, by way of stubs.S.
pub fn bindings(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.print(
        \\//! The functions of the µKernel's ABI, version {d}.{d}, for Zig workloads. Generated from guest/abi/abi.zon;
        \\//! docs/kernel-abi.md explains them.
        \\const abi = @import("abi.zig");
        \\
        \\/// Makes an error of a result that is not ok, with the detail that the kernel keeps for the task.
        \\pub fn check(result: abi.Result) abi.Failure!void {{
        \\    if (result != .ok) return abi.failureOf(@enumFromInt(err_get_last()));
        \\}}
        \\
    , .{ model.major, model.minor });
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        try out.print("\n/// {s}\npub extern fn {s}(", .{ function.doc, function.name });
        for (function.args, 0..) |arg, index| {
            if (index != 0) try out.writeAll(", ");
            try out.print("{f}: ", .{id(arg.name)});
            const optional = if (arg.optional) "?" else "";
            const subject = arg.subject();
            switch (arg.kind()) {
                .value => try out.writeAll(try pointee(allocator, subject)),
                .handle => try out.writeAll("abi.Handle"),
                .in_bytes => try out.writeAll("[*]const u8"),
                .out_bytes => try out.writeAll("[*]u8"),
                .in => try out.print("{s}*const {s}", .{ optional, try pointee(allocator, subject) }),
                .out, .inout => try out.print("{s}*{s}", .{ optional, try pointee(allocator, subject) }),
                .in_array => try out.print("[*]const {s}", .{try pointee(allocator, subject)}),
                .out_array, .inout_array => try out.print("[*]{s}", .{try pointee(allocator, subject)}),
            }
        }
        const returns = if (std.mem.eql(u8, function.returns, "result")) "abi.Result" else function.returns;
        try out.print(") {s};\n", .{returns});
    };
}

/// The functions' names with their hash in the gate's DT_HASH table (System V ABI), in the order of stubs.S.
pub fn gateNames(model: Model, allocator: Allocator, out: *Writer) !void {
    _ = allocator;
    try out.writeAll(
        \\//! Names that the gate exports, in the order of the stubs' table. Generated from guest/abi/abi.zon.
        \\pub const Name = struct { text: []const u8, hash: u32 };
        \\
        \\pub const names = [_]Name{
        \\
    );
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        try out.print("    .{{ .text = \"{s}\", .hash = 0x{x} }},\n", .{ function.name, systemVHash(function.name) });
    };
    try out.writeAll("};\n");
}

fn systemVHash(name: []const u8) u32 {
    var hash: u32 = 0;
    for (name) |byte| {
        hash = (hash << 4) +% byte;
        const high = hash & 0xf000_0000;
        hash ^= high >> 24;
        hash &= ~high;
    }
    return hash;
}

fn pointee(allocator: Allocator, name: []const u8) ![]const u8 {
    if (std.mem.eql(u8, name, "handle")) return "abi.Handle";
    if (isScalar(name)) return fieldType(allocator, name);
    return std.fmt.allocPrint(allocator, "abi.{s}", .{try names.pascal(allocator, name)});
}

fn isScalar(name: []const u8) bool {
    for ([_][]const u8{ "u16", "u32", "i32", "u64", "i64", "address", "handle" }) |scalar| {
        if (std.mem.eql(u8, name, scalar)) return true;
    }
    return false;
}

fn fieldType(allocator: Allocator, name: []const u8) ![]const u8 {
    if (std.mem.eql(u8, name, "address")) return "u64";
    if (std.mem.eql(u8, name, "handle")) return "Handle";
    if (isScalar(name)) return name;
    return names.pascal(allocator, name);
}

test "System V hash of a name from the specification" {
    try std.testing.expectEqual(@as(u32, 0x077905a6), systemVHash("printf"));
}
