//! The frame of a signal handler on the workload's stack, in the layout of Linux/x86-64 (struct rt_sigframe), and the way back from it.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const threads = @import("thread.zig");
const signals = @import("signals.zig");
const abi = uk.abi;
const user = posix.user;
const Thread = threads.Thread;
const Error = posix.errno.Error;

pub const code_user: i32 = 0;
pub const code_tkill: i32 = -6;

const information_bytes = 128;

pub const Information = struct {
    code: i32,
    sender: i32 = 0,
    address: u64 = 0,
    fault: ?*const abi.TaskFrame = null,

    /// As siginfo_t.
    pub fn bytes(info: Information, number: u32) [information_bytes]u8 {
        var result: [information_bytes]u8 = @splat(0);
        std.mem.writeInt(u32, result[0..4], number, .little);
        std.mem.writeInt(i32, result[8..12], info.code, .little);
        if (info.fault != null) {
            std.mem.writeInt(u64, result[16..24], info.address, .little);
        } else {
            std.mem.writeInt(i32, result[16..20], info.sender, .little);
        }
        return result;
    }
};

const Context = extern struct {
    flags: u64,
    link: u64 = 0,
    stack: threads.SignalStack,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    eflags: u64,
    cs: u16 = 0x33,
    gs: u16 = 0,
    fs: u16 = 0,
    ss: u16 = 0x2b,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    vectors: u64,
    reserved: [8]u64 = @splat(0),
    mask: u64,
};

const Frame = extern struct {
    restorer: u64,
    context: Context,
    information: [information_bytes]u8,
};

comptime {
    std.debug.assert(@sizeOf(Context) == 304);
    std.debug.assert(@offsetOf(Context, "rip") == 40 + 16 * 8);
    std.debug.assert(@offsetOf(Context, "mask") == 296);
}

const context_flags_xstate = 1;
/// SS is saved and restored.
const context_flags_ss = 2 | 4;
const vector_magic_start: u32 = 0x46505853;
const vector_magic_end: u32 = 0x46505845;
/// Where FXSAVE's area leaves room for software, and where XSAVE's header is.
const software_offset = 464;
const header_offset = 512;
const header_bytes = 64;
const red_zone_bytes = 128;

pub fn isOn(stack: *const threads.SignalStack, address: u64) bool {
    return stack.bytes != 0 and address > stack.address and address <= stack.address + stack.bytes;
}

/// Puts a frame on the thread's stack and makes `frame` enter the handler.
pub fn push(
    thread: *Thread,
    frame: *abi.TaskFrame,
    number: u32,
    action: *const signals.Action,
    info: Information,
    mask: u64,
) Error!void {
    const stack = &thread.signal_stack;
    var at = frame.rsp -% red_zone_bytes;
    if (action.flags & signals.Flags.on_stack != 0 and stack.bytes != 0 and !isOn(stack, frame.rsp)) at = stack.address + stack.bytes;
    const startup = uk.startup();
    const vector_bytes = startup.vector_bytes;
    // The second magic word stands behind the area.
    const vectors = (at -% (vector_bytes + 4)) & ~@as(u64, 63);
    try saveVectors(vectors, vector_bytes, startup.vector_mask);
    const place = ((vectors - @sizeOf(Frame)) & ~@as(u64, 15)) - 8;
    if (isOn(stack, at) and place < stack.address) return error.EFAULT;
    var saved_stack = stack.*;
    if (isOn(stack, frame.rsp)) saved_stack.flags = 1;
    const content: Frame = .{
        .restorer = action.restorer,
        .information = info.bytes(number),
        .context = .{
            .flags = context_flags_xstate | context_flags_ss,
            .stack = saved_stack,
            .r8 = frame.r8,
            .r9 = frame.r9,
            .r10 = frame.r10,
            .r11 = frame.r11,
            .r12 = frame.r12,
            .r13 = frame.r13,
            .r14 = frame.r14,
            .r15 = frame.r15,
            .rdi = frame.rdi,
            .rsi = frame.rsi,
            .rbp = frame.rbp,
            .rbx = frame.rbx,
            .rdx = frame.rdx,
            .rax = frame.rax,
            .rcx = frame.rcx,
            .rsp = frame.rsp,
            .rip = frame.rip,
            .eflags = frame.rflags,
            .err = if (info.fault) |fault| fault.fault_code else 0,
            .trapno = if (info.fault) |fault| @intFromEnum(fault.fault) else 0,
            .oldmask = mask,
            .cr2 = if (info.fault) |fault| fault.fault_address else 0,
            .vectors = vectors,
            .mask = mask,
        },
    };
    try user.put(Frame, place, content);
    frame.rdi = number;
    frame.rsi = place + @offsetOf(Frame, "information");
    frame.rdx = place + @offsetOf(Frame, "context");
    frame.rax = 0;
    frame.rsp = place;
    frame.rip = action.handler;
    frame.rflags = 0x202;
}

fn saveVectors(at: u64, bytes: u64, mask: u64) Error!void {
    try user.check(at, bytes + 4);
    if (mask != 0) try user.fill(at + header_offset, 0, header_bytes);
    try user.saveVectors(at, bytes, mask);
    if (mask == 0) return;
    const Software = extern struct { magic: u32, extended_bytes: u32, features: u64, bytes: u32, padding: [7]u32 = @splat(0) };
    try user.put(Software, at + software_offset, .{
        .magic = vector_magic_start,
        .extended_bytes = @intCast(bytes + 4),
        .features = mask,
        .bytes = @intCast(bytes),
    });
    try user.put(u32, at + bytes, vector_magic_end);
}

/// Takes the registers from the frame that rsp stands behind; gives the signal mask to return to.
pub fn pop(thread: *Thread, frame: *abi.TaskFrame) Error!u64 {
    // The handler's return took the first word.
    const place = frame.rsp -% 8;
    const context = try user.get(Context, place +% @offsetOf(Frame, "context"));
    if (context.vectors != 0) try user.loadVectors(context.vectors, uk.startup().vector_bytes, uk.startup().vector_mask);
    frame.r8 = context.r8;
    frame.r9 = context.r9;
    frame.r10 = context.r10;
    frame.r11 = context.r11;
    frame.r12 = context.r12;
    frame.r13 = context.r13;
    frame.r14 = context.r14;
    frame.r15 = context.r15;
    frame.rdi = context.rdi;
    frame.rsi = context.rsi;
    frame.rbp = context.rbp;
    frame.rbx = context.rbx;
    frame.rdx = context.rdx;
    frame.rax = context.rax;
    frame.rcx = context.rcx;
    frame.rsp = context.rsp;
    frame.rip = context.rip;
    frame.rflags = context.eflags;
    if (!user.isRange(frame.rip, 1) or !user.isRange(frame.rsp, 0)) return error.EFAULT;
    _ = thread;
    return context.mask;
}
