//! The µKernel for Zig workloads: the ABI's types and calls, and what most programs need on top of them.
//!
//!   const uk = @import("ukernel");
//!   pub fn main() !void { try uk.print("hello\n", .{}); }
const std = @import("std");

pub const abi = @import("abi.zig");
pub const calls = @import("calls.zig");

pub const Channel = @import("channel.zig").Channel;
pub const PollSet = @import("poll.zig").PollSet;
pub const poll = @import("poll.zig").poll;
pub const net = @import("net.zig");
pub const Socket = net.Socket;
pub const time = @import("time.zig");
pub const Deadline = time.Deadline;
pub const Task = @import("task.zig").Task;
pub const stopEvent = @import("task.zig").stopEvent;

extern var uk_startup: *const abi.Startup;

/// What the kernel told the workload at its start.
pub fn startup() *const abi.Startup {
    return uk_startup;
}

pub fn arguments() []const [*:0]const u8 {
    return @as([*]const [*:0]const u8, @ptrFromInt(uk_startup.argv))[0..uk_startup.argc];
}

/// The value of a variable of the environment.
pub fn environment(name: []const u8) ?[:0]const u8 {
    const items: [*]const [*:0]const u8 = @ptrFromInt(uk_startup.envp);
    for (items[0..uk_startup.envc]) |item| {
        const text = std.mem.span(item);
        if (std.mem.startsWith(u8, text, name) and text.len > name.len and text[name.len] == '=') return text[name.len + 1 ..];
    }
    return null;
}

/// Acquires and enters a capability; nothing to do when one of its kind is active.
pub fn enable(kind: abi.CapKind, rights: u32) abi.Failure!void {
    var capability: abi.Handle = .none;
    try calls.check(calls.cap_acquire(kind, rights, &capability));
    calls.check(calls.cap_enter(capability)) catch |failure| {
        _ = calls.cap_drop(capability);
        if (failure != error.AlreadyActive) return failure;
    };
}

/// The capability that a call needs.
pub const Needs = struct { kind: abi.CapKind, rights: u32 };

/// Makes a call of the ABI, again when it was interrupted, and acquires the capability that it needs when the task has none active.
pub fn perform(needs: Needs, comptime function: anytype, values: anytype) abi.Failure!void {
    var enabled = false;
    while (true) {
        calls.check(@call(.auto, function, values)) catch |failure| switch (failure) {
            error.Interrupted => continue,
            error.CapabilityMissing => {
                if (enabled) return failure;
                enabled = true;
                try enable(needs.kind, needs.rights);
                continue;
            },
            else => return failure,
        };
        return;
    }
}

/// Closing fails only for what is closed already: a mistake of the program's, which goes on with a wrong handle.
pub fn closed(result: abi.Failure!void, what: []const u8) void {
    result catch |failure| std.debug.panic("{s}: {s}", .{ what, @errorName(failure) });
}

var console: std.atomic.Value(u64) = .init(0);

/// Opens the console once for all tasks.
fn openConsole() abi.Failure!abi.Handle {
    const present = console.load(.acquire);
    if (present != 0) return @enumFromInt(present);
    var handle: abi.Handle = .none;
    try calls.check(calls.io_open(.console, .none, "", 0, .{ .write = true }, &handle));
    if (console.cmpxchgStrong(0, @intFromEnum(handle), .acq_rel, .acquire)) |other| {
        _ = calls.io_close(handle);
        return @enumFromInt(other);
    }
    return handle;
}

/// Writes all of it, acquiring the io capability for the calling task when it has none active.
pub fn writeConsoleAll(bytes: []const u8) abi.Failure!void {
    writeConsoleOnce(bytes) catch |failure| {
        if (failure != error.CapabilityMissing) return failure;
        try enable(.io, @bitCast(abi.IoRights{ .read = true, .write = true }));
        try writeConsoleOnce(bytes);
    };
}

fn writeConsoleOnce(bytes: []const u8) abi.Failure!void {
    const handle = try openConsole();
    var rest = bytes;
    while (rest.len > 0) {
        var written: u64 = 0;
        try calls.check(calls.io_write(handle, rest.ptr, rest.len, abi.offset_current, &written));
        rest = rest[@intCast(written)..];
    }
}

/// As writeConsoleAll, for who can do nothing about a failure.
pub fn writeConsole(bytes: []const u8) void {
    writeConsoleAll(bytes) catch {};
}

/// Prints to the console.
pub fn print(comptime format: []const u8, values: anytype) abi.Failure!void {
    var buffer: [512]u8 = undefined;
    var stream: ConsoleWriter = .{ .interface = .{ .vtable = &.{ .drain = ConsoleWriter.drain }, .buffer = &buffer } };
    stream.interface.print(format, values) catch return stream.failure orelse error.DeviceError;
    stream.interface.flush() catch return stream.failure orelse error.DeviceError;
}

const ConsoleWriter = struct {
    interface: std.Io.Writer,
    failure: ?abi.Failure = null,

    fn drain(writer: *std.Io.Writer, data: []const []const u8, splat: usize) std.Io.Writer.Error!usize {
        const stream: *ConsoleWriter = @fieldParentPtr("interface", writer);
        try stream.put(writer.buffered());
        writer.end = 0;
        var count: usize = 0;
        for (data[0 .. data.len - 1]) |bytes| {
            try stream.put(bytes);
            count += bytes.len;
        }
        for (0..splat) |_| {
            try stream.put(data[data.len - 1]);
            count += data[data.len - 1].len;
        }
        return count;
    }

    fn put(stream: *ConsoleWriter, bytes: []const u8) std.Io.Writer.Error!void {
        writeConsoleAll(bytes) catch |failure| {
            stream.failure = failure;
            return error.WriteFailed;
        };
    }
};

/// Writes a log record, acquiring the log capability for the calling task when it has none active.
pub fn log(level: abi.LogLevel, text: []const u8) abi.Failure!void {
    calls.check(calls.log_write(level, text.ptr, text.len)) catch |failure| {
        if (failure != error.CapabilityMissing) return failure;
        try enable(.log, @bitCast(abi.LogRights{ .write = true }));
        try calls.check(calls.log_write(level, text.ptr, text.len));
    };
}

pub const Span = @import("trace.zig").Span;
pub const trace = @import("trace.zig");

/// Reserves readable, writable, zeroed memory, acquiring the mem capability when it is not active. `bytes` is a multiple of a page.
pub fn reserve(bytes: usize) abi.Failure![]align(4096) u8 {
    const flags: abi.MemFlags = .{ .read = true, .write = true, .zeroed = true };
    var address: u64 = 0;
    calls.check(calls.mem_alloc(bytes, flags, &address)) catch |failure| {
        if (failure != error.CapabilityMissing) return failure;
        try enable(.mem, @bitCast(abi.MemRights{ .map = true }));
        try calls.check(calls.mem_alloc(bytes, flags, &address));
    };
    return @as([*]align(4096) u8, @ptrFromInt(address))[0..bytes];
}

/// Gives back what reserve gave.
pub fn release(memory: []u8) void {
    calls.check(calls.mem_free(@intFromPtr(memory.ptr), memory.len)) catch |failure| std.debug.panic("mem_free: {s}", .{@errorName(failure)});
}

/// Mutual exclusion between tasks, by wait-on-address.
pub const Lock = struct {
    /// 0 free, 1 held, 2 held with tasks waiting.
    state: std.atomic.Value(u32) = .init(0),

    pub fn acquire(lock: *Lock) void {
        if (lock.state.cmpxchgStrong(0, 1, .acquire, .monotonic) == null) return;
        while (lock.state.swap(2, .acquire) != 0) {
            _ = calls.task_wait(&lock.state.raw, 2, abi.deadline_never);
        }
    }

    pub fn release(lock: *Lock) void {
        if (lock.state.swap(0, .release) == 2) _ = calls.task_wake(@intFromPtr(&lock.state.raw), 1, null);
    }
};

pub const panic = std.debug.FullPanic(endWithMessage);

/// Status of a VM that a panic ended.
pub const panic_status = 101;

fn endWithMessage(message: []const u8, address: ?usize) noreturn {
    print("panic: {s} (at 0x{x})\n", .{ message, address orelse @returnAddress() }) catch {};
    _ = calls.vm_exit(panic_status);
    @trap();
}
