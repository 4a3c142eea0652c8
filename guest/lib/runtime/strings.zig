//! The string functions of C that a workload without a C library needs most. The compiler's own support library has memcpy,
//! memmove, memset and memcmp.
const std = @import("std");

extern var environ: [*:null]?[*:0]u8;

export fn strlen(text: [*:0]const u8) callconv(.c) usize {
    var length: usize = 0;
    while (text[length] != 0) length += 1;
    return length;
}

export fn strcmp(left: [*:0]const u8, right: [*:0]const u8) callconv(.c) c_int {
    return strncmp(left, right, std.math.maxInt(usize));
}

export fn strncmp(left: [*:0]const u8, right: [*:0]const u8, bytes: usize) callconv(.c) c_int {
    for (0..bytes) |index| {
        if (left[index] != right[index]) return @as(c_int, left[index]) - right[index];
        if (left[index] == 0) break;
    }
    return 0;
}

export fn strchr(text: [*:0]const u8, character: c_int) callconv(.c) ?[*:0]const u8 {
    const byte: u8 = @truncate(@as(c_uint, @bitCast(character)));
    var at = text;
    while (true) : (at += 1) {
        if (at[0] == byte) return at;
        if (at[0] == 0) return null;
    }
}

export fn strstr(text: [*:0]const u8, part: [*:0]const u8) callconv(.c) ?[*:0]const u8 {
    const length = strlen(part);
    var at = text;
    while (true) : (at += 1) {
        if (strncmp(at, part, length) == 0) return at;
        if (at[0] == 0) return null;
    }
}

/// How many bytes stand before the first one of `ends`, or before the end.
export fn strcspn(text: [*:0]const u8, ends: [*:0]const u8) callconv(.c) usize {
    var length: usize = 0;
    while (text[length] != 0 and strchr(ends, text[length]) == null) length += 1;
    return length;
}

export fn memchr(memory: [*]const u8, character: c_int, bytes: usize) callconv(.c) ?[*]const u8 {
    const index = std.mem.indexOfScalar(u8, memory[0..bytes], @truncate(@as(c_uint, @bitCast(character)))) orelse return null;
    return memory + index;
}

/// The value of a variable of the environment.
export fn getenv(name: [*:0]const u8) callconv(.c) ?[*:0]const u8 {
    const length = strlen(name);
    var index: usize = 0;
    while (environ[index]) |item| : (index += 1) {
        if (strncmp(item, name, length) == 0 and item[length] == '=') return item + length + 1;
    }
    return null;
}

export fn atoi(text: [*:0]const u8) callconv(.c) c_int {
    return @truncate(strtol(text, null, 10));
}

/// Base 10, 16 or 8, or 0 to take it from the text; saturates.
export fn strtol(text: [*:0]const u8, end: ?*[*:0]const u8, base: c_int) callconv(.c) c_long {
    var at = text;
    while (std.ascii.isWhitespace(at[0])) at += 1;
    const negative = at[0] == '-';
    if (at[0] == '-' or at[0] == '+') at += 1;
    var radix: u8 = if (base >= 2 and base <= 36) @intCast(base) else 10;
    if ((base == 0 or base == 16) and at[0] == '0' and std.ascii.toLower(at[1]) == 'x' and std.ascii.isHex(at[2])) {
        at += 2;
        radix = 16;
    } else if (base == 0 and at[0] == '0') radix = 8;
    var value: c_long = 0;
    const digits = at;
    while (std.fmt.charToDigit(at[0], radix)) |digit| : (at += 1) {
        value = value *| radix;
        value = if (negative) value -| digit else value +| digit;
    } else |_| {}
    if (end) |out| out.* = if (at == digits) text else at;
    return value;
}
