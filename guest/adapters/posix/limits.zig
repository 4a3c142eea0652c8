//! Every bound of the adapters stands here. Tables are static and cost memory only where they are touched.

/// Threads of the workload at once, ended ones whose task is still in the kernel included.
pub const threads_max: u32 = 1024;
/// Stack on which a thread's calls, faults and signals are served; a guard page stands below each. A path (4 KiB) may lie on it
/// several times.
pub const handler_stack_bytes: u64 = 128 * 1024;

/// Descriptors of the process, as RLIMIT_NOFILE says.
pub const descriptors_max: u32 = 1024;
/// Open file descriptions; several descriptors may share one.
pub const opens_max: u32 = 1024;
pub const path_bytes_max: usize = 4096;
pub const name_bytes_max: usize = 255;
/// Entries of one readv or writev.
pub const vectors_max: u64 = 1024;
/// Most that one read or write moves, as on Linux.
pub const transfer_bytes_max: u64 = 0x7fff_f000;
/// Text of one file below /proc.
pub const text_bytes_max: u64 = 256 * 1024;

pub const pipes_max: u32 = 256;
pub const pipe_bytes: u32 = 64 * 1024;
/// A write of so many bytes or fewer is not torn.
pub const pipe_atomic_bytes: u32 = 4096;
/// Sockets of the network.
pub const inets_max: u32 = 1024;
/// How long a connection that is not to be waited for waits for the VM's own address.
pub const address_wait_ns: u64 = 10_000_000_000;
pub const events_max: u32 = 256;
pub const timers_max: u32 = 256;
pub const epolls_max: u32 = 64;
/// Descriptors in one epoll set; a wait looks at each.
pub const epoll_entries_max: u32 = 512;
/// Descriptors of one poll or select.
pub const poll_entries_max: u64 = 1024;
/// Epoll sets within epoll sets.
pub const epoll_depth_max: u32 = 4;

/// Files and folders of the writable file system in memory.
pub const tmpfs_nodes_max: u32 = 8192;
pub const tmpfs_file_bytes_max: u64 = 1 << 30;

/// Program headers of one ELF file.
pub const segments_max: usize = 32;
pub const interpreter_path_bytes_max: usize = 256;
/// The main thread's stack, as RLIMIT_STACK says.
pub const stack_bytes: u64 = 8 << 20;
/// Arguments and environment with their pointers.
pub const start_bytes_max: u64 = 1 << 20;
/// What brk may reach.
pub const break_bytes_max: u64 = 1 << 30;

/// Calls whose first use without an implementation is logged: one bit each.
pub const call_numbers_max: usize = 512;
