//! Manifest and configuration: what they mean, what is refused where, and that no text breaks the parser.
const std = @import("std");
const abi = @import("abi");
const text = @import("text.zig");
const testing = std.testing;

const manifest_text =
    \\ukernel-manifest 1
    \\name hello
    \\abi 0.1
    \\adapter native
    \\start /app/hello
    \\entry /app/hello
    \\arg hello
    \\arg 100%25 a%0Ab
    \\env LANG=C
    \\env EMPTY=
    \\capability log
    \\capability mem:exec-write,pin
    \\segment kernel 212 sha256:00
    \\digest kernel sha256:00
    \\future anything
    \\
;

fn parseManifest(buffer: *[text.text_bytes_max + 1]u8, source: []const u8, manifest: *text.Manifest) ?text.Problem {
    @memcpy(buffer[0..source.len], source);
    return manifest.parse(buffer[0..source.len]);
}

test "the manifest of the format's description" {
    var buffer: [text.text_bytes_max + 1]u8 = undefined;
    var manifest: text.Manifest = .{};
    try testing.expectEqual(null, parseManifest(&buffer, manifest_text, &manifest));
    try testing.expectEqualStrings("hello", manifest.name);
    try testing.expectEqual(@as(u16, 1), manifest.abi_minor);
    try testing.expectEqualStrings("/app/hello", manifest.start);
    try testing.expectEqual(@as(usize, 2), manifest.arguments.slice().len);
    try testing.expectEqualStrings("100% a\nb", manifest.arguments.items[1]);
    try testing.expectEqualStrings("EMPTY=", manifest.environment.items[1]);
    try testing.expectEqual(@as(u32, 1), manifest.rights[@intFromEnum(abi.CapKind.log)]);
    try testing.expectEqual(@as(u32, 7), manifest.rights[@intFromEnum(abi.CapKind.mem)]);
    try testing.expectEqual(@as(u32, 0), manifest.rights[@intFromEnum(abi.CapKind.net)]);
    try testing.expect(manifest.runsOn(0, 1) and manifest.runsOn(0, 2));
    try testing.expect(!manifest.runsOn(0, 0) and !manifest.runsOn(1, 1));
}

test "a bad manifest is refused with line, key and reason" {
    const Case = struct { []const u8, []const u8, u32, text.Reason };
    const cases = [_]Case{
        .{ "ukernel-manifest 1\n", "ukernel-manifest 2\n", 1, .wrong_form },
        .{ "name hello\n", "", 14, .missing },
        .{ "abi 0.1\n", "abi 0\n", 3, .bad_value },
        .{ "abi 0.1\n", "abi 0.+1\n", 3, .bad_value },
        .{ "abi 0.1\n", "abi 0.99999\n", 3, .bad_value },
        .{ "adapter native\n", "name again\n", 4, .twice },
        .{ "adapter native\n", "adapter\n", 4, .no_space },
        .{ "adapter native\n", "adapter \n", 4, .bad_value },
        .{ "adapter native\n", "adapter a%00b\n", 4, .bad_value },
        .{ "arg hello\n", "arg %2\n", 7, .bad_value },
        .{ "arg hello\n", "arg %2f\n", 7, .bad_value },
        .{ "arg hello\n", "arg a\tb\n", 7, .bad_value },
        .{ "arg hello\n", "arg \xff\n", 7, .bad_value },
        .{ "arg hello\n", "arg a%00\n", 7, .bad_value },
        .{ "env LANG=C\n", "env LANG\n", 9, .bad_value },
        .{ "env LANG=C\n", "env =C\n", 9, .bad_value },
        .{ "capability log\n", "capability root\n", 11, .unknown_capability },
        .{ "capability log\n", "capability log:pin\n", 11, .unknown_capability },
        .{ "capability log\n", "capability mem:\n", 11, .unknown_capability },
        .{ "anything\n", "anything", 15, .not_terminated },
    };
    for (cases) |case| {
        var source: [4096]u8 = undefined;
        const bytes = std.mem.replacementSize(u8, manifest_text, case[0], case[1]);
        try testing.expectEqual(@as(usize, 1), std.mem.replace(u8, manifest_text, case[0], case[1], &source));
        var buffer: [text.text_bytes_max + 1]u8 = undefined;
        var manifest: text.Manifest = .{};
        const problem = parseManifest(&buffer, source[0..bytes], &manifest).?;
        try testing.expectEqual(case[3], problem.reason);
        if (problem.reason != .missing) try testing.expectEqual(case[2], problem.line);
        try testing.expect(problem.reason.explain().len > 0);
    }
}

test "texts over the limits are refused" {
    var buffer: [text.text_bytes_max + 1]u8 = undefined;
    var manifest: text.Manifest = .{};
    @memset(&buffer, '\n');
    try testing.expectEqual(text.Reason.too_long, manifest.parse(&buffer).?.reason);
    const head = "ukernel-config 1\n";
    @memcpy(buffer[0..head.len], head);
    var at: usize = head.len;
    for (0..text.lines_max) |_| {
        @memcpy(buffer[at..][0..6], "arg x\n");
        at += 6;
    }
    var configuration: text.Configuration = .{};
    const problem = configuration.parse(buffer[0..at]).?;
    try testing.expectEqual(text.Reason.too_many_lines, problem.reason);
    try testing.expectEqual(null, configuration.parse(buffer[0 .. at - 6]));
    try testing.expectEqual(@as(u32, text.lines_max - 1), configuration.arguments.count);
}

test "the configuration gives time and seed, and the seed does not stay in the text" {
    var source = ("ukernel-config 1\narg --verbose\nenv LOG=info\nwall_ns 1790000000000000000\nseed " ++ "0f" ** 32 ++ "\n").*;
    var configuration: text.Configuration = .{};
    try testing.expectEqual(null, configuration.parse(&source));
    try testing.expectEqual(@as(?u64, 1790000000000000000), configuration.wall_ns);
    try testing.expectEqual(@as([32]u8, @splat(0x0f)), configuration.seed.?);
    try testing.expect(std.mem.endsWith(u8, &source, "seed " ++ "0" ** 64 ++ "\n"));

    for ([_][]const u8{ "wall_ns 1\nwall_ns 1\n", "wall_ns -1\n", "wall_ns \n", "seed 0f\n", "seed " ++ "0g" ** 32 ++ "\n" }) |lines| {
        var bad: [256]u8 = undefined;
        const whole = try std.fmt.bufPrint(&bad, "ukernel-config 1\n{s}", .{lines});
        try testing.expect(configuration.parse(whole) != null);
    }
}

test "the configuration gives the guest its address" {
    const Case = struct { []const u8, ?text.Address };
    for ([_]Case{
        .{ "", .dhcp },
        .{ "address dhcp\n", .dhcp },
        .{ "address 10.0.0.2/24 10.0.0.1\n", .{ .fixed = .{ .address = 0x0a000002, .prefix = 24, .gateway = 0x0a000001 } } },
        .{ "address 192.168.255.254/32\n", .{ .fixed = .{ .address = 0xc0a8fffe, .prefix = 32, .gateway = 0 } } },
        .{ "address 10.0.0.2\n", null },
        .{ "address 10.0.0.2/33\n", null },
        .{ "address 10.0.0/8\n", null },
        .{ "address 10.0.0.2.1/8\n", null },
        .{ "address 10.0.0.256/8\n", null },
        .{ "address 10.0.0.2/24 10.0.0\n", null },
        .{ "address 10.0.0.2/24 \n", null },
        .{ "address 127.0.0.1/8\n", null },
        .{ "address 224.0.0.1/8\n", null },
        .{ "address 0.0.0.0/0\n", null },
        .{ "address \n", null },
        .{ "address 10.0.0.2/24\naddress 10.0.0.3/24\n", null },
    }) |case| {
        var source: [256]u8 = undefined;
        const whole = try std.fmt.bufPrint(&source, "ukernel-config 1\n{s}", .{case[0]});
        var configuration: text.Configuration = .{};
        const problem = configuration.parse(whole);
        try testing.expectEqual(case[1] == null, problem != null);
        if (case[1]) |address| try testing.expectEqual(address, configuration.address);
    }
}

test "the configuration gives the guest its name servers and a search domain" {
    const Case = struct { []const u8, ?struct { []const u32, []const u8 } };
    for ([_]Case{
        .{ "", .{ &.{}, "" } },
        .{ "nameserver 10.0.0.53\nsearch dns.podman\n", .{ &.{0x0a000035}, "dns.podman" } },
        .{ "nameserver 127.0.0.1\nnameserver 9.9.9.9\nnameserver 1.1.1.1\n", .{ &.{ 0x7f000001, 0x09090909, 0x01010101 }, "" } },
        .{ "nameserver 1.1.1.1\n" ** 4, null },
        .{ "nameserver 1.1.1\n", null },
        .{ "nameserver 0.0.0.0\n", null },
        .{ "nameserver 239.0.0.1\n", null },
        .{ "nameserver ns.example\n", null },
        .{ "search a\nsearch b\n", null },
        .{ "search \n", null },
        .{ "search a..b\n", null },
        .{ "search a.\n", null },
        .{ "search a b\n", null },
        .{ "search " ++ "a" ** 64 ++ "\n", null },
        .{ "search " ++ "abc." ** 63 ++ "ab\n", null },
    }) |case| {
        var source: [512]u8 = undefined;
        const whole = try std.fmt.bufPrint(&source, "ukernel-config 1\n{s}", .{case[0]});
        var configuration: text.Configuration = .{};
        const problem = configuration.parse(whole);
        try testing.expectEqual(case[1] == null, problem != null);
        const wanted = case[1] orelse continue;
        try testing.expectEqualSlices(u32, wanted[0], configuration.name_servers.slice());
        try testing.expectEqualStrings(wanted[1], configuration.search);
    }
}

test "the configuration's environment replaces the manifest's of the same name" {
    var manifest: text.Strings = .{};
    var configuration: text.Strings = .{};
    for ([_][]const u8{ "A=1", "B=2", "AB=3" }, 0..) |item, index| {
        manifest.items[index] = item;
        manifest.count += 1;
    }
    for ([_][]const u8{ "C=old", "B=new", "C=new" }, 0..) |item, index| {
        configuration.items[index] = item;
        configuration.count += 1;
    }
    var environment: text.Environment = .{ .manifest = &manifest, .configuration = &configuration };
    for ([_][]const u8{ "A=1", "AB=3", "B=new", "C=new" }) |expected| try testing.expectEqualStrings(expected, environment.next().?);
    try testing.expectEqual(null, environment.next());
}

test "no text of random lines breaks the parsers" {
    var random: std.Random.DefaultPrng = .init(7);
    const words = [_][]const u8{ "ukernel-manifest 1\n", "ukernel-config 1\n", "arg ", "env A=", "%", "00", "\n", "abi 0.1\n", "seed ", "capability mem:", "pin,", "name x\n", "\xc3", " " };
    for (0..3000) |_| {
        var buffer: [1024]u8 = undefined;
        var used: usize = 0;
        while (used < 900) {
            const word = words[random.random().uintLessThan(usize, words.len)];
            @memcpy(buffer[used..][0..word.len], word);
            used += word.len;
            if (random.random().uintLessThan(u8, 40) == 0) break;
        }
        var copy = buffer;
        var manifest: text.Manifest = .{};
        _ = manifest.parse(copy[0..used]);
        copy = buffer;
        var configuration: text.Configuration = .{};
        _ = configuration.parse(copy[0..used]);
    }
}
