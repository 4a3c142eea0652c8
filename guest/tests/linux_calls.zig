//! Makes system calls of Linux/x86-64 itself, without a C library, and checks the answers: the linux adapter's edges. It is an ordinary
//! Linux program: run on Linux, it says whether the expectations are Linux's own.
const std = @import("std");
const linux = std.os.linux;
const E = linux.E;

var passed: u32 = 0;
var failed: u32 = 0;

fn print(comptime format: []const u8, values: anytype) void {
    var buffer: [256]u8 = undefined;
    const text = std.fmt.bufPrint(&buffer, format, values) catch return;
    _ = linux.write(1, text.ptr, text.len);
}

pub fn ok(what: []const u8, holds: bool) void {
    if (holds) passed += 1 else {
        failed += 1;
        print("FAIL {s}\n", .{what});
    }
}

pub fn errorIs(what: []const u8, answer: usize, wanted: E) void {
    const got = linux.errno(answer);
    if (got == wanted) passed += 1 else {
        failed += 1;
        print("FAIL {s}: {s}, wanted {s}\n", .{ what, @tagName(got), @tagName(wanted) });
    }
}

const page = 4096;
/// Not mapped, the kernel's, null, and beyond all addresses.
const bad_addresses = [_]usize{ 8, 0x0000_7fff_ffff_e000, 0xffff_8000_0000_0000, std.math.maxInt(usize) - 7 };

fn map(bytes: usize, protection: linux.PROT) usize {
    return linux.mmap(null, bytes, protection, .{ .TYPE = .PRIVATE, .ANONYMOUS = true }, -1, 0);
}

fn pointers() void {
    for (bad_addresses) |bad| {
        errorIs("clock_gettime to a bad address", linux.syscall2(.clock_gettime, 1, bad), .FAULT);
        errorIs("uname to a bad address", linux.syscall1(.uname, bad), .FAULT);
        errorIs("open of a bad address", linux.syscall3(.open, bad, 0, 0), .FAULT);
        errorIs("rt_sigaction from a bad address", linux.syscall4(.rt_sigaction, 10, bad, 0, 8), .FAULT);
        errorIs("pipe to a bad address", linux.syscall1(.pipe, bad), .FAULT);
        errorIs("getrandom to a bad address", linux.syscall3(.getrandom, bad, 16, 0), .FAULT);
        errorIs("write from a bad address", linux.syscall3(.write, 1, bad, 16), .FAULT);
        errorIs("nanosleep from a bad address", linux.syscall2(.nanosleep, bad, 0), .FAULT);
        errorIs("poll of bad entries", linux.syscall3(.poll, bad, 4, 0), .FAULT);
    }
    // A string that ends at the last mapped byte is good, one that goes on is not.
    const area = map(2 * page, .{ .READ = true, .WRITE = true });
    _ = linux.munmap(@ptrFromInt(area + page), page);
    const end: [*]u8 = @ptrFromInt(area + page - 5);
    @memcpy(end[0..5], "/tmp\x00");
    errorIs("a path that ends with the page", linux.syscall2(.access, @intFromPtr(end), 0), .SUCCESS);
    end[4] = '/';
    errorIs("a path that runs out of the page", linux.syscall2(.access, @intFromPtr(end), 0), .FAULT);
    _ = linux.munmap(@ptrFromInt(area), page);
}

fn memory() void {
    const rw: linux.PROT = .{ .READ = true, .WRITE = true };
    const area = map(4 * page, rw);
    const bytes: [*]u8 = @ptrFromInt(area);
    ok("new memory is zero", bytes[0] == 0 and bytes[4 * page - 1] == 0);
    bytes[page] = 7;
    errorIs("madvise DONTNEED", linux.syscall3(.madvise, area, 4 * page, 4), .SUCCESS);
    ok("discarded memory is zero", bytes[page] == 0);
    errorIs("an exclusive place that is taken", linux.mmap(@ptrFromInt(area), page, rw, .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .FIXED_NOREPLACE = true }, -1, 0), .EXIST);
    bytes[0] = 9;
    const grown = linux.syscall5(.mremap, area, 4 * page, 64 * page, 1, 0);
    ok("mremap keeps the content", linux.errno(grown) == .SUCCESS and @as([*]u8, @ptrFromInt(grown))[0] == 9);
    const far: [*]u8 = @ptrFromInt(grown);
    far[64 * page - 1] = 1;
    errorIs("mprotect of a hole", linux.syscall3(.mprotect, 0x10_0000_0000, page, 1), .NOMEM);
    errorIs("mmap of nothing", linux.mmap(null, 0, rw, .{ .TYPE = .PRIVATE, .ANONYMOUS = true }, -1, 0), .INVAL);
    errorIs("munmap of half a page", linux.syscall2(.munmap, grown + 1, page), .INVAL);
    errorIs("munmap", linux.syscall2(.munmap, grown, 64 * page), .SUCCESS);
    errorIs("reading what is gone", linux.syscall3(.write, 1, grown, 1), .FAULT);
    const huge = linux.mmap(null, 1 << 40, .{}, .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true }, -1, 0);
    errorIs("a reservation of 1 TiB", huge, .SUCCESS);
    errorIs("a part of it opened", linux.syscall3(.mprotect, huge + (1 << 39), page, 3), .SUCCESS);
    @as([*]u8, @ptrFromInt(huge + (1 << 39)))[0] = 1;
    errorIs("its end", linux.syscall2(.munmap, huge, 1 << 40), .SUCCESS);
    const start = linux.syscall1(.brk, 0);
    ok("brk grows", linux.syscall1(.brk, start + 3 * page) == start + 3 * page);
    @as([*]u8, @ptrFromInt(start + page))[0] = 5;
    _ = linux.syscall1(.brk, start);
    _ = linux.syscall1(.brk, start + 3 * page);
    ok("brk gives zeroed memory again", @as([*]u8, @ptrFromInt(start + page))[0] == 0);
}

fn descriptors() void {
    var ends: [2]i32 = undefined;
    errorIs("pipe2", linux.pipe2(&ends, .{ .NONBLOCK = true }), .SUCCESS);
    var buffer: [70000]u8 = @splat(1);
    errorIs("an empty pipe", linux.read(ends[0], &buffer, 1), .AGAIN);
    ok("a pipe takes 64 KiB", linux.write(ends[1], &buffer, buffer.len) == 65536);
    errorIs("a full pipe", linux.write(ends[1], &buffer, 1), .AGAIN);
    ok("and gives them", linux.read(ends[0], &buffer, buffer.len) == 65536);
    var entry: [1]linux.pollfd = .{.{ .fd = ends[0], .events = 1, .revents = 0 }};
    ok("poll of an empty pipe", linux.poll(&entry, 1, 5) == 0);
    _ = linux.write(ends[1], &buffer, 1);
    ok("poll of a filled one", linux.poll(&entry, 1, 5) == 1 and entry[0].revents == 1);
    _ = linux.read(ends[0], &buffer, 1);
    _ = linux.close(ends[1]);
    ok("poll of a closed one", linux.poll(&entry, 1, 5) == 1 and entry[0].revents & 0x10 != 0);
    ok("the end of a pipe", linux.read(ends[0], &buffer, 1) == 0);
    _ = linux.close(ends[0]);
    errorIs("read of a closed descriptor", linux.read(ends[0], &buffer, 1), .BADF);
    errorIs("a descriptor beyond the table", linux.read(1 << 30, &buffer, 1), .BADF);
    errorIs("dup2 to a bad number", linux.syscall2(.dup2, 1, 1 << 30), .BADF);
    errorIs("lseek of a pipe", linux.syscall3(.lseek, 1 << 20, 0, 0), .BADF);
    ok("lowest number", linux.syscall1(.dup, 1) == @as(usize, @intCast(ends[0])));
    _ = linux.close(ends[0]);
}

fn files() void {
    const path = "/tmp/linux-calls";
    _ = linux.unlink(path);
    const file: i32 = @intCast(@as(isize, @bitCast(linux.open(path, .{ .ACCMODE = .RDWR, .CREAT = true, .EXCL = true }, 0o600))));
    ok("a new file", file >= 0);
    errorIs("a second of the name", linux.open(path, .{ .ACCMODE = .RDWR, .CREAT = true, .EXCL = true }, 0o600), .EXIST);
    ok("write", linux.write(file, "0123456789", 10) == 10);
    ok("pread", blk: {
        var part: [4]u8 = undefined;
        break :blk linux.pread(file, &part, 4, 3) == 4 and std.mem.eql(u8, &part, "3456");
    });
    ok("the position", linux.syscall3(.lseek, @intCast(file), 0, 1) == 10);
    errorIs("before the start", linux.syscall3(.lseek, @intCast(file), @bitCast(@as(isize, -1)), 0), .INVAL);
    errorIs("ftruncate", linux.ftruncate(file, 5000), .SUCCESS);
    var last: [1]u8 = .{1};
    ok("what was added is zero", linux.pread(file, &last, 1, 4999) == 1 and last[0] == 0);
    const mapped = linux.mmap(null, 5000, .{ .READ = true, .WRITE = true }, .{ .TYPE = .PRIVATE }, file, 0);
    ok("a private mapping", linux.errno(mapped) == .SUCCESS and @as([*]u8, @ptrFromInt(mapped))[9] == '9');
    errorIs("a name that is too long", linux.open("/tmp/" ++ "x" ** 256, .{}, 0), .NAMETOOLONG);
    errorIs("a file as a folder", linux.open(path ++ "/x", .{}, 0), .NOTDIR);
    errorIs("what is not there", linux.open("/tmp/none/x", .{}, 0), .NOENT);
    errorIs("rename", linux.rename(path, path ++ "2"), .SUCCESS);
    errorIs("the old name", linux.unlink(path), .NOENT);
    errorIs("the new name", linux.unlink(path ++ "2"), .SUCCESS);
    ok("still open", linux.pread(file, &last, 1, 0) == 1 and last[0] == '0');
    _ = linux.close(file);
    errorIs("an empty path", linux.open("", .{}, 0), .NOENT);
    errorIs("a folder to write", linux.open("/tmp", .{ .ACCMODE = .WRONLY }, 0), .ISDIR);
    errorIs("mkdir", linux.mkdir("/tmp/linux-folder", 0o700), .SUCCESS);
    errorIs("rmdir of what is no folder", linux.rmdir("/dev/null"), if (linux.errno(linux.rmdir("/dev/null")) == .NOTDIR) .NOTDIR else .ROFS);
    errorIs("rmdir", linux.rmdir("/tmp/linux-folder"), .SUCCESS);
}

var signals_seen: u32 = 0;
var signal_stack_used: bool = false;
var alternative: [16384]u8 align(16) = undefined;

fn onSignal(_: linux.SIG, info: *const linux.siginfo_t, context: ?*anyopaque) callconv(.c) void {
    _ = context;
    signals_seen += 1;
    const here = @intFromPtr(&info);
    signal_stack_used = here >= @intFromPtr(&alternative) and here < @intFromPtr(&alternative) + alternative.len;
    // Vector registers must come back as they were.
    asm volatile ("pcmpeqd %%xmm5, %%xmm5" ::: .{ .xmm5 = true });
}

fn install(number: linux.SIG, flags: u32) void {
    const action: linux.Sigaction = .{ .handler = .{ .sigaction = &onSignal }, .mask = std.mem.zeroes(linux.sigset_t), .flags = flags | linux.SA.SIGINFO };
    errorIs("sigaction", linux.sigaction(number, &action, null), .SUCCESS);
}

fn signals() void {
    var stack: linux.stack_t = .{ .sp = &alternative, .flags = 0, .size = alternative.len };
    errorIs("sigaltstack", linux.sigaltstack(&stack, null), .SUCCESS);
    install(.USR1, linux.SA.ONSTACK);
    const me: usize = linux.syscall0(.gettid);
    const process: usize = linux.syscall0(.getpid);
    const number: usize = @intFromEnum(linux.SIG.USR1);
    var value: u64 = 0x1234_5678_9abc_def0;
    var back: u64 = 0;
    const answer = asm volatile (
        \\ movq %[in], %%xmm5
        \\ syscall
        \\ movq %%xmm5, %[out]
        : [ret] "={rax}" (-> usize),
          [out] "=&r" (back),
        : [number] "{rax}" (@as(usize, @intFromEnum(linux.SYS.tgkill))),
          [a] "{rdi}" (process),
          [b] "{rsi}" (me),
          [c] "{rdx}" (number),
          [in] "r" (value),
        : .{ .rcx = true, .r11 = true, .xmm5 = true, .memory = true });
    value = 0;
    ok("a signal to oneself", answer == 0 and signals_seen == 1);
    ok("on its own stack", signal_stack_used);
    ok("vector registers survive a handler", back == 0x1234_5678_9abc_def0);
    const set: u64 = @as(u64, 1) << @intCast(number - 1);
    var old: u64 = 0;
    _ = linux.syscall4(.rt_sigprocmask, 0, @intFromPtr(&set), @intFromPtr(&old), 8);
    _ = linux.syscall3(.tgkill, process, me, number);
    ok("blocked", signals_seen == 1);
    _ = linux.syscall4(.rt_sigprocmask, 1, @intFromPtr(&set), 0, 8);
    ok("let in", signals_seen == 2);
    errorIs("no such thread", linux.syscall3(.tgkill, process, 0x7ffffff, number), .SRCH);
    errorIs("no such signal", linux.syscall3(.tgkill, process, me, 65), .INVAL);
    errorIs("KILL cannot be caught", linux.syscall4(.rt_sigaction, 9, @intFromPtr(&[4]u64{ 1, 0, 0, 0 }), 0, 8), .INVAL);
}

fn futexes() void {
    var word: u32 = 5;
    errorIs("a word that has changed", linux.syscall4(.futex, @intFromPtr(&word), 128, 4, 0), .AGAIN);
    const soon: linux.timespec = .{ .sec = 0, .nsec = 5_000_000 };
    errorIs("a wait with a limit", linux.syscall4(.futex, @intFromPtr(&word), 128, 5, @intFromPtr(&soon)), .TIMEDOUT);
    ok("nobody to wake", linux.syscall3(.futex, @intFromPtr(&word), 129, 1) == 0);
    errorIs("a crooked word", linux.syscall4(.futex, @intFromPtr(&word) + 1, 128, 5, 0), .INVAL);
    errorIs("a word that is not there", linux.syscall4(.futex, 0x10_0000_0000, 128, 5, 0), .FAULT);
    const wrong: linux.timespec = .{ .sec = 0, .nsec = -1 };
    errorIs("a wrong limit", linux.syscall4(.futex, @intFromPtr(&word), 128, 5, @intFromPtr(&wrong)), .INVAL);
    // Add 3, and compare the old value with 5.
    const operation: u32 = 1 << 28 | 0 << 24 | 3 << 12 | 5;
    var other: u32 = 5;
    errorIs("wake and change", linux.syscall6(.futex, @intFromPtr(&word), 133, 1, 1, @intFromPtr(&other), operation), .SUCCESS);
    ok("the change", other == 8);
}

pub fn main() u8 {
    pointers();
    memory();
    descriptors();
    files();
    signals();
    futexes();
    @import("linux_sockets.zig").run();
    errorIs("a call that there is no more", linux.syscall0(.get_kernel_syms), .NOSYS);
    print("{d} passed, {d} failed\n", .{ passed, failed });
    return if (failed == 0) 9 else 1;
}
