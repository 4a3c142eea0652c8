//! The process and the machine as a program asks for them, and the end.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const threads = @import("thread.zig");
const time = @import("time.zig");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

/// Of a VM that an error of the adapter itself ended.
pub const status_internal = 101;

pub fn endWith(message: []const u8, status: i32) noreturn {
    uk.print("linux adapter: {s}\n", .{message}) catch {};
    uk.log(.@"error", message) catch {};
    _ = uk.calls.vm_exit(status);
    @trap();
}

pub fn endByOwnFault(frame: *const abi.TaskFrame) noreturn {
    var buffer: [160]u8 = undefined;
    const text = std.fmt.bufPrint(&buffer, "fault {d} of the adapter at {x}, address {x}, loaded at {x}", .{
        @intFromEnum(frame.fault), frame.rip, frame.fault_address, uk.startup().image_base,
    }) catch "fault of the adapter";
    endWith(text, status_internal);
}

pub fn getpid(_: Call) Error!u64 {
    return @intCast(threads.process_id);
}

/// Also the answer for the parent and for users and groups: root.
pub fn zero(_: Call) Error!u64 {
    return 0;
}

/// Sets what is so already.
pub fn setOwn(call: Call) Error!u64 {
    inline for (0..3) |index| switch (call.word(index)) {
        0, std.math.maxInt(u32) => {},
        else => if (index == 0) return error.EPERM,
    };
    return 0;
}

pub fn getgroups(_: Call) Error!u64 {
    return 0;
}

const Names = extern struct {
    system: [65]u8 = @splat(0),
    node: [65]u8 = @splat(0),
    release: [65]u8 = @splat(0),
    version: [65]u8 = @splat(0),
    machine: [65]u8 = @splat(0),
    domain: [65]u8 = @splat(0),
};

/// What programs compare to know which calls are there.
const release = "6.1.0-ukernel";

/// The workload's name is the machine's.
pub fn hostName() []const u8 {
    const name = std.mem.span(@as([*:0]const u8, @ptrFromInt(uk.startup().name)));
    return name[0..@min(name.len, 64)];
}

pub fn uname(call: Call) Error!u64 {
    var names: Names = .{};
    inline for (.{ &names.system, &names.node, &names.release, &names.version, &names.machine, &names.domain }, .{
        "Linux", hostName(), release, "#1 metacircular", "x86_64", "(none)",
    }) |field, text| {
        const bytes = text[0..@min(text.len, field.len - 1)];
        @memcpy(field[0..bytes.len], bytes);
    }
    try user.put(Names, call.arg(0), names);
    return 0;
}

const code_set_gs = 0x1001;
const code_set_fs = 0x1002;
const code_get_fs = 0x1003;

pub fn arch_prctl(call: Call) Error!u64 {
    switch (call.arg(0)) {
        code_set_fs => {
            if (!user.isRange(call.arg(1), 0) and call.arg(1) != 0) return error.EPERM;
            call.frame.fs_base = call.arg(1);
        },
        code_get_fs => try user.put(u64, call.arg(1), call.frame.fs_base),
        // GS is the adapter's.
        code_set_gs => return error.EPERM,
        else => return error.EINVAL,
    }
    return 0;
}

const set_name = 15;
const get_name = 16;

pub fn prctl(call: Call) Error!u64 {
    switch (call.word(0)) {
        set_name => {
            var name: [16]u8 = @splat(0);
            _ = user.string(name[0..], call.arg(1)) catch |failure| if (failure != error.ENAMETOOLONG) return failure;
            name[15] = 0;
            call.thread.name = name;
        },
        get_name => try user.write(call.arg(1), &call.thread.name),
        // Death signal, dumpable (get and set), capabilities kept, no new privileges (set).
        1, 4, 8, 38 => {},
        3 => return 1,
        else => return error.EINVAL,
    }
    return 0;
}

const Limit = extern struct { soft: u64, hard: u64 };
const unlimited = std.math.maxInt(u64);

fn limitOf(resource: u32) Error!Limit {
    const value: u64 = switch (resource) {
        3 => limits.stack_bytes,
        4 => 0,
        6 => limits.threads_max,
        7 => limits.descriptors_max,
        0, 1, 2, 5, 8...15 => unlimited,
        else => return error.EINVAL,
    };
    return .{ .soft = value, .hard = value };
}

/// Limits are the adapter's own: setting one to no more than it is has no effect.
fn setLimit(resource: u32, address: u64) Error!void {
    const wanted = try user.get(Limit, address);
    const have = try limitOf(resource);
    if (wanted.soft > wanted.hard) return error.EINVAL;
    if (wanted.hard > have.hard) return error.EPERM;
}

pub fn prlimit64(call: Call) Error!u64 {
    if (call.int(0) != 0 and call.int(0) != threads.process_id) return error.ESRCH;
    const have = try limitOf(call.word(1));
    if (call.arg(2) != 0) try setLimit(call.word(1), call.arg(2));
    if (call.arg(3) != 0) try user.put(Limit, call.arg(3), have);
    return 0;
}

pub fn getrlimit(call: Call) Error!u64 {
    try user.put(Limit, call.arg(1), try limitOf(call.word(0)));
    return 0;
}

pub fn setrlimit(call: Call) Error!u64 {
    try setLimit(call.word(0), call.arg(1));
    return 0;
}

pub fn getrusage(call: Call) Error!u64 {
    var usage: [18]i64 = @splat(0);
    const cpu_ns: i64 = @intCast(time.processCpuTime());
    usage[0] = @divTrunc(cpu_ns, std.time.ns_per_s);
    usage[1] = @divTrunc(@mod(cpu_ns, std.time.ns_per_s), 1000);
    try user.put([18]i64, call.arg(1), usage);
    return 0;
}

const Information = extern struct {
    uptime: i64,
    loads: [3]u64 = @splat(0),
    total: u64,
    free: u64,
    shared: u64 = 0,
    buffers: u64 = 0,
    swap_total: u64 = 0,
    swap_free: u64 = 0,
    processes: u16,
    pad: [6]u8 = @splat(0),
    high_total: u64 = 0,
    high_free: u64 = 0,
    unit: u32 = 1,
    pad_end: u32 = 0,
};

pub fn memory() abi.AbiStats {
    var stats: abi.AbiStats = .{};
    _ = uk.calls.abi_stats(&stats);
    return stats;
}

pub fn sysinfo(call: Call) Error!u64 {
    const stats = memory();
    try user.put(Information, call.arg(0), .{
        .uptime = @intCast(uk.calls.time_now() / std.time.ns_per_s),
        .total = stats.pages_total * abi.page_bytes,
        .free = stats.pages_free * abi.page_bytes,
        .processes = 1,
    });
    return 0;
}

/// All processors, whichever thread is asked for.
pub fn sched_getaffinity(call: Call) Error!u64 {
    if (call.int(0) != 0 and threads.find(call.int(0)) == null) return error.ESRCH;
    if (call.arg(1) < 8 or call.arg(1) % 8 != 0) return error.EINVAL;
    const count: u6 = @intCast(@min(uk.startup().cpu_count, 63));
    try user.put(u64, call.arg(2), (@as(u64, 1) << count) - 1);
    return 8;
}

pub fn getcpu(call: Call) Error!u64 {
    var stats: abi.TaskStats = .{};
    _ = uk.calls.task_get_stats(@enumFromInt(call.thread.task), &stats);
    if (call.arg(0) != 0) try user.put(u32, call.arg(0), stats.cpu);
    if (call.arg(1) != 0) try user.put(u32, call.arg(1), 0);
    return 0;
}

const random_known = 7;

pub fn getrandom(call: Call) Error!u64 {
    if (call.word(2) & ~@as(u32, random_known) != 0) return error.EINVAL;
    const bytes = @min(call.arg(1), 1 << 25);
    try user.check(call.arg(0), bytes);
    return fillRandom(call.arg(0), bytes);
}

pub fn fillRandom(address: u64, bytes: u64) Error!u64 {
    var done: u64 = 0;
    while (done < bytes) {
        const part = @min(bytes - done, abi.random_bytes_max);
        uk.calls.check(uk.calls.random_fill(@ptrFromInt(address + done), part)) catch |failure| return posix.errno.of(failure);
        done += part;
    }
    return bytes;
}
