//! Every bound of the kernel stands here, with what it costs.

pub const page_bytes: u64 = 4096;

/// Virtual CPUs; Firecracker's own limit.
pub const cpus_max: u32 = 32;
/// Tasks alive at once; each costs a page and a kernel stack.
pub const tasks_max: u32 = 4096;
/// Handles open at once; 32 bytes each, in pages that come and go.
pub const handles_max: u32 = 65536;
/// Ranges of the address space; a range is what one mapping or protection covers.
pub const regions_max: u32 = 65536;

/// Ranges of usable memory that the kernel takes from the boot memory map.
pub const memory_ranges_max: usize = 16;
/// Entries read from the boot memory map; more are ignored.
pub const memory_map_entries_max: usize = 64;
pub const command_line_bytes_max: usize = 2048;
pub const virtio_devices_max: usize = 16;

/// A kernel stack; one unmapped page stands below each.
pub const kernel_stack_bytes: u64 = 16 * 1024;

/// The channel's records that wait for the device: a part of memory between these, eight records a frame. At least 8 frames, at most half a MiB.
pub const channel_memory_divisor: u32 = 256;
pub const channel_frames_min: u32 = 8;
pub const channel_frames_max: u32 = 128;
/// Trace entries are written when there are so many records, or after this time.
pub const trace_records_per_write: u64 = 16;
pub const trace_delay_max_ns: u64 = 5_000_000;

/// Poll sets that one handle may stand in at once, polls of arrays included.
pub const watches_per_handle_max: u32 = 256;
/// Handles of the console, and of stop events, open at once: each is told when one becomes readable.
pub const poll_group_members_max: u32 = 64;
/// Members taken out of a poll set under one hold of the kernel lock.
pub const watches_per_lock_hold: u32 = 256;
/// Memory of messages given back under one hold of the kernel lock, in messages.
pub const messages_per_lock_hold: u32 = 64;

/// Frames that user memory may not take, so that the kernel can always finish what it began.
pub const frames_reserved_min: u32 = 12;
pub const frames_reserved_divisor: u32 = 64;

/// The objects that one task makes may take this part of memory.
pub const account_divisor: u64 = 2;
/// What a handle with its object is charged as: no object is larger.
pub const handle_charge_bytes: u64 = 160;

/// Address space open to the workload. The first 64 KiB stay unmapped so that a null pointer is a fault.
pub const user_address_min: u64 = 0x10000;
pub const user_address_end: u64 = 0x0000_7fff_ffff_f000;

/// Frames taken from or given back to the address space under one hold of the kernel lock.
pub const frames_per_lock_hold: u32 = 256;

/// Timers that are served under one hold of the kernel lock.
pub const timers_per_lock_hold: u32 = 64;

/// Time slices. A woken task waits at most one slice of what runs, in throughput mode; in latency mode it runs at once
/// when it has run less than its share.
pub const slice_latency_ns: u64 = 4_000_000;
pub const slice_throughput_ns: u64 = 20_000_000;

/// Shares of a CPU by priority: each step up is a quarter more, the highest 28 times the lowest.
pub const weights = [_]u32{ 172, 215, 268, 336, 419, 524, 655, 819, 1024, 1280, 1600, 2000, 2500, 3125, 3906, 4883 };
pub const weight_one: u32 = 1024;

/// Run time as the queue is ordered by it: a task of normal priority's runs as the clock does.
pub inline fn weighted(run_ns: u64, weight: u64) u64 {
    return run_ns * weight_one / weight;
}

/// Longest that a task waits for a CPU while a task on each CPU never stops, all of one mode:
///
///     slice × other weight / own weight   until the others have had what it may owe, a slice of its own in weighted time
///   + slice                               that is under way then
///
/// 118 ms for the lowest priority beside the highest in latency mode, 588 ms in throughput mode. More tasks that never stop make it longer in
/// proportion to their weights. What the host takes from a CPU comes on top.
pub fn latenessMaxNs(slice_ns: u64, own_weight: u64, other_weight: u64) u64 {
    return slice_ns * other_weight / own_weight + slice_ns;
}

/// Wait for the processor-side reference while the clock is calibrated.
pub const calibration_ns: u64 = 100_000;
/// Where a busy host makes the readings dull, so long.
pub const calibration_max_ns: u64 = 1_000_000;

pub const console_input_bytes_max: usize = 4096;

/// Whether code of the way from entry to the workload is compiled with the language's own checks; its assertions always are.
pub const start_checks = @import("builtin").is_test;

/// The network stack (kernel/net/). Its objects and buffers live in pages that come and go; the numbers bound them whatever memory there is.
/// The part of memory that it may take.
pub const net_memory_divisor: u32 = 4;
/// Frames taken in under one hold of the kernel lock; each can make a reply.
pub const net_frames_per_lock_hold: u32 = 64;
pub const net_connections_max: u32 = 16384;
pub const net_listeners_max: u32 = 64;
pub const net_datagram_sockets_max: u32 = 256;
/// Ports looked at for one that is free.
pub const net_port_tries_max: u32 = 1024;
/// With less than one part in this many of its pages left, or less than so many, the stack begins nothing new and lets no window grow.
pub const net_scarce_divisor: u32 = 8;
pub const net_scarce_pages_min: u32 = 4;
/// Pages of 512 hash buckets each for connections, one bucket per connection and as they come.
pub const net_flow_pages: u32 = 32;
/// Replies that need no socket (resets, ARP, unreachable) waiting to be sent; more are dropped and counted.
pub const net_replies_max: u32 = 64;
/// Echo replies waiting, each in a page.
pub const net_echoes_max: u32 = 8;
/// ICMP errors sent in a second.
pub const net_errors_per_second_max: u32 = 100;
/// Frames from the guest to itself handled in one call.
pub const net_local_frames_max: u32 = 64;

/// Neighbours known: sets of ways each, so that a look-up reads one set.
pub const arp_sets: u32 = 16;
pub const arp_ways: u32 = 4;
pub const arp_confirmed_ns: u64 = 60_000_000_000;
pub const arp_retry_ns: u64 = 1_000_000_000;
pub const arp_tries_max: u8 = 3;

pub const dhcp_retry_min_ns: u64 = 1_000_000_000;
pub const dhcp_retry_max_ns: u64 = 64_000_000_000;
/// Between the tries of a renewal.
pub const dhcp_renew_retry_min_ns: u64 = 60_000_000_000;
pub const dhcp_requests_max: u8 = 4;
/// A lease counts as so long at least: shorter ones would be renewed all the time.
pub const dhcp_lease_min_ns: u64 = 10_000_000_000;

/// Each direction of a UDP socket; a datagram that does not fit is dropped and counted.
pub const udp_queue_bytes_max: u32 = 128 * 1024;

/// Each direction of a connection, in pages as they are used.
pub const tcp_send_bytes_max: u32 = 256 * 1024;
pub const tcp_receive_bytes_max: u32 = 256 * 1024;
/// Window scale offered: windows in steps of 32 bytes.
pub const tcp_window_scale: u8 = 5;
pub const tcp_congestion_window_max: u32 = 1024 * 1024;
/// Segments in flight at the start (RFC 6928).
pub const tcp_initial_segments: u32 = 10;
pub const tcp_timeout_initial_ns: u64 = 1_000_000_000;
pub const tcp_timeout_min_ns: u64 = 200_000_000;
pub const tcp_timeout_max_ns: u64 = 60_000_000_000;
/// Retransmissions without an answer before a connection is given up: 222 s or more.
pub const tcp_retries_max: u8 = 10;
/// 123 s.
pub const tcp_syn_retries_max: u8 = 6;
pub const tcp_syn_ack_retries_max: u8 = 5;
pub const tcp_delayed_acknowledgement_ns: u64 = 40_000_000;
/// Ranges that the peer reported as received; what finds no place is sent again.
pub const tcp_reported_ranges_max: u8 = 24;
/// Ranges received ahead of a gap; a segment that would make another is dropped.
pub const tcp_ahead_ranges_max: u8 = 16;
/// What came ahead of a gap is given back when the gap is not filled within this time, and none is kept while more than one part in this many of the
/// stack's pages is in use: no peer holds memory with bytes that nobody can read.
pub const tcp_ahead_ns: u64 = 60_000_000_000;
pub const tcp_ahead_divisor: u32 = 2;
/// Acknowledgements of what no segment of the peer's should be, per connection.
pub const tcp_challenge_interval_ns: u64 = 100_000_000;
pub const tcp_duplicate_acknowledgements_max: u8 = 32;
pub const tcp_backlog_max: u32 = 1024;
/// Connections not yet established, of all listeners; beyond these a listener answers with cookies.
pub const tcp_embryos_max: u32 = 1024;
/// Twice the longest life of a segment; the oldest goes when there are more than the maximum.
pub const tcp_time_wait_ns: u64 = 60_000_000_000;
pub const tcp_time_waits_max: u32 = 4096;
/// How long a closed connection waits for the peer to close its side.
pub const tcp_half_closed_ns: u64 = 60_000_000_000;
pub const tcp_keepalive_idle_ns: u64 = 7_200_000_000_000;
pub const tcp_keepalive_interval_ns: u64 = 75_000_000_000;
/// The longest of both that can be asked for: 365 days.
pub const tcp_keepalive_max_ns: u64 = 365 * 86_400_000_000_000;
pub const tcp_keepalive_probes_max: u8 = 9;
/// The smallest segment that a peer or a router may ask for (RFC 9293, section 3.7.1; RFC 1191).
pub const tcp_segment_bytes_default: u16 = 536;
pub const tcp_segment_bytes_min: u16 = 88;
