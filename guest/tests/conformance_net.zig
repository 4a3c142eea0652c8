//! Sockets, over the VM's own address: streams, datagrams, refusals, waiting, options. Readiness and waiting: conformance_net_waits.zig.
const std = @import("std");
const uk = @import("ukernel");
const t = @import("harness.zig");
const conformance = @import("conformance.zig");
const ipc = @import("conformance_ipc.zig");
const waits = @import("conformance_net_waits.zig");
const abi = uk.abi;

const never = abi.deadline_never;
pub const soon_ns = 20_000_000;
const loopback = 127 | 1 << 24;

pub fn at(port: u32) abi.NetAddress {
    return .{ .family = .ipv4, .port = port, .low = loopback };
}

pub fn any(port: u32) abi.NetAddress {
    return .{ .family = .ipv4, .port = port };
}

pub fn run() void {
    const before = conformance.stats();
    creation();
    names();
    stream();
    bulk();
    streamRefusals();
    backlog();
    resets();
    datagrams();
    datagramRefusals();
    options();
    waits.run();
    nameServers();
    full();
    t.expectEqual(@src(), before.handles_used, conformance.stats().handles_used, "handles as before");
}

pub fn socket(kind: abi.NetType) abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .net_socket, .{ abi.NetFamily.ipv4, kind, &handle });
    return handle;
}

pub fn close(handle: abi.Handle) void {
    t.ok(@src(), .net_close, .{handle});
}

pub fn listener(port: u32, most: u32) abi.Handle {
    const handle = socket(.tcp);
    t.ok(@src(), .net_bind, .{ handle, &at(port) });
    t.ok(@src(), .net_listen, .{ handle, most });
    return handle;
}

pub const Pair = struct {
    client: abi.Handle,
    server: abi.Handle = .none,

    pub fn create(listening: abi.Handle, port: u32) Pair {
        var pair: Pair = .{ .client = socket(.tcp) };
        t.ok(@src(), .net_connect, .{ pair.client, &at(port), never });
        t.ok(@src(), .net_accept, .{ listening, never, &pair.server, null });
        return pair;
    }

    pub fn end(pair: Pair) void {
        close(pair.client);
        close(pair.server);
    }
};

pub fn send(handle: abi.Handle, text: []const u8) void {
    var sent: u64 = 0;
    t.ok(@src(), .net_send, .{ handle, text.ptr, text.len, null, never, &sent });
    t.expectEqual(@src(), text.len, sent, "all of it");
}

pub fn expectText(source: std.builtin.SourceLocation, handle: abi.Handle, text: []const u8) void {
    var buffer: [64]u8 = undefined;
    var bytes: u64 = 0;
    t.ok(source, .net_recv, .{ handle, &buffer, buffer.len, null, never, &bytes });
    t.expect(source, std.mem.eql(u8, buffer[0..@intCast(bytes)], text), "what was sent");
}

fn creation() void {
    var handle: abi.Handle = .none;
    t.fails(@src(), .net_socket, .unsupported_operation, .{ abi.NetFamily.ipv6, abi.NetType.tcp, &handle });
    handle = socket(.tcp);
    close(handle);
    t.fails(@src(), .net_close, .bad_handle, .{handle});
}

fn names() void {
    const tcp = socket(.tcp);
    var local: abi.NetAddress = .{};
    var peer: abi.NetAddress = .{};
    const elsewhere: abi.NetAddress = .{ .family = .ipv4, .port = 1, .low = 9 | 9 << 24 };
    t.fails(@src(), .net_bind, .bad_value, .{ tcp, &elsewhere });
    t.fails(@src(), .net_bind, .bad_value, .{ tcp, &any(65_536) });
    t.fails(@src(), .net_bind, .bad_value, .{ tcp, &abi.NetAddress{ .family = .ipv6, .port = 1 } });
    t.ok(@src(), .net_bind, .{ tcp, &at(5000) });
    t.fails(@src(), .net_get_address, .not_connected, .{ tcp, &local, &peer });
    t.ok(@src(), .net_get_address, .{ tcp, &local, null });
    t.expectEqual(@src(), 5000, local.port, "the port");
    t.expectEqual(@src(), loopback, local.low, "the address");
    const same = socket(.tcp);
    t.ok(@src(), .net_bind, .{ same, &any(5000) });
    t.ok(@src(), .net_listen, .{ tcp, 1 });
    t.fails(@src(), .net_listen, .address_in_use, .{ same, 1 });
    t.fails(@src(), .net_bind, .bad_value, .{ same, &any(5001) });
    t.fails(@src(), .net_listen, .unsupported_operation, .{ tcp, 1 });
    t.fails(@src(), .net_bind, .bad_value, .{ tcp, &any(5001) });
    const chosen = socket(.tcp);
    t.fails(@src(), .net_bind, .address_in_use, .{ chosen, &any(5000) });
    t.ok(@src(), .net_bind, .{ chosen, &any(0) });
    t.fails(@src(), .net_bind, .bad_value, .{ chosen, &any(5001) });
    t.ok(@src(), .net_listen, .{ chosen, 1 });
    t.ok(@src(), .net_get_address, .{ chosen, &local, null });
    t.expect(@src(), local.port >= 32_768 and local.low == 0, "a port of the kernel's choice");
    for ([_]abi.Handle{ tcp, same, chosen }) |handle| close(handle);
    // The port is free again.
    close(listener(5000, 1));
}

fn stream() void {
    const listening = listener(5000, 4);
    var handle: abi.Handle = .none;
    t.fails(@src(), .net_accept, .nothing_ready, .{ listening, 0, &handle, null });
    t.fails(@src(), .net_accept, .timed_out, .{ listening, t.now() + soon_ns, &handle, null });
    const client = socket(.tcp);
    t.ok(@src(), .net_connect, .{ client, &at(5000), never });
    // Again is the same connection.
    t.ok(@src(), .net_connect, .{ client, &at(5000), 0 });
    t.fails(@src(), .net_connect, .bad_value, .{ client, &at(5001), 0 });
    var peer: abi.NetAddress = .{};
    t.ok(@src(), .net_accept, .{ listening, 0, &handle, &peer });
    var client_local: abi.NetAddress = .{};
    var client_peer: abi.NetAddress = .{};
    t.ok(@src(), .net_get_address, .{ client, &client_local, &client_peer });
    t.expect(@src(), std.meta.eql(client_local, peer), "who connected");
    t.expect(@src(), std.meta.eql(client_peer, at(5000)), "to whom");
    var buffer: [64]u8 = undefined;
    var bytes: u64 = 1;
    t.fails(@src(), .net_recv, .nothing_ready, .{ handle, &buffer, buffer.len, null, 0, &bytes });
    t.expectEqual(@src(), 0, bytes, "nothing");
    t.fails(@src(), .net_recv, .timed_out, .{ handle, &buffer, buffer.len, null, t.now() + soon_ns, &bytes });
    t.ok(@src(), .net_recv, .{ handle, &buffer, 0, null, 0, &bytes });
    send(client, "hello");
    expectText(@src(), handle, "hello");
    send(handle, "world");
    t.ok(@src(), .net_recv, .{ client, &buffer, 3, &peer, 0, &bytes });
    t.expect(@src(), bytes == 3 and std.mem.eql(u8, buffer[0..3], "wor") and std.meta.eql(peer, at(5000)), "a part, and from whom");
    expectText(@src(), client, "ld");
    t.fails(@src(), .net_send, .unsupported_operation, .{ client, "x", 1, &at(5000), 0, &bytes });
    // The client ends its side; the other can still be written.
    t.ok(@src(), .net_set_option, .{ client, abi.NetOption.shutdown, 2 });
    t.fails(@src(), .net_send, .peer_closed, .{ client, "x", 1, null, 0, &bytes });
    t.ok(@src(), .net_recv, .{ handle, &buffer, buffer.len, null, never, &bytes });
    t.expectEqual(@src(), 0, bytes, "the end");
    send(handle, "last");
    close(handle);
    expectText(@src(), client, "last");
    t.ok(@src(), .net_recv, .{ client, &buffer, buffer.len, null, never, &bytes });
    t.expectEqual(@src(), 0, bytes, "the end");
    close(client);
    close(listening);
}

const bulk_bytes = 3 << 20;
var bulk_server: abi.Handle = .none;
var bulk_wrong: u32 = 0;

fn bulkByte(index: u64) u8 {
    return @truncate((index *% 0x9e37_79b9_7f4a_7c15) >> 56);
}

fn receiveBulk(_: usize) void {
    const buffer = uk.reserve(20 << 12) catch @panic("no memory");
    defer uk.release(buffer);
    var position: u64 = 0;
    var bytes: u64 = 0;
    while (t.call(.net_recv, .{ bulk_server, buffer.ptr, 1 + position % 60_000, null, never, &bytes }) == 0) {
        if (bytes == 0) break;
        for (buffer[0..@intCast(bytes)], position..) |byte, index| if (byte != bulkByte(index)) {
            bulk_wrong += 1;
        };
        position += bytes;
    }
    if (position != bulk_bytes) bulk_wrong += 1;
}

/// More than all buffers hold, with a sender that waits for room.
fn bulk() void {
    const listening = listener(5000, 1);
    const pair: Pair = .create(listening, 5000);
    bulk_server = pair.server;
    var thread: t.Thread = .{};
    thread.start(receiveBulk, 0, .{});
    const memory = uk.reserve(bulk_bytes) catch @panic("no memory");
    for (memory, 0..) |*byte, index| byte.* = bulkByte(index);
    send(pair.client, memory[0..bulk_bytes]);
    t.ok(@src(), .net_set_option, .{ pair.client, abi.NetOption.shutdown, 2 });
    _ = thread.join();
    thread.free();
    t.expectEqual(@src(), 0, bulk_wrong, "every byte in its place");
    uk.release(memory);
    pair.end();
    close(listening);
}

fn streamRefusals() void {
    var buffer: [16]u8 = undefined;
    var bytes: u64 = 0;
    var handle: abi.Handle = .none;
    const listening = listener(5000, 1);
    t.fails(@src(), .net_connect, .unsupported_operation, .{ listening, &at(5000), 0 });
    t.fails(@src(), .net_send, .not_connected, .{ listening, "x", 1, null, 0, &bytes });
    t.fails(@src(), .net_recv, .not_connected, .{ listening, &buffer, 1, null, 0, &bytes });
    const client = socket(.tcp);
    t.fails(@src(), .net_accept, .unsupported_operation, .{ client, 0, &handle, null });
    t.fails(@src(), .net_send, .not_connected, .{ client, "x", 1, null, 0, &bytes });
    t.fails(@src(), .net_recv, .not_connected, .{ client, &buffer, 1, null, 0, &bytes });
    t.fails(@src(), .net_connect, .bad_value, .{ client, &at(0), 0 });
    t.fails(@src(), .net_connect, .bad_value, .{ client, &any(5000), 0 });
    t.fails(@src(), .net_connect, .@"unreachable", .{ client, &abi.NetAddress{ .family = .ipv4, .port = 1, .low = 192 | 2 << 16 | 1 << 24 }, 0 });
    t.fails(@src(), .net_connect, .connection_refused, .{ client, &at(5001), never });
    var value: u64 = 0;
    t.ok(@src(), .net_get_option, .{ client, abi.NetOption.@"error", &value });
    t.expectEqual(@src(), @intFromEnum(abi.Detail.connection_refused), value, "why");
    t.ok(@src(), .net_get_option, .{ client, abi.NetOption.@"error", &value });
    t.expectEqual(@src(), 0, value, "told once");
    close(client);
    // Two connections from one port to one peer can not be told apart.
    const first = socket(.tcp);
    const second = socket(.tcp);
    for ([_]abi.Handle{ first, second }) |item| t.ok(@src(), .net_bind, .{ item, &any(6000) });
    t.ok(@src(), .net_connect, .{ first, &at(5000), never });
    t.fails(@src(), .net_connect, .address_in_use, .{ second, &at(5000), never });
    for ([_]abi.Handle{ first, second, listening }) |item| close(item);
}

/// A peer that finds the backlog full waits, and is served when there is room.
fn backlog() void {
    const listening = listener(5000, 1);
    const first = socket(.tcp);
    const second = socket(.tcp);
    t.ok(@src(), .net_connect, .{ first, &at(5000), never });
    t.fails(@src(), .net_connect, .timed_out, .{ second, &at(5000), 0 });
    t.fails(@src(), .net_connect, .timed_out, .{ second, &at(5000), t.now() + soon_ns });
    var sent: u64 = 0;
    t.fails(@src(), .net_send, .queue_full, .{ second, "x", 1, null, 0, &sent });
    t.fails(@src(), .net_set_option, .not_connected, .{ second, abi.NetOption.shutdown, 2 });
    var thread: t.Thread = .{};
    thread.start(ipc.interruptSoon, uk.startup().task, .{});
    t.fails(@src(), .net_connect, .interrupted, .{ second, &at(5000), never });
    _ = thread.join();
    thread.free();
    var handle: abi.Handle = .none;
    t.ok(@src(), .net_accept, .{ listening, 0, &handle, null });
    t.ok(@src(), .net_connect, .{ second, &at(5000), t.now() + 20_000_000_000 });
    close(handle);
    t.ok(@src(), .net_accept, .{ listening, never, &handle, null });
    for ([_]abi.Handle{ handle, first, second, listening }) |item| close(item);
}

fn resets() void {
    const listening = listener(5000, 1);
    var buffer: [16]u8 = undefined;
    var bytes: u64 = 0;
    const pair: Pair = .create(listening, 5000);
    send(pair.client, "never read");
    close(pair.server);
    t.fails(@src(), .net_recv, .connection_reset, .{ pair.client, &buffer, buffer.len, null, never, &bytes });
    t.fails(@src(), .net_send, .connection_reset, .{ pair.client, "x", 1, null, never, &bytes });
    t.fails(@src(), .net_connect, .connection_reset, .{ pair.client, &at(5000), never });
    close(pair.client);
    // Who was not accepted is reset, too.
    const client = socket(.tcp);
    t.ok(@src(), .net_connect, .{ client, &at(5000), never });
    close(listening);
    t.fails(@src(), .net_recv, .connection_reset, .{ client, &buffer, buffer.len, null, never, &bytes });
    close(client);
}

fn datagrams() void {
    const server = socket(.udp);
    const client = socket(.udp);
    t.ok(@src(), .net_bind, .{ server, &any(5000) });
    var buffer: [2000]u8 = undefined;
    var bytes: u64 = 0;
    var peer: abi.NetAddress = .{};
    t.fails(@src(), .net_recv, .nothing_ready, .{ server, &buffer, buffer.len, null, 0, &bytes });
    t.fails(@src(), .net_recv, .timed_out, .{ server, &buffer, buffer.len, null, t.now() + soon_ns, &bytes });
    t.ok(@src(), .net_send, .{ client, "one", 3, &at(5000), 0, &bytes });
    t.expectEqual(@src(), 3, bytes, "all of it");
    t.ok(@src(), .net_send, .{ client, "", 0, &at(5000), 0, &bytes });
    t.ok(@src(), .net_send, .{ client, &buffer, 1472, &at(5000), 0, &bytes });
    t.ok(@src(), .net_send, .{ client, "three", 5, &at(5000), 0, &bytes });
    t.ok(@src(), .net_recv, .{ server, &buffer, buffer.len, &peer, never, &bytes });
    t.expect(@src(), bytes == 3 and std.mem.eql(u8, buffer[0..3], "one"), "the first");
    t.ok(@src(), .net_recv, .{ server, &buffer, buffer.len, null, never, &bytes });
    t.expectEqual(@src(), 0, bytes, "an empty one");
    // What does not fit is lost, and its size told.
    t.ok(@src(), .net_recv, .{ server, &buffer, 10, null, never, &bytes });
    t.expectEqual(@src(), 1472, bytes, "the largest");
    t.ok(@src(), .net_recv, .{ server, &buffer, 2, null, never, &bytes });
    t.expect(@src(), bytes == 5 and std.mem.eql(u8, buffer[0..2], "th"), "the beginning");
    t.ok(@src(), .net_send, .{ server, "back", 4, &peer, 0, &bytes });
    expectText(@src(), client, "back");
    // A socket with a peer hears it alone, also of what was there before.
    const stranger = socket(.udp);
    t.ok(@src(), .net_send, .{ stranger, "early", 5, &peer, 0, &bytes });
    t.ok(@src(), .net_connect, .{ client, &at(5000), 0 });
    t.ok(@src(), .net_send, .{ stranger, "who?", 4, &peer, 0, &bytes });
    send(client, "two");
    t.ok(@src(), .net_recv, .{ server, &buffer, buffer.len, &peer, never, &bytes });
    t.ok(@src(), .net_send, .{ server, "again", 5, &peer, 0, &bytes });
    expectText(@src(), client, "again");
    t.fails(@src(), .net_recv, .nothing_ready, .{ client, &buffer, buffer.len, null, 0, &bytes });
    for ([_]abi.Handle{ server, client, stranger }) |handle| close(handle);
}

fn datagramRefusals() void {
    const client = socket(.udp);
    var buffer: [2000]u8 = undefined;
    var bytes: u64 = 0;
    t.fails(@src(), .net_listen, .unsupported_operation, .{ client, 1 });
    t.fails(@src(), .net_send, .not_connected, .{ client, "x", 1, null, 0, &bytes });
    t.fails(@src(), .net_recv, .not_connected, .{ client, &buffer, 1, null, 0, &bytes });
    t.fails(@src(), .net_send, .too_long, .{ client, &buffer, 1473, &at(5000), 0, &bytes });
    t.fails(@src(), .net_send, .bad_value, .{ client, &buffer, 1, &at(0), 0, &bytes });
    const far: abi.NetAddress = .{ .family = .ipv4, .port = 1, .low = 192 | 2 << 16 | 1 << 24 };
    t.fails(@src(), .net_send, .@"unreachable", .{ client, &buffer, 1, &far, 0, &bytes });
    t.fails(@src(), .net_set_option, .unsupported_operation, .{ client, abi.NetOption.no_delay, 1 });
    // Nobody is there: told to the next call on a socket with a peer.
    t.ok(@src(), .net_connect, .{ client, &at(5999), 0 });
    send(client, "anybody?");
    t.fails(@src(), .net_recv, .connection_refused, .{ client, &buffer, 1, null, never, &bytes });
    send(client, "really?");
    t.fails(@src(), .net_send, .connection_refused, .{ client, "x", 1, null, 0, &bytes });
    close(client);
    const server = socket(.udp);
    t.ok(@src(), .net_bind, .{ server, &any(5000) });
    const same = socket(.udp);
    t.fails(@src(), .net_bind, .address_in_use, .{ same, &at(5000) });
    close(server);
    close(same);
}

fn options() void {
    const tcp = socket(.tcp);
    var value: u64 = 7;
    for ([_]abi.NetOption{ .reuse_address, .no_delay, .keep_alive }) |option| {
        t.ok(@src(), .net_get_option, .{ tcp, option, &value });
        t.expectEqual(@src(), 0, value, "off");
        t.ok(@src(), .net_set_option, .{ tcp, option, 1 });
        t.ok(@src(), .net_get_option, .{ tcp, option, &value });
        t.expectEqual(@src(), 1, value, "on");
        t.fails(@src(), .net_set_option, .bad_value, .{ tcp, option, 2 });
    }
    for ([_]abi.NetOption{ .send_buffer_bytes, .receive_buffer_bytes }) |option| {
        t.ok(@src(), .net_get_option, .{ tcp, option, &value });
        t.expect(@src(), value >= 65_536, "a buffer");
        t.fails(@src(), .net_set_option, .unsupported_operation, .{ tcp, option, 1 });
    }
    t.fails(@src(), .net_get_option, .unsupported_operation, .{ tcp, abi.NetOption.shutdown, &value });
    t.fails(@src(), .net_set_option, .not_connected, .{ tcp, abi.NetOption.shutdown, 1 });
    t.fails(@src(), .net_set_option, .bad_value, .{ tcp, abi.NetOption.shutdown, 4 });
    const listening = listener(5000, 1);
    t.ok(@src(), .net_set_option, .{ listening, abi.NetOption.no_delay, 1 });
    t.ok(@src(), .net_connect, .{ tcp, &at(5000), never });
    var handle: abi.Handle = .none;
    t.ok(@src(), .net_accept, .{ listening, never, &handle, null });
    t.ok(@src(), .net_get_option, .{ handle, abi.NetOption.no_delay, &value });
    t.expectEqual(@src(), 1, value, "as the listening one");
    // Its own reading side closed, it hears no more.
    t.ok(@src(), .net_set_option, .{ handle, abi.NetOption.shutdown, 1 });
    var byte: u8 = 0;
    t.ok(@src(), .net_recv, .{ handle, &byte, 1, null, never, &value });
    t.expectEqual(@src(), 0, value, "the end");
    for ([_]abi.Handle{ tcp, handle, listening }) |item| close(item);
}

/// The runner's configuration names one.
fn nameServers() void {
    var server: abi.NetAddress = .{};
    if (conformance.provided.names) {
        t.ok(@src(), .net_name_server, .{ 0, 0, &server });
        t.expectEqual(@src(), 10 | 53 << 24, server.low, "the name server");
        t.expectEqual(@src(), 53, server.port, "its port");
    }
    for ([_]u64{ 1, 3, 0xffff_ffff }) |index| t.fails(@src(), .net_name_server, .not_found, .{ index, never, &server });
}

/// Every listener and every UDP socket that there may be.
fn full() void {
    var list: [300]abi.Handle = undefined;
    var count: usize = 0;
    while (count < list.len) : (count += 1) {
        list[count] = socket(.tcp);
        if (t.call(.net_listen, .{ list[count], 1 }) != 0) break;
    }
    t.expect(@src(), count >= 32 and count < list.len, "many listeners");
    t.fails(@src(), .net_listen, .out_of_memory, .{ list[count], 1 });
    for (list[0 .. count + 1]) |handle| close(handle);
    count = 0;
    while (count < list.len) : (count += 1) {
        list[count] = socket(.udp);
        if (t.call(.net_bind, .{ list[count], &any(0) }) != 0) break;
    }
    t.expect(@src(), count >= 128 and count < list.len, "many UDP sockets");
    var bytes: u64 = 0;
    t.fails(@src(), .net_bind, .out_of_memory, .{ list[count], &any(0) });
    t.fails(@src(), .net_connect, .out_of_memory, .{ list[count], &at(5000), 0 });
    t.fails(@src(), .net_send, .out_of_memory, .{ list[count], "x", 1, &at(5000), 0, &bytes });
    for (list[0 .. count + 1]) |handle| close(handle);
}
