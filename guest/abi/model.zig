//! The ABI file's form, and what must hold of it beyond its syntax.
const std = @import("std");
const Allocator = std.mem.Allocator;

pub const Model = struct {
    major: u16,
    minor: u16,
    results: []const Result,
    details: []const Detail,
    constants: []const Constant,
    enums: []const Enumeration,
    flags: []const FlagSet,
    structs: []const Structure,
    namespaces: []const Namespace,

    pub fn parse(allocator: Allocator, source: [:0]const u8, diagnostics: *std.zon.parse.Diagnostics) !Model {
        @setEvalBranchQuota(10_000);
        return std.zon.parse.fromSliceAlloc(Model, allocator, source, diagnostics, .{ .free_on_error = false });
    }

    pub fn findEnumeration(model: Model, name: []const u8) ?Enumeration {
        return find(Enumeration, model.enums, name);
    }

    pub fn findFlags(model: Model, name: []const u8) ?FlagSet {
        return find(FlagSet, model.flags, name);
    }

    pub fn findStructure(model: Model, name: []const u8) ?Structure {
        return find(Structure, model.structs, name);
    }

    pub fn findDetail(model: Model, name: []const u8) ?Detail {
        return find(Detail, model.details, name);
    }

    /// Size of a value of a field's or pointee's type in bytes, null if there is no such type.
    pub fn sizeOf(model: Model, name: []const u8) ?u32 {
        const scalars = .{ .{ "u16", 2 }, .{ "u32", 4 }, .{ "i32", 4 }, .{ "u64", 8 }, .{ "i64", 8 }, .{ "address", 8 }, .{ "handle", 8 } };
        inline for (scalars) |scalar| if (std.mem.eql(u8, name, scalar[0])) return scalar[1];
        if (model.findEnumeration(name) != null or model.findFlags(name) != null) return 4;
        const structure = model.findStructure(name) orelse return null;
        var bytes: u32 = 0;
        for (structure.fields) |field| bytes += model.sizeOf(field.type) orelse return null;
        return bytes;
    }

    /// Every detail that a function may give, those that follow by rule included, each once.
    pub fn detailsOf(model: Model, allocator: Allocator, function: Function) ![]const []const u8 {
        var list: std.ArrayList([]const u8) = .empty;
        if (function.unsupported) {
            try list.append(allocator, "unsupported_function");
            return list.items;
        }
        if (function.capability != null) try list.append(allocator, "capability_missing");
        for (function.args) |arg| {
            const implied: ?[]const u8 = switch (arg.kind()) {
                .handle => "bad_handle",
                .in, .out, .inout, .in_bytes, .out_bytes, .in_array, .out_array, .inout_array => "bad_pointer",
                .value => if (model.findEnumeration(arg.type) != null)
                    "bad_value"
                else if (model.findFlags(arg.type) != null) "bad_flags" else null,
            };
            if (implied) |name| try appendOnce(allocator, &list, name);
        }
        for (function.errors) |name| try appendOnce(allocator, &list, name);
        return list.items;
    }

    /// Checks what the form cannot say. Writes what is wrong, where, to `problems`.
    pub fn check(model: Model, problems: *std.Io.Writer) !bool {
        var good = true;
        for (model.details) |detail| if (find(Result, model.results, detail.result) == null) {
            try problems.print("detail {s}: no result {s}\n", .{ detail.name, detail.result });
            good = false;
        };
        for (model.structs) |structure| {
            var offset: u32 = 0;
            for (structure.fields) |field| {
                const bytes = model.sizeOf(field.type) orelse {
                    try problems.print("struct {s}.{s}: no type {s}\n", .{ structure.name, field.name, field.type });
                    return false;
                };
                if (offset % @min(bytes, 8) != 0) {
                    try problems.print("struct {s}.{s}: at {d}, which needs padding\n", .{ structure.name, field.name, offset });
                    good = false;
                }
                offset += bytes;
            }
            if (offset % 8 != 0) {
                try problems.print("struct {s}: {d} bytes, not a multiple of 8\n", .{ structure.name, offset });
                good = false;
            }
        }
        for (model.namespaces) |namespace| for (namespace.functions) |function| {
            good = try model.checkFunction(function, problems) and good;
        };
        return good;
    }

    fn checkFunction(model: Model, function: Function, problems: *std.Io.Writer) !bool {
        var good = true;
        if (function.args.len > arguments_max) {
            try problems.print("{s}: more than {d} arguments\n", .{ function.name, arguments_max });
            good = false;
        }
        for (function.errors) |name| if (model.findDetail(name) == null) {
            try problems.print("{s}: no detail {s}\n", .{ function.name, name });
            good = false;
        };
        for (function.args, 0..) |arg, index| {
            const known = switch (arg.kind()) {
                .handle => std.mem.eql(u8, arg.subject(), "any") or
                    find(Value, model.findEnumeration("handle_tag").?.values, arg.subject()) != null,
                .in_bytes, .out_bytes => true,
                .value, .in, .out, .inout, .in_array, .out_array, .inout_array => model.sizeOf(arg.subject()) != null,
            };
            if (!known) {
                try problems.print("{s}: argument {s}: no type {s}\n", .{ function.name, arg.name, arg.type });
                good = false;
            }
            if (arg.kind().isSized()) {
                // The size follows its buffer, so that one pass over the registers makes both.
                const follows = index + 1 < function.args.len and arg.size != null and
                    std.mem.eql(u8, function.args[index + 1].name, arg.size.?);
                if (!follows) {
                    try problems.print("{s}: argument {s}: its size must be the next argument\n", .{ function.name, arg.name });
                    good = false;
                }
            }
        }
        if (function.capability) |capability| {
            if (model.rightBit(capability) == null) {
                try problems.print("{s}: no capability {s}\n", .{ function.name, capability });
                good = false;
            }
        }
        return good;
    }

    /// The bit of "kind.right" among the kind's rights.
    pub fn rightBit(model: Model, capability: []const u8) ?u5 {
        const dot = std.mem.indexOfScalar(u8, capability, '.') orelse return null;
        var buffer: [64]u8 = undefined;
        const set = std.fmt.bufPrint(&buffer, "{s}_rights", .{capability[0..dot]}) catch return null;
        const rights = model.findFlags(set) orelse return null;
        const right = find(Flag, rights.values, capability[dot + 1 ..]) orelse return null;
        return right.bit;
    }
};

/// Registers that a call passes arguments in.
pub const arguments_max = 6;

pub const Result = struct { name: []const u8, value: u32, doc: []const u8 };
pub const Detail = struct { name: []const u8, value: u32, result: []const u8, doc: []const u8 };
pub const Constant = struct { name: []const u8, type: []const u8, value: u64, doc: []const u8 };
pub const Value = struct { name: []const u8, value: u32, doc: []const u8 };
pub const Flag = struct { name: []const u8, bit: u5, doc: []const u8 };
pub const Enumeration = struct { name: []const u8, prefix: []const u8, doc: []const u8, values: []const Value };
pub const FlagSet = struct { name: []const u8, prefix: []const u8, doc: []const u8, values: []const Flag };
pub const Field = struct { name: []const u8, type: []const u8, doc: []const u8 };
pub const Structure = struct { name: []const u8, doc: []const u8, fields: []const Field };
pub const Namespace = struct { name: []const u8, doc: []const u8, functions: []const Function };

pub const Function = struct {
    name: []const u8,
    doc: []const u8,
    /// "result", or the type of a value that the call cannot fail to give.
    returns: []const u8 = "result",
    args: []const Argument = &.{},
    errors: []const []const u8 = &.{},
    /// "kind.right" that must be active.
    capability: ?[]const u8 = null,
    /// Returns only when it fails.
    no_return: bool = false,
    /// The gate answers it in user mode where it can.
    in_gate: bool = false,
    unsupported: bool = false,
};

pub const Argument = struct {
    name: []const u8,
    type: []const u8,
    doc: []const u8,
    /// Name of the argument that holds a buffer's size.
    size: ?[]const u8 = null,
    optional: bool = false,

    pub const Kind = enum {
        value,
        handle,
        in,
        out,
        inout,
        in_bytes,
        out_bytes,
        in_array,
        out_array,
        inout_array,

        pub fn isSized(this: Kind) bool {
            return switch (this) {
                .in_bytes, .out_bytes, .in_array, .out_array, .inout_array => true,
                .value, .handle, .in, .out, .inout => false,
            };
        }
    };

    const prefixes = [_]struct { []const u8, Kind }{
        .{ "handle.", .handle },
        .{ "in.bytes", .in_bytes },
        .{ "out.bytes", .out_bytes },
        .{ "in.array.", .in_array },
        .{ "out.array.", .out_array },
        .{ "inout.array.", .inout_array },
        .{ "inout.", .inout },
        .{ "in.", .in },
        .{ "out.", .out },
    };

    pub fn kind(argument: Argument) Kind {
        for (prefixes) |entry| if (std.mem.startsWith(u8, argument.type, entry[0])) return entry[1];
        return .value;
    }

    /// The type behind the direction: of `out.u64` it is `u64`, of `handle.task` it is `task`.
    pub fn subject(argument: Argument) []const u8 {
        for (prefixes) |entry| if (std.mem.startsWith(u8, argument.type, entry[0])) return argument.type[entry[0].len..];
        return argument.type;
    }
};

fn find(comptime T: type, items: []const T, name: []const u8) ?T {
    for (items) |item| if (std.mem.eql(u8, item.name, name)) return item;
    return null;
}

fn appendOnce(allocator: Allocator, list: *std.ArrayList([]const u8), name: []const u8) !void {
    for (list.items) |present| if (std.mem.eql(u8, present, name)) return;
    try list.append(allocator, name);
}
