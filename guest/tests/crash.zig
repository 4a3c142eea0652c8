//! Ends as its argument says, in every way that a workload can go wrong. The boot tests check status and message.
const std = @import("std");
const uk = @import("ukernel");

pub fn main() !u8 {
    const arguments = uk.arguments();
    const way = if (arguments.len > 1) std.mem.span(arguments[1]) else return 2;
    try uk.print("crash: {s}\n", .{way});
    inline for (@typeInfo(ways).@"struct".decls) |each| {
        if (std.mem.eql(u8, way, each.name)) @field(ways, each.name)();
    }
    try uk.print("survived\n", .{});
    return 3;
}

var data: [16]u8 = @splat(0xc3);

const ways = struct {
    pub fn null_pointer() void {
        asm volatile ("xorl %%eax, %%eax\n movq %%rax, 8(%%rax)" ::: .{ .rax = true, .memory = true });
    }
    pub fn stack_overflow() void {
        std.mem.doNotOptimizeAway(deeper(0));
    }
    pub fn foreign_call() void {
        asm volatile ("movl $39, %%eax\n syscall" ::: .{ .rax = true, .rcx = true, .r11 = true, .memory = true });
    }
    /// The bytes of the gate's call, elsewhere: no way into the kernel.
    pub fn gate_copy() void {
        asm volatile ("xorl %%eax, %%eax\n movq %%rcx, %%r10\n syscall" ::: .{ .rax = true, .rcx = true, .r10 = true, .r11 = true, .memory = true });
    }
    /// The gate's own pages, copied and made executable.
    pub fn gate_pages_copy() void {
        const start = uk.startup();
        const copy = uk.reserve(@intCast(start.gate_bytes)) catch return;
        @memcpy(copy, @as([*]const u8, @ptrFromInt(start.gate)));
        uk.calls.check(uk.calls.mem_protect(@intFromPtr(copy.ptr), copy.len, .{ .read = true, .exec = true })) catch return;
        const code = copy[4096..8192];
        const instruction = std.mem.indexOf(u8, code, "\x0f\x05") orelse return;
        asm volatile ("movl $10, %%eax\n callq *%[target]"
            :
            : [target] "{rbx}" (@intFromPtr(code.ptr) + instruction),
            : .{ .rax = true, .rcx = true, .r11 = true, .memory = true });
    }
    pub fn execute_data() void {
        @as(*const fn () callconv(.c) void, @ptrCast(&data))();
    }
    pub fn int80() void {
        asm volatile ("movl $20, %%eax\n int $0x80" ::: .{ .rax = true, .memory = true });
    }
    pub fn sysenter() void {
        asm volatile ("movl $20, %%eax\n sysenter" ::: .{ .rax = true, .memory = true });
    }
    pub fn write_text() void {
        @as(*volatile u8, @ptrFromInt(@intFromPtr(&deeper))).* = 1;
    }
    pub fn write_kernel() void {
        @as(*volatile u8, @ptrFromInt(0xffffffff80101000)).* = 1;
    }
    pub fn read_direct_map() void {
        std.mem.doNotOptimizeAway(@as(*volatile u8, @ptrFromInt(0xffff800000100000)).*);
    }
    pub fn privileged() void {
        asm volatile ("cli");
    }
    pub fn port() void {
        asm volatile ("outb %%al, $0x64"
            :
            : [value] "{al}" (@as(u8, 0xfe)),
        );
    }
    pub fn divide() void {
        asm volatile ("xorl %%ecx, %%ecx\n divl %%ecx" ::: .{ .rax = true, .rcx = true, .rdx = true });
    }
    pub fn far_jump() void {
        asm volatile ("movabsq $0x8000000000000000, %%rax\n jmp *%%rax" ::: .{ .rax = true });
    }
    pub fn illegal() void {
        asm volatile ("ud2");
    }
    pub fn single_step() void {
        asm volatile ("pushfq\n orq $0x100, (%%rsp)\n popfq\n nop\n nop");
    }
    pub fn lost_stack() void {
        asm volatile ("movq $0x12345, %%rsp\n pushq $1");
    }
    pub fn all_memory() void {
        var address: u64 = 0;
        uk.enable(.mem, @bitCast(uk.abi.MemRights{ .map = true })) catch return;
        uk.calls.check(uk.calls.mem_alloc(1 << 40, .{ .read = true, .write = true }, &address)) catch return;
        while (true) : (address += 4096) @as(*volatile u8, @ptrFromInt(address)).* = 1;
    }
    /// Hears of the host's stop request, does not read it, and listens no more.
    pub fn stop_unread() void {
        var event: uk.abi.Handle = .none;
        uk.calls.check(uk.calls.vm_stop_event(&event)) catch return;
        var entry: uk.abi.IoPollEntry = .{ .handle = @intFromEnum(event), .wanted = .{ .readable = true } };
        var count: u32 = 0;
        uk.calls.check(uk.calls.io_poll(@ptrCast(&entry), 1, uk.abi.deadline_never, &count)) catch return;
        uk.calls.check(uk.calls.io_close(event)) catch return;
        while (true) _ = uk.calls.task_sleep(uk.abi.deadline_never);
    }
    pub fn spin() void {
        while (true) std.atomic.spinLoopHint();
    }
};

fn deeper(depth: u64) callconv(.c) u64 {
    var room: [200]u8 = undefined;
    room[depth % 200] = 1;
    std.mem.doNotOptimizeAway(&room);
    return deeper(depth + 1) + room[3];
}
