//! What adapters share of a Unix: descriptors, pipes, events, a file system in memory, path rules; in user mode, on the ABI.
pub const limits = @import("limits.zig");
pub const errno = @import("errno.zig");
pub const user = @import("user.zig");
pub const wait = @import("wait.zig");
pub const open = @import("open.zig");
pub const pipe = @import("pipe.zig");
pub const inet = @import("inet.zig");
pub const event = @import("event.zig");
pub const epoll = @import("epoll.zig");
pub const tmpfs = @import("tmpfs.zig");
pub const paths = @import("paths.zig");
