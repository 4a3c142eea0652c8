//! Which system call is served by what.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const clone = @import("clone.zig");
const files = @import("files.zig");
const futex = @import("futex.zig");
const io = @import("io.zig");
const memory = @import("memory.zig");
const poll = @import("poll.zig");
const proc = @import("proc.zig");
const signals = @import("signals.zig");
const message = @import("message.zig");
const socket = @import("socket.zig");
const socket_options = @import("socket_options.zig");
const stat = @import("stat.zig");
const time = @import("time.zig");
const abi = uk.abi;
const limits = posix.limits;
const Call = @import("call.zig").Call;
const Thread = @import("thread.zig").Thread;
const Error = posix.errno.Error;

const Name = std.os.linux.syscalls.X64;
const Server = *const fn (Call) Error!u64;

const list = [_]struct { Name, Server }{
    .{ .read, &io.read },                          .{ .write, &io.write },
    .{ .open, &files.sys_open },                   .{ .close, &io.close },
    .{ .stat, &stat.stat },                        .{ .fstat, &stat.fstat },
    .{ .lstat, &stat.lstat },                      .{ .poll, &poll.poll },
    .{ .lseek, &io.lseek },                        .{ .mmap, &memory.mmap },
    .{ .mprotect, &memory.mprotect },              .{ .munmap, &memory.munmap },
    .{ .brk, &memory.brk },                        .{ .rt_sigaction, &signals.rt_sigaction },
    .{ .rt_sigprocmask, &signals.rt_sigprocmask }, .{ .rt_sigreturn, &signals.rt_sigreturn },
    .{ .ioctl, &io.ioctl },                        .{ .pread64, &io.pread64 },
    .{ .pwrite64, &io.pwrite64 },                  .{ .readv, &io.readv },
    .{ .writev, &io.writev },                      .{ .access, &files.sys_access },
    .{ .pipe, &io.pipe },                          .{ .select, &poll.select },
    .{ .socketpair, &socket.socketpair },
    .{ .sendto, &socket.sendto },
    .{ .recvfrom, &socket.recvfrom },
    .{ .shutdown, &socket.shutdown },
    .{ .getsockname, &socket.getsockname },
    .{ .getpeername, &socket.getpeername },
    .{ .setsockopt, &socket_options.setsockopt },
    .{ .getsockopt, &socket_options.getsockopt },
    .{ .socket, &socket.socket },
    .{ .bind, &socket.bind },
    .{ .listen, &socket.listen },
    .{ .accept, &socket.accept },
    .{ .accept4, &socket.accept4 },
    .{ .connect, &socket.connect },
    .{ .sendmsg, &message.sendmsg },
    .{ .sendmmsg, &message.sendmmsg },
    .{ .recvmsg, &message.recvmsg },
    .{ .sched_yield, &clone.sched_yield },         .{ .mremap, &memory.mremap },
    .{ .msync, &memory.nothing },                  .{ .mincore, &memory.mincore },
    .{ .madvise, &memory.madvise },                .{ .dup, &io.dup },
    .{ .dup2, &io.dup2 },                          .{ .pause, &signals.pause },
    .{ .nanosleep, &time.nanosleep },              .{ .getpid, &proc.getpid },
    .{ .sendfile, &io.sendfile },                  .{ .clone, &clone.clone },
    .{ .exit, &clone.exit },                       .{ .kill, &signals.kill },
    .{ .uname, &proc.uname },                      .{ .fcntl, &io.fcntl },
    .{ .flock, &io.sync },                         .{ .fsync, &io.sync },
    .{ .fdatasync, &io.sync },                     .{ .ftruncate, &io.ftruncate },
    .{ .getcwd, &files.getcwd },                   .{ .chdir, &files.chdir },
    .{ .fchdir, &files.fchdir },                   .{ .rename, &files.rename },
    .{ .mkdir, &files.mkdir },                     .{ .rmdir, &files.rmdir },
    .{ .creat, &files.creat },                     .{ .unlink, &files.unlink },
    .{ .readlink, &files.readlink },               .{ .chmod, &files.keepName },
    .{ .fchmod, &io.sync },                        .{ .chown, &files.keepName },
    .{ .fchown, &io.sync },                        .{ .umask, &files.umask },
    .{ .gettimeofday, &time.gettimeofday },        .{ .getrlimit, &proc.getrlimit },
    .{ .getrusage, &proc.getrusage },              .{ .sysinfo, &proc.sysinfo },
    .{ .times, &time.times },                      .{ .getuid, &proc.zero },
    .{ .getgid, &proc.zero },                      .{ .setuid, &proc.setOwn },
    .{ .setgid, &proc.setOwn },                    .{ .geteuid, &proc.zero },
    .{ .getegid, &proc.zero },                     .{ .getppid, &proc.zero },
    .{ .getpgrp, &proc.getpid },                   .{ .getpgid, &proc.getpid },
    .{ .getsid, &proc.getpid },                    .{ .getgroups, &proc.getgroups },
    .{ .rt_sigpending, &signals.rt_sigpending },   .{ .rt_sigtimedwait, &signals.rt_sigtimedwait },
    .{ .rt_sigsuspend, &signals.rt_sigsuspend },   .{ .sigaltstack, &signals.sigaltstack },
    .{ .statfs, &stat.statfs },                    .{ .fstatfs, &stat.fstatfs },
    .{ .mlock, &memory.nothing },                  .{ .munlock, &memory.nothing },
    .{ .mlockall, &memory.nothing },               .{ .munlockall, &memory.nothing },
    .{ .prctl, &proc.prctl },                      .{ .arch_prctl, &proc.arch_prctl },
    .{ .setrlimit, &proc.setrlimit },              .{ .sync, &memory.nothing },
    .{ .gettid, &clone.gettid },                   .{ .tkill, &signals.tkill },
    .{ .time, &time.time },                        .{ .futex, &futex.futex },
    .{ .sched_setaffinity, &memory.nothing },      .{ .sched_getaffinity, &proc.sched_getaffinity },
    .{ .epoll_create, &poll.epoll_create },        .{ .getdents64, &io.getdents64 },
    .{ .set_tid_address, &clone.set_tid_address }, .{ .fadvise64, &io.sync },
    .{ .clock_gettime, &time.clock_gettime },      .{ .clock_getres, &time.clock_getres },
    .{ .clock_nanosleep, &time.clock_nanosleep },  .{ .exit_group, &clone.exit_group },
    .{ .epoll_wait, &poll.epoll_wait },            .{ .epoll_ctl, &poll.epoll_ctl },
    .{ .tgkill, &signals.tgkill },                 .{ .openat, &files.sys_openat },
    .{ .mkdirat, &files.mkdirat },                 .{ .fstatat64, &stat.newfstatat },
    .{ .unlinkat, &files.unlinkat },               .{ .renameat, &files.renameat },
    .{ .readlinkat, &files.readlinkat },           .{ .faccessat, &files.faccessat },
    .{ .pselect6, &poll.pselect6 },                .{ .ppoll, &poll.ppoll },
    .{ .epoll_pwait, &poll.epoll_pwait },          .{ .timerfd_create, &poll.timerfd_create },
    .{ .eventfd, &poll.eventfd },                  .{ .fallocate, &io.fallocate },
    .{ .timerfd_settime, &poll.timerfd_settime },  .{ .timerfd_gettime, &poll.timerfd_gettime },
    .{ .eventfd2, &poll.eventfd2 },                .{ .epoll_create1, &poll.epoll_create1 },
    .{ .dup3, &io.dup3 },                          .{ .pipe2, &io.pipe2 },
    .{ .preadv, &io.preadv },                      .{ .pwritev, &io.pwritev },
    .{ .prlimit64, &proc.prlimit64 },              .{ .getcpu, &proc.getcpu },
    .{ .renameat2, &files.renameat2 },             .{ .getrandom, &proc.getrandom },
    .{ .statx, &stat.statx },                      .{ .close_range, &io.close_range },
    .{ .faccessat2, &files.faccessat },            .{ .epoll_pwait2, &poll.epoll_pwait2 },
};

/// Answered ENOSYS without a word: programs ask for these at every start and have another way.
const declined = [_]Name{ .rseq, .set_robust_list, .get_robust_list, .clone3, .io_uring_setup, .pkey_alloc, .membarrier };

pub const served_count = list.len;

const servers: [limits.call_numbers_max]?Server = blk: {
    var table: [limits.call_numbers_max]?Server = @splat(null);
    for (list) |item| {
        const number = @intFromEnum(item[0]);
        if (table[number] != null) @compileError("served twice: " ++ @tagName(item[0]));
        table[number] = item[1];
    }
    break :blk table;
};

/// Serves one call and leaves its answer in rax. Gives the call's number when a signal interrupted it and it may be made again.
pub fn serve(thread: *Thread, frame: *abi.TaskFrame) ?u64 {
    const number = frame.rax;
    const server = if (number < servers.len) servers[@intCast(number)] else null;
    if (server == null) {
        frame.rax = posix.errno.answer(error.ENOSYS);
        report(thread, frame, number);
        return null;
    }
    if (server.?(.{ .thread = thread, .frame = frame })) |value| {
        frame.rax = value;
        return null;
    } else |failure| {
        frame.rax = posix.errno.answer(failure);
        return if (failure == error.EINTR and mayRestart(number, frame)) number else null;
    }
}

/// Calls that SA_RESTART makes again; those with a time limit or for waiting on several things always say EINTR.
fn mayRestart(number: u64, frame: *const abi.TaskFrame) bool {
    return switch (@as(Name, @enumFromInt(number))) {
        .read, .readv, .write, .writev, .sendto, .recvfrom, .sendmsg, .recvmsg, .accept, .accept4, .sendfile, .open, .openat => true,
        .futex => frame.r10 == 0,
        else => false,
    };
}

var reported: [limits.call_numbers_max / 64]u64 = @splat(0);

/// Says once that a call is not served.
fn report(thread: *Thread, frame: *const abi.TaskFrame, number: u64) void {
    if (number < limits.call_numbers_max) {
        const bit = @as(u64, 1) << @intCast(number % 64);
        if (@atomicRmw(u64, &reported[@intCast(number / 64)], .Or, bit, .monotonic) & bit != 0) return;
        for (declined) |each| if (@intFromEnum(each) == number) return;
    }
    var buffer: [160]u8 = undefined;
    const name = std.enums.tagName(Name, @enumFromInt(number)) orelse "?";
    const text = std.fmt.bufPrint(&buffer, "system call {d} ({s}) is not served: thread {d} ({s}), pc {x}", .{
        number, name, thread.tid, std.mem.sliceTo(&thread.name, 0), frame.rip,
    }) catch return;
    uk.log(.warn, text) catch {};
}
