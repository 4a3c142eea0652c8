//! ipc_*: message channels.
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const ipc = @import("../object/ipc.zig");
const task_object = @import("../object/task.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

pub fn ipc_channel_create(_: *Task, arguments: dispatch.IpcChannelCreate) Failure!void {
    if (arguments.messages_max == 0 or arguments.messages_max > abi.ipc_messages_max) return error.BadValue;
    if (arguments.message_bytes_max == 0 or arguments.message_bytes_max > abi.ipc_message_bytes_max) return error.BadValue;
    try user_copy.writeValue(u64, arguments.left.address, 0);
    try user_copy.writeValue(u64, arguments.right.address, 0);
    const ends = try ipc.create(arguments.messages_max, arguments.message_bytes_max);
    giveOut(arguments, ends) catch |failure| {
        for (ends) |end| ipc.close(end) catch {};
        return failure;
    };
}

fn giveOut(arguments: dispatch.IpcChannelCreate, ends: [2]u64) Failure!void {
    try user_copy.writeValue(u64, arguments.left.address, ends[0]);
    try user_copy.writeValue(u64, arguments.right.address, ends[1]);
}

pub fn ipc_send(_: *Task, arguments: dispatch.IpcSend) Failure!void {
    const message = arguments.message;
    if (message.count != 0 and !user_copy.isUserRange(message.address, message.count)) return error.BadPointer;
    try ipc.send(@intFromEnum(arguments.channel), message.address, message.count, arguments.deadline_ns);
}

pub fn ipc_recv(_: *Task, arguments: dispatch.IpcRecv) Failure!void {
    const buffer = arguments.buffer;
    if (buffer.count != 0 and !user_copy.isUserRange(buffer.address, buffer.count)) return error.BadPointer;
    try user_copy.writeValue(u64, arguments.message_bytes.address, 0);
    try ipc.receive(@intFromEnum(arguments.channel), buffer.address, buffer.count, arguments.deadline_ns, arguments.message_bytes.address);
}

pub fn ipc_close(_: *Task, arguments: dispatch.IpcClose) Failure!void {
    try ipc.close(@intFromEnum(arguments.channel));
}
