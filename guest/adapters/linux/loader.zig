//! Loads the workload's ELF file, and its interpreter, as Linux does, and builds the stack it is entered with.
const std = @import("std");
const elf = std.elf;
const uk = @import("ukernel");
const posix = @import("posix");
const memory = @import("memory.zig");
const proc = @import("proc.zig");
const abi = uk.abi;
const limits = posix.limits;
const user = posix.user;
const Error = posix.errno.Error;

const page_mask: u64 = abi.page_bytes - 1;
/// Where a position-independent program goes if that is free.
const program_wish: u64 = 0x5600_0000_0000;

pub const Program = struct {
    entry: u64,
    base: u64,
    end: u64,
    headers: u64,
    header_count: u64,
    interpreter_bytes: usize = 0,
    interpreter: [limits.interpreter_path_bytes_max]u8 = undefined,
};

pub const Failure = Error || error{ NotElf, NotForThisMachine, TooManySegments, NotStartable, BadSegment };

/// What a person can do about it.
pub fn explain(failure: Failure) []const u8 {
    return switch (failure) {
        error.ENOENT => "it is not in the image",
        error.NotElf, error.ENOEXEC => "it is no ELF file",
        error.NotForThisMachine => "it is not for x86-64",
        error.TooManySegments => "it has too many program headers",
        error.NotStartable => "it is neither an executable nor a shared object",
        error.BadSegment => "its program headers contradict each other",
        error.EACCES => "it has a segment that is writable and executable, which the manifest does not allow (capability mem:exec-write)",
        error.ENOMEM => "there is no memory for it",
        error.EEXIST => "its place is taken",
        else => "it cannot be read or mapped",
    };
}

fn check(result: abi.Result) Error!void {
    uk.calls.check(result) catch |failure| return posix.errno.of(failure);
}

fn readAt(file: abi.Handle, offset: u64, buffer: []u8) Failure!void {
    var done: u64 = 0;
    while (done < buffer.len) {
        var count: u64 = 0;
        try check(uk.calls.io_read(file, buffer[@intCast(done)..].ptr, buffer.len - done, offset +| done, &count));
        if (count == 0) return error.NotElf;
        done += count;
    }
}

pub fn load(path: []const u8) Failure!Program {
    var file: abi.Handle = .none;
    try check(uk.calls.io_open(.image, .none, path.ptr, path.len, .{}, &file));
    defer _ = uk.calls.io_close(file);
    var header: elf.Elf64_Ehdr = undefined;
    try readAt(file, 0, std.mem.asBytes(&header));
    if (!std.mem.eql(u8, header.e_ident[0..4], elf.MAGIC)) return error.NotElf;
    if (header.e_ident[elf.EI_CLASS] != elf.ELFCLASS64 or header.e_machine != .X86_64) return error.NotForThisMachine;
    if (header.e_type != .EXEC and header.e_type != .DYN) return error.NotStartable;
    if (header.e_phentsize != @sizeOf(elf.Elf64_Phdr)) return error.NotElf;
    if (header.e_phnum > limits.segments_max) return error.TooManySegments;
    var storage: [limits.segments_max]elf.Elf64_Phdr = undefined;
    const segments = storage[0..header.e_phnum];
    try readAt(file, header.e_phoff, std.mem.sliceAsBytes(segments));
    return place(file, &header, segments);
}

fn place(file: abi.Handle, header: *const elf.Elf64_Ehdr, segments: []const elf.Elf64_Phdr) Failure!Program {
    var low: u64 = std.math.maxInt(u64);
    var high: u64 = 0;
    for (segments) |segment| {
        if (segment.p_type != elf.PT_LOAD) continue;
        if (segment.p_filesz > segment.p_memsz or segment.p_memsz > user.end or segment.p_vaddr > user.end - segment.p_memsz) return error.BadSegment;
        if ((segment.p_vaddr ^ segment.p_offset) & page_mask != 0) return error.BadSegment;
        low = @min(low, segment.p_vaddr & ~page_mask);
        high = @max(high, (segment.p_vaddr + segment.p_memsz + page_mask) & ~page_mask);
    }
    if (low >= high) return error.BadSegment;
    // The whole span first: the segments then replace their parts of it.
    const fixed = header.e_type == .EXEC;
    const span = try memory.map(if (fixed) low else program_wish, high - low, .{ .fixed_no_replace = fixed }, .none, 0);
    const base = span -% low;
    var program: Program = .{
        .entry = base +% header.e_entry,
        .base = base,
        .end = base +% high,
        .headers = 0,
        .header_count = segments.len,
    };
    for (segments) |segment| switch (segment.p_type) {
        elf.PT_LOAD => {
            try mapSegment(file, &segment, base);
            if (header.e_phoff >= segment.p_offset and header.e_phoff < segment.p_offset + segment.p_filesz)
                program.headers = base +% segment.p_vaddr + (header.e_phoff - segment.p_offset);
        },
        elf.PT_INTERP => {
            if (segment.p_filesz < 2 or segment.p_filesz > program.interpreter.len) return error.BadSegment;
            program.interpreter_bytes = @intCast(segment.p_filesz - 1);
            try readAt(file, segment.p_offset, program.interpreter[0..program.interpreter_bytes]);
        },
        else => {},
    };
    return program;
}

fn mapSegment(file: abi.Handle, segment: *const elf.Elf64_Phdr, base: u64) Failure!void {
    const access: abi.MemFlags = .{
        .read = segment.p_flags & elf.PF_R != 0,
        .write = segment.p_flags & elf.PF_W != 0,
        .exec = segment.p_flags & elf.PF_X != 0,
        .fixed = true,
    };
    const start = (base +% segment.p_vaddr) & ~page_mask;
    const lead = segment.p_vaddr & page_mask;
    const file_end = base +% segment.p_vaddr + segment.p_filesz;
    const end = (base +% segment.p_vaddr + segment.p_memsz + page_mask) & ~page_mask;
    var from_file: u64 = 0;
    if (segment.p_filesz > 0) {
        from_file = (lead + segment.p_filesz + page_mask) & ~page_mask;
        _ = try memory.map(start, from_file, access, file, segment.p_offset - lead);
    }
    if (start + from_file < end) _ = try memory.map(start + from_file, end - start - from_file, access, .none, 0);
    // All of the last page behind the file's part is zero: glibc's loader takes its first memory from there.
    const tail = start + from_file -| file_end;
    if (segment.p_memsz > segment.p_filesz and tail > 0) {
        const writable = access.write;
        if (!writable) try check(uk.calls.mem_protect(start + from_file - abi.page_bytes, abi.page_bytes, .{ .read = true, .write = true }));
        try user.fill(file_end, 0, tail);
        if (!writable) try check(uk.calls.mem_protect(start + from_file - abi.page_bytes, abi.page_bytes, .{ .read = access.read, .exec = access.exec }));
    }
}

/// Writes downwards from the top of the stack.
const Stack = struct {
    at: u64,

    fn bytes(stack: *Stack, content: []const u8) Error!u64 {
        stack.at -= content.len;
        try user.write(stack.at, content);
        return stack.at;
    }

    fn string(stack: *Stack, text: []const u8) Error!u64 {
        _ = try stack.bytes("\x00");
        return stack.bytes(text);
    }

    fn word(stack: *Stack, value: u64) Error!void {
        stack.at -= 8;
        try user.put(u64, stack.at, value);
    }
};

const Auxiliary = struct { type: u64, value: u64 };

fn strings(address: u64, count: u64) []const [*:0]const u8 {
    return @as([*]const [*:0]const u8, @ptrFromInt(address))[0..@intCast(count)];
}

/// The stack that the program is entered with: arguments, environment and auxiliary vector. Gives the stack pointer.
pub fn buildStack(program: *const Program, interpreter_base: u64, path: []const u8) Error!u64 {
    const startup = uk.startup();
    const arguments = strings(startup.argv, startup.argc);
    const environment = strings(startup.envp, startup.envc);
    var string_bytes: u64 = 0;
    for (arguments) |text| string_bytes += std.mem.len(text) + 9;
    for (environment) |text| string_bytes += std.mem.len(text) + 9;
    if (string_bytes > limits.start_bytes_max) return error.E2BIG;

    const reserved = try memory.map(0, limits.stack_bytes + abi.page_bytes, .{}, .none, 0);
    try check(uk.calls.mem_protect(reserved + abi.page_bytes, limits.stack_bytes, .{ .read = true, .write = true }));
    stack_low = reserved + abi.page_bytes;
    stack_high = stack_low + limits.stack_bytes;
    var stack: Stack = .{ .at = stack_high };
    const path_address = try stack.string(path);
    const platform = try stack.string("x86_64");
    stack.at &= ~@as(u64, 15);
    stack.at -= 16;
    const random = stack.at;
    _ = try proc.fillRandom(random, 16);

    // Strings first, then pointers to them: both in order.
    const strings_start = (stack.at - string_bytes) & ~@as(u64, 15);
    const auxiliary = [_]Auxiliary{
        .{ .type = elf.AT_PHDR, .value = program.headers },
        .{ .type = elf.AT_PHENT, .value = @sizeOf(elf.Elf64_Phdr) },
        .{ .type = elf.AT_PHNUM, .value = program.header_count },
        .{ .type = elf.AT_PAGESZ, .value = abi.page_bytes },
        .{ .type = elf.AT_BASE, .value = interpreter_base },
        .{ .type = elf.AT_FLAGS, .value = 0 },
        .{ .type = elf.AT_ENTRY, .value = program.entry },
        .{ .type = elf.AT_UID, .value = 0 },
        .{ .type = elf.AT_EUID, .value = 0 },
        .{ .type = elf.AT_GID, .value = 0 },
        .{ .type = elf.AT_EGID, .value = 0 },
        .{ .type = elf.AT_SECURE, .value = 0 },
        .{ .type = elf.AT_CLKTCK, .value = 100 },
        .{ .type = elf.AT_HWCAP, .value = processorFeatures() },
        .{ .type = elf.AT_HWCAP2, .value = 0 },
        .{ .type = elf.AT_MINSIGSTKSZ, .value = startup.vector_bytes + 1024 },
        .{ .type = elf.AT_RANDOM, .value = random },
        .{ .type = elf.AT_PLATFORM, .value = platform },
        .{ .type = elf.AT_EXECFN, .value = path_address },
        .{ .type = elf.AT_NULL, .value = 0 },
    };
    const words = 1 + arguments.len + 1 + environment.len + 1 + 2 * auxiliary.len;
    stack.at = (strings_start - 8 * words) & ~@as(u64, 15);
    const result = stack.at;
    var at = result;
    var text_at = strings_start;
    try next(&at, arguments.len);
    for ([_][]const [*:0]const u8{ arguments, environment }) |list| {
        for (list) |text| {
            const length = std.mem.len(text);
            try user.write(text_at, text[0 .. length + 1]);
            try next(&at, text_at);
            text_at += length + 1;
        }
        try next(&at, 0);
    }
    for (auxiliary) |item| {
        try next(&at, item.type);
        try next(&at, item.value);
    }
    return result;
}

fn next(at: *u64, value: u64) Error!void {
    try user.put(u64, at.*, value);
    at.* += 8;
}

pub var stack_low: u64 = 0;
pub var stack_high: u64 = 0;

/// CPUID leaf 1, EDX.
fn processorFeatures() u64 {
    var edx: u32 = undefined;
    asm volatile ("cpuid"
        : [edx] "={edx}" (edx),
        : [leaf] "{eax}" (@as(u32, 1)),
        : .{ .ebx = true, .ecx = true, .eax = true });
    return edx;
}
