//! futex on the kernel's wait-on-address. Wake-ups by bit set wake more than asked, which the interface allows.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const time = @import("time.zig");
const abi = uk.abi;
const user = posix.user;
const Call = @import("call.zig").Call;
const Error = posix.errno.Error;

const Command = struct {
    const wait = 0;
    const wake = 1;
    const requeue = 3;
    const cmp_requeue = 4;
    const wake_op = 5;
    const wait_bitset = 9;
    const wake_bitset = 10;
    const mask = 0x7f;
    const realtime = 256;
};

const all_bits = 0xffff_ffff;

pub fn futex(call: Call) Error!u64 {
    const operation = call.word(1);
    const address = call.arg(0);
    if (address % 4 != 0) return error.EINVAL;
    try user.check(address, 4);
    return switch (operation & Command.mask) {
        Command.wait => wait(address, call.word(2), if (call.arg(3) == 0)
            abi.deadline_never
        else
            uk.calls.time_now() +| try time.durationAt(call.arg(3))),
        Command.wait_bitset => blk: {
            if (call.word(5) == 0) break :blk error.EINVAL;
            const deadline_ns = if (call.arg(3) == 0)
                abi.deadline_never
            else
                time.monotonicOf(operation & Command.realtime != 0, try time.durationAt(call.arg(3)));
            break :blk wait(address, call.word(2), deadline_ns);
        },
        Command.wake => wake(address, call.word(2)),
        Command.wake_bitset => if (call.word(5) == 0)
            error.EINVAL
        else
            wake(address, if (call.word(5) == all_bits) call.word(2) else std.math.maxInt(u32)),
        Command.requeue => requeue(call, try user.get(u32, address)),
        Command.cmp_requeue => requeue(call, call.word(5)),
        Command.wake_op => wakeOperation(call),
        // Priority inheritance is not offered.
        else => error.ENOSYS,
    };
}

fn wait(address: u64, expected: u32, deadline_ns: u64) Error!u64 {
    while (true) {
        if (posix.wait.isInterrupted()) return error.EINTR;
        switch (uk.calls.task_wait(@ptrFromInt(address), expected, deadline_ns)) {
            .ok => return 0,
            .interrupted => continue,
            .timeout => return error.ETIMEDOUT,
            .would_block => return error.EAGAIN,
            else => return error.EFAULT,
        }
    }
}

pub fn wake(address: u64, count: u32) Error!u64 {
    var woken: u32 = 0;
    uk.calls.check(uk.calls.task_wake(address, count, &woken)) catch |failure| return posix.errno.of(failure);
    return woken;
}

fn requeue(call: Call, expected: u32) Error!u64 {
    const target = call.arg(4);
    if (target % 4 != 0) return error.EINVAL;
    try user.check(target, 4);
    var affected: u32 = 0;
    const result = uk.calls.task_requeue(@ptrFromInt(call.arg(0)), expected, call.word(2), target, call.word(3), &affected);
    uk.calls.check(result) catch |failure| return posix.errno.of(failure);
    return affected;
}

/// Changes the second word, wakes waiters of the first, and those of the second if its old value compares.
fn wakeOperation(call: Call) Error!u64 {
    const encoded = call.word(5);
    const second = call.arg(4);
    const operand_bits: u12 = @truncate(encoded >> 12);
    const compared: i32 = @as(i12, @bitCast(@as(u12, @truncate(encoded))));
    var operand: u32 = @bitCast(@as(i32, @as(i12, @bitCast(operand_bits))));
    if (encoded >> 31 != 0) operand = @as(u32, 1) << @as(u5, @truncate(operand_bits));
    var old = try user.get(u32, second);
    while (true) {
        const new = switch (@as(u3, @truncate(encoded >> 28))) {
            0 => operand,
            1 => old +% operand,
            2 => old | operand,
            3 => old & ~operand,
            4 => old ^ operand,
            else => return error.ENOSYS,
        };
        const seen = try user.swap(second, old, new);
        if (seen == old) break;
        old = seen;
    }
    var woken = try wake(call.arg(0), call.word(2));
    const value: i32 = @bitCast(old);
    const matches = switch (@as(u4, @truncate(encoded >> 24))) {
        0 => value == compared,
        1 => value != compared,
        2 => value < compared,
        3 => value <= compared,
        4 => value > compared,
        5 => value >= compared,
        else => return error.ENOSYS,
    };
    if (matches) woken += try wake(second, call.word(3));
    return woken;
}
