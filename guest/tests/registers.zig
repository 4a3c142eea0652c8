//! More tasks than processors, each with patterns of its own in every register, switched, preempted and interrupted all the
//! time; and interrupts against waits, none of which may be lost. Used by stress.zig.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const handlers = @import("handlers.zig");
const abi = uk.abi;

/// Runs at least this long and until there were enough rounds, but no longer than the limit: a busy host is slow.
const run_ns_min = 2_000_000_000;
const run_ns_max = 30_000_000_000;
const rounds_wanted = 500;
const interrupts_wanted = 300;
const tasks_max = 9;

const general = [_][]const u8{ "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
const vector_count = 16;

/// Puts pattern + n into register n, counts down, compares. Gives 0 when all are as they were.
const code = text: {
    var result: []const u8 = "";
    for (0..vector_count) |index| {
        result = result ++ std.fmt.comptimePrint("leaq {d}(%%rdi), %%rax\n movq %%rax, %%xmm{d}\n punpcklqdq %%xmm{d}, %%xmm{d}\n", .{ 100 + index, index, index, index });
    }
    for (general, 0..) |name, index| result = result ++ std.fmt.comptimePrint("leaq {d}(%%rdi), %%{s}\n", .{ index + 1, name });
    result = result ++ "movq %%rsi, %%rax\n1: decq %%rax\n jnz 1b\n";
    for (general, 0..) |name, index| {
        result = result ++ std.fmt.comptimePrint("leaq {d}(%%rdi), %%rax\n cmpq %%rax, %%{s}\n jne 2f\n", .{ index + 1, name });
    }
    for (0..vector_count) |index| {
        result = result ++ std.fmt.comptimePrint(
            "leaq {d}(%%rdi), %%rax\n movq %%xmm{d}, %%rcx\n cmpq %%rax, %%rcx\n jne 2f\n psrldq $8, %%xmm{d}\n movq %%xmm{d}, %%rcx\n cmpq %%rax, %%rcx\n jne 2f\n",
            .{ 100 + index, index, index, index },
        );
    }
    break :text result ++ "xorl %%eax, %%eax\n jmp 3f\n2: movl $1, %%eax\n3:\n";
};

fn holds(pattern: u64, steps: u64) bool {
    const failed = asm volatile (code
        : [ret] "={rax}" (-> u64),
        : [pattern] "{rdi}" (pattern),
          [steps] "{rsi}" (steps),
        : .{
          .rbx = true,
          .rcx = true,
          .rdx = true,
          .r8 = true,
          .r9 = true,
          .r10 = true,
          .r11 = true,
          .r12 = true,
          .r13 = true,
          .r14 = true,
          .r15 = true,
          .xmm0 = true,
          .xmm1 = true,
          .xmm2 = true,
          .xmm3 = true,
          .xmm4 = true,
          .xmm5 = true,
          .xmm6 = true,
          .xmm7 = true,
          .xmm8 = true,
          .xmm9 = true,
          .xmm10 = true,
          .xmm11 = true,
          .xmm12 = true,
          .xmm13 = true,
          .xmm14 = true,
          .xmm15 = true,
          .memory = true,
        });
    return failed == 0;
}

var going: u32 = 0;
var rounds_done: u64 = 0;
/// What was not as it should be: registers over a switch, bases in a frame, answers of the foreign handler.
var registers_lost: u32 = 0;
var bases_lost: u32 = 0;
var answers_lost: u32 = 0;
var ready: u32 = 0;
var interrupts: u64 = 0;
var foreign_calls: u64 = 0;

/// Uses every vector register, makes a call, and comes back.
fn onInterrupt(frame: *abi.TaskFrame) callconv(.c) void {
    if (frame.kind == .foreign) {
        frame.rax = frame.rdi + 1;
        _ = @atomicRmw(u64, &foreign_calls, .Add, 1, .monotonic);
    } else _ = @atomicRmw(u64, &interrupts, .Add, 1, .monotonic);
    _ = holds(0x5555_5555_5555_0000, 1);
    if (frame.fs_base != frame.gs_base + 8) _ = @atomicRmw(u32, &bases_lost, .Add, 1, .monotonic);
    _ = uk.calls.task_yield();
}

fn work(index: usize) void {
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    const entry = @intFromPtr(&onInterrupt);
    t.ok(@src(), .task_set_fault_handler, .{ entry, stack.ptr, stack.len, 0 });
    t.ok(@src(), .task_set_foreign_handler, .{ entry, stack.ptr, stack.len, 0 });
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.gs, 0x10000 + index * 64 });
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.fs, 0x10008 + index * 64 });
    // Between the two calls an interrupt would see the bases apart: the first is sent when all tasks are here.
    _ = @atomicRmw(u32, &ready, .Add, 1, .acq_rel);
    while (@atomicLoad(u32, &going, .acquire) == 0) _ = uk.calls.task_yield();
    var round: u64 = index << 32;
    while (@atomicLoad(u32, &going, .acquire) == 1) : (round += 1) {
        if (!holds(round *% 0x9e3779b97f4a7c15, 20_000)) _ = @atomicRmw(u32, &registers_lost, .Add, 1, .monotonic);
        if (handlers.foreignCall(0, round) != round + 1) _ = @atomicRmw(u32, &answers_lost, .Add, 1, .monotonic);
        _ = @atomicRmw(u64, &rounds_done, .Add, 1, .monotonic);
    }
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
}

pub fn run() u8 {
    uk.enable(.mem, 1) catch {};
    const count: usize = @min(tasks_max, 2 * uk.startup().cpu_count + 1);
    var threads: [tasks_max]t.Thread = @splat(.{});
    for (threads[0..count], 0..) |*thread, index| thread.start(work, index, .{});
    t.awaitValue(&ready, @intCast(count));
    const start = t.now();
    @atomicStore(u32, &going, 1, .release);
    while (t.now() - start < run_ns_max) {
        if (t.now() - start > run_ns_min and @atomicLoad(u64, &rounds_done, .monotonic) >= rounds_wanted and
            @atomicLoad(u64, &interrupts, .monotonic) >= interrupts_wanted) break;
        t.sleep(300_000);
        for (threads[0..count]) |*thread| _ = uk.calls.task_interrupt(thread.handle);
    }
    @atomicStore(u32, &going, 2, .release);
    for (threads[0..count]) |*thread| _ = thread.join();
    t.say("{d} rounds, {d} interrupts, {d} foreign calls\n", .{ rounds_done, interrupts, foreign_calls });
    t.expectEqual(@src(), 0, registers_lost, "registers that changed over a switch");
    t.expectEqual(@src(), 0, bases_lost, "bases that were not the task's");
    t.expectEqual(@src(), 0, answers_lost, "foreign calls with a wrong answer");
    t.expect(@src(), rounds_done >= rounds_wanted and interrupts >= interrupts_wanted and foreign_calls >= rounds_done, "enough of each");
    return t.finish();
}

var flag: u32 = 0;
var second_begins: u32 = 0;
var rounds: u64 = 0;
var handled: u64 = 0;

/// An interrupt that comes between the look at the flag and the wait must end the wait.
fn awaitFlag() void {
    while (@atomicLoad(u32, &flag, .acquire) == 0) {
        var word: u32 = 0;
        _ = uk.calls.task_wait(&word, 0, abi.deadline_never);
    }
    @atomicStore(u32, &flag, 0, .release);
    handled += 1;
}

fn waiter(_: usize) void {
    while (handled < rounds) awaitFlag();
}

/// The same inside a handler, where interrupts stay pending.
fn waiterInHandler(_: usize) void {
    const stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    const entry = @intFromPtr(&onForeignWait);
    t.ok(@src(), .task_set_fault_handler, .{ entry, stack.ptr, stack.len, 0 });
    t.ok(@src(), .task_set_foreign_handler, .{ entry, stack.ptr, stack.len, 0 });
    t.awaitValue(&second_begins, 1);
    while (handled < 2 * rounds) _ = handlers.foreignCall(0, 0);
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
}

fn onForeignWait(frame: *abi.TaskFrame) callconv(.c) void {
    if (frame.kind == .foreign) awaitFlag();
}

fn interrupter(task: usize) void {
    for (0..2 * rounds) |_| {
        while (@atomicLoad(u32, &flag, .acquire) == 1) std.atomic.spinLoopHint();
        @atomicStore(u32, &flag, 1, .release);
        _ = uk.calls.task_interrupt(@enumFromInt(@as(*u64, @ptrFromInt(task)).*));
    }
}

/// A lost interrupt is a hang, which the runner's limit ends.
pub fn signals(count: u64) u8 {
    uk.enable(.mem, 1) catch {};
    rounds = count;
    var target: u64 = 0;
    var first: t.Thread = .{};
    var sender: t.Thread = .{};
    first.start(waiter, 0, .{});
    target = @intFromEnum(first.handle);
    sender.start(interrupter, @intFromPtr(&target), .{});
    while (@atomicLoad(u64, &handled, .acquire) < rounds) t.sleep(1_000_000);
    _ = first.join();
    var second: t.Thread = .{};
    second.start(waiterInHandler, 0, .{});
    @atomicStore(u64, &target, @intFromEnum(second.handle), .release);
    // A flag that was raised for the first task's sake is there when the second begins to look; each later one finds the second as its target.
    @atomicStore(u32, &second_begins, 1, .release);
    _ = second.join();
    _ = sender.join();
    t.expectEqual(@src(), 2 * rounds, handled, "each interrupt was seen once");
    t.say("ok {d} interrupts of waits\n", .{handled});
    return t.finish();
}
