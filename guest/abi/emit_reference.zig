//! The reference page docs/kernel-abi.md.
const std = @import("std");
const schema = @import("model.zig");
const Model = schema.Model;
const Writer = std.Io.Writer;
const Allocator = std.mem.Allocator;

pub fn reference(model: Model, allocator: Allocator, out: *Writer) !void {
    try out.print(
        \\<!-- Generated from guest/abi/abi.zon by `zig build abi-docs`. Do not edit. -->
        \\# The kernel's ABI, version {d}.{d}
        \\
        \\The ABI is the one way from a workload into the kernel. It is a set of C functions (System V calling convention, at most
        \\six arguments, fixed-width integers, `#include <ukernel.h>`) that the *gate* exports: a small ELF image which the kernel maps
        \\into every workload, read-only. A workload finds the gate's address in its start-up block and the functions by name in
        \\the gate's dynamic symbol table. Call numbers are private to the gate. `syscall` is an ABI call at the gate's own
        \\instruction alone; anywhere else it is a *foreign call* for the task's handler.
        \\
        \\**Results.** A function gives `UK_OK` or a result; `err_get_last` then gives the *detail*, which stands beside each function
        \\below. A call that fails has changed nothing, unless it says otherwise. Checks come in this order: the function is
        \\supported, the capability is active, enumerations and flags are known, then the rest.
        \\
        \\**Handles** are opaque 64-bit numbers. A stale, foreign or wrong one is `bad_handle`, never another object.
        \\
        \\**Pointers** must lie in user memory with the access needed; `bad_pointer` otherwise. When an output is found bad only after
        \\the work is done (another task unmapped it), the work stands and the call says `bad_pointer`. Where the page behind a pointer
        \\is one that memory has run out for, every function may say `out_of_memory`.
        \\
        \\**Capabilities** are checked against the calling task's active set at each use. They are defence in depth inside one address
        \\space; the VM is the boundary.
        \\
        \\**Versions.** Major and minor as in semantic versioning; before 1.0 a minor version may break, and 0.1 is open until the
        \\first release: what is added before that has no number of its own. A kernel runs what was built for its
        \\major and a minor not above its own.
        \\
        \\**Writing a workload.** `zig build sdk` in `guest` makes `zig-out/sdk`: `include` (`ukernel.h`; `uk.h`, `stdio.h`, `stdlib.h`,
        \\`string.h`: a small environment), `lib/libukernel.a` (start-up, the functions below, the environment) and `zig` (the
        \\same for Zig). A program is a static or static-PIE ELF; it must not relocate itself, the kernel does. In C it has
        \\`main(argc, argv)`, whose result is the VM's status; in Zig `pub fn main` that returns `void`, `u8` or an error union of them, and
        \\`@import("ukernel")`.
        \\
        \\    zig cc -target x86_64-freestanding-none -mcpu=x86_64 -O2 -g -ffreestanding -nostdlib -static -I sdk/include \
        \\        hello.c sdk/lib/libukernel.a -Wl,--gc-sections -Wl,-z,max-page-size=4096 -o hello
        \\    zig build-exe -target x86_64-freestanding-none -mcpu=x86_64 -OReleaseSafe -fllvm -flld -fno-PIE --dep workload \
        \\        --dep ukernel -Mroot=sdk/zig/root.zig --dep ukernel -Mworkload=hello.zig -Mukernel=sdk/zig/ukernel.zig \
        \\        sdk/lib/libukernel.a --gc-sections -z norelro -z max-page-size=4096 --name hello
        \\
        \\The environment enables the capabilities that it needs on first use, as far as the image's manifest allows them: io for the console,
        \\log for `uk_log`, mem for `malloc` and stacks, task for `uk_thread_start`. A function that an older kernel's gate lacks
        \\answers UNSUPPORTED.
        \\
        \\
    , .{ model.major, model.minor });
    try out.writeAll("## Results\n\n| value | name | meaning |\n| --- | --- | --- |\n");
    for (model.results) |result| try out.print("| {d} | `UK_{s}` | {s} |\n", .{ result.value, try shout(allocator, result.name), result.doc });
    try out.writeAll("\n## Details\n\n| value | name | result | meaning |\n| --- | --- | --- | --- |\n");
    for (model.details) |detail| try out.print("| {d} | `{s}` | {s} | {s} |\n", .{ detail.value, detail.name, try shout(allocator, detail.result), detail.doc });
    try out.writeAll("\n## Constants and limits\n\n| name | value | meaning |\n| --- | --- | --- |\n");
    for (model.constants) |constant| try out.print("| `UK_{s}` | {d} | {s} |\n", .{ try shout(allocator, constant.name), constant.value, constant.doc });
    try out.writeAll("\n## Functions\n");
    for (model.namespaces) |namespace| {
        try out.print("\n### {s}\n\n{s}\n", .{ namespace.name, namespace.doc });
        for (namespace.functions) |function| try functionEntry(model, allocator, out, function);
    }
    try out.writeAll("\n## Enumerations\n");
    for (model.enums) |enumeration| {
        try out.print("\n### {s}\n\n{s}\n\n| value | name | meaning |\n| --- | --- | --- |\n", .{ enumeration.name, enumeration.doc });
        for (enumeration.values) |value| {
            try out.print("| {d} | `UK_{s}_{s}` | {s} |\n", .{ value.value, try shout(allocator, enumeration.prefix), try shout(allocator, value.name), value.doc });
        }
    }
    try out.writeAll("\n## Flags\n");
    for (model.flags) |set| {
        try out.print("\n### {s}\n\n{s}\n\n| bit | name | meaning |\n| --- | --- | --- |\n", .{ set.name, set.doc });
        for (set.values) |flag| {
            try out.print("| {d} | `UK_{s}_{s}` | {s} |\n", .{ flag.bit, try shout(allocator, set.prefix), try shout(allocator, flag.name), flag.doc });
        }
    }
    try out.writeAll("\n## Structures\n");
    for (model.structs) |structure| {
        try out.print("\n### struct uk_{s}\n\n{s} {d} bytes.\n\n| offset | field | type | meaning |\n| --- | --- | --- | --- |\n", .{ structure.name, structure.doc, model.sizeOf(structure.name).? });
        var offset: u32 = 0;
        for (structure.fields) |field| {
            try out.print("| {d} | `{s}` | {s} | {s} |\n", .{ offset, field.name, field.type, field.doc });
            offset += model.sizeOf(field.type).?;
        }
    }
}

fn functionEntry(model: Model, allocator: Allocator, out: *Writer, function: schema.Function) !void {
    try out.print("\n#### `{s}`\n\n{s}", .{ function.name, function.doc });
    if (function.unsupported) try out.writeAll(" **Not in this kernel yet:** it answers UNSUPPORTED; the table states what it will be.");
    try out.writeAll("\n\n");
    if (function.args.len != 0) {
        try out.writeAll("| argument | type | meaning |\n| --- | --- | --- |\n");
        for (function.args) |arg| try out.print("| `{s}` | {s} | {s} |\n", .{ arg.name, arg.type, arg.doc });
        try out.writeAll("\n");
    }
    if (function.no_return) try out.writeAll("Returns only when it fails. ");
    if (!std.mem.eql(u8, function.returns, "result")) try out.print("Gives a {s} and cannot fail. ", .{function.returns});
    if (function.capability) |capability| try out.print("Capability: `{s}`. ", .{capability});
    var planned = function;
    planned.unsupported = false;
    const details = try model.detailsOf(allocator, planned);
    if (details.len != 0) {
        try out.writeAll("Errors: ");
        for (details, 0..) |name, index| {
            const detail = model.findDetail(name).?;
            try out.print("{s}{s} (`{s}`)", .{ if (index == 0) "" else ", ", try shout(allocator, detail.result), name });
        }
        try out.writeAll(".");
    } else if (std.mem.eql(u8, function.returns, "result")) try out.writeAll("No errors.");
    try out.writeAll("\n");
}

const shout = @import("names.zig").shout;
