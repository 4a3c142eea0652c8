//! Makes of the linked gate the pages that the kernel maps, and a Zig file that says what is where in them.
//!
//!   gate_layout <gate.so> <output folder>
const std = @import("std");
const elf = std.elf;

const page_bytes = 4096;
const pages_max = 16;
const source_bytes_max = 1 << 20;

const Permission = enum { read, read_exec };

const Layout = struct {
    pages: u32,
    permissions: [pages_max]Permission,
    image: [pages_max * page_bytes]u8,
    syscall_offset: u64,
    handler_return_offset: u64,
    clock_offset: u64,
};

pub fn main(init: std.process.Init) !u8 {
    const arena = init.arena.allocator();
    const io = init.io;
    const arguments = try init.minimal.args.toSlice(arena);
    if (arguments.len != 3) return error.Usage;
    const file = try std.Io.Dir.cwd().readFileAlloc(io, arguments[1], arena, .limited(source_bytes_max));
    const layout = try arena.create(Layout);
    try read(file, layout);

    var folder = try std.Io.Dir.cwd().createDirPathOpen(io, arguments[2], .{});
    defer folder.close(io);
    try folder.writeFile(io, .{ .sub_path = "gate.bin", .data = layout.image[0 .. layout.pages * page_bytes] });
    var text: std.Io.Writer.Allocating = .init(arena);
    try describe(layout, &text.writer);
    try folder.writeFile(io, .{ .sub_path = "gate.zig", .data = text.written() });
    return 0;
}

/// Reads the gate and checks what the kernel relies on: no writable segment, no relocation, one `syscall` in the code.
fn read(file: []const u8, layout: *Layout) !void {
    const header = at(elf.Elf64_Ehdr, file, 0);
    layout.* = .{ .pages = 0, .permissions = @splat(.read), .image = @splat(0), .syscall_offset = 0, .handler_return_offset = 0, .clock_offset = 0 };
    for (0..header.e_phnum) |index| {
        const segment = at(elf.Elf64_Phdr, file, header.e_phoff + index * @sizeOf(elf.Elf64_Phdr));
        if (segment.p_type != elf.PT_LOAD) continue;
        if (segment.p_flags & elf.PF_W != 0) return error.WritableSegment;
        const end = segment.p_vaddr + segment.p_memsz;
        if (segment.p_vaddr % page_bytes != 0 or end > layout.image.len) return error.BadSegment;
        @memcpy(layout.image[segment.p_vaddr..][0..segment.p_filesz], file[segment.p_offset..][0..segment.p_filesz]);
        const last: u32 = @intCast((end + page_bytes - 1) / page_bytes);
        for (segment.p_vaddr / page_bytes..last) |page| {
            layout.permissions[page] = if (segment.p_flags & elf.PF_X != 0) .read_exec else .read;
        }
        layout.pages = @max(layout.pages, last);
    }
    // The section headers are not part of what is mapped.
    const mapped: *align(1) elf.Elf64_Ehdr = @ptrCast(&layout.image);
    mapped.e_shoff = 0;
    mapped.e_shnum = 0;
    mapped.e_shstrndx = 0;
    try readSymbols(file, header, layout);
    try checkCode(layout);
}

fn readSymbols(file: []const u8, header: elf.Elf64_Ehdr, layout: *Layout) !void {
    for (0..header.e_shnum) |index| {
        const section = at(elf.Elf64_Shdr, file, header.e_shoff + index * @sizeOf(elf.Elf64_Shdr));
        if (section.sh_type == elf.SHT_RELA or section.sh_type == elf.SHT_REL) return error.Relocations;
        if (section.sh_type != elf.SHT_SYMTAB) continue;
        const strings = at(elf.Elf64_Shdr, file, header.e_shoff + section.sh_link * @sizeOf(elf.Elf64_Shdr));
        for (0..section.sh_size / @sizeOf(elf.Elf64_Sym)) |entry| {
            const symbol = at(elf.Elf64_Sym, file, section.sh_offset + entry * @sizeOf(elf.Elf64_Sym));
            const name = std.mem.sliceTo(file[strings.sh_offset + symbol.st_name ..], 0);
            if (std.mem.eql(u8, name, "gate_syscall")) layout.syscall_offset = symbol.st_value;
            if (std.mem.eql(u8, name, "gate_handler_return")) layout.handler_return_offset = symbol.st_value;
            if (std.mem.eql(u8, name, "gate_clock")) layout.clock_offset = symbol.st_value;
        }
    }
    if (layout.syscall_offset == 0 or layout.handler_return_offset == 0 or layout.clock_offset == 0) return error.MissingSymbol;
}

fn checkCode(layout: *const Layout) !void {
    var found: u32 = 0;
    for (0..layout.pages) |page| {
        if (layout.permissions[page] != .read_exec) continue;
        const code = layout.image[page * page_bytes ..][0..page_bytes];
        for (0..page_bytes - 1) |offset| {
            if (code[offset] != 0x0f or code[offset + 1] != 0x05) continue;
            found += 1;
            if (page * page_bytes + offset != layout.syscall_offset) return error.SyscallElsewhere;
        }
    }
    if (found != 1) return error.NoSyscall;
}

fn describe(layout: *const Layout, out: *std.Io.Writer) !void {
    try out.print(
        \\//! The gate as the kernel maps it. Generated from guest/abi/abi.zon.
        \\pub const page_bytes = {d};
        \\pub const page_count = {d};
        \\
        \\pub const Permission = enum {{ read, read_exec }};
        \\
        \\/// Of each page.
        \\pub const permissions = [page_count]Permission{{
    , .{ page_bytes, layout.pages });
    for (layout.permissions[0..layout.pages]) |permission| try out.print(" .{t},", .{permission});
    try out.print(
        \\ }};
        \\
        \\/// Position-independent; begins with the ELF header.
        \\pub const image: [page_count * page_bytes]u8 align(page_bytes) = @embedFile("gate.bin").*;
        \\
        \\/// The one `syscall` instruction. Behind it, at return_offset, is where rcx points in an ABI call.
        \\pub const syscall_offset = 0x{x};
        \\pub const return_offset = 0x{x};
        \\
        \\/// The return address that a handler is entered with.
        \\pub const handler_return_offset = 0x{x};
        \\
        \\/// The page that abi.ClockPage stands at the beginning of; the kernel maps a page of its own here.
        \\pub const clock_offset = 0x{x};
        \\
    , .{ layout.syscall_offset, layout.syscall_offset + 2, layout.handler_return_offset, layout.clock_offset });
}

fn at(comptime T: type, file: []const u8, offset: u64) T {
    return std.mem.bytesToValue(T, file[offset..][0..@sizeOf(T)]);
}
