//! Entry: from the start-up block to main(argc, argv, envp), whose result ends the VM.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;
const gate = @import("gate.zig");

comptime {
    // Who packs a program finds here that it is a native one, and of which ABI (docs/image-format.md).
    asm (std.fmt.comptimePrint(
            \\.pushsection .note.ukernel, "a", @note
            \\ .balign 4
            \\ .long 8, 8, 1
            \\ .asciz "ukernel"
            \\ .long {d}, {d}
            \\.popsection
        , .{ abi.version_major, abi.version_minor }));
}

extern fn main(argc: c_int, argv: [*:null]?[*:0]u8, envp: [*:null]?[*:0]u8) callconv(.c) c_int;

/// The start-up block; set before main runs.
export var uk_startup: *const abi.Startup = undefined;
/// The environment, for getenv.
export var environ: [*:null]?[*:0]u8 = undefined;

export fn _start() callconv(.naked) noreturn {
    asm volatile (
        \\ xorl %%ebp, %%ebp
        \\ call %[start:P]
        \\ ud2
        :
        : [start] "X" (&start),
    );
}

fn start(block: *const abi.Startup) callconv(.c) noreturn {
    // Without a block of the expected form there is nobody to tell.
    if (block.magic != abi.startup_magic or block.bytes < @sizeOf(abi.Startup)) @trap();
    uk_startup = block;
    gate.connect(block.gate);
    environ = @ptrFromInt(block.envp);
    const status = main(@intCast(block.argc), @ptrFromInt(block.argv), environ);
    // The end of the first task is the end of the VM, which then has returned rather than exited.
    _ = uk.calls.task_exit(status, 0);
    @trap();
}

/// Ends the VM, whichever task calls it.
export fn exit(status: c_int) callconv(.c) noreturn {
    _ = uk.calls.vm_exit(status);
    @trap();
}

export fn abort() callconv(.c) noreturn {
    uk.writeConsole("abort\n");
    exit(134);
}
