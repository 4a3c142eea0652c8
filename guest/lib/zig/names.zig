//! Names to addresses: a stub resolver that asks the VM's name servers by DNS over UDP. What an answer must be to count: dns.zig. Nothing is kept: each call asks.
const std = @import("std");
const uk = @import("ukernel.zig");
const dns = @import("dns.zig");
const net = @import("net.zig");
const abi = uk.abi;
const calls = uk.calls;

const servers_max = 3;
/// Every server is asked in turn, and waited for so long; then all of them again, for longer.
const waits_ns = [_]u64{ 1_000_000_000, 2_000_000_000, 4_000_000_000 };
/// The whole of a question, aliases and the search domain as well: what one server after the other costs that never answers.
const resolve_ns = servers_max * (waits_ns[0] + waits_ns[1] + waits_ns[2]);
/// Datagrams that are not the answer, before a server is taken for silent.
const foreign_max = 64;

/// The IPv4 address of a name, or of text such as 10.0.2.2, with the port. A name without a dot is first looked for in the run-time configuration's search domain, any
/// other at last; a dot at the end says that the name is whole. While DHCP has brought no address yet, it waits for that.
///
/// error.BadValue: this cannot be a name. error.NotFound: there is no such name, or it has no IPv4 address. error.Unreachable: no name server is known, or there is no
/// way to any. error.ConnectionRefused: all refuse or fail. error.TimedOut: one that might know has not answered, within 21 s at most (after DHCP), or until the deadline.
pub fn resolve(name: []const u8, port: u16, deadline_ns: u64) abi.Failure!abi.NetAddress {
    if (net.parseNumbers(name)) |numbers| return net.address(numbers, port);
    const whole = dns.Name.parse(name, "") orelse return error.BadValue;
    if (whole.same(&dns.Name.parse("localhost", "").?)) return net.address(.{ 127, 0, 0, 1 }, port);
    var storage: [servers_max]abi.NetAddress = undefined;
    const servers = try nameServers(&storage, deadline_ns);
    const limit_ns = @min(deadline_ns, uk.time.after(resolve_ns));
    const domain = if (std.mem.endsWith(u8, name, ".")) "" else searchDomain();
    // One that is too long with the domain is not in it.
    const within: ?dns.Name = if (domain.len > 0) dns.Name.parse(name, domain) else null;
    const is_short = std.mem.indexOfScalar(u8, name, '.') == null;
    const candidates = if (is_short) [_]?dns.Name{ within, whole } else [_]?dns.Name{ whole, within };
    for (&candidates) |*candidate| if (candidate.*) |*one| {
        const numbers = lookUp(servers, one, limit_ns) catch |failure| if (failure == error.NotFound) continue else return failure;
        return net.address(numbers, port);
    };
    return error.NotFound;
}

/// The domain that the run-time configuration names for short names; empty where it names none.
pub fn searchDomain() []const u8 {
    const startup = uk.startup();
    if (startup.configuration == 0) return "";
    return dns.searchDomain(@as([*]const u8, @ptrFromInt(startup.configuration))[0..startup.configuration_bytes]);
}

/// Follows aliases that an answer does not follow itself.
fn nameServers(storage: *[servers_max]abi.NetAddress, deadline_ns: u64) abi.Failure![]const abi.NetAddress {
    for (storage, 0..) |*server, index| {
        uk.perform(net.needs, calls.net_name_server, .{ @as(u32, @intCast(index)), deadline_ns, server }) catch |failure| {
            if (failure != error.NotFound) return failure;
            return if (index == 0) error.Unreachable else storage[0..index];
        };
    }
    return storage;
}

fn lookUp(servers: []const abi.NetAddress, name: *const dns.Name, deadline_ns: u64) abi.Failure![4]u8 {
    var current = name.*;
    for (0..dns.aliases_max) |_| switch (try ask(servers, &current, deadline_ns)) {
        .address => |numbers| return numbers,
        .alias => |other| current = other,
        .nothing, .no_such_name => return error.NotFound,
        .failed, .foreign => unreachable,
    };
    return error.NotFound;
}

/// What one of the servers says, of what is to be believed.
fn ask(servers: []const abi.NetAddress, name: *const dns.Name, deadline_ns: u64) abi.Failure!dns.Answer {
    var refused = false;
    var silent = false;
    for (waits_ns) |wait_ns| for (servers) |server| {
        if (calls.time_now() >= deadline_ns) return error.TimedOut;
        const answer = askServer(server, name, @min(deadline_ns, uk.time.after(wait_ns))) catch |failure| switch (failure) {
            error.TimedOut, error.NothingReady, error.QueueFull => {
                silent = true;
                continue;
            },
            error.ConnectionRefused => {
                refused = true;
                continue;
            },
            error.Unreachable => continue,
            else => return failure,
        };
        if (answer != .failed) return answer;
        refused = true;
    };
    return if (silent) error.TimedOut else if (refused) error.ConnectionRefused else error.Unreachable;
}

/// Asks by a port and a number that nobody can guess (RFC 5452), and hears what comes from the server alone.
fn askServer(server: abi.NetAddress, name: *const dns.Name, deadline_ns: u64) abi.Failure!dns.Answer {
    const socket: uk.Socket = try .associate(server, deadline_ns);
    defer socket.close();
    var id: u16 = undefined;
    try calls.check(calls.random_fill(@ptrCast(&id), @sizeOf(u16)));
    var question: [dns.question_bytes_max]u8 = undefined;
    _ = try socket.send(dns.writeQuestion(&question, id, name), deadline_ns);
    var buffer: [dns.answer_bytes_max]u8 = undefined;
    for (0..foreign_max) |_| {
        const answer = dns.readAnswer(try socket.receive(&buffer, deadline_ns), id, name);
        if (answer != .foreign) return answer;
    }
    return error.TimedOut;
}
