//! The ABI conformance suite: runs inside the guest, calls every function through the gate, and brings about its success and every error
//! that the ABI file declares for it. Prints what failed and at last "N passed, N failed"; the VM's status is 0 or 1.
//!
//! Arguments say what the runner has provided: wall (a wall time in the configuration), names (a name server there), block (a writable scratch disk as block device 0),
//! input (it answers "READY n" lines on the console), corrupt (files whose structures were damaged).
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

pub const Provided = struct { wall: bool = false, names: bool = false, block: bool = false, input: bool = false, corrupt: bool = false };
pub var provided: Provided = .{};

pub fn main() u8 {
    for (uk.arguments()[1..]) |argument| {
        inline for (@typeInfo(Provided).@"struct".fields) |field| {
            if (std.mem.eql(u8, std.mem.span(argument), field.name)) @field(provided, field.name) = true;
        }
    }
    // Opens the console, too, before handles are counted.
    t.say("conformance on {d} processors\n", .{uk.startup().cpu_count});
    @import("conformance_start.zig").run();
    @import("conformance_cap.zig").run();
    readProgram();
    const before = stats();
    @import("conformance_sweep.zig").run();
    @import("conformance_task.zig").run();
    @import("conformance_handlers.zig").run();
    @import("conformance_mem.zig").run();
    @import("conformance_share.zig").run();
    @import("conformance_io.zig").run();
    @import("conformance_ipc.zig").run();
    @import("conformance_poll.zig").run();
    @import("conformance_net.zig").run();
    @import("conformance_deadline.zig").run();
    @import("conformance_trace.zig").run();
    // Ended tasks are freed by the next who looks.
    t.sleep(5_000_000);
    const after = stats();
    t.expectEqual(@src(), before.handles_used, after.handles_used, "handles as before");
    t.expectEqual(@src(), before.tasks_used, after.tasks_used, "tasks as before");
    t.expectEqual(@src(), before.regions_used, after.regions_used, "regions as before");
    @import("conformance_limits.zig").run();
    checkCoverage();
    return t.finish();
}

/// Brings the program into the kernel's image cache, or the cache to its full size: the suites compare the kernel's pages.
fn readProgram() void {
    const buffer = uk.reserve(64 << 10) catch @panic("no memory");
    defer uk.release(buffer);
    var file: abi.Handle = .none;
    t.ok(@src(), .io_open, .{ abi.IoSource.image, 0, "/app/start", 10, 0, &file });
    var bytes: u64 = 1;
    while (bytes > 0) uk.calls.check(uk.calls.io_read(file, buffer.ptr, buffer.len, abi.offset_current, &bytes)) catch @panic("io_read");
    t.ok(@src(), .io_close, .{file});
}

pub fn stats() abi.AbiStats {
    var result: abi.AbiStats = .{};
    uk.calls.check(uk.calls.abi_stats(&result)) catch @panic("abi_stats");
    return result;
}

fn checkCoverage() void {
    var excluded: [16]t.Excluded = undefined;
    var count: usize = 0;
    const Add = struct {
        fn add(list: []t.Excluded, used: *usize, item: t.Excluded) void {
            list[used.*] = item;
            used.* += 1;
        }
    };
    Add.add(&excluded, &count, .{ .detail = .device_error, .why = "the VMM's devices do not fail on demand; the host's unit tests simulate it" });
    if (provided.wall) {
        Add.add(&excluded, &count, .{ .detail = .no_wall_clock, .why = "this run has a wall time" });
    } else for ([_]abi.Detail{ .none, .bad_pointer }) |detail| {
        Add.add(&excluded, &count, .{ .detail = detail, .id = .time_wall, .why = "this run has no wall time" });
    }
    if (!provided.names) Add.add(&excluded, &count, .{ .detail = .none, .id = .net_name_server, .why = "this run has no name server" });
    for ([_]abi.Detail{ .timed_out, .interrupted }) |detail| {
        Add.add(&excluded, &count, .{ .detail = detail, .id = .net_name_server, .why = "no address is waited for; net_wait.zig does" });
    }
    if (!provided.block) for ([_]t.Id{ .io_read, .io_write }) |id| {
        Add.add(&excluded, &count, .{ .detail = .misaligned, .id = id, .why = "this run has no block device" });
    };
    if (!provided.corrupt) Add.add(&excluded, &count, .{ .detail = .corrupt_image, .why = "this run's image is sound" });
    Add.add(&excluded, &count, .{ .detail = .@"unreachable", .id = .net_recv, .why = "the address would have to go away; the host's unit tests simulate it" });
    if (uk.startup().cpu_count == 1) {
        Add.add(&excluded, &count, .{ .detail = .task_running, .why = "on one processor no other task runs" });
    }
    t.checkCoverage(excluded[0..count]);
}
