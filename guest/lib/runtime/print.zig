//! printf and its kin: flags - 0 + space #, width, precision, h hh l ll z j t; conversions d i u x X o p s c f %.
//!
//! Format: ISO C 17, 7.21.6.1. Floating point is f alone.
const std = @import("std");
const uk = @import("ukernel");

/// Collects the text: in a buffer that is flushed to the console when full, or cut at the end of a string's.
const Sink = struct {
    buffer: []u8,
    used: usize = 0,
    /// What the whole text would be long.
    total: usize = 0,
    to_console: bool,
    failed: bool = false,

    fn put(sink: *Sink, bytes: []const u8) void {
        sink.total += bytes.len;
        var rest = bytes;
        while (rest.len > 0) {
            if (sink.used == sink.buffer.len) {
                if (!sink.to_console) return;
                sink.flush();
            }
            const count = @min(rest.len, sink.buffer.len - sink.used);
            @memcpy(sink.buffer[sink.used..][0..count], rest[0..count]);
            sink.used += count;
            rest = rest[count..];
        }
    }

    fn pad(sink: *Sink, byte: u8, count: usize) void {
        for (0..count) |_| sink.put(&.{byte});
    }

    fn flush(sink: *Sink) void {
        uk.writeConsoleAll(sink.buffer[0..sink.used]) catch {
            sink.failed = true;
        };
        sink.used = 0;
    }
};

const Size = enum { char, short, int, long };

const Conversion = struct {
    left: bool = false,
    zero: bool = false,
    plus: bool = false,
    space: bool = false,
    alternate: bool = false,
    width: usize = 0,
    precision: ?usize = null,
    size: Size = .int,
};

/// Widths and precisions above this are taken as this.
const width_max = 4096;

fn format(sink: *Sink, text: [*:0]const u8, arguments: *std.builtin.VaList) void {
    var at = text;
    while (at[0] != 0) {
        if (at[0] != '%') {
            var length: usize = 1;
            while (at[length] != 0 and at[length] != '%') length += 1;
            sink.put(at[0..length]);
            at += length;
            continue;
        }
        at += 1;
        var conversion: Conversion = .{};
        at = parse(at, &conversion, arguments);
        if (at[0] == 0) return;
        convert(sink, conversion, at[0], arguments);
        at += 1;
    }
}

fn parse(start: [*:0]const u8, conversion: *Conversion, arguments: *std.builtin.VaList) [*:0]const u8 {
    var at = start;
    while (true) : (at += 1) switch (at[0]) {
        '-' => conversion.left = true,
        '0' => conversion.zero = true,
        '+' => conversion.plus = true,
        ' ' => conversion.space = true,
        '#' => conversion.alternate = true,
        else => break,
    };
    if (at[0] == '*') {
        const width = @cVaArg(arguments, c_int);
        if (width < 0) conversion.left = true;
        conversion.width = @min(@abs(width), width_max);
        at += 1;
    } else at = number(at, &conversion.width);
    if (at[0] == '.') {
        at += 1;
        if (at[0] == '*') {
            const precision = @cVaArg(arguments, c_int);
            conversion.precision = if (precision < 0) null else @min(@abs(precision), width_max);
            at += 1;
        } else {
            var precision: usize = 0;
            at = number(at, &precision);
            conversion.precision = precision;
        }
    }
    while (true) : (at += 1) switch (at[0]) {
        'h' => conversion.size = if (conversion.size == .short) .char else .short,
        'l', 'z', 'j', 't' => conversion.size = .long,
        else => return at,
    };
}

fn number(start: [*:0]const u8, value: *usize) [*:0]const u8 {
    var at = start;
    while (std.ascii.isDigit(at[0])) : (at += 1) value.* = @min(value.* * 10 + (at[0] - '0'), width_max);
    return at;
}

fn convert(sink: *Sink, conversion: Conversion, kind: u8, arguments: *std.builtin.VaList) void {
    switch (kind) {
        '%' => sink.put("%"),
        'c' => {
            const byte: u8 = @truncate(@as(c_uint, @bitCast(@cVaArg(arguments, c_int))));
            padded(sink, conversion, "", &.{byte});
        },
        's' => {
            const pointer = @cVaArg(arguments, ?[*]const u8) orelse "(null)";
            var length: usize = 0;
            while ((conversion.precision == null or length < conversion.precision.?) and pointer[length] != 0) length += 1;
            padded(sink, conversion, "", pointer[0..length]);
        },
        'd', 'i' => {
            const value: i64 = switch (conversion.size) {
                .char => @as(i8, @truncate(@cVaArg(arguments, c_int))),
                .short => @as(i16, @truncate(@cVaArg(arguments, c_int))),
                .int => @cVaArg(arguments, c_int),
                .long => @cVaArg(arguments, i64),
            };
            const sign: []const u8 = if (value < 0) "-" else if (conversion.plus) "+" else if (conversion.space) " " else "";
            integer(sink, conversion, sign, @abs(value), 10, false);
        },
        'u', 'x', 'X', 'o' => {
            const value: u64 = switch (conversion.size) {
                .char => @as(u8, @truncate(@cVaArg(arguments, c_uint))),
                .short => @as(u16, @truncate(@cVaArg(arguments, c_uint))),
                .int => @cVaArg(arguments, c_uint),
                .long => @cVaArg(arguments, u64),
            };
            const base: u8 = switch (kind) {
                'u' => 10,
                'o' => 8,
                else => 16,
            };
            const prefix: []const u8 = if (!conversion.alternate or value == 0) "" else switch (kind) {
                'x' => "0x",
                'X' => "0X",
                'o' => "0",
                else => "",
            };
            integer(sink, conversion, prefix, value, base, kind == 'X');
        },
        'p' => integer(sink, conversion, "0x", @cVaArg(arguments, usize), 16, false),
        'f', 'F' => {
            const value = @cVaArg(arguments, f64);
            var digits: [512]u8 = undefined;
            const precision = @min(conversion.precision orelse 6, 100);
            const text = std.fmt.float.render(&digits, @abs(value), .{ .mode = .decimal, .precision = precision }) catch "?";
            const sign: []const u8 = if (std.math.signbit(value)) "-" else if (conversion.plus) "+" else if (conversion.space) " " else "";
            padded(sink, conversion, sign, text);
        },
        // An unknown conversion is shown as it stands, which is easier to find than nothing.
        else => sink.put(&.{ '%', kind }),
    }
}

fn integer(sink: *Sink, conversion: Conversion, prefix: []const u8, value: u64, base: u8, upper: bool) void {
    var digits: [64]u8 = undefined;
    const length = std.fmt.printInt(&digits, value, base, if (upper) .upper else .lower, .{});
    const shown = if (value == 0 and conversion.precision == 0) digits[0..0] else digits[0..length];
    const wanted = conversion.precision orelse 0;
    if (wanted <= shown.len) return padded(sink, conversion, prefix, shown);
    var wide = conversion;
    wide.width -|= wanted - shown.len;
    wide.zero = false;
    const fill = if (wide.width > prefix.len + shown.len) wide.width - prefix.len - shown.len else 0;
    if (!wide.left) sink.pad(' ', fill);
    sink.put(prefix);
    sink.pad('0', wanted - shown.len);
    sink.put(shown);
    if (wide.left) sink.pad(' ', fill);
}

fn padded(sink: *Sink, conversion: Conversion, prefix: []const u8, text: []const u8) void {
    const length = prefix.len + text.len;
    const fill = conversion.width -| length;
    const zeros = conversion.zero and !conversion.left;
    if (!conversion.left and !zeros) sink.pad(' ', fill);
    sink.put(prefix);
    if (zeros) sink.pad('0', fill);
    sink.put(text);
    if (conversion.left) sink.pad(' ', fill);
}

export fn printf(text: [*:0]const u8, ...) callconv(.c) c_int {
    var arguments = @cVaStart();
    defer @cVaEnd(&arguments);
    return vprintf(text, &arguments);
}

export fn vprintf(text: [*:0]const u8, arguments: *std.builtin.VaList) callconv(.c) c_int {
    var buffer: [512]u8 = undefined;
    var sink: Sink = .{ .buffer = &buffer, .to_console = true };
    format(&sink, text, arguments);
    sink.flush();
    return if (sink.failed) -1 else @intCast(@min(sink.total, std.math.maxInt(c_int)));
}

export fn snprintf(buffer: ?[*]u8, bytes: usize, text: [*:0]const u8, ...) callconv(.c) c_int {
    var arguments = @cVaStart();
    defer @cVaEnd(&arguments);
    return vsnprintf(buffer, bytes, text, &arguments);
}

export fn vsnprintf(buffer: ?[*]u8, bytes: usize, text: [*:0]const u8, arguments: *std.builtin.VaList) callconv(.c) c_int {
    var sink: Sink = .{ .buffer = if (bytes == 0) &.{} else buffer.?[0 .. bytes - 1], .to_console = false };
    format(&sink, text, arguments);
    if (bytes != 0) buffer.?[sink.used] = 0;
    return @intCast(@min(sink.total, std.math.maxInt(c_int)));
}
