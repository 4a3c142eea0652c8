//! The text form of docs/image-format.md: the image's manifest and the run-time configuration.
//!
//! Values are decoded in place: the results point into the text, which must stay.
const std = @import("std");
const abi = @import("abi");

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

    /// Fills a manifest of its text; null when all is well.
    pub fn parse(manifest: *Manifest, text: []u8) ?Problem {
        manifest.* = .{};
        var seen: std.EnumSet(Key) = .initEmpty();
        var lines = Lines.init(text, "ukernel-manifest 1") catch |failure| return problemOf(failure, 1);
        while (true) {
            const line = (lines.next() catch |failure| return problemOf(failure, lines.number)) orelse break;
            const key = std.meta.stringToEnum(Key, line.key) orelse continue;
            if (key.isSingle()) {
                if (seen.contains(key)) return .{ .line = lines.number, .reason = .twice, .key = line.key };
                seen.insert(key);
            }
            const value = decode(line.value) orelse return .{ .line = lines.number, .reason = .bad_value, .key = line.key };
            const failure: ?Reason = switch (key) {
                .name => assign(&manifest.name, value),
                .adapter => assign(&manifest.adapter, value),
                .start => assign(&manifest.start, value),
                .entry => assign(&manifest.entry, value),
                .abi => manifest.setVersion(value),
                .arg => manifest.append(&manifest.arguments, value),
                .env => if (isAssignment(value)) manifest.append(&manifest.environment, value) else .bad_value,
                .capability => manifest.allow(value),
            };
            if (failure) |reason| return .{ .line = lines.number, .reason = reason, .key = line.key };
        }
        for (std.enums.values(Key)) |key| {
            if (key.isSingle() and !seen.contains(key)) return .{ .line = lines.number, .reason = .missing, .key = @tagName(key) };
        }
        return null;
    }

    /// Whether a kernel of this ABI runs what was built for the manifest's.
    pub fn runsOn(manifest: *const Manifest, major: u16, minor: u16) bool {
        return manifest.abi_major == major and manifest.abi_minor <= minor;
    }

    const Key = enum {
        name,
        abi,
        adapter,
        start,
        entry,
        arg,
        env,
        capability,

        fn isSingle(key: Key) bool {
            return switch (key) {
                .name, .abi, .adapter, .start, .entry => true,
                .arg, .env, .capability => false,
            };
        }
    };

    fn append(_: *Manifest, strings: *Strings, value: []const u8) ?Reason {
        if (std.mem.indexOfScalar(u8, value, 0) != null) return .bad_value;
        strings.append(value);
        return null;
    }

    fn setVersion(manifest: *Manifest, value: []const u8) ?Reason {
        const dot = std.mem.indexOfScalar(u8, value, '.') orelse return .bad_value;
        manifest.abi_major = decimal(u16, value[0..dot]) orelse return .bad_value;
        manifest.abi_minor = decimal(u16, value[dot + 1 ..]) orelse return .bad_value;
        return null;
    }

    fn allow(manifest: *Manifest, value: []const u8) ?Reason {
        const colon = std.mem.indexOfScalar(u8, value, ':');
        const kind = std.meta.stringToEnum(abi.CapKind, value[0 .. colon orelse value.len]) orelse return .unknown_capability;
        var rights = usualRights(kind);
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

    pub fn parse(configuration: *Configuration, text: []u8) ?Problem {
        configuration.* = .{};
        var lines = Lines.init(text, "ukernel-config 1") catch |failure| return problemOf(failure, 1);
        while (true) {
            const line = (lines.next() catch |failure| return problemOf(failure, lines.number)) orelse return null;
            const key = std.meta.stringToEnum(Key, line.key) orelse continue;
            const value = decode(line.value) orelse return .{ .line = lines.number, .reason = .bad_value, .key = line.key };
            if (configuration.set(key, value)) |reason| return .{ .line = lines.number, .reason = reason, .key = line.key };
        }
    }

    const Key = enum { arg, env, wall_ns, seed };

    fn set(configuration: *Configuration, key: Key, value: []const u8) ?Reason {
        switch (key) {
            .arg => {
                if (std.mem.indexOfScalar(u8, value, 0) != null) return .bad_value;
                configuration.arguments.append(value);
            },
            .env => {
                if (!isAssignment(value)) return .bad_value;
                configuration.environment.append(value);
            },
            .wall_ns => {
                if (configuration.wall_ns != null) return .twice;
                configuration.wall_ns = decimal(u64, value) orelse return .bad_value;
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
    return assignment[0 .. std.mem.indexOfScalar(u8, assignment, '=') orelse assignment.len];
}

fn isAssignment(value: []const u8) bool {
    const equals = std.mem.indexOfScalar(u8, value, '=') orelse return false;
    return equals > 0 and std.mem.indexOfScalar(u8, value, 0) == null;
}

fn assign(target: *[]const u8, value: []const u8) ?Reason {
    if (value.len == 0 or std.mem.indexOfScalar(u8, value, 0) != null) return .bad_value;
    target.* = value;
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
        const end = std.mem.indexOfScalar(u8, text, '\n') orelse return error.WrongForm;
        if (!std.mem.eql(u8, text[0..end], form)) return error.WrongForm;
        return .{ .rest = text[end + 1 ..] };
    }

    fn next(lines: *Lines) LineError!?Line {
        if (lines.rest.len == 0) return null;
        lines.number += 1;
        if (lines.number > lines_max) return error.TooManyLines;
        const end = std.mem.indexOfScalar(u8, lines.rest, '\n') orelse return error.NotTerminated;
        const line = lines.rest[0..end];
        lines.rest = lines.rest[end + 1 ..];
        const space = std.mem.indexOfScalar(u8, line, ' ') orelse return error.NoSpace;
        if (space == 0) return error.NoSpace;
        return .{ .key = line[0..space], .value = line[space + 1 ..] };
    }
};

/// Decodes %XX in place; null for a malformed one, a control character that is not encoded, or what is not UTF-8.
fn decode(value: []u8) ?[]u8 {
    var out: usize = 0;
    var in: usize = 0;
    while (in < value.len) : (out += 1) {
        const byte = value[in];
        if (byte < 0x20 or byte == 0x7f) return null;
        if (byte != '%') {
            value[out] = byte;
            in += 1;
            continue;
        }
        if (value.len - in < 3) return null;
        const high = hexDigit(value[in + 1]) orelse return null;
        const low = hexDigit(value[in + 2]) orelse return null;
        value[out] = high << 4 | low;
        in += 3;
    }
    if (!std.unicode.utf8ValidateSlice(value[0..out])) return null;
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
fn decimal(comptime T: type, text: []const u8) ?T {
    for (text) |byte| if (!std.ascii.isDigit(byte)) return null;
    return std.fmt.parseInt(T, text, 10) catch null;
}
