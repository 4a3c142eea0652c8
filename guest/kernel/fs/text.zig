//! The text form of docs/image-format.md: the image's manifest and the run-time configuration.
//!
//! Values are decoded in place: the results point into the text, which must stay.
const std = @import("std");
const abi = @import("abi");
const ipv4 = @import("../net/ipv4.zig");

pub const text_bytes_max = 64 << 10;
pub const lines_max = 1024;
pub const capability_kinds = 8;

pub const Reason = enum {
    too_long,
    too_many_lines,
    not_terminated,
    wrong_form,
    no_space,
    bad_value,
    twice,
    too_often,
    missing,
    unknown_capability,

    pub fn explain(reason: Reason) []const u8 {
        return switch (reason) {
            .too_long => "the text is longer than 64 KiB",
            .too_many_lines => "the text has more than 1,024 lines",
            .not_terminated => "the last line has no end",
            .wrong_form => "the first line does not name the form and version that this kernel reads",
            .no_space => "a line needs a key, a space and a value",
            .bad_value => "the value cannot be decoded or is not what the key needs",
            .twice => "the key may stand only once",
            .too_often => "the key stands more often than it may",
            .missing => "a key that must be there is missing",
            .unknown_capability => "the capability or right is unknown",
        };
    }
};

/// Where and why a text was refused. `key` is what the line begins with, or what is missing.
pub const Problem = struct { line: u32, reason: Reason, key: []const u8 = "" };

pub const Strings = struct {
    items: [lines_max][]const u8 = undefined,
    count: u32 = 0,

    pub fn slice(strings: *const Strings) []const []const u8 {
        return strings.items[0..strings.count];
    }

    fn append(strings: *Strings, item: []const u8) void {
        // There are no more items than lines.
        std.debug.assert(strings.count < lines_max);
        strings.items[strings.count] = item;
        strings.count += 1;
    }
};

pub const Manifest = struct {
    name: []const u8 = "",
    abi_major: u16 = 0,
    abi_minor: u16 = 0,
    adapter: []const u8 = "",
    start: []const u8 = "",
    entry: []const u8 = "",
    arguments: Strings = .{},
    environment: Strings = .{},
    /// Rights that may be acquired, by kind; 0 where the kind is not allowed.
    rights: [capability_kinds]u32 = @splat(0),

    /// Each field by itself: the room for strings is large and needs no value.
    pub fn clear(manifest: *Manifest) void {
        for ([_]*[]const u8{ &manifest.name, &manifest.adapter, &manifest.start, &manifest.entry }) |field| field.* = "";
        manifest.abi_major = 0;
        manifest.abi_minor = 0;
        manifest.arguments.count = 0;
        manifest.environment.count = 0;
        manifest.rights = @splat(0);
    }

    /// Fills a manifest of its text; null when all is well.
    pub fn parse(manifest: *Manifest, text: []u8) ?Problem {
        manifest.clear();
        var seen: u32 = 0;
        var lines = Lines.init(text, "ukernel-manifest 1") catch |failure| return problemOf(failure, 1);
        while (true) {
            const line = (lines.next() catch |failure| return problemOf(failure, lines.number)) orelse break;
            const key = keyOf(Key, line.key) orelse continue;
            const number = @intFromEnum(key);
            if (number < Key.single_count) {
                if (seen >> number & 1 != 0) return .{ .line = lines.number, .reason = .twice, .key = line.key };
                seen |= @as(u32, 1) << number;
            }
            const value = decode(line.value) orelse return .{ .line = lines.number, .reason = .bad_value, .key = line.key };
            const failure: ?Reason = switch (key) {
                .name, .adapter, .start, .entry => manifest.assign(number, value),
                .abi => manifest.setVersion(value),
                .arg, .env => appendTo(if (key == .arg) &manifest.arguments else &manifest.environment, value, key == .env),
                .capability => manifest.allow(value),
            };
            if (failure) |reason| return .{ .line = lines.number, .reason = reason, .key = line.key };
        }
        const missing = ~seen & (1 << Key.single_count) - 1;
        if (missing != 0) return .{ .line = lines.number, .reason = .missing, .key = @tagName(@as(Key, @enumFromInt(@ctz(missing)))) };
        return null;
    }

    /// Whether a kernel of this ABI runs what was built for the manifest's.
    pub fn runsOn(manifest: *const Manifest, major: u16, minor: u16) bool {
        return manifest.abi_major == major and manifest.abi_minor <= minor;
    }

    const Key = enum(u5) {
        // These stand once, and the first of them are plain strings.
        name,
        adapter,
        start,
        entry,
        abi,
        arg,
        env,
        capability,

        const single_count = 5;
    };

    fn assign(manifest: *Manifest, number: u32, value: []const u8) ?Reason {
        if (value.len == 0) return .bad_value;
        const fields = [_]*[]const u8{ &manifest.name, &manifest.adapter, &manifest.start, &manifest.entry };
        fields[number].* = value;
        return null;
    }

    fn setVersion(manifest: *Manifest, value: []const u8) ?Reason {
        const dot = find(value, '.') orelse return .bad_value;
        manifest.abi_major = decimal(u16, value[0..dot]) orelse return .bad_value;
        manifest.abi_minor = decimal(u16, value[dot + 1 ..]) orelse return .bad_value;
        return null;
    }

    fn allow(manifest: *Manifest, value: []const u8) ?Reason {
        const colon = find(value, ':');
        const kind = keyOf(abi.CapKind, value[0 .. colon orelse value.len]) orelse return .unknown_capability;
        var rights = usual_rights[@intFromEnum(kind)];
        if (colon) |at| {
            var extras = std.mem.splitScalar(u8, value[at + 1 ..], ',');
            while (extras.next()) |extra| {
                const right = extraRight(kind, extra) orelse return .unknown_capability;
                rights |= right;
            }
        }
        manifest.rights[@intFromEnum(kind)] |= rights;
        return null;
    }
};

/// The rights that a kind has without being named.
pub fn usualRights(kind: abi.CapKind) u32 {
    return switch (kind) {
        .log => bits(abi.LogRights{ .write = true }),
        .time => bits(abi.TimeRights{ .wall = true, .deadline = true }),
        .task => bits(abi.TaskRights{ .spawn = true, .control = true }),
        .mem => bits(abi.MemRights{ .map = true }),
        .io => bits(abi.IoRights{ .read = true, .write = true }),
        .ipc => bits(abi.IpcRights{ .use = true }),
        .net => bits(abi.NetRights{ .connect = true, .listen = true }),
        .trace => bits(abi.TraceRights{ .write = true }),
        _ => 0,
    };
}

const usual_rights: [capability_kinds]u32 = table: {
    var table: [capability_kinds]u32 = @splat(0);
    for (@typeInfo(abi.CapKind).@"enum".fields) |field| table[field.value] = usualRights(@enumFromInt(field.value));
    break :table table;
};

fn extraRight(kind: abi.CapKind, name: []const u8) ?u32 {
    if (kind != .mem) return null;
    if (std.mem.eql(u8, name, "exec-write")) return bits(abi.MemRights{ .exec_write = true });
    if (std.mem.eql(u8, name, "pin")) return bits(abi.MemRights{ .pin = true });
    return null;
}

fn bits(rights: anytype) u32 {
    return @bitCast(rights);
}

pub const Configuration = struct {
    arguments: Strings = .{},
    environment: Strings = .{},
    wall_ns: ?u64 = null,
    seed: ?[32]u8 = null,
    address: Address = .dhcp,
    name_servers: NameServers = .{},
    search: []const u8 = "",

    pub fn clear(configuration: *Configuration) void {
        configuration.arguments.count = 0;
        configuration.environment.count = 0;
        configuration.wall_ns = null;
        configuration.seed = null;
        configuration.address = .dhcp;
        configuration.name_servers.count = 0;
        configuration.search = "";
    }

    pub fn parse(configuration: *Configuration, text: []u8) ?Problem {
        configuration.clear();
        var lines = Lines.init(text, "ukernel-config 1") catch |failure| return problemOf(failure, 1);
        while (true) {
            const line = (lines.next() catch |failure| return problemOf(failure, lines.number)) orelse return null;
            const key = keyOf(Key, line.key) orelse continue;
            const value = decode(line.value) orelse return .{ .line = lines.number, .reason = .bad_value, .key = line.key };
            if (configuration.set(key, value)) |reason| return .{ .line = lines.number, .reason = reason, .key = line.key };
        }
    }

    const Key = enum { arg, env, wall_ns, seed, address, nameserver, search };

    fn set(configuration: *Configuration, key: Key, value: []const u8) ?Reason {
        switch (key) {
            .arg => return appendTo(&configuration.arguments, value, false),
            .env => return appendTo(&configuration.environment, value, true),
            .wall_ns => {
                if (configuration.wall_ns != null) return .twice;
                configuration.wall_ns = decimal(u64, value) orelse return .bad_value;
            },
            .address => {
                if (configuration.address != .dhcp) return .twice;
                configuration.address = Address.parse(value) orelse return .bad_value;
            },
            .nameserver => return configuration.name_servers.add(value),
            .search => {
                if (configuration.search.len > 0) return .twice;
                if (!isDomain(value)) return .bad_value;
                configuration.search = value;
            },
            .seed => {
                if (configuration.seed != null) return .twice;
                if (value.len != 64) return .bad_value;
                var seed: [32]u8 = undefined;
                _ = std.fmt.hexToBytes(&seed, value) catch return .bad_value;
                configuration.seed = seed;
                // The seed is the kernel's secret; the text goes to the workload.
                @memset(@constCast(value), '0');
            },
        }
        return null;
    }
};

/// The guest's own address: asked of DHCP, or `10.0.0.2/24 10.0.0.1` with the gateway, which may be missing.
pub const Address = union(enum) {
    dhcp,
    fixed: struct { address: u32, prefix: u6, gateway: u32 },

    fn parse(value: []const u8) ?Address {
        if (same(value, "dhcp")) return .dhcp;
        const space = find(value, ' ') orelse value.len;
        const slash = find(value[0..space], '/') orelse return null;
        const address = dotted(value[0..slash]) orelse return null;
        const prefix = decimalUpTo(value[slash + 1 .. space], 32) orelse return null;
        const gateway = if (space == value.len) 0 else dotted(value[space + 1 ..]) orelse return null;
        if (ipv4.group(address) or ipv4.loopback(address)) return null;
        return .{ .fixed = .{ .address = address, .prefix = @intCast(prefix), .gateway = gateway } };
    }
};

pub const NameServers = struct {
    addresses: [count_max]u32 = undefined,
    count: u32 = 0,

    pub const count_max = 3;

    pub fn slice(servers: *const NameServers) []const u32 {
        return servers.addresses[0..servers.count];
    }

    fn add(servers: *NameServers, value: []const u8) ?Reason {
        const address = dotted(value) orelse return .bad_value;
        if (ipv4.group(address)) return .bad_value;
        if (servers.count == count_max) return .too_often;
        servers.addresses[servers.count] = address;
        servers.count += 1;
        return null;
    }
};

/// Labels of 1 to 63 letters, digits, hyphens and underscores, 253 bytes at most together.
fn isDomain(value: []const u8) bool {
    if (value.len > 253) return false;
    var label_bytes: usize = 0;
    for (value) |byte| {
        switch (byte) {
            'a'...'z', 'A'...'Z', '0'...'9', '-', '_' => label_bytes += 1,
            '.' => {
                if (label_bytes == 0) return false;
                label_bytes = 0;
            },
            else => return false,
        }
        if (label_bytes > 63) return false;
    }
    return label_bytes > 0;
}

fn dotted(value: []const u8) ?u32 {
    var rest = value;
    var address: u32 = 0;
    for (0..4) |index| {
        const end = find(rest, '.') orelse rest.len;
        if ((end == rest.len) != (index == 3)) return null;
        address = address << 8 | @as(u32, @intCast(decimalUpTo(rest[0..end], 255) orelse return null));
        if (index < 3) rest = rest[end + 1 ..];
    }
    return address;
}

/// Gives the environment: the manifest's with the configuration's in place of those of the same name, then the rest of the
/// configuration's, of which the last of a name counts.
pub const Environment = struct {
    manifest: *const Strings,
    configuration: *const Strings,
    index: u32 = 0,

    pub fn next(environment: *Environment) ?[]const u8 {
        while (environment.index < environment.manifest.count) {
            const item = environment.manifest.items[environment.index];
            environment.index += 1;
            if (findLast(environment.configuration.slice(), item) == null) return item;
        }
        while (environment.index - environment.manifest.count < environment.configuration.count) {
            const index = environment.index - environment.manifest.count;
            const item = environment.configuration.items[index];
            environment.index += 1;
            if (findLast(environment.configuration.slice(), item).? == index) return item;
        }
        return null;
    }

    fn findLast(items: []const []const u8, wanted: []const u8) ?usize {
        const name = nameOf(wanted);
        var index = items.len;
        while (index > 0) {
            index -= 1;
            if (std.mem.eql(u8, nameOf(items[index]), name)) return index;
        }
        return null;
    }
};

fn nameOf(assignment: []const u8) []const u8 {
    return assignment[0 .. find(assignment, '=') orelse assignment.len];
}

fn appendTo(strings: *Strings, value: []const u8, is_assignment: bool) ?Reason {
    if (is_assignment and (find(value, '=') orelse 0) == 0) return .bad_value;
    strings.append(value);
    return null;
}

/// The member of an enumeration that has this name.
fn keyOf(comptime E: type, text: []const u8) ?E {
    const fields = @typeInfo(E).@"enum".fields;
    const names: [fields.len][]const u8, const values: [fields.len]E = comptime both: {
        var names: [fields.len][]const u8 = undefined;
        var values: [fields.len]E = undefined;
        for (fields, &names, &values) |field, *name, *value| {
            name.* = field.name;
            value.* = @enumFromInt(field.value);
        }
        break :both .{ names, values };
    };
    for (names, values) |name, value| if (same(name, text)) return value;
    return null;
}

/// Plain loops: the text is short, and is read while the kernel starts, where few instructions count for more than fast ones.
noinline fn same(a: []const u8, b: []const u8) bool {
    if (a.len != b.len) return false;
    for (a, b) |one, other| if (one != other) return false;
    return true;
}

noinline fn find(text: []const u8, wanted: u8) ?usize {
    for (text, 0..) |byte, index| if (byte == wanted) return index;
    return null;
}

const Line = struct { key: []const u8, value: []u8 };

const LineError = error{ TooLong, TooManyLines, NotTerminated, WrongForm, NoSpace };

fn problemOf(failure: LineError, line: u32) Problem {
    return .{ .line = line, .reason = switch (failure) {
        error.TooLong => .too_long,
        error.TooManyLines => .too_many_lines,
        error.NotTerminated => .not_terminated,
        error.WrongForm => .wrong_form,
        error.NoSpace => .no_space,
    } };
}

const Lines = struct {
    rest: []u8,
    number: u32 = 1,

    fn init(text: []u8, form: []const u8) LineError!Lines {
        if (text.len > text_bytes_max) return error.TooLong;
        const end = find(text, '\n') orelse return error.WrongForm;
        if (!same(text[0..end], form)) return error.WrongForm;
        return .{ .rest = text[end + 1 ..] };
    }

    fn next(lines: *Lines) LineError!?Line {
        if (lines.rest.len == 0) return null;
        lines.number += 1;
        if (lines.number > lines_max) return error.TooManyLines;
        const end = find(lines.rest, '\n') orelse return error.NotTerminated;
        const line = lines.rest[0..end];
        lines.rest = lines.rest[end + 1 ..];
        const space = find(line, ' ') orelse return error.NoSpace;
        if (space == 0) return error.NoSpace;
        return .{ .key = line[0..space], .value = line[space + 1 ..] };
    }
};

/// Decodes %XX in place; null for a malformed one, a control character that is not encoded, a NUL, or what is not UTF-8.
noinline fn decode(value: []u8) ?[]u8 {
    var out: usize = 0;
    var in: usize = 0;
    var all: u8 = 0;
    while (in < value.len) : (out += 1) {
        var byte = value[in];
        if (byte < 0x20 or byte == 0x7f) return null;
        in += 1;
        if (byte == '%') {
            if (value.len - in < 2) return null;
            byte = (hexDigit(value[in]) orelse return null) << 4 | (hexDigit(value[in + 1]) orelse return null);
            if (byte == 0) return null;
            in += 2;
        }
        value[out] = byte;
        all |= byte;
    }
    if (all >= 0x80 and !std.unicode.utf8ValidateSlice(value[0..out])) return null;
    return value[0..out];
}

/// Upper case only, as the form says.
fn hexDigit(byte: u8) ?u8 {
    return switch (byte) {
        '0'...'9' => byte - '0',
        'A'...'F' => byte - 'A' + 10,
        else => null,
    };
}

/// Digits only: no sign, no underscore.
noinline fn decimalUpTo(text: []const u8, max: u64) ?u64 {
    if (text.len == 0) return null;
    var value: u64 = 0;
    for (text) |byte| {
        const digit = byte -% '0';
        if (digit > 9 or value > (max - digit) / 10) return null;
        value = value * 10 + digit;
    }
    return value;
}

fn decimal(comptime T: type, text: []const u8) ?T {
    return @intCast(decimalUpTo(text, std.math.maxInt(T)) orelse return null);
}
