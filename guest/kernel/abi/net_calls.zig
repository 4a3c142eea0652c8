//! net_*: sockets.
const std = @import("std");
const abi = @import("abi");
const dispatch = @import("dispatch");
const user_copy = @import("../arch/user_copy.zig");
const network = @import("../object/network.zig");
const options = @import("../options.zig").chosen;
const socket = @import("../object/net_socket.zig");
const transfer = @import("../object/net_transfer.zig");
const task_object = @import("../object/task.zig");
const Task = task_object.Task;
const Failure = abi.Failure;

fn endpointOf(address: *const abi.NetAddress) Failure!socket.Endpoint {
    if (address.family != .ipv4 or address.port > std.math.maxInt(u16)) return error.BadValue;
    const bytes: [8]u8 = @bitCast(address.low);
    return .{ .address = std.mem.readInt(u32, bytes[0..4], .big), .port = @intCast(address.port) };
}

fn addressOf(endpoint: socket.Endpoint) abi.NetAddress {
    var bytes: [8]u8 = @splat(0);
    std.mem.writeInt(u32, bytes[0..4], endpoint.address, .big);
    return .{ .family = .ipv4, .port = endpoint.port, .low = @bitCast(bytes) };
}

fn readEndpoint(pointer: u64) Failure!socket.Endpoint {
    const address = try user_copy.readValue(abi.NetAddress, pointer);
    return endpointOf(&address);
}

pub fn net_socket(_: *Task, arguments: dispatch.NetSocket) Failure!void {
    if (!options.net) return error.UnsupportedOperation;
    if (arguments.family != .ipv4) return error.UnsupportedOperation;
    try user_copy.writeValue(u64, arguments.socket.address, 0);
    const handle = try socket.create(switch (arguments.type) {
        .tcp => .tcp,
        .udp => .udp,
        _ => return error.BadValue,
    });
    user_copy.writeValue(u64, arguments.socket.address, handle) catch |failure| {
        socket.close(handle) catch {};
        return failure;
    };
}

pub fn net_bind(_: *Task, arguments: dispatch.NetBind) Failure!void {
    if (!options.net) return error.BadHandle;
    try socket.bind(@intFromEnum(arguments.socket), try readEndpoint(arguments.address.address));
}

pub fn net_listen(_: *Task, arguments: dispatch.NetListen) Failure!void {
    if (!options.net) return error.BadHandle;
    try socket.listen(@intFromEnum(arguments.socket), arguments.backlog);
}

pub fn net_accept(_: *Task, arguments: dispatch.NetAccept) Failure!void {
    if (!options.net) return error.BadHandle;
    try user_copy.writeValue(u64, arguments.connection.address, 0);
    if (arguments.peer.address != 0) try user_copy.writeValue(abi.NetAddress, arguments.peer.address, .{});
    const accepted = try socket.accept(@intFromEnum(arguments.socket), arguments.deadline_ns);
    giveOut(arguments, accepted) catch |failure| {
        socket.close(accepted.handle) catch {};
        return failure;
    };
}

fn giveOut(arguments: dispatch.NetAccept, accepted: socket.Accepted) Failure!void {
    if (arguments.peer.address != 0) try user_copy.writeValue(abi.NetAddress, arguments.peer.address, addressOf(accepted.peer));
    try user_copy.writeValue(u64, arguments.connection.address, accepted.handle);
}

pub fn net_connect(_: *Task, arguments: dispatch.NetConnect) Failure!void {
    if (!options.net) return error.BadHandle;
    try socket.connect(@intFromEnum(arguments.socket), try readEndpoint(arguments.address.address), arguments.deadline_ns);
}

pub fn net_send(_: *Task, arguments: dispatch.NetSend) Failure!void {
    if (!options.net) return error.BadHandle;
    const buffer = arguments.buffer;
    if (buffer.count != 0 and !user_copy.isUserRange(buffer.address, buffer.count)) return error.BadPointer;
    try user_copy.writeValue(u64, arguments.sent_bytes.address, 0);
    const to = if (arguments.address.address != 0) try readEndpoint(arguments.address.address) else null;
    const sent = try transfer.send(@intFromEnum(arguments.socket), buffer.address, buffer.count, to, arguments.deadline_ns);
    try user_copy.writeValue(u64, arguments.sent_bytes.address, sent);
}

pub fn net_recv(_: *Task, arguments: dispatch.NetRecv) Failure!void {
    if (!options.net) return error.BadHandle;
    const buffer = arguments.buffer;
    if (buffer.count != 0 and !user_copy.isUserRange(buffer.address, buffer.count)) return error.BadPointer;
    try user_copy.writeValue(u64, arguments.received_bytes.address, 0);
    if (arguments.address.address != 0) try user_copy.writeValue(abi.NetAddress, arguments.address.address, .{});
    const received = try transfer.receive(@intFromEnum(arguments.socket), buffer.address, buffer.count, arguments.deadline_ns);
    if (arguments.address.address != 0) try user_copy.writeValue(abi.NetAddress, arguments.address.address, addressOf(received.from));
    try user_copy.writeValue(u64, arguments.received_bytes.address, received.bytes);
}

pub fn net_get_address(_: *Task, arguments: dispatch.NetGetAddress) Failure!void {
    if (!options.net) return error.BadHandle;
    const found = try socket.addresses(@intFromEnum(arguments.socket));
    if (arguments.local.address != 0) try user_copy.writeValue(abi.NetAddress, arguments.local.address, addressOf(found.local));
    if (arguments.peer.address == 0) return;
    try user_copy.writeValue(abi.NetAddress, arguments.peer.address, .{});
    const peer = found.peer orelse return error.NotConnected;
    try user_copy.writeValue(abi.NetAddress, arguments.peer.address, addressOf(peer));
}

pub fn net_set_option(_: *Task, arguments: dispatch.NetSetOption) Failure!void {
    if (!options.net) return error.BadHandle;
    try socket.setOption(@intFromEnum(arguments.socket), arguments.option, arguments.value);
}

pub fn net_get_option(_: *Task, arguments: dispatch.NetGetOption) Failure!void {
    if (!options.net) return error.BadHandle;
    try user_copy.writeValue(u64, arguments.value.address, 0);
    const value = try socket.getOption(@intFromEnum(arguments.socket), arguments.option);
    try user_copy.writeValue(u64, arguments.value.address, value);
}

pub fn net_close(_: *Task, arguments: dispatch.NetClose) Failure!void {
    if (!options.net) return error.BadHandle;
    try socket.close(@intFromEnum(arguments.socket));
}

pub fn net_name_server(_: *Task, arguments: dispatch.NetNameServer) Failure!void {
    try user_copy.writeValue(abi.NetAddress, arguments.server.address, .{});
    if (!options.net) return error.NotFound;
    const server = try network.nameServer(arguments.index, arguments.deadline_ns);
    try user_copy.writeValue(abi.NetAddress, arguments.server.address, addressOf(server));
}
