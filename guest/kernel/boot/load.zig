//! The workload's first memory: its program, its stack and the start-up block.
const std = @import("std");
const abi = @import("abi");
const cpu = @import("../arch/cpu.zig");
const clock = @import("../arch/clock.zig");
const traps = @import("../arch/traps.zig");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const space = @import("../mem/space.zig");
const scheduler = @import("../sched/scheduler.zig");
const erofs = @import("../fs/erofs.zig");
const elf = @import("../fs/elf.zig");
const text = @import("../fs/text.zig");
const options = @import("../options.zig").chosen;
const channel = @import("../object/channel.zig");
const File = @import("../object/file.zig").File;
const gate = @import("../object/gate.zig");
const image = @import("../object/image.zig");
const init = @import("init.zig");

/// The first task's stack, reserved and given when touched.
const stack_bytes: u64 = 8 << 20;
/// Where a static-PIE program goes.
const program_base: u64 = 0x5555_5555_0000;

var path_work: [erofs.path_bytes_max]u8 linksection(".init_bss") = undefined;

noinline fn openFile(path: []const u8) erofs.Error!erofs.Inode {
    const root = try image.file_system.root();
    return image.file_system.resolve(&root, path, .{}, &path_work);
}

/// Reads a whole file that must fit the buffer.
pub fn readFile(path: []const u8, buffer: []u8) (erofs.Error || error{TooLarge})![]u8 {
    const node = try openFile(path);
    if (node.bytes > buffer.len) return error.TooLarge;
    const bytes = try image.file_system.read(&node, 0, buffer);
    return buffer[0..bytes];
}

/// The configuration's text, which parsing changes, as the workload gets it: without the seed. In user memory, as it
/// may be long.
var configuration_address: u64 = 0;
var configuration_bytes: u64 = 0;
var manifest_address: u64 = 0;
var manifest_bytes: u64 = 0;

/// Keeps a copy of the configuration for the workload before it is parsed.
pub fn keepConfiguration(content: []const u8) LoadError!void {
    if (content.len == 0) return;
    configuration_address = try place(content.len + 1);
    var lines = std.mem.splitScalar(u8, content, '\n');
    while (lines.next()) |line| {
        if (std.mem.startsWith(u8, line, "seed ")) continue;
        const end = @intFromPtr(line.ptr) - @intFromPtr(content.ptr) + line.len;
        const whole = if (end < content.len) line.ptr[0 .. line.len + 1] else line;
        try put(configuration_address + configuration_bytes, whole);
        configuration_bytes += whole.len;
    }
}

/// Keeps a copy of the manifest for the workload before it is parsed.
pub fn keepManifest(content: []const u8) LoadError!void {
    manifest_address = try place(content.len + 1);
    manifest_bytes = content.len;
    try put(manifest_address, content);
}

/// Writes to the workload's memory through the kernel's own map, so that nothing faults on the way. Before user mode runs.
noinline fn put(address: u64, bytes: []const u8) LoadError!void {
    var done: usize = 0;
    while (done < bytes.len) {
        const at = address + done;
        const within: usize = @intCast(at % limits.page_bytes);
        const count = @min(limits.page_bytes - within, bytes.len - done);
        const page = try space.obtain(at, .{ .write = true });
        @memcpy(page[within..][0..count], bytes[done..][0..count]);
        done += count;
    }
}

noinline fn place(bytes: u64) space.Error!u64 {
    const rounded = std.mem.alignForward(u64, bytes, limits.page_bytes);
    return space.map(.anywhere, rounded, .{ .read = true, .write = true }, .kernel, null);
}

/// The ELF reader's view of a file.
const Source = struct {
    file: *File,

    pub fn size(source: Source) u64 {
        return source.file.node.bytes;
    }
    pub fn read(source: Source, offset: u64, buffer: []u8) error{ CorruptImage, DeviceError }!void {
        const count = source.file.read(offset, buffer) catch |failure| switch (failure) {
            error.DeviceError => return error.DeviceError,
            else => return error.CorruptImage,
        };
        if (count != buffer.len) return error.CorruptImage;
    }
};

/// Loads the workload and sets the frame to its entry.
pub fn enter(frame: *traps.Frame, manifest: *const text.Manifest, configuration: *const text.Configuration) void {
    const node = openFile(manifest.start) catch |failure| init.refuse("{s}, which the manifest starts, cannot be opened: {s}", .{ manifest.start, @errorName(failure) });
    if (node.kind != .file) init.refuse("{s}, which the manifest starts, is no file", .{manifest.start});
    const file = File.create(node) catch init.refuse("no memory to open {s}", .{manifest.start});
    defer file.release();
    const source: Source = .{ .file = file };
    const program = elf.parse(source, .{ .low = limits.user_address_min, .high = limits.user_address_end - stack_bytes }) catch |failure|
        init.refuse("{s} cannot be started: {s}", .{ manifest.start, elf.explain(failure) });
    const base: u64 = if (program.relocatable) program_base else 0;
    mapProgram(source, &program, base) catch |failure| init.refuse("{s} cannot be loaded: {s}", .{ manifest.start, @errorName(failure) });
    channel.phase("program");
    fillStack(frame, &program, base, manifest, configuration) catch |failure|
        init.refuse("no memory for the workload's stack and arguments: {s}", .{@errorName(failure)});
    frame.rip = program.entry + base;
    // The first instruction is there when user mode begins.
    _ = space.obtain(frame.rip, .{ .exec = true }) catch |failure| init.refuse("{s} cannot be loaded: {s}", .{ manifest.start, @errorName(failure) });
}

const LoadError = space.Error || elf.Error;

fn mapProgram(source: Source, program: *const elf.Program, base: u64) LoadError!void {
    for (program.loaded()) |segment| try mapSegment(source, segment, base);
    if (program.relocatable) {
        var relocations = elf.Relocations(Source).init(source, program);
        while (try relocations.next()) |relocation| {
            try put(base + relocation.address, std.mem.asBytes(&(relocation.addend +% base)));
        }
    }
}

/// What the file has is mapped from it, page by page when touched; the rest is zero. The page where the file's part ends is
/// filled now.
fn mapSegment(source: Source, segment: elf.Segment, base: u64) LoadError!void {
    const page_mask = limits.page_bytes - 1;
    const access: @import("../mem/regions.zig").Access = .{ .read = true, .write = segment.writable, .exec = segment.executable };
    const start = base + (segment.address & ~page_mask);
    const end = base + ((segment.end() + page_mask) & ~page_mask);
    const lead = segment.address & page_mask;
    // Whole pages that come from the file alone.
    const from_file = if (segment.memory_bytes == segment.file_bytes)
        (lead + segment.file_bytes + page_mask) & ~page_mask
    else
        (lead + segment.file_bytes) & ~page_mask;
    if (from_file > 0) {
        _ = try space.map(.{ .fixed_no_replace = start }, from_file, access, .file, .{ .file = source.file, .offset = segment.file_offset - lead });
    }
    if (start + from_file == end) return;
    const rest = start + from_file;
    const tail_bytes = lead + segment.file_bytes -| from_file;
    if (tail_bytes == 0 or segment.memory_bytes == segment.file_bytes) {
        _ = try space.map(.{ .fixed_no_replace = rest }, end - rest, access, .anonymous, null);
        return;
    }
    _ = try space.map(.{ .fixed_no_replace = rest }, end - rest, .{ .read = true, .write = true }, .anonymous, null);
    const page = try space.obtain(rest, .{ .write = true });
    try source.read(segment.file_offset - lead + from_file, page[0..@intCast(tail_bytes)]);
    if (!segment.writable) space.protect(rest, end - rest, access, false) catch |failure| switch (failure) {
        // No program is a share.
        error.CapabilityDenied => unreachable,
        else => |other| return other,
    };
}

/// Where a string goes, and what points to it.
const Block = struct {
    at: u64,

    /// New memory is zero, and so is the byte behind the string.
    noinline fn string(block: *Block, bytes: []const u8) LoadError!u64 {
        const address = block.at;
        try put(address, bytes);
        block.at += bytes.len + 1;
        return address;
    }
};

fn fillStack(
    frame: *traps.Frame,
    program: *const elf.Program,
    base: u64,
    manifest: *const text.Manifest,
    configuration: *const text.Configuration,
) LoadError!void {
    // An unmapped page below the stack turns an overflow into a fault.
    const stack = try space.map(.anywhere, stack_bytes + limits.page_bytes, .{}, .kernel, null);
    try space.replaceKernel(stack + limits.page_bytes, stack_bytes, .{ .read = true, .write = true });
    const top = stack + limits.page_bytes + stack_bytes;

    var argument_count: u64 = 0;
    var string_bytes: u64 = 0;
    for ([_]*const text.Strings{ &manifest.arguments, &configuration.arguments }) |list| for (list.slice()) |item| {
        argument_count += 1;
        string_bytes += item.len + 1;
    };
    var environment_count: u64 = 0;
    var environment: text.Environment = .{ .manifest = &manifest.environment, .configuration = &configuration.environment };
    while (environment.next()) |item| {
        environment_count += 1;
        string_bytes += item.len + 1;
    }
    const pointers_bytes = (argument_count + environment_count + 2) * 8;
    const block_bytes = std.mem.alignForward(u64, @sizeOf(abi.Startup), 16) + pointers_bytes + string_bytes + 3 * (erofs.path_bytes_max + 1);
    const block_address = try place(block_bytes);
    const argv = block_address + std.mem.alignForward(u64, @sizeOf(abi.Startup), 16);
    const envp = argv + (argument_count + 1) * 8;
    var strings: Block = .{ .at = envp + (environment_count + 1) * 8 };

    var index: u64 = 0;
    for ([_]*const text.Strings{ &manifest.arguments, &configuration.arguments }) |list| for (list.slice()) |item| {
        try put(argv + index * 8, std.mem.asBytes(&try strings.string(item)));
        index += 1;
    };
    index = 0;
    environment.index = 0;
    while (environment.next()) |item| {
        try put(envp + index * 8, std.mem.asBytes(&try strings.string(item)));
        index += 1;
    }

    const task = scheduler.current();
    const startup: abi.Startup = .{
        .magic = abi.startup_magic,
        .bytes = @sizeOf(abi.Startup),
        .abi_version = @as(u32, abi.version_major) << 16 | abi.version_minor,
        .gate = gate.base,
        .gate_bytes = gate.bytes,
        .argc = argument_count,
        .argv = argv,
        .envc = environment_count,
        .envp = envp,
        .name = try strings.string(manifest.name),
        .adapter = try strings.string(manifest.adapter),
        .entry = try strings.string(manifest.entry),
        .manifest = manifest_address,
        .manifest_bytes = manifest_bytes,
        .configuration = configuration_address,
        .configuration_bytes = configuration_bytes,
        .task = task.handle,
        .features = options.features(),
        .cpu_count = cpu.count,
        .page_bytes = limits.page_bytes,
        .memory_bytes = @as(u64, frames.total) * limits.page_bytes,
        .user_base = limits.user_address_min,
        .user_end = limits.user_address_end,
        .image_base = base,
        .image_phdr = if (program.header_address != 0) program.header_address + base else 0,
        .image_phnum = program.header_count,
        .stack_base = stack + limits.page_bytes,
        .stack_bytes = stack_bytes,
        .vector_bytes = cpu.support.vector_bytes,
        .vector_mask = if (cpu.support.xsave) cpu.support.vector_mask else 0,
        .entered_ns = clock.nowNs(),
        .clock = gate.clockAddress(),
        .tsc_hz = clock.tscHz(),
    };
    try put(block_address, std.mem.asBytes(&startup));
    // A zero return address above an aligned stack pointer.
    _ = try space.obtain(top - 16, .{ .write = true });
    frame.rsp = top - 16;
    frame.rdi = block_address;
}
