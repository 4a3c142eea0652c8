//! Root of a Zig workload's program: gives the C start-up code its main, and the program its panic. The workload's own file is the module
//! `workload`; its main returns void, u8 or an error union of them, which becomes the VM's status.
const std = @import("std");
const uk = @import("ukernel");
const workload = @import("workload");

pub const panic = if (@hasDecl(workload, "panic")) workload.panic else uk.panic;
pub const std_options: std.Options = if (@hasDecl(workload, "std_options")) workload.std_options else .{};

comptime {
    @export(&cMain, .{ .name = "main" });
}

fn cMain(_: c_int, _: [*:null]?[*:0]u8, _: [*:null]?[*:0]u8) callconv(.c) c_int {
    switch (@typeInfo(@typeInfo(@TypeOf(workload.main)).@"fn".return_type.?)) {
        .noreturn, .void => workload.main(),
        .int => return workload.main(),
        .error_union => |info| {
            const value = workload.main() catch |failure| {
                uk.print("error: {s}\n", .{@errorName(failure)}) catch {};
                return 1;
            };
            if (info.payload != void) return value;
        },
        else => @compileError("main returns void, u8 or an error union of them"),
    }
    return 0;
}
