//! The kernel's side: call numbers, argument structures and the way from registers to a handler.
const std = @import("std");
const schema = @import("model.zig");
const names = @import("names.zig");
const Model = schema.Model;
const Writer = std.Io.Writer;
const Allocator = std.mem.Allocator;

pub fn dispatch(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.writeAll(
        \\//! From a call's registers to its handler. Generated from guest/abi/abi.zon.
        \\//!
        \\//! A handlers namespace has one function for each supported call, `fn task_spawn(context: *Context, arguments:
        \\//! TaskSpawn) abi.Failure!void`, or `fn task_self(context: *Context) u64` where a call gives a plain value; and
        \\//! `fn hasCapability(context: *Context, kind: abi.CapKind, rights: u32) bool`. Enumerations and flags are checked before
        \\//! a handler sees them; handles, addresses and what lies behind them are the handler's to check.
        \\const std = @import("std");
        \\const abi = @import("abi");
        \\
        \\/// What a call came to. `resumed`: the handler has set all registers of the task itself.
        \\pub const Outcome = union(enum) { value: u64, failed: abi.Detail, resumed };
        \\
        \\/// Address of a T in user memory, unchecked; 0 where the argument is optional and absent.
        \\pub fn UserPointer(comptime T: type) type {
        \\    return struct {
        \\        address: u64,
        \\        pub const Pointee = T;
        \\    };
        \\}
        \\
        \\/// Addresses of `count` T in user memory, unchecked; the product of count and size may overflow.
        \\pub fn UserArray(comptime T: type) type {
        \\    return struct {
        \\        address: u64,
        \\        count: u64,
        \\        pub const Element = T;
        \\    };
        \\}
        \\
        \\pub const UserBytes = UserArray(u8);
        \\
        \\pub const Registers = [6]u64;
        \\
        \\pub const Call = enum(u16) {
        \\
    );
    for (model.namespaces) |namespace| for (namespace.functions) |function| try out.print("    {s},\n", .{function.name});
    try out.writeAll("};\n\n");
    for (model.namespaces) |namespace| for (namespace.functions) |function| {
        if (function.unsupported or function.args.len == 0) continue;
        try out.print("pub const {s} = struct {{\n", .{try names.pascal(allocator, function.name)});
        var sized = false;
        for (function.args) |arg| {
            // A buffer's size is part of the field before it.
            if (!sized) try out.print("    {f}: {s},\n", .{ std.zig.fmtId(arg.name), try fieldType(model, allocator, arg) });
            sized = arg.kind().isSized();
        }
        try out.writeAll("};\n\n");
    };
    try out.writeAll(
        \\fn completed(outcome: abi.Failure!void) Outcome {
        \\    if (outcome) |_| return .{ .value = 0 } else |failure| return .{ .failed = abi.detailOf(failure) };
        \\}
        \\
        \\fn departed(outcome: abi.Failure!void) Outcome {
        \\    if (outcome) |_| return .resumed else |failure| return .{ .failed = abi.detailOf(failure) };
        \\}
        \\
        \\/// Serves one call. An unknown number is an unsupported function.
        \\pub fn dispatch(comptime Handlers: type, context: *Handlers.Context, number: u64, registers: *const Registers) Outcome {
        \\    if (number >= abi.functions.len) return .{ .failed = .unsupported_function };
        \\    const call: Call = @enumFromInt(number);
        \\    switch (call) {
        \\
    );
    for (model.namespaces) |namespace| for (namespace.functions) |function| try arm(model, allocator, out, function);
    try out.writeAll("    }\n}\n");
}

fn arm(model: Model, allocator: Allocator, out: *Writer, function: schema.Function) !void {
    if (function.unsupported) {
        try out.print("        .{s} => return .{{ .failed = .unsupported_function }},\n", .{function.name});
        return;
    }
    try out.print("        .{s} => {{\n", .{function.name});
    if (function.capability) |capability| {
        const dot = std.mem.indexOfScalar(u8, capability, '.').?;
        try out.print("            if (!Handlers.hasCapability(context, .{s}, {d})) return .{{ .failed = .capability_missing }};\n", .{
            capability[0..dot], @as(u32, 1) << model.rightBit(capability).?,
        });
    }
    if (function.args.len != 0) {
        try out.print("            const arguments: {s} = .{{\n", .{try names.pascal(allocator, function.name)});
        var sized = false;
        for (function.args, 0..) |arg, register| {
            if (!sized) {
                try out.print("                .{f} = ", .{std.zig.fmtId(arg.name)});
                try value(model, out, function, arg, register);
                try out.writeAll(",\n");
            }
            sized = arg.kind().isSized();
        }
        try out.writeAll("            };\n");
        for (function.args) |arg| if (arg.kind() == .value) {
            const detail = if (model.findEnumeration(arg.type) != null)
                "bad_value"
            else if (model.findFlags(arg.type) != null) "bad_flags" else continue;
            try out.print("            if (!arguments.{f}.isKnown()) return .{{ .failed = .{s} }};\n", .{ std.zig.fmtId(arg.name), detail });
        };
    }
    const call = try std.fmt.allocPrint(allocator, "Handlers.{s}(context{s})", .{ function.name, if (function.args.len == 0) "" else ", arguments" });
    if (!std.mem.eql(u8, function.returns, "result")) {
        try out.print("            return .{{ .value = {s} }};\n", .{call});
    } else {
        try out.print("            return {s}({s});\n", .{ if (function.no_return) "departed" else "completed", call });
    }
    try out.writeAll("        },\n");
}

/// The expression that makes an argument of its registers. A 32-bit argument's upper half is not defined by the C ABI.
fn value(model: Model, out: *Writer, function: schema.Function, arg: schema.Argument, register: usize) !void {
    switch (arg.kind()) {
        .handle => try out.print("@enumFromInt(registers[{d}])", .{register}),
        .in, .out, .inout => try out.print(".{{ .address = registers[{d}] }}", .{register}),
        .in_bytes, .out_bytes, .in_array, .out_array, .inout_array => {
            const narrow = std.mem.eql(u8, function.args[register + 1].type, "u32");
            if (narrow) {
                try out.print(".{{ .address = registers[{d}], .count = @as(u32, @truncate(registers[{d}])) }}", .{ register, register + 1 });
            } else {
                try out.print(".{{ .address = registers[{d}], .count = registers[{d}] }}", .{ register, register + 1 });
            }
        },
        .value => if (model.findEnumeration(arg.type) != null)
            try out.print("@enumFromInt(@as(u32, @truncate(registers[{d}])))", .{register})
        else if (model.findFlags(arg.type) != null)
            try out.print("@bitCast(@as(u32, @truncate(registers[{d}])))", .{register})
        else if (std.mem.eql(u8, arg.type, "u32"))
            try out.print("@truncate(registers[{d}])", .{register})
        else if (std.mem.eql(u8, arg.type, "i32"))
            try out.print("@bitCast(@as(u32, @truncate(registers[{d}])))", .{register})
        else if (std.mem.eql(u8, arg.type, "i64"))
            try out.print("@bitCast(registers[{d}])", .{register})
        else
            try out.print("registers[{d}]", .{register}),
    }
}

fn fieldType(model: Model, allocator: Allocator, arg: schema.Argument) ![]const u8 {
    return switch (arg.kind()) {
        .handle => "abi.Handle",
        .in_bytes, .out_bytes => "UserBytes",
        .in_array, .out_array, .inout_array => try std.fmt.allocPrint(allocator, "UserArray({s})", .{try typeName(model, allocator, arg.subject())}),
        .in, .out, .inout => try std.fmt.allocPrint(allocator, "UserPointer({s})", .{try typeName(model, allocator, arg.subject())}),
        .value => typeName(model, allocator, arg.type),
    };
}

fn typeName(model: Model, allocator: Allocator, name: []const u8) ![]const u8 {
    if (std.mem.eql(u8, name, "address")) return "u64";
    if (std.mem.eql(u8, name, "handle")) return "abi.Handle";
    if (model.findEnumeration(name) == null and model.findFlags(name) == null and model.findStructure(name) == null) return name;
    return std.fmt.allocPrint(allocator, "abi.{s}", .{try names.pascal(allocator, name)});
}
