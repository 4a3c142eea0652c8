//! The linux adapter: runs an unmodified Linux/x86-64 program on the kernel's ABI. It is the VM's first program; it loads the workload
//! beside itself and serves the workload's system calls, faults and signals as the handler of foreign calls.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const gate = @import("gate");
const clone = @import("clone.zig");
const entry = @import("entry.zig");
const files = @import("files.zig");
const loader = @import("loader.zig");
const memory = @import("memory.zig");
const proc = @import("proc.zig");
const signals = @import("signals.zig");
const stop = @import("stop.zig");
const threads = @import("thread.zig");
const time = @import("time.zig");
const abi = uk.abi;
const user = posix.user;

pub const panic = uk.panic;

/// The start-up block; set before anything else runs.
export var uk_startup: *const abi.Startup = undefined;

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
    if (block.magic != abi.startup_magic or block.bytes < @sizeOf(abi.Startup)) @trap();
    uk_startup = block;
    gate.connect(block.gate);
    user.base = block.user_base;
    user.end = block.user_end;
    run() catch |failure| {
        var buffer: [64]u8 = undefined;
        proc.endWith(std.fmt.bufPrint(&buffer, "cannot start: {s}", .{@errorName(failure)}) catch "cannot start", proc.status_internal);
    };
}

/// What the manifest allows of each kind; a right that it does not name is done without.
fn takeCapabilities() void {
    uk.enable(.log, 1) catch {};
    uk.enable(.trace, 1) catch {};
    inline for (.{ .time, .task, .io, .net }) |kind| uk.enable(kind, 3) catch {};
    uk.enable(.ipc, 1) catch {};
    for ([_]u32{ 7, 3, 5, 1 }) |rights| {
        uk.enable(.mem, rights) catch continue;
        break;
    }
}

const needed = [_]struct { kind: []const u8, try_it: *const fn () abi.Result }{
    .{ .kind = "mem", .try_it = &tryMemory },
    .{ .kind = "io", .try_it = &tryIo },
};

fn tryMemory() abi.Result {
    var region: abi.MemRegion = .{};
    return uk.calls.mem_query(user.base, &region);
}

fn tryIo() abi.Result {
    var handle: abi.Handle = .none;
    const result = uk.calls.io_open(.console, .none, "", 0, .{ .write = true }, &handle);
    if (result == .ok) _ = uk.calls.io_close(handle);
    return result;
}

fn run() (posix.errno.Error || abi.Failure)!noreturn {
    takeCapabilities();
    for (needed) |each| if (each.try_it() != .ok) {
        var buffer: [128]u8 = undefined;
        proc.endWith(std.fmt.bufPrint(&buffer, "the manifest must allow `capability {s}`", .{each.kind}) catch each.kind, proc.status_internal);
    };
    time.start();
    try threads.reserveStacks();
    const thread = threads.create() orelse return error.ENOMEM;
    std.debug.assert(thread.tid == threads.process_id);
    thread.task = uk_startup.task;
    thread.state = .running;
    try uk.calls.check(uk.calls.task_set_thread_pointer(.gs, @intFromPtr(thread)));
    posix.wait.isInterrupted = &signals.isInterrupted;
    // From here on a bad address is an error, not the VM's end.
    entry.setHandlers(thread);
    try files.start();
    beginInFolder();
    stop.watch();
    enter(thread);
}

/// A manifest has no working directory: the environment names it, as shells do.
fn beginInFolder() void {
    const lines: [*:null]const ?[*:0]const u8 = @ptrFromInt(uk_startup.envp);
    var i: usize = 0;
    while (lines[i]) |line| : (i += 1) {
        const text = std.mem.span(line);
        if (std.mem.startsWith(u8, text, "PWD=/")) return files.beginIn(text["PWD=".len..]);
    }
}

fn enter(thread: *threads.Thread) noreturn {
    const path = std.mem.span(@as([*:0]const u8, @ptrFromInt(uk_startup.entry)));
    const program = loader.load(path) catch |failure| refuse(path, failure);
    var start_at = program.entry;
    var interpreter_base: u64 = 0;
    if (program.interpreter_bytes > 0) {
        const name = program.interpreter[0..program.interpreter_bytes];
        const interpreter = loader.load(name) catch |failure| refuse(name, failure);
        start_at = interpreter.entry;
        interpreter_base = interpreter.base;
    }
    memory.startBreak(program.end);
    const stack = loader.buildStack(&program, interpreter_base, path) catch |failure| refuse(path, failure);
    const name = std.fs.path.basenamePosix(path);
    const kept = name[0..@min(name.len, 15)];
    @memcpy(thread.name[0..kept.len], kept);
    thread.start = .{
        .bytes = @sizeOf(abi.TaskFrame),
        .gs_base = @intFromPtr(thread),
        .rip = start_at,
        .rsp = stack,
        .rflags = 0x202,
    };
    entry.resumeAt(&thread.start);
}

fn refuse(path: []const u8, failure: loader.Failure) noreturn {
    var buffer: [512]u8 = undefined;
    const shown = path[0..@min(path.len, 256)];
    proc.endWith(std.fmt.bufPrint(&buffer, "{s} cannot be started: {s}", .{ shown, loader.explain(failure) }) catch "cannot be started", 127);
}
