//! Calls that wait for the VM's address, of which the runner's DHCP server lets hear nothing until this prints "READY".
const uk = @import("ukernel");
const t = @import("harness.zig");
const abi = uk.abi;

const never = abi.deadline_never;
const soon_ns = 100_000_000;
const peer: abi.NetAddress = .{ .family = .ipv4, .port = 80, .low = 10 | 2 << 16 | 2 << 24 };

const Wait = struct {
    handle: abi.Handle,
    wanted: abi.Detail,
    thread: t.Thread = .{},

    fn start(wait: *Wait, run: *const fn (usize) void) void {
        wait.thread.start(run, @intFromPtr(wait), .{});
        t.sleep(soon_ns);
    }

    fn connect(argument: usize) void {
        const wait: *Wait = @ptrFromInt(argument);
        t.fails(@src(), .net_connect, wait.wanted, .{ wait.handle, &peer, never });
    }

    fn send(argument: usize) void {
        const wait: *Wait = @ptrFromInt(argument);
        var bytes: u64 = 0;
        t.fails(@src(), .net_send, wait.wanted, .{ wait.handle, "x", 1, &peer, never, &bytes });
    }

    fn nameServer(argument: usize) void {
        const wait: *Wait = @ptrFromInt(argument);
        var server: abi.NetAddress = .{};
        if (wait.wanted != .none) return t.fails(@src(), .net_name_server, wait.wanted, .{ 0, never, &server });
        t.ok(@src(), .net_name_server, .{ 1, never, &server });
        t.expectEqual(@src(), 9 | 9 << 8 | 9 << 16 | 9 << 24, server.low, "the second name server");
    }

    fn end(wait: *Wait) void {
        _ = wait.thread.join();
        wait.thread.free();
    }
};

fn socket(kind: abi.NetType) abi.Handle {
    var handle: abi.Handle = .none;
    t.ok(@src(), .net_socket, .{ abi.NetFamily.ipv4, kind, &handle });
    return handle;
}

pub fn main() !u8 {
    try uk.enable(.net, @bitCast(abi.NetRights{ .connect = true, .listen = true }));
    try uk.enable(.task, @bitCast(abi.TaskRights{ .spawn = true, .control = true }));
    try uk.enable(.mem, @bitCast(abi.MemRights{ .map = true }));

    const late = socket(.tcp);
    t.fails(@src(), .net_connect, .timed_out, .{ late, &peer, t.now() + soon_ns });

    // A socket that is closed keeps nobody waiting, and others wait on.
    var other: Wait = .{ .handle = socket(.tcp), .wanted = .unsupported_operation };
    other.start(Wait.connect);
    var closed: Wait = .{ .handle = socket(.tcp), .wanted = .bad_handle };
    closed.start(Wait.connect);
    t.ok(@src(), .net_close, .{closed.handle});
    closed.end();
    var datagrams: Wait = .{ .handle = socket(.udp), .wanted = .bad_handle };
    datagrams.start(Wait.send);
    t.ok(@src(), .net_close, .{datagrams.handle});
    datagrams.end();
    t.expectEqual(@src(), 1, @atomicLoad(u32, &other.thread.alive, .acquire), "waits");

    var server: abi.NetAddress = .{};
    t.fails(@src(), .net_name_server, .timed_out, .{ 0, 0, &server });
    t.fails(@src(), .net_name_server, .timed_out, .{ 0, t.now() + soon_ns, &server });
    var interrupted: Wait = .{ .handle = .none, .wanted = .interrupted };
    interrupted.start(Wait.nameServer);
    t.ok(@src(), .task_interrupt, .{interrupted.thread.handle});
    interrupted.end();
    var told: Wait = .{ .handle = .none, .wanted = .none };
    told.start(Wait.nameServer);

    // One that listens meanwhile cannot connect any more.
    t.ok(@src(), .net_listen, .{ other.handle, 1 });
    t.say("READY\n", .{});
    other.end();
    told.end();
    t.fails(@src(), .net_name_server, .not_found, .{ 2, never, &server });
    var handle: abi.Handle = .none;
    t.fails(@src(), .net_accept, .nothing_ready, .{ other.handle, 0, &handle, null });
    for ([_]abi.Handle{ late, other.handle }) |item| t.ok(@src(), .net_close, .{item});
    return t.finish();
}
