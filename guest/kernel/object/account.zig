//! Who the kernel's memory was spent for. Every object that a call makes is charged to the calling task's account; at half of memory the
//! account is full and the call answers NOMEM, so that one task that asks without end leaves room for the others. The kernel lock
//! protects accounts; they outlive their task until the last object is gone.
const std = @import("std");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const lock = @import("../sched/lock.zig");
const Pool = @import("../mem/pool.zig").Pool;

var pool: Pool(Account) = .{};

pub const Account = struct {
    bytes: u64 = 0,
    /// The task, and every charge.
    references: u32 = 1,

    pub fn create() error{OutOfMemory}!*Account {
        const account = try pool.create();
        account.* = .{};
        return account;
    }

    /// The task is gone, or a charge.
    pub fn release(account: *Account) void {
        std.debug.assert(lock.isHeld() and account.references > 0);
        account.references -= 1;
        if (account.references != 0) return;
        std.debug.assert(account.bytes == 0);
        pool.destroy(account);
    }

    pub fn charge(account: *Account, bytes: u64) error{OutOfMemory}!void {
        const quota = @as(u64, frames.total) * limits.page_bytes / limits.account_divisor;
        if (account.bytes + bytes > quota) return error.OutOfMemory;
        std.debug.assert(lock.isHeld());
        account.bytes += bytes;
        account.references += 1;
    }

    pub fn credit(account: *Account, bytes: u64) void {
        std.debug.assert(account.bytes >= bytes);
        account.bytes -= bytes;
        account.release();
    }
};
