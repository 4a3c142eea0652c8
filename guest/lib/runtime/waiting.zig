//! Channels, poll sets, deadlines and sockets for C: uk_channel.h, uk_poll.h, uk_time.h, uk_net.h.
const std = @import("std");
const uk = @import("ukernel");
const abi = uk.abi;

fn result(outcome: abi.Failure!void) abi.Result {
    return if (outcome) .ok else |failure| abi.detailOf(failure).result();
}

export fn uk_channel_create(messages_max: u32, message_bytes_max: u32, left: *abi.Handle, right: *abi.Handle) callconv(.c) abi.Result {
    const pair = uk.Channel.create(messages_max, message_bytes_max) catch |failure| return result(failure);
    left.* = pair.left.handle;
    right.* = pair.right.handle;
    return .ok;
}

export fn uk_channel_send(end: abi.Handle, message: [*]const u8, bytes: usize, deadline_ns: u64) callconv(.c) abi.Result {
    return result((uk.Channel{ .handle = end }).send(message[0..bytes], deadline_ns));
}

export fn uk_channel_receive(end: abi.Handle, buffer: [*]u8, buffer_bytes: usize, deadline_ns: u64, bytes: *usize) callconv(.c) abi.Result {
    const message = (uk.Channel{ .handle = end }).receive(buffer[0..buffer_bytes], deadline_ns) catch |failure| return result(failure);
    bytes.* = message.len;
    return .ok;
}

export fn uk_poll_create(set: *abi.Handle) callconv(.c) abi.Result {
    const made = uk.PollSet.create() catch |failure| return result(failure);
    set.* = made.handle;
    return .ok;
}

export fn uk_poll_watch(set: abi.Handle, handle: abi.Handle, wanted: abi.IoEvents, user: u64) callconv(.c) abi.Result {
    return result((uk.PollSet{ .handle = set }).watch(handle, wanted, user));
}

export fn uk_poll_wait(set: abi.Handle, entries: [*]abi.IoPollEntry, count: u32, deadline_ns: u64, ready: *u32) callconv(.c) abi.Result {
    ready.* = 0;
    const filled = (uk.PollSet{ .handle = set }).wait(entries[0..count], deadline_ns) catch |failure| return result(failure);
    ready.* = @intCast(filled.len);
    return .ok;
}

export fn uk_poll(entries: [*]abi.IoPollEntry, count: u32, deadline_ns: u64, ready: *u32) callconv(.c) abi.Result {
    ready.* = 0;
    ready.* = uk.poll(entries[0..count], deadline_ns) catch |failure| return result(failure);
    return .ok;
}

export fn uk_after(duration_ns: u64) callconv(.c) u64 {
    return uk.time.after(duration_ns);
}

export fn uk_sleep(duration_ns: u64) callconv(.c) void {
    uk.time.sleep(duration_ns);
}

export fn uk_wall_now(wall_ns: *u64) callconv(.c) abi.Result {
    wall_ns.* = uk.time.wallNow() catch |failure| return result(failure);
    return .ok;
}

export fn uk_deadline_create(deadline_ns: u64, deadline: *abi.Handle) callconv(.c) abi.Result {
    const made = uk.Deadline.create(deadline_ns) catch |failure| return result(failure);
    deadline.* = made.handle;
    return .ok;
}

export fn uk_net_listen(port: u16, backlog: u32, listener: *abi.Handle) callconv(.c) abi.Result {
    const socket = uk.Socket.listen(port, backlog) catch |failure| return result(failure);
    listener.* = socket.handle;
    return .ok;
}

export fn uk_net_connect(peer: *const abi.NetAddress, deadline_ns: u64, connection: *abi.Handle) callconv(.c) abi.Result {
    const socket = uk.Socket.connect(peer.*, deadline_ns) catch |failure| return result(failure);
    connection.* = socket.handle;
    return .ok;
}

export fn uk_net_datagrams(port: u16, socket: *abi.Handle) callconv(.c) abi.Result {
    const made = uk.Socket.datagrams(port) catch |failure| return result(failure);
    socket.* = made.handle;
    return .ok;
}

export fn uk_net_accept(listener: abi.Handle, deadline_ns: u64, connection: *abi.Handle, peer: ?*abi.NetAddress) callconv(.c) abi.Result {
    const socket = (uk.Socket{ .handle = listener }).accept(deadline_ns, peer) catch |failure| return result(failure);
    connection.* = socket.handle;
    return .ok;
}

export fn uk_net_receive(socket: abi.Handle, buffer: [*]u8, buffer_bytes: usize, deadline_ns: u64, bytes: *usize) callconv(.c) abi.Result {
    const received = (uk.Socket{ .handle = socket }).receive(buffer[0..buffer_bytes], deadline_ns) catch |failure| return result(failure);
    bytes.* = received.len;
    return .ok;
}

export fn uk_net_send(socket: abi.Handle, buffer: [*]const u8, buffer_bytes: usize, deadline_ns: u64, bytes: *usize) callconv(.c) abi.Result {
    bytes.* = 0;
    bytes.* = (uk.Socket{ .handle = socket }).send(buffer[0..buffer_bytes], deadline_ns) catch |failure| return result(failure);
    return .ok;
}

export fn uk_net_send_all(socket: abi.Handle, buffer: [*]const u8, buffer_bytes: usize, deadline_ns: u64) callconv(.c) abi.Result {
    return result((uk.Socket{ .handle = socket }).sendAll(buffer[0..buffer_bytes], deadline_ns));
}

export fn uk_net_shutdown(socket: abi.Handle, direction: uk.net.Direction) callconv(.c) abi.Result {
    return result((uk.Socket{ .handle = socket }).shutdown(direction));
}

export fn uk_net_resolve(name: [*:0]const u8, port: u16, deadline_ns: u64, address: *abi.NetAddress) callconv(.c) abi.Result {
    address.* = uk.net.resolve(std.mem.span(name), port, deadline_ns) catch |failure| return result(failure);
    return .ok;
}

export fn uk_net_parse(text: [*:0]const u8, address: *abi.NetAddress) callconv(.c) bool {
    address.* = uk.net.parseAddress(std.mem.span(text)) orelse return false;
    return true;
}

export fn uk_net_format(address: *const abi.NetAddress, buffer: [*]u8) callconv(.c) [*]u8 {
    const text = uk.net.formatAddress(buffer[0..uk.net.address_text_bytes_max], address.*);
    buffer[text.len] = 0;
    return buffer;
}

/// The details' names with blanks for underscores.
const detail_texts = texts: {
    const fields = @typeInfo(abi.Detail).@"enum".fields;
    var list: [fields.len][:0]const u8 = undefined;
    for (fields) |field| {
        var text: [field.name.len:0]u8 = undefined;
        for (field.name, &text) |from, *to| to.* = if (from == '_') ' ' else from;
        text[field.name.len] = 0;
        const kept = text;
        list[field.value] = &kept;
    }
    break :texts list;
};

export fn uk_detail_text(detail: u32) callconv(.c) [*:0]const u8 {
    return if (detail < detail_texts.len) detail_texts[detail] else "unknown detail";
}

export fn uk_failure() callconv(.c) [*:0]const u8 {
    return uk_detail_text(uk.calls.err_get_last());
}
