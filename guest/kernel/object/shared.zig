//! Shares: memory that may be mapped a second time.
const abi = @import("abi");
const limits = @import("../limits.zig");
const lock = @import("../sched/lock.zig");
const space = @import("../mem/space.zig");
const share_module = @import("../mem/share.zig");
const memory = @import("memory.zig");
const Share = share_module.Share;
const Failure = abi.Failure;

/// Makes shared memory of a range of anonymous memory, with what is in it; of executable memory where `executable`.
pub fn create(address: u64, bytes: u64, executable: bool) Failure!u64 {
    const pages = bytes / limits.page_bytes;
    if (pages > share_module.pages_max) return error.TooLong;
    const share = try Share.create(pages);
    errdefer share.destroy();
    space.changes.acquire();
    defer space.changes.release();
    lock.acquire();
    const handle = memory.open(.{ .share = share }) catch |failure| {
        lock.release();
        return failure;
    };
    share.convert(address, address + bytes, executable) catch |failure| {
        memory.close(handle);
        lock.release();
        return failure;
    };
    lock.release();
    share.adopt(address, address + bytes);
    return handle;
}

/// The share behind a handle, until `put`.
pub fn hold(handle: u64) Failure!*Share {
    lock.acquire();
    defer lock.release();
    const share = try memory.getShare(handle);
    share.retain();
    return share;
}

/// No change of the address space is under way in this task.
pub fn put(share: *Share) void {
    space.changes.acquire();
    defer space.changes.release();
    lock.acquire();
    const was_last = share.release();
    lock.release();
    if (was_last) share.destroy();
}

pub fn end(handle: u64) Failure!void {
    lock.acquire();
    const share = memory.getShare(handle) catch |failure| {
        lock.release();
        return failure;
    };
    memory.close(handle);
    lock.release();
    put(share);
}
