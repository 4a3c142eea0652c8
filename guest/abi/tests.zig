//! Unit tests of what the generator makes: dispatch checks, gate layout, name table.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const gate = @import("gate");
const gate_names = @import("gate_names");
const testing = std.testing;

test {
    _ = @import("emit_zig.zig");
}

/// Handlers that record what reached them.
const Recorder = struct {
    pub const Context = struct {
        allowed: bool = true,
        called: ?[]const u8 = null,
        wait: ?dispatch.TaskWait = null,
        log: ?dispatch.LogWrite = null,
        exit: ?dispatch.TaskExit = null,
        failure: ?abi.Failure = null,

        fn finish(context: *Context, name: []const u8) abi.Failure!void {
            context.called = name;
            if (context.failure) |failure| return failure;
        }
    };

    pub fn hasCapability(context: *Context, kind: abi.CapKind, rights: u32) bool {
        std.debug.assert(kind.isKnown() and rights != 0);
        return context.allowed;
    }

    pub fn abi_version(context: *Context) u32 {
        context.called = "abi_version";
        return 7;
    }
    pub fn task_self(_: *Context) u64 {
        return 0xffff_ffff_0000_0001;
    }
    pub fn task_wait(context: *Context, arguments: dispatch.TaskWait) abi.Failure!void {
        context.wait = arguments;
        return context.finish("task_wait");
    }
    pub fn task_exit(context: *Context, arguments: dispatch.TaskExit) abi.Failure!void {
        context.exit = arguments;
        return context.finish("task_exit");
    }
    pub fn log_write(context: *Context, arguments: dispatch.LogWrite) abi.Failure!void {
        context.log = arguments;
        return context.finish("log_write");
    }

    fn generic(comptime name: []const u8, comptime Arguments: type) fn (*Context, Arguments) abi.Failure!void {
        return struct {
            fn call(context: *Context, _: Arguments) abi.Failure!void {
                return context.finish(name);
            }
        }.call;
    }

    pub fn abi_features(_: *Context) u64 {
        return 0;
    }
    pub fn abi_feature_enabled(_: *Context, _: dispatch.AbiFeatureEnabled) u32 {
        return 0;
    }
    pub fn err_get_last(_: *Context) u32 {
        return 0;
    }
    pub fn time_now(_: *Context) u64 {
        return 0;
    }
    pub fn task_yield(context: *Context) abi.Failure!void {
        return context.finish("task_yield");
    }
    pub const abi_stats = generic("abi_stats", dispatch.AbiStats);
    pub const cap_acquire = generic("cap_acquire", dispatch.CapAcquire);
    pub const cap_drop = generic("cap_drop", dispatch.CapDrop);
    pub const cap_enter = generic("cap_enter", dispatch.CapEnter);
    pub const cap_exit = generic("cap_exit", dispatch.CapExit);
    pub const task_spawn = generic("task_spawn", dispatch.TaskSpawn);
    pub const task_sleep = generic("task_sleep", dispatch.TaskSleep);
    pub const task_join = generic("task_join", dispatch.TaskJoin);
    pub const task_set_priority = generic("task_set_priority", dispatch.TaskSetPriority);
    pub const task_get_stats = generic("task_get_stats", dispatch.TaskGetStats);
    pub const task_wake = generic("task_wake", dispatch.TaskWake);
    pub const task_requeue = generic("task_requeue", dispatch.TaskRequeue);
    pub const task_set_thread_pointer = generic("task_set_thread_pointer", dispatch.TaskSetThreadPointer);
    pub const task_set_foreign_handler = generic("task_set_foreign_handler", dispatch.TaskSetForeignHandler);
    pub const task_set_fault_handler = generic("task_set_fault_handler", dispatch.TaskSetFaultHandler);
    pub const task_resume = generic("task_resume", dispatch.TaskResume);
    pub const task_interrupt = generic("task_interrupt", dispatch.TaskInterrupt);
    pub const task_get_context = generic("task_get_context", dispatch.TaskGetContext);
    pub const task_set_context = generic("task_set_context", dispatch.TaskSetContext);
    pub const vm_exit = generic("vm_exit", dispatch.VmExit);
    pub const vm_stop_event = generic("vm_stop_event", dispatch.VmStopEvent);
    pub const time_wall = generic("time_wall", dispatch.TimeWall);
    pub const time_deadline = generic("time_deadline", dispatch.TimeDeadline);
    pub const time_deadline_set = generic("time_deadline_set", dispatch.TimeDeadlineSet);
    pub const time_deadline_close = generic("time_deadline_close", dispatch.TimeDeadlineClose);
    pub const mem_alloc = generic("mem_alloc", dispatch.MemAlloc);
    pub const mem_free = generic("mem_free", dispatch.MemFree);
    pub const mem_map = generic("mem_map", dispatch.MemMap);
    pub const mem_protect = generic("mem_protect", dispatch.MemProtect);
    pub const mem_discard = generic("mem_discard", dispatch.MemDiscard);
    pub const mem_query = generic("mem_query", dispatch.MemQuery);
    pub const mem_share = generic("mem_share", dispatch.MemShare);
    pub const mem_unshare = generic("mem_unshare", dispatch.MemUnshare);
    pub const mem_arena_create = generic("mem_arena_create", dispatch.MemArenaCreate);
    pub const mem_arena_alloc = generic("mem_arena_alloc", dispatch.MemArenaAlloc);
    pub const mem_arena_reset = generic("mem_arena_reset", dispatch.MemArenaReset);
    pub const mem_arena_drop = generic("mem_arena_drop", dispatch.MemArenaDrop);
    pub const io_open = generic("io_open", dispatch.IoOpen);
    pub const io_read = generic("io_read", dispatch.IoRead);
    pub const io_write = generic("io_write", dispatch.IoWrite);
    pub const io_seek = generic("io_seek", dispatch.IoSeek);
    pub const io_stat = generic("io_stat", dispatch.IoStat);
    pub const io_readdir = generic("io_readdir", dispatch.IoReaddir);
    pub const io_close = generic("io_close", dispatch.IoClose);
    pub const io_poll = generic("io_poll", dispatch.IoPoll);
    pub const io_poll_create = generic("io_poll_create", dispatch.IoPollCreate);
    pub const io_poll_update = generic("io_poll_update", dispatch.IoPollUpdate);
    pub const io_poll_wait = generic("io_poll_wait", dispatch.IoPollWait);
    pub const io_poll_close = generic("io_poll_close", dispatch.IoPollClose);
    pub const ipc_channel_create = generic("ipc_channel_create", dispatch.IpcChannelCreate);
    pub const ipc_send = generic("ipc_send", dispatch.IpcSend);
    pub const ipc_recv = generic("ipc_recv", dispatch.IpcRecv);
    pub const ipc_close = generic("ipc_close", dispatch.IpcClose);
    pub const net_socket = generic("net_socket", dispatch.NetSocket);
    pub const net_bind = generic("net_bind", dispatch.NetBind);
    pub const net_listen = generic("net_listen", dispatch.NetListen);
    pub const net_accept = generic("net_accept", dispatch.NetAccept);
    pub const net_connect = generic("net_connect", dispatch.NetConnect);
    pub const net_send = generic("net_send", dispatch.NetSend);
    pub const net_recv = generic("net_recv", dispatch.NetRecv);
    pub const net_get_address = generic("net_get_address", dispatch.NetGetAddress);
    pub const net_set_option = generic("net_set_option", dispatch.NetSetOption);
    pub const net_get_option = generic("net_get_option", dispatch.NetGetOption);
    pub const net_close = generic("net_close", dispatch.NetClose);
    pub const net_name_server = generic("net_name_server", dispatch.NetNameServer);
    pub const trace_span_begin = generic("trace_span_begin", dispatch.TraceSpanBegin);
    pub const trace_span_end = generic("trace_span_end", dispatch.TraceSpanEnd);
    pub const trace_event = generic("trace_event", dispatch.TraceEvent);
    pub const random_fill = generic("random_fill", dispatch.RandomFill);
};

fn call(context: *Recorder.Context, id: abi.FunctionId, registers: dispatch.Registers) dispatch.Outcome {
    return dispatch.dispatch(Recorder, context, @intFromEnum(id), &registers);
}

test "a 32-bit argument is the lower half of its register" {
    var context: Recorder.Context = .{};
    const outcome = call(&context, .task_wait, .{ 0x1000, 0xdead_beef_0000_0005, 99, 0, 0, 0 });
    try testing.expectEqual(dispatch.Outcome{ .value = 0 }, outcome);
    try testing.expectEqual(@as(u64, 0x1000), context.wait.?.word.address);
    try testing.expectEqual(@as(u32, 5), context.wait.?.expected);
    try testing.expectEqual(@as(u64, 99), context.wait.?.deadline_ns);
}

test "a negative status survives the way" {
    var context: Recorder.Context = .{};
    const outcome = call(&context, .task_exit, .{ 0xffff_ffff, 0, 0, 0, 0, 0 });
    try testing.expectEqual(dispatch.Outcome.resumed, outcome);
    try testing.expectEqual(@as(i32, -1), context.exit.?.status);
}

test "a buffer and its size become one field" {
    var context: Recorder.Context = .{};
    _ = call(&context, .log_write, .{ 2, 0x2000, 17, 0, 0, 0 });
    try testing.expectEqual(abi.LogLevel.warn, context.log.?.level);
    try testing.expectEqual(dispatch.UserBytes{ .address = 0x2000, .count = 17 }, context.log.?.text);
}

test "an unknown enumeration value, flag, number and an unsupported function reach no handler" {
    var context: Recorder.Context = .{};
    try testing.expectEqual(dispatch.Outcome{ .failed = .bad_value }, call(&context, .log_write, .{ 4, 0, 0, 0, 0, 0 }));
    try testing.expectEqual(dispatch.Outcome{ .failed = .bad_flags }, call(&context, .mem_alloc, .{ 4096, 1 << 7, 0, 0, 0, 0 }));
    for (abi.functions, 0..) |function, number| {
        if (!function.unsupported) continue;
        try testing.expectEqual(dispatch.Outcome{ .failed = .unsupported_function }, dispatch.dispatch(Recorder, &context, number, &@splat(0)));
    }
    for ([_]u64{ abi.functions.len, 1 << 16, 1 << 32, std.math.maxInt(u64) }) |number| {
        const outcome = dispatch.dispatch(Recorder, &context, number, &@splat(0));
        try testing.expectEqual(dispatch.Outcome{ .failed = .unsupported_function }, outcome);
    }
    try testing.expectEqual(null, context.called);
}

test "every supported function that needs a capability is refused without one, before its arguments are looked at" {
    var context: Recorder.Context = .{ .allowed = false };
    var refused: u32 = 0;
    for (abi.functions, 0..) |function, number| {
        if (function.unsupported or function.capability == null) continue;
        const outcome = dispatch.dispatch(Recorder, &context, number, &@splat(std.math.maxInt(u64)));
        try testing.expectEqual(dispatch.Outcome{ .failed = .capability_missing }, outcome);
        refused += 1;
    }
    try testing.expectEqual(null, context.called);
    try testing.expect(refused > 20);
}

test "every supported function reaches the handler of its name, and its failure comes back as its detail" {
    for (abi.functions, 0..) |function, number| {
        if (function.unsupported or function.gives_value) continue;
        var context: Recorder.Context = .{ .failure = error.OutOfMemory };
        // Enumerations that have no 0.
        const registers: dispatch.Registers = switch (@as(abi.FunctionId, @enumFromInt(number))) {
            .net_socket => .{ 4, 1, 0, 0, 0, 0 },
            .net_set_option, .net_get_option => .{ 0, 1, 0, 0, 0, 0 },
            else => @splat(0),
        };
        const outcome = dispatch.dispatch(Recorder, &context, number, &registers);
        try testing.expectEqualStrings(function.name, context.called.?);
        try testing.expectEqual(dispatch.Outcome{ .failed = .out_of_memory }, outcome);
    }
}

test "each detail has a result other than ok and survives the way through an error" {
    for (std.enums.values(abi.Detail)) |detail| {
        if (detail == .none) continue;
        try testing.expect(detail.result() != .ok);
        try testing.expectEqual(detail, abi.detailOf(abi.failureOf(detail)));
    }
}

test "the start-up block's magic spells its name" {
    try testing.expectEqualStrings("UKSTART1", std.mem.asBytes(&abi.startup_magic));
}

test "the gate is code in pages of its own, with one syscall in it" {
    try testing.expectEqual(gate.Permission.read_exec, gate.permissions[gate.syscall_offset / gate.page_bytes]);
    try testing.expectEqual(gate.Permission.read, gate.permissions[0]);
    try testing.expectEqual(gate.Permission.read, gate.permissions[gate.clock_offset / gate.page_bytes]);
    try testing.expectEqualSlices(u8, &.{ 0x0f, 0x05, 0xc3 }, gate.image[gate.syscall_offset..][0..3]);
    try testing.expectEqual(gate.syscall_offset + 2, gate.return_offset);
}
