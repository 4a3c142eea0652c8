//! DNS as a stub resolver needs it (RFC 1035): names, a question for an address, and what an answer says. Pure: nothing here sends or waits.
//! Whatever bytes come as an answer, reading them ends, and stays within them.
const std = @import("std");

/// Longest answer that is read; without extensions none is longer than 512 bytes.
pub const answer_bytes_max = 1472;
pub const question_bytes_max = header_bytes + Name.bytes_max + 4;
/// Most aliases between a name and its address.
pub const aliases_max = 8;

const header_bytes = 12;
const label_bytes_max = 63;
/// Most records of an answer that are looked at.
const records_max = 64;

const type_address = 1;
const type_alias = 5;
const class_internet = 1;

const Malformed = error{Malformed};

/// A name as it stands in messages: not compressed, letters in lower case.
pub const Name = struct {
    bytes: [bytes_max]u8 = undefined,
    length: usize = 0,

    pub const bytes_max = 255;

    pub fn same(name: *const Name, other: *const Name) bool {
        return std.mem.eql(u8, name.bytes[0..name.length], other.bytes[0..other.length]);
    }

    /// Of text such as db.example, in a domain unless that is empty; a dot at the end of either says nothing more. Null for what cannot be a name: an empty or too
    /// long label, a blank or what is not ASCII, a last label of digits alone, as of a mistyped address.
    pub fn parse(text: []const u8, domain: []const u8) ?Name {
        var name: Name = .{};
        var last: []const u8 = "";
        for ([_][]const u8{ text, domain }) |part| {
            if (part.len == 0) continue;
            var labels = std.mem.splitScalar(u8, if (part[part.len - 1] == '.') part[0 .. part.len - 1] else part, '.');
            while (labels.next()) |label| {
                for (label) |byte| if (!std.ascii.isGraphical(byte)) return null;
                name.append(label) catch return null;
                last = label;
            }
        }
        if (text.len == 0 or std.mem.indexOfNone(u8, last, "0123456789") == null) return null;
        name.finish() catch return null;
        return name;
    }

    fn append(name: *Name, label: []const u8) Malformed!void {
        if (label.len == 0 or label.len > label_bytes_max or bytes_max - name.length < 1 + label.len) return error.Malformed;
        name.bytes[name.length] = @intCast(label.len);
        for (label, name.bytes[name.length + 1 ..][0..label.len]) |from, *to| to.* = std.ascii.toLower(from);
        name.length += 1 + label.len;
    }

    /// The empty label that ends every name.
    fn finish(name: *Name) Malformed!void {
        if (name.length == bytes_max) return error.Malformed;
        name.bytes[name.length] = 0;
        name.length += 1;
    }
};

/// The question for the name's IPv4 address, which asks the server to do what is needed for it.
pub fn writeQuestion(out: *[question_bytes_max]u8, id: u16, name: *const Name) []const u8 {
    std.mem.writeInt(u16, out[0..2], id, .big);
    // Recursion desired; one question.
    out[2..header_bytes].* = .{ 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
    const end = header_bytes + name.length;
    @memcpy(out[header_bytes..end], name.bytes[0..name.length]);
    out[end..][0..4].* = .{ 0, type_address, 0, class_internet };
    return out[0 .. end + 4];
}

pub const Answer = union(enum) {
    address: [4]u8,
    /// The name is another's, whose address the answer does not tell.
    alias: Name,
    /// The name is there and has no IPv4 address.
    nothing,
    no_such_name,
    /// The server does not know, or does not tell.
    failed,
    /// Not an answer to this question, or not one that can be read: as if it had not come.
    foreign,
};

pub fn readAnswer(message: []const u8, id: u16, asked: *const Name) Answer {
    return read(message, id, asked) catch .foreign;
}

fn word(message: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, message[at..][0..2], .big);
}

fn read(message: []const u8, id: u16, asked: *const Name) Malformed!Answer {
    if (message.len < header_bytes or message.len > answer_bytes_max) return error.Malformed;
    const flags = word(message, 2);
    // A response to an ordinary question, and to one.
    if (word(message, 0) != id or flags & 0xf800 != 0x8000 or word(message, 4) != 1) return error.Malformed;
    const name, const at = try readName(message, header_bytes);
    if (!name.same(asked) or message.len - at < 4) return error.Malformed;
    if (word(message, at) != type_address or word(message, at + 2) != class_internet) return error.Malformed;
    switch (flags & 0xf) {
        0 => {},
        3 => return .no_such_name,
        else => return .failed,
    }
    const records: Records = .{ .message = message, .at = at + 4, .left = @min(word(message, 6), records_max) };
    var current = asked.*;
    for (0..aliases_max + 1) |_| {
        switch (try records.find(&current)) {
            .address => |numbers| return .{ .address = numbers },
            .alias => |other| current = other,
            .nothing => {
                if (!current.same(asked)) return .{ .alias = current };
                const is_cut = flags & 0x0200 != 0;
                return if (is_cut) .failed else .nothing;
            },
        }
    }
    return .failed;
}

const Records = struct {
    message: []const u8,
    at: usize,
    left: u16,

    const Found = union(enum) { address: [4]u8, alias: Name, nothing };

    /// The first record of a name that leads on.
    fn find(records: Records, wanted: *const Name) Malformed!Found {
        const message = records.message;
        var at = records.at;
        for (0..records.left) |_| {
            const owner, const head = try readName(message, at);
            if (message.len - head < 10) return error.Malformed;
            const data = head + 10;
            const bytes = word(message, head + 8);
            if (message.len - data < bytes) return error.Malformed;
            at = data + bytes;
            if (word(message, head + 2) != class_internet or !owner.same(wanted)) continue;
            switch (word(message, head)) {
                type_address => return if (bytes == 4) .{ .address = message[data..][0..4].* } else error.Malformed,
                type_alias => {
                    const other, const end = try readName(message, data);
                    return if (end == at) .{ .alias = other } else error.Malformed;
                },
                else => {},
            }
        }
        return .nothing;
    }
};

/// A name of a message and where what follows it begins. Each pointer leads to before the last one's target, so that there is an end.
fn readName(message: []const u8, start: usize) Malformed!struct { Name, usize } {
    var name: Name = .{};
    var at = start;
    var lowest = start;
    var end: ?usize = null;
    while (at < message.len) {
        const length = message[at];
        switch (length >> 6) {
            0 => {
                at += 1;
                if (length == 0) {
                    try name.finish();
                    return .{ name, end orelse at };
                }
                if (message.len - at < length) return error.Malformed;
                try name.append(message[at..][0..length]);
                at += length;
            },
            3 => {
                if (message.len - at < 2) return error.Malformed;
                if (end == null) end = at + 2;
                at = word(message, at) & 0x3fff;
                if (at >= lowest) return error.Malformed;
                lowest = at;
            },
            else => return error.Malformed,
        }
    }
    return error.Malformed;
}

/// The domain that a run-time configuration (docs/image-format.md) names for short names; empty where it names none.
pub fn searchDomain(configuration: []const u8) []const u8 {
    const key = "search ";
    var lines = std.mem.splitScalar(u8, configuration, '\n');
    while (lines.next()) |line| if (std.mem.startsWith(u8, line, key)) return line[key.len..];
    return "";
}
