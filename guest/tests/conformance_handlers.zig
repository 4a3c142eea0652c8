//! Handlers and frames: foreign calls, faults, interrupts, nesting, resuming, thread pointers and vector state.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const handlers = @import("handlers.zig");
const abi = uk.abi;

var stack: []align(4096) u8 = &.{};

pub fn run() void {
    stack = uk.reserve(handlers.stack_bytes) catch @panic("no stack");
    arguments(.task_set_foreign_handler);
    arguments(.task_set_fault_handler);
    threadPointers();
    foreignCalls();
    faults();
    interrupts();
    resumes();
    t.ok(@src(), .task_set_foreign_handler, .{ 0, 0, 0, 0 });
    t.ok(@src(), .task_set_fault_handler, .{ 0, 0, 0, 0 });
    uk.release(stack);
}

fn arguments(id: t.Id) void {
    const entry = @intFromPtr(&handlers.onFault);
    const base = @intFromPtr(stack.ptr);
    t.fails(@src(), id, .bad_pointer, .{ @as(u64, 0xffff_8000_0000_0000), base, stack.len, 0 });
    t.fails(@src(), id, .bad_pointer, .{ @as(u64, 1), base, stack.len, 0 });
    t.fails(@src(), id, .bad_pointer, .{ entry, @as(u64, 0xffff_8000_0000_0000), stack.len, 0 });
    t.fails(@src(), id, .bad_pointer, .{ entry, base, @as(u64, 1) << 48, 0 });
    t.fails(@src(), id, .misaligned, .{ entry, base + 8, stack.len, 0 });
    t.fails(@src(), id, .too_small, .{ entry, base, abi.handler_stack_bytes_min - 16, 0 });
    t.ok(@src(), id, .{ entry, base, abi.handler_stack_bytes_min, 0 });
    t.ok(@src(), id, .{ 0, 0, 0, 0 });
}

fn threadPointers() void {
    var block: [4]u64 = .{ 1111, 2222, 3333, 4444 };
    t.fails(@src(), .task_set_thread_pointer, .bad_pointer, .{ abi.ThreadPointer.fs, @as(u64, 0xffff_8000_0000_0000) });
    t.fails(@src(), .task_set_thread_pointer, .bad_pointer, .{ abi.ThreadPointer.gs, @as(u64, 0x8000_0000_0000_0000) });
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.fs, &block[0] });
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.gs, &block[2] });
    t.expectEqual(@src(), 1111, asm volatile ("movq %%fs:0, %[out]"
        : [out] "=r" (-> u64),
    ), "FS");
    t.sleep(1_000_000);
    t.expectEqual(@src(), 4444, asm volatile ("movq %%gs:8, %[out]"
        : [out] "=r" (-> u64),
    ), "GS after a switch");
    t.expectEqual(@src(), 2222, asm volatile ("movq %%fs:8, %[out]"
        : [out] "=r" (-> u64),
    ), "FS after a switch");
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.fs, 0 });
    t.ok(@src(), .task_set_thread_pointer, .{ abi.ThreadPointer.gs, 0 });
}

fn foreignCalls() void {
    handlers.install(true, true, stack) catch t.expect(@src(), false, "handlers");
    for (0..1000) |round| {
        const result = handlers.foreignCall(round, 5);
        if (result != round + 5) t.expectEqual(@src(), round + 5, result, "the handler's answer");
    }
    const frame = handlers.last;
    t.expect(@src(), frame.kind == .foreign, "kind");
    t.expectEqual(@src(), @sizeOf(abi.TaskFrame), frame.bytes, "size");
    t.expectEqual(@src(), 999, frame.rax, "number");
    t.expectEqual(@src(), 5, frame.rdi, "argument");
    t.expect(@src(), !frame.flags.in_handler, "not in a handler");
    t.expect(@src(), frame.flags.vector and frame.vector_bytes == uk.startup().vector_bytes and frame.vector_address % 64 == 0, "vector state");
    t.expect(@src(), @as([*]const u8, @ptrFromInt(frame.rip - 2))[0..2].*[1] == 0x05, "behind the instruction");

    // The gate's own instruction is an ABI call from wherever it is reached; a copy of the gate is none.
    const start = uk.startup();
    const copy = uk.reserve(@intCast(start.gate_bytes)) catch @panic("no memory");
    @memcpy(copy, @as([*]const u8, @ptrFromInt(start.gate)));
    t.ok(@src(), .mem_protect, .{ copy.ptr, copy.len, abi.MemFlags{ .read = true, .exec = true } });
    const self: *const fn () callconv(.c) u64 = @ptrFromInt(@intFromPtr(copy.ptr) + (addressOf(.task_self) - start.gate));
    const before = handlers.count.load(.monotonic);
    const answer = self();
    t.expectEqual(@src(), before + 1, handlers.count.load(.monotonic), "a copy of the gate makes a foreign call");
    t.expect(@src(), answer != uk.calls.task_self(), "and no ABI call");
    uk.release(copy);
}

extern var uk_gate_table: [abi.functions.len]usize;

fn addressOf(id: t.Id) u64 {
    return uk_gate_table[@intFromEnum(id)];
}

fn faults() void {
    t.expect(@src(), !handlers.canRead(0), "null");
    t.expect(@src(), handlers.last.kind == .fault and handlers.last.fault == .page, "page fault");
    t.expectEqual(@src(), 0, handlers.last.fault_address, "address");
    t.expectEqual(@src(), @intFromEnum(abi.Detail.not_mapped), handlers.last.fault_detail, "detail");
    t.expect(@src(), !handlers.canWrite(@intFromPtr(&faults)), "code is not writable");
    t.expectEqual(@src(), @intFromEnum(abi.Detail.bad_pointer), handlers.last.fault_detail, "detail");
    t.expect(@src(), handlers.last.fault_code & 2 != 0, "a write");
    t.expect(@src(), !handlers.canRead(0xffff_8000_0000_0000), "kernel memory is not readable");
    t.expect(@src(), !handlers.canWrite(0xffff_ffff_8020_0000), "kernel memory is not writable");
    t.expect(@src(), !handlers.canExecute(0xffff_ffff_8020_0000), "kernel memory is not executable");
    t.expect(@src(), !handlers.canRead(0x8000_0000_0000_0000), "a non-canonical address");
    t.expect(@src(), handlers.last.fault == .protection, "general protection");
    t.expect(@src(), !handlers.canExecute(@intFromPtr(stack.ptr)), "a stack is not executable");
    t.expect(@src(), handlers.last.fault_code & 16 != 0, "an instruction");
    t.expect(@src(), !handlers.canWrite(uk.startup().gate), "the gate is not writable");
    t.expect(@src(), !handlers.canWrite(uk.startup().clock), "the clock page is not writable");
    t.expect(@src(), handlers.canRead(uk.startup().clock), "the clock page is readable");
    t.expect(@src(), !handlers.canExecute(uk.startup().clock), "the clock page is not executable");

    // Every kind that an instruction can cause: the frame names it, and the handler goes on behind it.
    const Case = struct { abi.Fault, *const fn () callconv(.c) void };
    for ([_]Case{
        .{ .divide, &divide },
        .{ .illegal_instruction, &illegal },
        .{ .protection, &privileged },
        .{ .breakpoint, &breakpoint },
    }) |case| {
        skip_bytes = if (case[0] == .breakpoint) 0 else 2;
        installSkipping();
        const before = skipped;
        case[1]();
        t.expectEqual(@src(), before + 1, skipped, "one fault");
        t.expectEqual(@src(), @intFromEnum(case[0]), @intFromEnum(handlers.last.fault), "its number");
    }
    vectorState();
    handlers.install(true, true, stack) catch t.expect(@src(), false, "handlers");
}

var skip_bytes: u64 = 0;
var skipped: u64 = 0;

fn installSkipping() void {
    uk.calls.check(uk.calls.task_set_fault_handler(@intFromPtr(&onSkip), @intFromPtr(stack.ptr), stack.len, .{})) catch t.expect(@src(), false, "handler");
}

fn onSkip(frame: *abi.TaskFrame) callconv(.c) void {
    handlers.last = frame.*;
    skipped += 1;
    frame.rip += skip_bytes;
    // Use of vector registers by the handler must not reach the workload.
    asm volatile ("pcmpeqd %%xmm0, %%xmm0\n pcmpeqd %%xmm15, %%xmm15" ::: .{ .xmm0 = true, .xmm15 = true });
}

fn divide() callconv(.c) void {
    asm volatile (
        \\ xorl %%ecx, %%ecx
        \\ xorl %%edx, %%edx
        \\ movl $1, %%eax
        \\ divl %%ecx
        ::: .{ .rax = true, .rcx = true, .rdx = true });
}

fn illegal() callconv(.c) void {
    asm volatile ("ud2");
}

fn privileged() callconv(.c) void {
    // hlt and a byte of nop, so that two bytes can be skipped.
    asm volatile ("hlt\n nop");
}

fn breakpoint() callconv(.c) void {
    asm volatile ("int3");
}

fn vectorState() void {
    skip_bytes = 2;
    var low: u64 = 0;
    var high: u64 = 0;
    asm volatile (
        \\ movq %[value], %%xmm0
        \\ movq %[value], %%xmm15
        \\ ud2
        \\ movq %%xmm0, %[low]
        \\ movq %%xmm15, %[high]
        : [low] "=r" (low),
          [high] "=r" (high),
        : [value] "r" (@as(u64, 0x1122_3344_5566_7788)),
        : .{ .xmm0 = true, .xmm15 = true, .memory = true });
    t.expectEqual(@src(), 0x1122_3344_5566_7788, low, "xmm0 over a fault");
    t.expectEqual(@src(), 0x1122_3344_5566_7788, high, "xmm15 over a fault");
    // With keep_vector the handler's use shows: nothing was saved.
    uk.calls.check(uk.calls.task_set_fault_handler(@intFromPtr(&onSkip), @intFromPtr(stack.ptr), stack.len, .{ .keep_vector = true })) catch {};
    asm volatile (
        \\ movq %[value], %%xmm0
        \\ ud2
        \\ movq %%xmm0, %[low]
        : [low] "=r" (low),
        : [value] "r" (@as(u64, 1)),
        : .{ .xmm0 = true, .xmm15 = true, .memory = true });
    t.expectEqual(@src(), std.math.maxInt(u64), low, "xmm0 with keep_vector");
    t.expect(@src(), !handlers.last.flags.vector and handlers.last.vector_address == 0, "no vector state in the frame");
}

var delivered: u32 = 0;
var nested: u32 = 0;
var in_handler_wait: abi.Result = .ok;

/// Counts, faults once inside itself, and interrupts itself: that is delivered by its end and no sooner.
fn onInterrupt(frame: *abi.TaskFrame) callconv(.c) void {
    if (frame.kind == .fault) {
        nested += 1;
        t.expect(@src(), frame.flags.in_handler, "a fault inside a handler says so");
        frame.rip += 2;
        return;
    }
    const round = @atomicRmw(u32, &delivered, .Add, 1, .acq_rel);
    if (round != 0) return;
    t.expect(@src(), frame.kind == .interrupt and !frame.flags.in_handler, "an interrupt");
    asm volatile ("ud2");
    _ = uk.calls.task_interrupt(t.me());
    // Pending inside a handler: it ends the next wait instead.
    in_handler_wait = uk.calls.task_sleep(t.now() + 20_000_000_000);
    _ = uk.calls.task_interrupt(t.me());
}

fn interrupts() void {
    uk.calls.check(uk.calls.task_set_fault_handler(@intFromPtr(&onInterrupt), @intFromPtr(stack.ptr), stack.len, .{})) catch t.expect(@src(), false, "handler");
    delivered = 0;
    t.ok(@src(), .task_interrupt, .{uk.startup().task});
    t.expectEqual(@src(), 2, @atomicLoad(u32, &delivered, .acquire), "once, and once more by the end of the handler");
    t.expectEqual(@src(), 1, nested, "the fault inside the handler");
    t.expect(@src(), in_handler_wait == .interrupted, "a wait inside the handler");

    // A task that computes is interrupted too.
    var thread: t.Thread = .{};
    delivered = 1;
    thread.start(interruptOnce, uk.startup().task, .{});
    while (@atomicLoad(u32, &delivered, .acquire) == 1) std.atomic.spinLoopHint();
    _ = thread.join();
    thread.free();
    // Back to the handlers of the other tests.
    handlers.install(true, true, stack) catch t.expect(@src(), false, "handlers");
}

fn interruptOnce(task: usize) void {
    t.sleep(3_000_000);
    t.ok(@src(), .task_interrupt, .{@as(u64, task)});
}

fn resumes() void {
    var frame: abi.TaskFrame = .{};
    t.fails(@src(), .task_resume, .bad_value, .{&frame});
    frame.bytes = @sizeOf(abi.TaskFrame);
    t.fails(@src(), .task_resume, .misaligned, .{@intFromPtr(&frame) + 4});
    frame.rip = 0xffff_8000_0000_0000;
    t.fails(@src(), .task_resume, .bad_value, .{&frame});
    frame.rip = 0x8000_0000_0000_0000;
    t.fails(@src(), .task_resume, .bad_value, .{&frame});
    frame.rip = @intFromPtr(&landing);
    frame.rsp = 0xffff_8000_0000_0000;
    t.fails(@src(), .task_resume, .bad_value, .{&frame});
    frame.rsp = @intFromPtr(&frame);
    frame.fs_base = 0xffff_8000_0000_0000;
    t.fails(@src(), .task_resume, .bad_value, .{&frame});
    frame.fs_base = 0;
    frame.flags.vector = true;
    frame.vector_address = 0x1000;
    frame.vector_bytes = uk.startup().vector_bytes;
    t.fails(@src(), .task_resume, .bad_pointer, .{&frame});
    frame.flags.vector = false;

    // Flags that would give the task more than it may have are not taken: interrupts off, input and output, nested task, virtual 8086.
    const registers = roundTrip(0x2_7202 | 0x0cd5);
    // The processor itself sets the resume flag in what a fault saves.
    t.expectEqual(@src(), 0x0202 | 0x0cd5, registers.rflags & ~@as(u64, 0x1_0000), "flags");
    t.expectEqual(@src(), 0x0101, registers.rax, "rax");
    t.expectEqual(@src(), 0x1313, registers.r13, "r13");
    t.expectEqual(@src(), 0xcccc, registers.rcx, "rcx");
    t.expectEqual(@src(), 0x1b1b, registers.r11, "r11");
}

/// Goes to `landing` by task_resume with marked registers; `landing` makes a foreign call, whose frame shows them, and which goes on behind.
noinline fn roundTrip(flags: u64) abi.TaskFrame {
    var frame: abi.TaskFrame = .{ .bytes = @sizeOf(abi.TaskFrame) };
    frame.rax = 0x0101;
    frame.rcx = 0xcccc;
    frame.r11 = 0x1b1b;
    frame.r13 = 0x1313;
    frame.rip = @intFromPtr(&landing);
    frame.rflags = flags;
    uk.calls.check(uk.calls.task_set_fault_handler(@intFromPtr(&onLanding), @intFromPtr(stack.ptr), stack.len, .{})) catch {};
    // The landing's fault handler comes back to this label with this stack.
    asm volatile (
        \\ pushq %%rbp
        \\ pushq %%rbx
        \\ leaq 1f(%%rip), %%rax
        \\ movq %%rax, (%[back])
        \\ movq %%rsp, 8(%[back])
        \\ movq %%rsp, (%[frame_rsp])
        \\ callq *%[resume_call]
        \\ ud2
        \\1: popq %%rbx
        \\ popq %%rbp
        \\ cld
        :
        : [back] "{rsi}" (&back),
          [frame_rsp] "{rdx}" (&frame.rsp),
          [resume_call] "{r8}" (addressOf(.task_resume)),
          [frame] "{rdi}" (&frame),
        : .{ .rax = true, .rcx = true, .rdx = true, .rsi = true, .rdi = true, .r8 = true, .r9 = true, .r10 = true, .r11 = true, .r12 = true, .r13 = true, .r14 = true, .r15 = true, .memory = true });
    return handlers.last;
}

var back: [2]u64 = .{ 0, 0 };

fn onLanding(frame: *abi.TaskFrame) callconv(.c) void {
    handlers.last = frame.*;
    frame.rip = back[0];
    frame.rsp = back[1];
    frame.rflags = 0x202;
}

fn landing() callconv(.naked) noreturn {
    asm volatile ("ud2");
}
