//! Error numbers of Linux/x86-64 as Zig errors, and what the kernel's own errors become.
const std = @import("std");
const abi = @import("ukernel").abi;

pub const Error = error{
    EPERM,
    ENOENT,
    ESRCH,
    EINTR,
    EIO,
    E2BIG,
    ENOEXEC,
    EBADF,
    ECHILD,
    EAGAIN,
    ENOMEM,
    EACCES,
    EFAULT,
    EBUSY,
    EEXIST,
    EXDEV,
    ENODEV,
    ENOTDIR,
    EISDIR,
    EINVAL,
    ENFILE,
    EMFILE,
    ENOTTY,
    EFBIG,
    ENOSPC,
    ESPIPE,
    EROFS,
    EPIPE,
    ERANGE,
    ENAMETOOLONG,
    ENOSYS,
    ENOTEMPTY,
    ELOOP,
    EOVERFLOW,
    EOPNOTSUPP,
    ETIMEDOUT,
    EADDRINUSE,
    ECONNREFUSED,
    ECONNRESET,
    ENETUNREACH,
    ENOTCONN,
    EALREADY,
    EAFNOSUPPORT,
    ENOTSOCK,
    EMSGSIZE,
    EISCONN,
    EINPROGRESS,
    EADDRNOTAVAIL,
    ENOPROTOOPT,
    EPROTONOSUPPORT,
    EDESTADDRREQ,
};

pub fn numberOf(failure: Error) u16 {
    return switch (failure) {
        inline else => |each| @intFromEnum(@field(std.os.linux.E, @errorName(each)[1..])),
    };
}

/// What a call answers: the negative error number.
pub fn answer(failure: Error) u64 {
    return @bitCast(-@as(i64, numberOf(failure)));
}

/// As `of`, of a socket.
pub fn ofNet(failure: abi.Failure) Error {
    return switch (failure) {
        error.TooLong => error.EMSGSIZE,
        else => of(failure),
    };
}

/// The kernel's detail as a Linux program knows it.
pub fn of(failure: abi.Failure) Error {
    return switch (failure) {
        error.BadPointer => error.EFAULT,
        error.BadHandle => error.EBADF,
        error.BadFlags, error.BadValue, error.Misaligned, error.TooSmall, error.NotActive, error.SelfReference => error.EINVAL,
        error.TooLong => error.ENAMETOOLONG,
        error.NotMapped => error.ENOMEM,
        error.NotFound => error.ENOENT,
        error.TaskEnded => error.ESRCH,
        error.NotDirectory => error.ENOTDIR,
        error.IsDirectory => error.EISDIR,
        error.LinkLoop => error.ELOOP,
        error.OutOfMemory, error.OutOfAddressSpace, error.OutOfHandles, error.ArenaFull => error.ENOMEM,
        error.OutOfTasks => error.EAGAIN,
        error.TaskRunning, error.AlreadyJoined => error.EBUSY,
        error.TimedOut => error.ETIMEDOUT,
        error.DeviceError, error.CorruptImage => error.EIO,
        error.UnsupportedFunction, error.UnsupportedOperation, error.NoWallClock => error.EOPNOTSUPP,
        error.CapabilityMissing => error.EPERM,
        error.CapabilityDenied => error.EACCES,
        error.ReadOnly => error.EROFS,
        error.ValueChanged, error.NothingReady, error.QueueFull => error.EAGAIN,
        error.PeerClosed => error.EPIPE,
        error.Interrupted => error.EINTR,
        error.AlreadyActive, error.RangeInUse => error.EEXIST,
        error.AddressInUse => error.EADDRINUSE,
        error.ConnectionRefused => error.ECONNREFUSED,
        error.ConnectionReset => error.ECONNRESET,
        error.Unreachable => error.ENETUNREACH,
        error.NotConnected => error.ENOTCONN,
    };
}
