//! Signals as far as language runtimes need them: actions, masks, alternative stacks, sending to threads and the process, faults as signals,
//! frames on the workload's stack and rt_sigreturn.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const threads = @import("thread.zig");
const frames = @import("signal_frame.zig");
const proc = @import("proc.zig");
const abi = uk.abi;
const user = posix.user;
const Thread = threads.Thread;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

pub const Number = u6;
pub const count = 64;

const ill = 4;
const trap = 5;
const bus = 7;
const fpe = 8;
const kill_number = 9;
const segv = 11;
pub const pipe = 13;
pub const term = 15;
const chld = 17;
const cont = 18;
const stop = 19;
const urg = 23;
const winch = 28;

const handler_default = 0;
const handler_ignore = 1;

pub const Flags = struct {
    pub const siginfo: u64 = 4;
    pub const restorer: u64 = 0x0400_0000;
    pub const on_stack: u64 = 0x0800_0000;
    pub const restart: u64 = 0x1000_0000;
    pub const no_defer: u64 = 0x4000_0000;
    pub const reset_hand: u64 = 0x8000_0000;
};

/// As the kernel's struct sigaction of Linux/x86-64.
pub const Action = extern struct { handler: u64 = 0, flags: u64 = 0, restorer: u64 = 0, mask: u64 = 0 };

var actions: [count + 1]Action = @splat(.{});
var lock: uk.Lock = .{};
/// Signals to the process, for whichever thread takes them.
var process_pending: u64 = 0;

pub fn bit(number: u32) u64 {
    return @as(u64, 1) << @intCast(number - 1);
}

/// Neither can be caught or blocked.
const unmaskable = bit(kill_number) | bit(stop);
/// A fault raises one of these.
const synchronous = bit(ill) | bit(trap) | bit(bus) | bit(fpe) | bit(segv);

fn actionOf(number: u32) Action {
    lock.acquire();
    defer lock.release();
    return actions[number];
}

fn ignoredByDefault(number: u32) bool {
    return switch (number) {
        chld, cont, urg, winch => true,
        else => false,
    };
}

fn isIgnored(number: u32) bool {
    const action = actionOf(number);
    return action.handler == handler_ignore or (action.handler == handler_default and ignoredByDefault(number));
}

/// Signals that the thread could take now.
fn deliverable(thread: *const Thread) u64 {
    const pending = @atomicLoad(u64, &thread.pending, .seq_cst) | @atomicLoad(u64, &process_pending, .seq_cst);
    return pending & ~thread.mask;
}

/// Whether a wait of the calling thread has to end.
pub fn isInterrupted() bool {
    return deliverable(Thread.current()) != 0;
}

/// To one thread.
pub fn post(thread: *Thread, number: u32) void {
    const blocked = thread.mask & bit(number) != 0;
    if (!blocked and isIgnored(number)) return;
    _ = @atomicRmw(u64, &thread.pending, .Or, bit(number), .seq_cst);
    interrupt(thread, number);
}

fn interrupt(thread: *Thread, number: u32) void {
    if (thread.mask & bit(number) != 0) return;
    const task = @atomicLoad(u64, &thread.task, .acquire);
    if (task != 0) _ = uk.calls.task_interrupt(@enumFromInt(task));
}

/// To the process: a thread that does not block it takes it.
pub fn postProcess(number: u32) void {
    if (isIgnored(number)) return;
    _ = @atomicRmw(u64, &process_pending, .Or, bit(number), .seq_cst);
    threads.forEach(number, struct {
        fn visit(wanted: u32, thread: *Thread) bool {
            if (thread.mask & bit(wanted) != 0) return true;
            interrupt(thread, wanted);
            return false;
        }
    }.visit);
}

/// Takes the lowest pending signal, faults first.
fn take(thread: *Thread) ?struct { number: u32, code: i32 } {
    while (true) {
        const ready = deliverable(thread);
        if (ready == 0) return null;
        const first = if (ready & synchronous != 0) ready & synchronous else ready;
        const number = @as(u32, @ctz(first)) + 1;
        if (@atomicRmw(u64, &thread.pending, .And, ~bit(number), .seq_cst) & bit(number) != 0) return .{ .number = number, .code = frames.code_tkill };
        if (@atomicRmw(u64, &process_pending, .And, ~bit(number), .seq_cst) & bit(number) != 0) return .{ .number = number, .code = frames.code_user };
    }
}

/// Makes the thread run its handlers for all signals it can take. `restart` is the number of the call that a signal interrupted and that
/// is made again where the action says so.
pub fn deliver(thread: *Thread, frame: *abi.TaskFrame, restart: ?u64) void {
    var again = restart;
    while (take(thread)) |signal| {
        const action = actionOf(signal.number);
        if (action.handler == handler_ignore or (action.handler == handler_default and ignoredByDefault(signal.number))) continue;
        if (action.handler == handler_default) endBySignal(signal.number);
        if (again) |number| {
            if (action.flags & Flags.restart != 0) goBack(frame, number);
            again = null;
        }
        enter(thread, frame, signal.number, &action, .{ .code = signal.code, .sender = threads.process_id });
    }
    // Nothing ran a handler: the caller never learns of the interruption.
    if (again) |number| goBack(frame, number);
    if (thread.has_saved_mask) {
        thread.has_saved_mask = false;
        setMask(thread, thread.saved_mask);
    }
}

/// Back to the `syscall` instruction, which is two bytes long.
fn goBack(frame: *abi.TaskFrame, number: u64) void {
    frame.rip -= 2;
    frame.rax = number;
}

fn enter(thread: *Thread, frame: *abi.TaskFrame, number: u32, action: *const Action, info: frames.Information) void {
    const mask = if (thread.has_saved_mask) thread.saved_mask else thread.mask;
    frames.push(thread, frame, number, action, info, mask) catch {
        // No room for the frame: what Linux does is a SIGSEGV that nobody can take.
        proc.endWith("no room on the stack for a signal's frame", 128 + segv);
    };
    thread.has_saved_mask = false;
    var blocked = thread.mask | action.mask;
    if (action.flags & Flags.no_defer == 0) blocked |= bit(number);
    thread.mask = blocked & ~unmaskable;
    if (action.flags & Flags.reset_hand != 0) {
        lock.acquire();
        actions[number].handler = handler_default;
        lock.release();
    }
}

fn endBySignal(number: u32) noreturn {
    var buffer: [64]u8 = undefined;
    proc.endWith(std.fmt.bufPrint(&buffer, "ended by signal {d}", .{number}) catch "ended by a signal", 128 + @as(i32, @intCast(number)));
}

/// A fault in the workload's code: its handler runs, or the kernel reports the fault and ends the VM.
pub fn fault(thread: *Thread, frame: *abi.TaskFrame) void {
    const number: u32, const code: i32 = kindOf(frame);
    const action = actionOf(number);
    if (action.handler <= handler_ignore or thread.mask & bit(number) != 0) {
        // Without a handler the same fault comes again and is the kernel's to report.
        _ = uk.calls.task_set_fault_handler(0, 0, 0, .{});
        return;
    }
    enter(thread, frame, number, &action, .{ .code = code, .address = if (frame.fault == .page) frame.fault_address else frame.rip, .fault = frame });
}

fn kindOf(frame: *const abi.TaskFrame) struct { u32, i32 } {
    return switch (frame.fault) {
        .divide => .{ fpe, 1 },
        .x87, .simd => .{ fpe, 7 },
        .illegal_instruction => .{ ill, 2 },
        .debug => .{ trap, 2 },
        .breakpoint => .{ trap, 128 },
        .page => switch (@as(abi.Detail, @enumFromInt(frame.fault_detail))) {
            .out_of_memory, .device_error, .corrupt_image => .{ bus, 2 },
            .bad_pointer => .{ segv, 2 },
            else => .{ segv, 1 },
        },
        .alignment => .{ bus, 1 },
        else => .{ segv, 128 },
    };
}

fn setMask(thread: *Thread, mask: u64) void {
    @atomicStore(u64, &thread.mask, mask & ~unmaskable, .seq_cst);
}

/// Another mask until the call's end; signals that it lets in are taken with it.
pub fn replaceMask(thread: *Thread, mask: u64) void {
    thread.saved_mask = thread.mask;
    thread.has_saved_mask = true;
    setMask(thread, mask);
}

/// As the calls with a mask argument do: an address, 0 for none, and its size.
pub fn replaceMaskFrom(thread: *Thread, address: u64, bytes: u64) Error!void {
    if (address == 0) return;
    if (bytes != 8) return error.EINVAL;
    replaceMask(thread, try user.get(u64, address));
}

fn numberOf(value: u64) Error!u32 {
    if (value < 1 or value > count) return error.EINVAL;
    return @intCast(value);
}

pub fn rt_sigaction(call: Call) Error!u64 {
    const number = try numberOf(call.arg(0));
    if (call.arg(3) != 8) return error.EINVAL;
    const new: ?Action = if (call.arg(1) != 0) try user.get(Action, call.arg(1)) else null;
    if (new != null and bit(number) & unmaskable != 0) return error.EINVAL;
    lock.acquire();
    const old = actions[number];
    if (new) |action| actions[number] = action;
    lock.release();
    if (call.arg(2) != 0) try user.put(Action, call.arg(2), old);
    return 0;
}

pub fn rt_sigprocmask(call: Call) Error!u64 {
    if (call.arg(3) != 8) return error.EINVAL;
    const old = call.thread.mask;
    if (call.arg(1) != 0) {
        const set = try user.get(u64, call.arg(1));
        setMask(call.thread, switch (call.int(0)) {
            0 => old | set,
            1 => old & ~set,
            2 => set,
            else => return error.EINVAL,
        });
    }
    if (call.arg(2) != 0) try user.put(u64, call.arg(2), old);
    return 0;
}

pub fn rt_sigpending(call: Call) Error!u64 {
    if (call.arg(1) > 8) return error.EINVAL;
    const pending = @atomicLoad(u64, &call.thread.pending, .seq_cst) | @atomicLoad(u64, &process_pending, .seq_cst);
    try user.write(call.arg(0), std.mem.asBytes(&pending)[0..@intCast(call.arg(1))]);
    return 0;
}

pub fn rt_sigsuspend(call: Call) Error!u64 {
    if (call.arg(1) != 8) return error.EINVAL;
    replaceMask(call.thread, try user.get(u64, call.arg(0)));
    while (posix.wait.sleep(posix.wait.never_ns) != .interrupted) {}
    return error.EINTR;
}

pub fn pause(_: Call) Error!u64 {
    while (posix.wait.sleep(posix.wait.never_ns) != .interrupted) {}
    return error.EINTR;
}

/// Waits for one of the signals and takes it without running a handler.
pub fn rt_sigtimedwait(call: Call) Error!u64 {
    if (call.arg(3) != 8) return error.EINVAL;
    const wanted = try user.get(u64, call.arg(0)) & ~unmaskable;
    const deadline_ns = if (call.arg(2) == 0) posix.wait.never_ns else uk.calls.time_now() +| try @import("time.zig").durationAt(call.arg(2));
    const thread = call.thread;
    const before = thread.mask;
    // Unblocked for the wait, so that one that comes ends it.
    setMask(thread, before & ~wanted);
    defer setMask(thread, before);
    while (true) {
        if (deliverable(thread) & wanted != 0) {
            const number = @as(u32, @ctz(deliverable(thread) & wanted)) + 1;
            const mine = @atomicRmw(u64, &thread.pending, .And, ~bit(number), .seq_cst) & bit(number) != 0;
            if (!mine and @atomicRmw(u64, &process_pending, .And, ~bit(number), .seq_cst) & bit(number) == 0) continue;
            if (call.arg(1) != 0) {
                const info: frames.Information = .{ .code = if (mine) frames.code_tkill else frames.code_user, .sender = threads.process_id };
                try user.write(call.arg(1), &info.bytes(number));
            }
            return number;
        }
        switch (posix.wait.sleep(deadline_ns)) {
            .timed_out => return error.EAGAIN,
            .interrupted => if (deliverable(thread) & wanted == 0) return error.EINTR,
            .woken => {},
        }
    }
}

pub fn sigaltstack(call: Call) Error!u64 {
    const thread = call.thread;
    const Stack = threads.SignalStack;
    const on_it = frames.isOn(&thread.signal_stack, call.frame.rsp);
    var old = thread.signal_stack;
    if (on_it) old.flags = 1;
    if (call.arg(0) != 0) {
        var new = try user.get(Stack, call.arg(0));
        if (on_it) return error.EPERM;
        const auto_disarm: u32 = 1 << 31;
        if (new.flags & ~(auto_disarm | 3) != 0 or new.flags & 3 == 3) return error.EINVAL;
        if (new.flags & 2 != 0) {
            new = .{};
        } else {
            if (new.bytes < 2048) return error.ENOMEM;
            try user.check(new.address, new.bytes);
            new.flags = 0;
        }
        thread.signal_stack = new;
    }
    if (call.arg(1) != 0) try user.put(Stack, call.arg(1), old);
    return 0;
}

pub fn rt_sigreturn(call: Call) Error!u64 {
    const mask = frames.pop(call.thread, call.frame) catch proc.endWith("rt_sigreturn without a frame on the stack", 128 + segv);
    setMask(call.thread, mask);
    return call.frame.rax;
}

fn toThread(tid: i32, value: u64) Error!u64 {
    if (tid <= 0 or value > count) return error.EINVAL;
    const thread = threads.find(tid) orelse return error.ESRCH;
    if (value != 0) post(thread, @intCast(value));
    return 0;
}

pub fn tkill(call: Call) Error!u64 {
    return toThread(call.int(0), call.word(1));
}

pub fn tgkill(call: Call) Error!u64 {
    if (call.int(0) <= 0) return error.EINVAL;
    if (call.int(0) != threads.process_id) return error.ESRCH;
    return toThread(call.int(1), call.word(2));
}

pub fn kill(call: Call) Error!u64 {
    const target = call.int(0);
    if (call.word(1) > count) return error.EINVAL;
    // There is one process and it is its own group.
    if (target != threads.process_id and target != 0 and target != -1 and target != -threads.process_id) return error.ESRCH;
    if (call.word(1) != 0) postProcess(call.word(1));
    return 0;
}
