//! What a container runtime writes below /etc for its host: name servers and names of its own. Made when it is opened, and read-only.
const std = @import("std");
const uk = @import("ukernel");
const posix = @import("posix");
const proc = @import("proc.zig");
const abi = uk.abi;
const limits = posix.limits;
const Error = posix.errno.Error;
const Object = posix.open.Object;

/// How long DHCP may take until who asks for name servers goes without.
const address_wait_ns: u64 = 5 * std.time.ns_per_s;

/// What stands in place of the image's file: the name servers of the run-time configuration.
pub fn instead(path: []const u8) Error!?Object {
    if (!std.mem.eql(u8, path, "/etc/resolv.conf") or !isConfigured("nameserver ")) return null;
    return nameServers();
}

/// What stands where the image has no such file, or an empty one: the name servers that DHCP told, and the names of the VM itself.
pub fn otherwise(path: []const u8) Error!?Object {
    if (std.mem.eql(u8, path, "/etc/resolv.conf")) return nameServers();
    var buffer: [256]u8 = undefined;
    const name = proc.hostName();
    if (std.mem.eql(u8, path, "/etc/hosts")) return try text(std.fmt.bufPrint(&buffer, "127.0.0.1\tlocalhost {s}\n", .{name}) catch return null);
    if (std.mem.eql(u8, path, "/etc/hostname")) return try text(std.fmt.bufPrint(&buffer, "{s}\n", .{name}) catch return null);
    return null;
}

fn isConfigured(key: []const u8) bool {
    const startup = uk.startup();
    if (startup.configuration == 0) return false;
    var lines = std.mem.splitScalar(u8, @as([*]const u8, @ptrFromInt(startup.configuration))[0..startup.configuration_bytes], '\n');
    while (lines.next()) |line| if (std.mem.startsWith(u8, line, key)) return true;
    return false;
}

fn nameServers() Error!?Object {
    var buffer: [1024]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    const deadline_ns = uk.calls.time_now() +| address_wait_ns;
    for (0..3) |index| {
        var server: abi.NetAddress = .{};
        if (uk.calls.net_name_server(@intCast(index), deadline_ns, &server) != .ok) break;
        const numbers = std.mem.toBytes(server.low);
        writer.print("nameserver {d}.{d}.{d}.{d}\n", .{ numbers[0], numbers[1], numbers[2], numbers[3] }) catch return null;
    }
    if (writer.end == 0) return null;
    const domain = uk.net.searchDomain();
    if (domain.len > 0) writer.print("search {s}\n", .{domain}) catch return null;
    return try text(writer.buffered());
}

fn text(content: []const u8) Error!Object {
    const memory = uk.reserve(std.mem.alignForward(usize, content.len, abi.page_bytes)) catch return error.ENOMEM;
    @memcpy(memory[0..content.len], content);
    return .{ .text = .{ .memory = memory, .bytes = content.len } };
}
