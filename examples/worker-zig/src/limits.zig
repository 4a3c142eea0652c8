//! Every bound of the worker.
const std = @import("std");

pub const port = 8080;
/// Tasks that work: one for each virtual CPU, at most so many.
pub const workers_max = 16;
/// Connections that are served, and more that are told that there is no place.
pub const connections_max = 64;
pub const refusals_max = 8;
pub const places = connections_max + refusals_max;
/// A line with its end.
pub const line_bytes_max = 1024;
/// An answer with its end.
pub const reply_bytes_max = 256;
/// Jobs of one connection that are under way; no more of it is read meanwhile.
pub const window_max = 16;
/// Jobs that wait for a task, of all connections; none is read from who finds it full.
pub const queue_max = 64;
/// `primes` counts up to here.
pub const primes_max = 200_000;
/// How often a connection's lines are taken before others have their turn.
pub const rounds_max = 4;

/// A connection that neither sends nor takes anything is ended.
pub const idle_ns = 60 * std.time.ns_per_s;
/// What a peer has to close its side after ours is closed.
pub const linger_ns = 2 * std.time.ns_per_s;
/// What is left of the jobs under way after a request to stop.
pub const stop_ns = 5 * std.time.ns_per_s;
/// A line in the log says how it goes, so often while there is work.
pub const report_ns = 60 * std.time.ns_per_s;
