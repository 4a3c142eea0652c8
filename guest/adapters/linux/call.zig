//! One system call: who made it and with what.
const abi = @import("ukernel").abi;
const Thread = @import("thread.zig").Thread;

pub const Error = @import("posix").errno.Error;

pub const Call = struct {
    thread: *Thread,
    frame: *abi.TaskFrame,

    pub fn arg(call: Call, comptime index: u3) u64 {
        return switch (index) {
            0 => call.frame.rdi,
            1 => call.frame.rsi,
            2 => call.frame.rdx,
            3 => call.frame.r10,
            4 => call.frame.r8,
            5 => call.frame.r9,
            else => @compileError("a call has six arguments"),
        };
    }

    pub fn word(call: Call, comptime index: u3) u32 {
        return @truncate(call.arg(index));
    }

    pub fn int(call: Call, comptime index: u3) i32 {
        return @bitCast(call.word(index));
    }

    pub fn long(call: Call, comptime index: u3) i64 {
        return @bitCast(call.arg(index));
    }
};
