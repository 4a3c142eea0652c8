//! What each function of the ABI does; the generated dispatch calls these by name.
const abi = @import("abi");
const task_object = @import("../object/task.zig");
const capability = @import("../object/capability.zig");

pub const Context = task_object.Task;

pub fn hasCapability(context: *Context, kind: abi.CapKind, rights: u32) bool {
    return capability.has(context, @intFromEnum(kind), rights);
}

const system = @import("system_calls.zig");
pub const abi_version = system.abi_version;
pub const abi_features = system.abi_features;
pub const abi_feature_enabled = system.abi_feature_enabled;
pub const abi_stats = system.abi_stats;
pub const err_get_last = system.err_get_last;
pub const cap_acquire = system.cap_acquire;
pub const cap_drop = system.cap_drop;
pub const cap_enter = system.cap_enter;
pub const cap_exit = system.cap_exit;
pub const vm_exit = system.vm_exit;
pub const vm_stop_event = system.vm_stop_event;
pub const random_fill = system.random_fill;
pub const log_write = system.log_write;

const tasks = @import("task_calls.zig");
pub const task_spawn = tasks.task_spawn;
pub const task_self = tasks.task_self;
pub const task_yield = tasks.task_yield;
pub const task_sleep = tasks.task_sleep;
pub const task_exit = tasks.task_exit;
pub const task_join = tasks.task_join;
pub const task_set_priority = tasks.task_set_priority;
pub const task_get_stats = tasks.task_get_stats;
pub const task_wait = tasks.task_wait;
pub const task_wake = tasks.task_wake;
pub const task_requeue = tasks.task_requeue;
pub const task_set_thread_pointer = tasks.task_set_thread_pointer;
pub const task_set_foreign_handler = tasks.task_set_foreign_handler;
pub const task_set_fault_handler = tasks.task_set_fault_handler;
pub const task_resume = tasks.task_resume;
pub const task_interrupt = tasks.task_interrupt;
pub const task_get_context = tasks.task_get_context;
pub const task_set_context = tasks.task_set_context;

const memory = @import("memory_calls.zig");
pub const mem_alloc = memory.mem_alloc;
pub const mem_free = memory.mem_free;
pub const mem_map = memory.mem_map;
pub const mem_protect = memory.mem_protect;
pub const mem_discard = memory.mem_discard;
pub const mem_query = memory.mem_query;
pub const mem_share = memory.mem_share;
pub const mem_unshare = memory.mem_unshare;
pub const mem_arena_create = memory.mem_arena_create;
pub const mem_arena_alloc = memory.mem_arena_alloc;
pub const mem_arena_reset = memory.mem_arena_reset;
pub const mem_arena_drop = memory.mem_arena_drop;

const io = @import("io_calls.zig");
pub const io_open = io.io_open;
pub const io_read = io.io_read;
pub const io_write = io.io_write;
pub const io_seek = io.io_seek;
pub const io_stat = io.io_stat;
pub const io_readdir = io.io_readdir;
pub const io_close = io.io_close;

const poll = @import("poll_calls.zig");
pub const io_poll = poll.io_poll;
pub const io_poll_create = poll.io_poll_create;
pub const io_poll_update = poll.io_poll_update;
pub const io_poll_wait = poll.io_poll_wait;
pub const io_poll_close = poll.io_poll_close;

const ipc = @import("ipc_calls.zig");
pub const ipc_channel_create = ipc.ipc_channel_create;
pub const ipc_send = ipc.ipc_send;
pub const ipc_recv = ipc.ipc_recv;
pub const ipc_close = ipc.ipc_close;

const time = @import("time_calls.zig");
pub const time_now = time.time_now;
pub const time_wall = time.time_wall;
pub const time_deadline = time.time_deadline;
pub const time_deadline_set = time.time_deadline_set;
pub const time_deadline_close = time.time_deadline_close;

const net = @import("net_calls.zig");
pub const net_socket = net.net_socket;
pub const net_bind = net.net_bind;
pub const net_listen = net.net_listen;
pub const net_accept = net.net_accept;
pub const net_connect = net.net_connect;
pub const net_send = net.net_send;
pub const net_recv = net.net_recv;
pub const net_get_address = net.net_get_address;
pub const net_set_option = net.net_set_option;
pub const net_get_option = net.net_get_option;
pub const net_close = net.net_close;
pub const net_name_server = net.net_name_server;

const trace = @import("trace_calls.zig");
pub const trace_span_begin = trace.trace_span_begin;
pub const trace_span_end = trace.trace_span_end;
pub const trace_event = trace.trace_event;
