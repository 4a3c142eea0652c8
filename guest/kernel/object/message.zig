//! One message under way: kernel memory that is charged to its sender until it is received. A short one lies in its own slot, a longer one in
//! frames. The bytes are copied while the message is nobody's but its holder's, without the kernel lock; everything else needs the lock.
const std = @import("std");
const abi = @import("abi");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const user_copy = @import("../arch/user_copy.zig");
const Pool = @import("../mem/pool.zig").Pool;
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const Account = @import("account.zig").Account;
const Failure = abi.Failure;

/// Eight slots make a page.
const short_bytes_max = 480;
const frames_max = (abi.ipc_message_bytes_max + limits.page_bytes - 1) / limits.page_bytes;

var pool: Pool(Message) = .{};

pub const Message = struct {
    next: ?*Message = null,
    account: ?*Account,
    bytes: u32,
    body: extern union { short: [short_bytes_max]u8, frames: [frames_max]frames.Frame },

    /// A message with undefined content.
    pub fn create(bytes: u32) Failure!*Message {
        std.debug.assert(lock.isHeld() and bytes <= abi.ipc_message_bytes_max);
        const account = scheduler.current().account;
        if (account) |payer| try payer.charge(chargeOf(bytes));
        errdefer if (account) |payer| payer.credit(chargeOf(bytes));
        const message = try pool.create();
        message.next = null;
        message.account = account;
        message.bytes = bytes;
        for (0..frameCount(bytes)) |index| message.body.frames[index] = frames.allocateUser() orelse {
            for (message.body.frames[0..index]) |frame| frames.release(frame);
            pool.destroy(message);
            return error.OutOfMemory;
        };
        return message;
    }

    pub fn destroy(message: *Message) void {
        std.debug.assert(lock.isHeld());
        for (message.body.frames[0..frameCount(message.bytes)]) |frame| frames.release(frame);
        if (message.account) |payer| payer.credit(chargeOf(message.bytes));
        pool.destroy(message);
    }

    fn frameCount(bytes: u32) usize {
        return if (bytes <= short_bytes_max) 0 else (bytes + limits.page_bytes - 1) / limits.page_bytes;
    }

    fn chargeOf(bytes: u32) u64 {
        return @sizeOf(Message) + frameCount(bytes) * limits.page_bytes;
    }

    /// The bytes that lie together from an offset on.
    fn piece(message: *Message, offset: u32) []u8 {
        if (frameCount(message.bytes) == 0) return message.body.short[offset..message.bytes];
        const page = layout.page(message.body.frames[offset / limits.page_bytes]);
        const left = message.bytes - offset;
        return page[0..@intCast(@min(limits.page_bytes, left))];
    }

    pub fn fill(message: *Message, address: u64) user_copy.Error!void {
        var done: u32 = 0;
        while (done < message.bytes) {
            const part = message.piece(done);
            try user_copy.read(part, address + done);
            done += @intCast(part.len);
        }
    }

    pub fn copyOut(message: *Message, address: u64) user_copy.Error!void {
        var done: u32 = 0;
        while (done < message.bytes) {
            const part = message.piece(done);
            try user_copy.write(address + done, part);
            done += @intCast(part.len);
        }
    }
};

/// Messages in order.
pub const Queue = struct {
    first: ?*Message = null,
    last: ?*Message = null,
    count: u32 = 0,

    pub fn append(queue: *Queue, message: *Message) void {
        message.next = null;
        if (queue.last) |last| last.next = message else queue.first = message;
        queue.last = message;
        queue.count += 1;
    }

    /// One that was taken and could not be handed out.
    pub fn putBack(queue: *Queue, message: *Message) void {
        message.next = queue.first;
        if (queue.first == null) queue.last = message;
        queue.first = message;
        queue.count += 1;
    }

    pub fn take(queue: *Queue) ?*Message {
        const message = queue.first orelse return null;
        queue.first = message.next;
        if (queue.first == null) queue.last = null;
        queue.count -= 1;
        return message;
    }
};
