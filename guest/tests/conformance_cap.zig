//! Capabilities: acquiring, entering, leaving and dropping them, and what a child gets.
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

/// Rights that the rest of the suite runs with, by kind.
const rights = [_]struct { abi.CapKind, u32 }{ .{ .log, 1 }, .{ .time, 3 }, .{ .task, 3 }, .{ .mem, 1 }, .{ .io, 3 }, .{ .ipc, 1 }, .{ .net, 3 }, .{ .trace, 1 } };

pub fn run() void {
    acquire();
    enterAndExit();
    // The console needed io before; from here on every kind of the list is active.
    for (rights) |entry| uk.enable(entry[0], entry[1]) catch t.expect(@src(), false, "enable");
    children();
}

fn acquire() void {
    var handle: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.mem, 1, &handle });
    t.ok(@src(), .cap_drop, .{handle});
    t.fails(@src(), .cap_drop, .bad_handle, .{handle});
    t.fails(@src(), .cap_enter, .bad_handle, .{handle});
    t.fails(@src(), .cap_acquire, .bad_flags, .{ abi.CapKind.mem, 0, &handle });
    t.fails(@src(), .cap_acquire, .bad_flags, .{ abi.CapKind.mem, 8, &handle });
    t.fails(@src(), .cap_acquire, .bad_flags, .{ abi.CapKind.log, 2, &handle });
    t.fails(@src(), .cap_acquire, .bad_value, .{ 8, 1, &handle });
    // The manifest names exec-write and not pin.
    t.fails(@src(), .cap_acquire, .capability_denied, .{ abi.CapKind.mem, 5, &handle });
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.mem, 3, &handle });
    t.ok(@src(), .cap_drop, .{handle});
}

fn enterAndExit() void {
    var first: abi.Handle = .none;
    var second: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &first });
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &second });
    t.fails(@src(), .cap_exit, .not_active, .{first});
    t.fails(@src(), .cap_enter, .already_active, .{first});
    t.ok(@src(), .cap_drop, .{second});
    t.ok(@src(), .cap_drop, .{first});

    var task_right: abi.Handle = .none;
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.task, 1, &task_right });
    var stack: [64]u8 align(16) = undefined;
    const options: abi.TaskOptions = .{ .entry = 0x1000, .stack = @intFromPtr(&stack) };
    var task: abi.Handle = .none;
    t.fails(@src(), .task_spawn, .capability_missing, .{ &options, &task });
    t.ok(@src(), .cap_enter, .{task_right});
    // The right to spawn is there now, the right to control is not.
    t.fails(@src(), .task_spawn, .bad_pointer, .{ &options, &task });
    t.fails(@src(), .task_set_priority, .capability_missing, .{ uk.startup().task, 8, 0 });
    t.fails(@src(), .cap_enter, .already_active, .{task_right});
    t.ok(@src(), .cap_exit, .{task_right});
    t.fails(@src(), .task_spawn, .capability_missing, .{ &options, &task });
    t.ok(@src(), .cap_enter, .{task_right});
    t.ok(@src(), .cap_drop, .{task_right});
    t.fails(@src(), .task_spawn, .capability_missing, .{ &options, &task });
}

var shared: abi.Handle = .none;
var step: u32 = 0;

fn children() void {
    var thread: t.Thread = .{};
    // May acquire log and io alone, starts with io.
    thread.start(restricted, 0, .{ .capabilities = 1 << 0 | 1 << 4, .active = 1 << 4 });
    _ = thread.join();
    // A capability that another task drops is gone for the child.
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.time, 1, &shared });
    thread.start(loses, 0, .{ .active = 1 << 4 });
    t.awaitValue(&step, 1);
    t.ok(@src(), .cap_drop, .{shared});
    @atomicStore(u32, &step, 2, .release);
    _ = thread.join();
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.mem, 1, &shared });
    thread.start(mayNotEnter, 0, .{ .capabilities = 1 << 4, .active = 1 << 4 });
    _ = thread.join();
    t.ok(@src(), .cap_drop, .{shared});
    thread.free();
}

fn restricted(_: usize) void {
    var handle: abi.Handle = .none;
    var address: u64 = 0;
    t.fails(@src(), .mem_alloc, .capability_missing, .{ 4096, 3, &address });
    t.fails(@src(), .log_write, .capability_missing, .{ 1, "x", 1 });
    t.fails(@src(), .cap_acquire, .capability_denied, .{ abi.CapKind.mem, 1, &handle });
    t.ok(@src(), .cap_acquire, .{ abi.CapKind.log, 1, &handle });
    t.ok(@src(), .cap_enter, .{handle});
    t.ok(@src(), .log_write, .{ 1, "x", 1 });
    t.ok(@src(), .cap_drop, .{handle});
    t.fails(@src(), .log_write, .capability_missing, .{ 1, "x", 1 });
}

fn loses(_: usize) void {
    var wall: u64 = 0;
    t.fails(@src(), .time_wall, .capability_missing, .{&wall});
    t.ok(@src(), .cap_enter, .{shared});
    t.expect(@src(), t.call(.time_wall, .{&wall}) != @intFromEnum(abi.Result.permission), "entered");
    @atomicStore(u32, &step, 1, .release);
    t.awaitValue(&step, 2);
    t.fails(@src(), .time_wall, .capability_missing, .{&wall});
}

/// One that may not acquire a kind may not enter another's capability of it either.
fn mayNotEnter(_: usize) void {
    t.fails(@src(), .cap_enter, .capability_denied, .{shared});
}
