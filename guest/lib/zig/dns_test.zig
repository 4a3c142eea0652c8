//! Questions, answers made by hand, and answers that are broken by the thousand.
const std = @import("std");
const dns = @import("dns.zig");
const Name = dns.Name;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const id = 0x1234;

fn named(text: []const u8) Name {
    return Name.parse(text, "").?;
}

/// An answer to the question for a name, record by record.
const Message = struct {
    bytes: [1600]u8 = undefined,
    length: usize,

    fn begin(asked: *const Name, code: u4) Message {
        var message: Message = .{ .length = 0 };
        var question: [dns.question_bytes_max]u8 = undefined;
        message.put(dns.writeQuestion(&question, id, asked));
        message.bytes[2] = 0x81;
        message.bytes[3] = 0x80 | @as(u8, code);
        return message;
    }

    fn put(message: *Message, bytes: []const u8) void {
        @memcpy(message.bytes[message.length..][0..bytes.len], bytes);
        message.length += bytes.len;
    }

    fn record(message: *Message, owner: []const u8, kind: u8, data: []const u8) void {
        message.put(owner);
        message.put(&.{ 0, kind, 0, 1, 0, 0, 0, 60, 0, @intCast(data.len) });
        message.put(data);
        message.bytes[7] += 1;
    }

    fn address(message: *Message, owner: *const Name, numbers: [4]u8) void {
        message.record(owner.bytes[0..owner.length], 1, &numbers);
    }

    fn alias(message: *Message, owner: *const Name, other: *const Name) void {
        message.record(owner.bytes[0..owner.length], 5, other.bytes[0..other.length]);
    }

    fn read(message: *const Message, asked: *const Name) dns.Answer {
        return dns.readAnswer(message.bytes[0..message.length], id, asked);
    }
};

test "what can be a name, and what cannot" {
    const plain = named("DB.Example");
    try std.testing.expectEqualStrings("\x02db\x07example\x00", plain.bytes[0..plain.length]);
    try expect(plain.same(&named("db.example.")));
    try expect(plain.same(&Name.parse("db", "example").?));
    try expect(plain.same(&Name.parse("db", "example.").?));
    try expect(Name.parse("a" ** 63, "") != null);
    const longest = "abcdefg." ** 31 ++ "abcde";
    try expectEqual(Name.bytes_max, named(longest).length);
    for ([_][]const u8{ "", ".", "..", "a..b", ".a", "a b", "a\x00", "ä", "a" ** 64, longest ++ "f", "10.0.0.256", "1", "a.7" }) |text| try expectEqual(null, Name.parse(text, ""));
    try expectEqual(null, Name.parse("", "example"));
    try expectEqual(null, Name.parse(longest, "example"));
}

test "a question" {
    var out: [dns.question_bytes_max]u8 = undefined;
    try std.testing.expectEqualStrings("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x00\x00\x01\x00\x01", dns.writeQuestion(&out, id, &named("db")));
}

test "an address, by itself, among others, by aliases, compressed" {
    const asked = named("db");
    var message: Message = .begin(&asked, 0);
    message.address(&asked, .{ 10, 0, 0, 7 });
    try expectEqual([4]u8{ 10, 0, 0, 7 }, message.read(&asked).address);

    message = .begin(&asked, 0);
    message.address(&named("other"), .{ 10, 0, 0, 1 });
    // An IPv6 address, and one of another class.
    message.record("\xc0\x0c", 28, "0123456789abcdef");
    message.record("\xc0\x0c", 1, "\x0a\x00\x00\x02");
    message.bytes[message.length - 11] = 3;
    message.record("\xc0\x0c", 1, "\x0a\x00\x00\x08");
    message.address(&asked, .{ 10, 0, 0, 9 });
    try expectEqual([4]u8{ 10, 0, 0, 8 }, message.read(&asked).address);

    // The records of a chain come in any order.
    message = .begin(&asked, 0);
    message.address(&named("c"), .{ 10, 0, 0, 7 });
    message.alias(&named("b"), &named("C"));
    message.alias(&asked, &named("b"));
    try expectEqual([4]u8{ 10, 0, 0, 7 }, message.read(&asked).address);
    message = .begin(&asked, 0);
    message.alias(&asked, &named("elsewhere"));
    try expect(message.read(&asked).alias.same(&named("elsewhere")));
}

test "answers without an address" {
    const asked = named("db");
    const empty: Message = .begin(&asked, 0);
    try expectEqual(.nothing, std.meta.activeTag(empty.read(&asked)));
    const unknown: Message = .begin(&asked, 3);
    try expectEqual(.no_such_name, std.meta.activeTag(unknown.read(&asked)));
    for ([_]u4{ 1, 2, 4, 5, 9 }) |code| {
        const refused: Message = .begin(&asked, code);
        try expectEqual(.failed, std.meta.activeTag(refused.read(&asked)));
    }
    var cut: Message = .begin(&asked, 0);
    cut.bytes[2] |= 2;
    try expectEqual(.failed, std.meta.activeTag(cut.read(&asked)));
    cut.address(&asked, .{ 10, 0, 0, 7 });
    try expectEqual(.address, std.meta.activeTag(cut.read(&asked)));
    // Aliases in a circle, and more than there may be.
    var circle: Message = .begin(&asked, 0);
    circle.alias(&asked, &named("b"));
    circle.alias(&named("b"), &asked);
    try expectEqual(.failed, std.meta.activeTag(circle.read(&asked)));
    for ([_]usize{ dns.aliases_max, dns.aliases_max + 1 }) |count| {
        var chain: Message = .begin(&asked, 0);
        var owner = asked;
        for (0..count) |index| {
            const other = named(&.{ 'x', @intCast('a' + index) });
            chain.alias(&owner, &other);
            owner = other;
        }
        chain.address(&owner, .{ 10, 0, 0, 7 });
        try expectEqual(count == dns.aliases_max, chain.read(&asked) == .address);
    }
}

test "what answers no question of ours is as if it had not come" {
    const asked = named("db.example");
    var good: Message = .begin(&asked, 0);
    good.address(&asked, .{ 10, 0, 0, 7 });
    try expectEqual(.address, std.meta.activeTag(good.read(&asked)));
    try expectEqual(.foreign, std.meta.activeTag(dns.readAnswer(good.bytes[0..good.length], id + 1, &asked)));
    try expectEqual(.foreign, std.meta.activeTag(good.read(&named("db.example.org"))));
    // The ID, a question rather than a response, another operation, no or two questions, another type and class.
    const at = 12 + asked.length;
    for ([_]usize{ 0, 1, 2, 2, 5, 5, 12, 13, at + 1, at + 3 }, [_]u8{ 1, 1, 0x80, 0x10, 1, 3, 1, 1, 2, 2 }) |place, change| {
        var bad = good;
        bad.bytes[place] ^= change;
        try expectEqual(.foreign, std.meta.activeTag(bad.read(&asked)));
    }
    for (0..good.length) |length| {
        var short = good;
        short.length = length;
        try expectEqual(.foreign, std.meta.activeTag(short.read(&asked)));
    }
    // Names that point to themselves, forwards, or outside.
    for ([_][]const u8{ "\xc0\x1c", "\xc0\x1d", "\xff\xff", "\x01a\xc0\x1c", "\x40", "\x80", "\xc0" }) |owner| {
        var bad: Message = .begin(&asked, 0);
        bad.record(owner, 1, "\x0a\x00\x00\x07");
        try expectEqual(.foreign, std.meta.activeTag(bad.read(&asked)));
    }
    // An address of five bytes, an alias that ends elsewhere than its record.
    for ([_]u8{ 1, 5 }, [_][]const u8{ "\x0a\x00\x00\x07\x00", "\x01a\x00\x00" }) |kind, data| {
        var bad: Message = .begin(&asked, 0);
        bad.record("\xc0\x0c", kind, data);
        try expectEqual(.foreign, std.meta.activeTag(bad.read(&asked)));
    }
}

test "no answer breaks the reader, whatever it is; an address comes from the right question alone" {
    var prng: std.Random.DefaultPrng = .init(13);
    const random = prng.random();
    const asked = named("db.example");
    var counts: std.EnumArray(std.meta.Tag(dns.Answer), u32) = .initFill(0);
    for (0..200_000) |round| {
        var message: Message = .begin(&asked, if (random.uintLessThan(u8, 8) == 0) random.int(u4) else 0);
        const names = [_]Name{ asked, named("b.example"), named("c") };
        for (0..random.uintLessThan(usize, 6)) |_| {
            const owner = names[random.uintLessThan(usize, names.len)];
            switch (random.uintLessThan(u8, 4)) {
                0 => message.address(&owner, .{ 10, 0, 0, 7 }),
                1 => message.alias(&owner, &names[random.uintLessThan(usize, names.len)]),
                2 => message.record("\xc0\x0c", 5, "\x01b\xc0\x0f"),
                else => message.record(&.{ 0xc0, random.int(u8) }, random.int(u8), "\xc0\x0c\x00\x00"),
            }
        }
        // Some are sound, some have bytes changed, some are cut, some are noise.
        for (0..round % 5) |_| message.bytes[random.uintLessThan(usize, message.length)] = random.int(u8);
        if (round % 7 == 0) message.length = random.uintAtMost(usize, message.length);
        if (round % 11 == 0) random.bytes(message.bytes[@min(message.length, round % 40)..message.length]);
        const answer = message.read(&asked);
        counts.getPtr(answer).* += 1;
        if (answer == .foreign) continue;
        try expectEqual(id, std.mem.readInt(u16, message.bytes[0..2], .big));
        try expect(message.bytes[2] & 0xf8 == 0x80 and message.bytes[5] == 1);
        if (answer == .alias) try expect(answer.alias.length > 0 and answer.alias.bytes[answer.alias.length - 1] == 0);
    }
    for (std.enums.values(std.meta.Tag(dns.Answer))) |tag| try expect(counts.get(tag) > 100);
}

test "the search domain of a configuration" {
    try std.testing.expectEqualStrings("dns.podman", dns.searchDomain("ukernel-config 1\nenv A=search b\nsearch dns.podman\nwall_ns 1\n"));
    try std.testing.expectEqualStrings("", dns.searchDomain("ukernel-config 1\narg search\n"));
    try std.testing.expectEqualStrings("", dns.searchDomain(""));
}
