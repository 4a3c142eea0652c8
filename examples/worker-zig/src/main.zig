//! A pipeline: lines come in over TCP, tasks on all virtual CPUs work on them, answers go back in order. README.md has the protocol.
const uk = @import("ukernel");
const limits = @import("limits.zig");
const front = @import("front.zig");
const work = @import("work.zig");

pub fn main() !void {
    const channel = try uk.Channel.create(limits.queue_max, @sizeOf(work.Job));
    // The tasks start with what this one has active.
    uk.enable(.trace, @bitCast(uk.abi.TraceRights{ .write = true })) catch {};
    var tasks: [limits.workers_max]uk.Task = undefined;
    const count = @min(uk.startup().cpu_count, tasks.len);
    for (tasks[0..count]) |*task| task.* = try uk.Task.spawn(.{}, work.run, .{channel.right});
    try front.run(channel.left, count);
    // The tasks receive what is left, then the channel's end.
    channel.left.close();
    for (tasks[0..count]) |task| _ = try task.join(uk.abi.deadline_never);
    try uk.print("worker: stopped\n", .{});
}
