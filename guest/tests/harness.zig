//! What the conformance suite counts and checks with: calls by the gate's table, so that any register can hold anything, and a record of
//! which declared outcomes have been seen.
const std = @import("std");
const uk = @import("ukernel");
pub const abi = uk.abi;
pub const Id = abi.FunctionId;

/// The stubs' table, which the start-up code has filled from the gate.
extern var uk_gate_table: [abi.functions.len]usize;

const Raw = *const fn (u64, u64, u64, u64, u64, u64) callconv(.c) u64;

var passed: std.atomic.Value(u32) = .init(0);
var failed: std.atomic.Value(u32) = .init(0);

const details_max = 64;
var seen: [abi.functions.len]std.atomic.Value(u64) = @splat(.init(0));

/// Failures printed; the rest is only counted.
const failures_shown_max = 100;

fn widen(value: anytype) u64 {
    return switch (@typeInfo(@TypeOf(value))) {
        .null => 0,
        .pointer => @intFromPtr(value),
        .optional => if (value) |pointer| @intFromPtr(pointer) else 0,
        .@"enum" => @intFromEnum(value),
        .@"struct" => @as(u32, @bitCast(value)),
        .comptime_int => if (value < 0) @bitCast(@as(i64, value)) else value,
        .int => |int| if (int.signedness == .signed) @bitCast(@as(i64, value)) else value,
        else => @compileError("not an argument"),
    };
}

pub fn callWith(id: Id, registers: [6]u64) u64 {
    const function: Raw = @ptrFromInt(uk_gate_table[@intFromEnum(id)]);
    const value = function(registers[0], registers[1], registers[2], registers[3], registers[4], registers[5]);
    // The upper half of a 32-bit result is not defined by the C ABI.
    return if (abi.functions[@intFromEnum(id)].gives_value) value else @as(u32, @truncate(value));
}

pub fn registersOf(arguments: anytype) [6]u64 {
    var registers: [6]u64 = @splat(0);
    inline for (arguments, 0..) |argument, index| registers[index] = widen(argument);
    return registers;
}

pub fn call(id: Id, arguments: anytype) u64 {
    return callWith(id, registersOf(arguments));
}

fn lastDetail() abi.Detail {
    return @enumFromInt(@as(u32, @truncate(callWith(.err_get_last, @splat(0)))));
}

fn note(id: Id, detail: abi.Detail) void {
    const bit = @intFromEnum(detail);
    if (bit < details_max) _ = seen[@intFromEnum(id)].fetchOr(@as(u64, 1) << @intCast(bit), .monotonic);
}

fn count(good: bool) bool {
    _ = (if (good) &passed else &failed).fetchAdd(1, .monotonic);
    return !good and failed.load(.monotonic) <= failures_shown_max;
}

/// The call succeeds.
pub fn ok(source: std.builtin.SourceLocation, id: Id, arguments: anytype) void {
    const result = call(id, arguments);
    const detail = lastDetail();
    note(id, .none);
    if (count(result == 0 and detail == .none)) {
        say("FAIL {s}:{d}: {s}: not ok but {d} ({s})\n", .{ source.file, source.line, @tagName(id), result, name(detail) });
    }
}

/// The call fails with this detail and the result that goes with it.
pub fn fails(source: std.builtin.SourceLocation, id: Id, detail: abi.Detail, arguments: anytype) void {
    failsWith(source, id, detail, registersOf(arguments));
}

pub fn failsWith(source: std.builtin.SourceLocation, id: Id, detail: abi.Detail, registers: [6]u64) void {
    const result = callWith(id, registers);
    const got = lastDetail();
    note(id, detail);
    if (count(got == detail and result == @intFromEnum(detail.result()))) {
        say("FAIL {s}:{d}: {s}: not {s} but {d} ({s}); arguments {x} {x} {x} {x} {x} {x}\n", .{
            source.file,  source.line,  @tagName(id), name(detail), result,       name(got),
            registers[0], registers[1], registers[2], registers[3], registers[4], registers[5],
        });
    }
}

pub fn expect(source: std.builtin.SourceLocation, good: bool, comptime what: []const u8) void {
    if (count(good)) say("FAIL {s}:{d}: {s}\n", .{ source.file, source.line, what });
}

pub fn expectEqual(source: std.builtin.SourceLocation, wanted: u64, got: u64, comptime what: []const u8) void {
    if (count(wanted == got)) say("FAIL {s}:{d}: {s}: not {d} but {d}\n", .{ source.file, source.line, what, wanted, got });
}

fn name(detail: abi.Detail) []const u8 {
    return std.enums.tagName(abi.Detail, detail) orelse "unknown detail";
}

pub fn say(comptime format: []const u8, values: anytype) void {
    uk.print(format, values) catch {};
}

/// An outcome that this run has no means to bring about.
pub const Excluded = struct { detail: abi.Detail, id: ?Id = null, why: []const u8 };

/// Checks that every declared outcome of every supported function was seen, success among them; the excluded ones are
/// printed with their reason.
pub fn checkCoverage(excluded: []const Excluded) void {
    for (excluded) |item| say("not provoked here: {s} {s}: {s}\n", .{ if (item.id) |id| @tagName(id) else "any function", name(item.detail), item.why });
    for (abi.functions, 0..) |function, index| {
        const id: Id = @enumFromInt(index);
        const bits = seen[index].load(.monotonic);
        if (!function.unsupported and !function.gives_value and !function.no_return) checkSeen(id, bits, .none, excluded);
        for (function.details) |detail| checkSeen(id, bits, detail, excluded);
    }
}

fn checkSeen(id: Id, bits: u64, detail: abi.Detail, excluded: []const Excluded) void {
    if (bits >> @intCast(@intFromEnum(detail)) & 1 != 0) return;
    for (excluded) |item| {
        if (item.detail == detail and (item.id == null or item.id == id)) return;
    }
    if (count(false)) say("FAIL coverage: {s}: {s} was never brought about\n", .{ @tagName(id), name(detail) });
}

/// Prints the line that the runner reads and gives the VM's status.
pub fn finish() u8 {
    const failures = failed.load(.monotonic);
    say("{d} passed, {d} failed\n", .{ passed.load(.monotonic), failures });
    return @intFromBool(failures != 0);
}

/// A second task of the tests, with a stack of its own.
pub const Thread = struct {
    handle: abi.Handle = .none,
    stack: []align(4096) u8 = &.{},
    run: *const fn (usize) void = undefined,
    argument: usize = 0,
    /// 1 while it runs; cleared by the kernel at its end.
    alive: u32 = 0,
    status: i32 = 0,

    pub const Options = struct { capabilities: u32 = 0xff, active: u32 = 0xff, detached: bool = false, priority: u32 = abi.priority_normal, mode: abi.TaskMode = .latency };

    pub fn start(thread: *Thread, run: *const fn (usize) void, argument: usize, options: Options) void {
        if (thread.stack.len == 0) thread.stack = uk.reserve(64 << 10) catch @panic("no stack");
        thread.run = run;
        thread.argument = argument;
        thread.alive = 1;
        const spawn: abi.TaskOptions = .{
            .entry = @intFromPtr(&enter),
            .argument = @intFromPtr(thread),
            .stack = @intFromPtr(thread.stack.ptr) + thread.stack.len,
            .flags = .{ .detached = options.detached },
            .priority = options.priority,
            .mode = options.mode,
            .capabilities = options.capabilities,
            .active = options.active,
        };
        uk.calls.check(uk.calls.task_spawn(&spawn, &thread.handle)) catch |failure| std.debug.panic("task_spawn: {s}", .{@errorName(failure)});
    }

    fn enter(thread: *Thread) callconv(.c) noreturn {
        thread.run(thread.argument);
        _ = uk.calls.task_exit(thread.status, @intFromPtr(&thread.alive));
        @trap();
    }

    /// Waits for its end and frees it.
    pub fn join(thread: *Thread) i32 {
        var status: i32 = 0;
        uk.calls.check(uk.calls.task_join(thread.handle, abi.deadline_never, &status)) catch |failure| std.debug.panic("task_join: {s}", .{@errorName(failure)});
        return status;
    }

    pub fn free(thread: *Thread) void {
        if (thread.stack.len != 0) uk.release(thread.stack);
        thread.stack = &.{};
    }
};

pub fn now() u64 {
    return uk.calls.time_now();
}

pub fn sleep(ns: u64) void {
    _ = uk.calls.task_sleep(now() + ns);
}

/// Waits until a word has a value; the runner's time limit bounds it.
pub fn awaitValue(word: *u32, value: u32) void {
    while (@atomicLoad(u32, word, .acquire) != value) sleep(200_000);
}

/// The first task, which the suites run in.
pub fn me() abi.Handle {
    return @enumFromInt(uk.startup().task);
}
