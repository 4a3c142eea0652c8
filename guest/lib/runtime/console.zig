//! Output to the console and records to the log, for C.
const uk = @import("ukernel");
const abi = uk.abi;

/// Writes all of it, acquiring the io capability for the calling task when it has none active.
export fn uk_console_write(bytes: [*]const u8, length: usize) callconv(.c) abi.Result {
    return if (uk.writeConsoleAll(bytes[0..length])) .ok else |failure| abi.detailOf(failure).result();
}

/// Writes a NUL-terminated text to the log, acquiring the log capability when it is not active.
export fn uk_log(level: abi.LogLevel, text: [*:0]const u8) callconv(.c) abi.Result {
    var length: usize = 0;
    while (text[length] != 0) length += 1;
    return if (uk.log(level, text[0..length])) .ok else |failure| abi.detailOf(failure).result();
}

/// Acquires and enters a capability; ok too when one of the kind is active.
export fn uk_enable(kind: abi.CapKind, rights: u32) callconv(.c) abi.Result {
    return if (uk.enable(kind, rights)) .ok else |failure| abi.detailOf(failure).result();
}

export fn puts(text: [*:0]const u8) callconv(.c) c_int {
    var length: usize = 0;
    while (text[length] != 0) length += 1;
    if (uk_console_write(text, length) != .ok) return -1;
    return if (uk_console_write("\n", 1) == .ok) 0 else -1;
}

export fn putchar(character: c_int) callconv(.c) c_int {
    const byte: u8 = @truncate(@as(c_uint, @bitCast(character)));
    return if (uk_console_write(@ptrCast(&byte), 1) == .ok) byte else -1;
}
