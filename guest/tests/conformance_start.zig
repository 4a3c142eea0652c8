//! The start-up block, the gate, versions, time, random bytes and the log.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const abi = uk.abi;

pub fn run() void {
    block();
    unsupported();
    values();
    time();
    random();
    log();
}

fn block() void {
    const start = uk.startup();
    t.expectEqual(@src(), abi.startup_magic, start.magic, "magic");
    t.expect(@src(), start.bytes >= @sizeOf(abi.Startup), "size of the block");
    t.expectEqual(@src(), uk.calls.abi_version(), start.abi_version, "version");
    t.expectEqual(@src(), @as(u32, abi.version_major) << 16 | abi.version_minor, start.abi_version, "version as built for");
    t.expect(@src(), start.cpu_count >= 1 and start.cpu_count <= 32, "processors");
    t.expectEqual(@src(), abi.page_bytes, start.page_bytes, "page size");
    t.expect(@src(), start.memory_bytes >= 4 << 20, "memory");
    t.expect(@src(), start.user_base > 0 and start.user_end > start.user_base, "user range");
    t.expect(@src(), start.stack_bytes >= 64 << 10 and start.stack_base % abi.page_bytes == 0, "stack");
    const here = @intFromPtr(&start);
    t.expect(@src(), here >= start.stack_base and here < start.stack_base + start.stack_bytes, "this is the stack");
    t.expectEqual(@src(), uk.calls.task_self(), start.task, "own task");
    t.expect(@src(), start.entered_ns > 0 and start.entered_ns < t.now(), "time of entry");
    t.expectEqual(@src(), start.argc, uk.arguments().len, "arguments");
    t.expectEqual(@src(), 0, @as([*]const u64, @ptrFromInt(start.argv))[start.argc], "end of the arguments");
    t.expectEqual(@src(), 0, @as([*]const u64, @ptrFromInt(start.envp))[start.envc], "end of the environment");
    t.expect(@src(), std.mem.eql(u8, uk.environment("SUITE") orelse "", "conformance"), "environment");
    t.expect(@src(), std.mem.eql(u8, std.mem.span(@as([*:0]const u8, @ptrFromInt(start.adapter))), "native"), "adapter");
    t.expect(@src(), std.mem.eql(u8, std.mem.span(@as([*:0]const u8, @ptrFromInt(start.entry))), "/app/start"), "entry");
    const manifest = @as([*]const u8, @ptrFromInt(start.manifest))[0..start.manifest_bytes];
    t.expect(@src(), std.mem.startsWith(u8, manifest, "ukernel-manifest 1\n"), "manifest");
    t.expect(@src(), start.image_phdr != 0 and start.image_phnum > 0, "program headers");
    t.expect(@src(), std.mem.eql(u8, @as([*]const u8, @ptrFromInt(start.gate))[0..4], "\x7fELF"), "the gate is an ELF image");
    if (conformance.provided.wall) {
        const text = @as([*]const u8, @ptrFromInt(start.configuration))[0..start.configuration_bytes];
        t.expect(@src(), std.mem.indexOf(u8, text, "seed 0f") == null, "the seed stays with the kernel");
    } else t.expectEqual(@src(), 0, start.configuration, "no configuration");
}

/// Whatever the arguments, a function of the next versions says that it is not there.
fn unsupported() void {
    for (abi.functions, 0..) |function, index| {
        if (!function.unsupported) continue;
        const id: t.Id = @enumFromInt(index);
        t.failsWith(@src(), id, .unsupported_function, @splat(0));
        t.failsWith(@src(), id, .unsupported_function, @splat(std.math.maxInt(u64)));
    }
}

fn values() void {
    t.expectEqual(@src(), uk.calls.abi_features(), uk.startup().features, "features");
    for (0..70) |feature| {
        const enabled = uk.calls.abi_feature_enabled(@intCast(feature));
        const bit = if (feature < 64) uk.calls.abi_features() >> @intCast(feature) & 1 else 0;
        t.expectEqual(@src(), bit, enabled, "feature");
    }
    t.expectEqual(@src(), 0, uk.calls.abi_feature_enabled(std.math.maxInt(u32)), "unknown feature");
    var stats: abi.AbiStats = .{};
    t.ok(@src(), .abi_stats, .{&stats});
    t.expect(@src(), stats.pages_free > 0 and stats.pages_free < stats.pages_total, "pages");
    t.expect(@src(), stats.handles_used <= stats.handles_max and stats.tasks_used == 1, "handles and tasks");
    // The detail stays until another call.
    _ = t.call(.abi_stats, .{@as(u64, 8)});
    t.expectEqual(@src(), @intFromEnum(abi.Detail.bad_pointer), uk.calls.err_get_last(), "detail");
    t.expectEqual(@src(), @intFromEnum(abi.Detail.bad_pointer), uk.calls.err_get_last(), "detail, read twice");
    t.ok(@src(), .task_yield, .{});
    t.expectEqual(@src(), 0, uk.calls.err_get_last(), "no detail after a success");
}

fn time() void {
    var previous = t.now();
    for (0..10_000) |_| {
        const current = t.now();
        if (current < previous) t.expect(@src(), false, "time went back");
        previous = current;
    }
    const before = t.now();
    t.ok(@src(), .task_sleep, .{before + 10_000_000});
    const slept = t.now() - before;
    t.expect(@src(), slept >= 10_000_000, "slept at least as long as asked");
    t.ok(@src(), .task_sleep, .{@as(u64, 0)});
    _ = uk.enable(.time, 3) catch {};
    var wall: u64 = 0;
    if (conformance.provided.wall) {
        t.ok(@src(), .time_wall, .{&wall});
        const start = 1_790_000_000_000_000_000;
        t.expect(@src(), wall > start and wall < start + 600_000_000_000, "wall time");
    } else t.fails(@src(), .time_wall, .no_wall_clock, .{&wall});
}

fn random() void {
    var first: [300]u8 = @splat(0);
    var second: [300]u8 = @splat(0);
    t.ok(@src(), .random_fill, .{ &first, first.len });
    t.ok(@src(), .random_fill, .{ &second, second.len });
    t.expect(@src(), !std.mem.eql(u8, &first, &second), "random bytes differ");
    var zeros: u32 = 0;
    for (first) |byte| zeros += @intFromBool(byte == 0);
    t.expect(@src(), zeros < 20, "random bytes are filled to the end");
    t.ok(@src(), .random_fill, .{ &first, 0 });
    t.fails(@src(), .random_fill, .too_long, .{ &first, abi.random_bytes_max + 1 });
}

fn log() void {
    uk.enable(.log, 1) catch {};
    for (0..4) |level| t.ok(@src(), .log_write, .{ level, "conformance", 11 });
    t.ok(@src(), .log_write, .{ abi.LogLevel.info, "", 0 });
    var long: [abi.log_bytes_max + 1]u8 = @splat('x');
    t.ok(@src(), .log_write, .{ abi.LogLevel.info, &long, abi.log_bytes_max });
    t.fails(@src(), .log_write, .too_long, .{ abi.LogLevel.info, &long, abi.log_bytes_max + 1 });
}
