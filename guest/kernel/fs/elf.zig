//! Reads the ELF that the kernel starts: static, or static-PIE with relative relocations. Nothing of the file is trusted.
//!
//! Format: System V ABI, chapters 4 and 5, and its AMD64 supplement.
const std = @import("std");
const elf = std.elf;

pub const segments_max = 16;
const page_bytes = 4096;
/// Bounds the work of loading: 16 MiB of relocations.
const relocation_bytes_max = 16 << 20;

pub const Error = error{
    NotElf,
    WrongMachine,
    BadHeader,
    TooManySegments,
    BadSegment,
    WritableCode,
    NeedsInterpreter,
    BadEntry,
    BadDynamic,
    BadRelocation,
    CorruptImage,
    DeviceError,
};

/// For the message that refuses to start.
pub fn explain(failure: Error) []const u8 {
    return switch (failure) {
        error.NotElf => "it is no ELF file",
        error.WrongMachine => "it is not for x86-64 (ELF64, little-endian)",
        error.BadHeader => "its ELF header is damaged or it is neither an executable nor static-PIE",
        error.TooManySegments => "it has too many program headers",
        error.BadSegment => "a segment lies outside the file or the address range, overlaps another, or is out of order",
        error.WritableCode => "a segment is writable and executable",
        error.NeedsInterpreter => "it needs a dynamic linker; link it statically",
        error.BadEntry => "its entry point lies in no executable segment",
        error.BadDynamic => "its dynamic section is damaged, or asks for more than relative relocations",
        error.BadRelocation => "a relocation is not relative or lies outside the writable segments",
        error.CorruptImage => "the image is corrupt",
        error.DeviceError => "the image cannot be read",
    };
}

pub const Segment = struct {
    /// Where its first byte goes, before the load address is added. Not page-aligned; congruent to file_offset modulo a page.
    address: u64,
    memory_bytes: u64,
    file_offset: u64,
    file_bytes: u64,
    writable: bool,
    executable: bool,

    pub fn end(segment: Segment) u64 {
        return segment.address + segment.memory_bytes;
    }
};

pub const Program = struct {
    /// Position-independent: a load address is to be chosen and added to every address here.
    relocatable: bool,
    entry: u64,
    segments: [segments_max]Segment = undefined,
    segment_count: u32 = 0,
    /// Address of the program headers in memory, 0 if no segment holds them.
    header_address: u64 = 0,
    header_count: u32,
    /// RELA and RELR tables; 0 bytes where there is none.
    rela: Table = .{},
    relr: Table = .{},

    pub const Table = struct { address: u64 = 0, bytes: u64 = 0 };

    pub fn loaded(program: *const Program) []const Segment {
        return program.segments[0..program.segment_count];
    }

    /// First address, rounded down to a page.
    pub fn low(program: *const Program) u64 {
        return std.mem.alignBackward(u64, program.segments[0].address, page_bytes);
    }

    /// End of the last segment, rounded up to a page.
    pub fn high(program: *const Program) u64 {
        return std.mem.alignForward(u64, program.segments[program.segment_count - 1].end(), page_bytes);
    }

    /// Where in the file `bytes` bytes at an address stand.
    fn fileOffset(program: *const Program, address: u64, bytes: u64) ?u64 {
        for (program.loaded()) |segment| {
            if (address < segment.address) continue;
            const within = address - segment.address;
            if (within <= segment.file_bytes and bytes <= segment.file_bytes - within) return segment.file_offset + within;
        }
        return null;
    }
};

/// Where the program may lie.
pub const Range = struct { low: u64, high: u64 };

/// Parses a file. `file` has
///   fn size(file) u64
///   fn read(file, offset: u64, buffer: []u8) error{CorruptImage, DeviceError}!void    the range lies inside the file
/// Addresses of a relocatable program are only held against the range's size.
pub fn parse(file: anytype, range: Range) Error!Program {
    var header: elf.Elf64_Ehdr = undefined;
    if (file.size() < @sizeOf(elf.Elf64_Ehdr)) return error.NotElf;
    try file.read(0, std.mem.asBytes(&header));
    if (!std.mem.eql(u8, header.e_ident[0..4], elf.MAGIC)) return error.NotElf;
    if (header.e_ident[elf.EI.CLASS] != elf.ELFCLASS64 or header.e_ident[elf.EI.DATA] != elf.ELFDATA2LSB) return error.WrongMachine;
    if (header.e_machine != .X86_64) return error.WrongMachine;
    if (header.e_type != .EXEC and header.e_type != .DYN) return error.BadHeader;
    if (header.e_phentsize != @sizeOf(elf.Elf64_Phdr) or header.e_phnum == 0) return error.BadHeader;
    if (header.e_phnum > segments_max) return error.TooManySegments;
    const table_bytes = @as(u64, header.e_phnum) * @sizeOf(elf.Elf64_Phdr);
    if (header.e_phoff > file.size() or table_bytes > file.size() - header.e_phoff) return error.BadHeader;

    var program: Program = .{
        .relocatable = header.e_type == .DYN,
        .entry = header.e_entry,
        .header_count = header.e_phnum,
    };
    const limits: Range = if (program.relocatable) .{ .low = 0, .high = range.high - range.low } else range;
    var dynamic: ?elf.Elf64_Phdr = null;
    for (0..header.e_phnum) |index| {
        var raw: elf.Elf64_Phdr = undefined;
        try file.read(header.e_phoff + index * @sizeOf(elf.Elf64_Phdr), std.mem.asBytes(&raw));
        switch (raw.p_type) {
            elf.PT_LOAD => try addSegment(&program, raw, file.size(), limits),
            elf.PT_INTERP => return error.NeedsInterpreter,
            elf.PT_DYNAMIC => {
                if (dynamic != null) return error.BadDynamic;
                dynamic = raw;
            },
            else => {},
        }
    }
    if (program.segment_count == 0) return error.BadSegment;
    try checkEntry(&program);
    program.header_address = headerAddress(&program, header.e_phoff, table_bytes);
    if (dynamic) |raw| try readDynamic(file, &program, raw);
    return program;
}

fn addSegment(program: *Program, raw: elf.Elf64_Phdr, file_bytes: u64, limits: Range) Error!void {
    if (raw.p_memsz == 0) return;
    if (raw.p_filesz > raw.p_memsz) return error.BadSegment;
    if (raw.p_offset > file_bytes or raw.p_filesz > file_bytes - raw.p_offset) return error.BadSegment;
    if (raw.p_vaddr < limits.low or raw.p_vaddr > limits.high or raw.p_memsz > limits.high - raw.p_vaddr) return error.BadSegment;
    if (raw.p_offset % page_bytes != raw.p_vaddr % page_bytes) return error.BadSegment;
    const writable = raw.p_flags & elf.PF_W != 0;
    const executable = raw.p_flags & elf.PF_X != 0;
    if (writable and executable) return error.WritableCode;
    // Two segments in one page would need the access of both.
    if (program.segment_count > 0 and raw.p_vaddr / page_bytes * page_bytes < program.high()) return error.BadSegment;
    program.segments[program.segment_count] = .{
        .address = raw.p_vaddr,
        .memory_bytes = raw.p_memsz,
        .file_offset = raw.p_offset,
        .file_bytes = raw.p_filesz,
        .writable = writable,
        .executable = executable,
    };
    program.segment_count += 1;
}

fn checkEntry(program: *const Program) Error!void {
    for (program.loaded()) |segment| {
        if (segment.executable and program.entry >= segment.address and program.entry < segment.end()) return;
    }
    return error.BadEntry;
}

fn headerAddress(program: *const Program, offset: u64, bytes: u64) u64 {
    for (program.loaded()) |segment| {
        if (offset < segment.file_offset) continue;
        const within = offset - segment.file_offset;
        if (within <= segment.file_bytes and bytes <= segment.file_bytes - within) return segment.address + within;
    }
    return 0;
}

fn readDynamic(file: anytype, program: *Program, raw: elf.Elf64_Phdr) Error!void {
    const count = raw.p_filesz / @sizeOf(elf.Elf64_Dyn);
    if (raw.p_offset > file.size() or raw.p_filesz > file.size() - raw.p_offset or count > 256) return error.BadDynamic;
    for (0..count) |index| {
        var entry: elf.Elf64_Dyn = undefined;
        try file.read(raw.p_offset + index * @sizeOf(elf.Elf64_Dyn), std.mem.asBytes(&entry));
        switch (@as(u64, @bitCast(entry.d_tag))) {
            elf.DT_NULL => break,
            elf.DT_NEEDED => return error.NeedsInterpreter,
            elf.DT_TEXTREL => return error.BadDynamic,
            elf.DT_REL, elf.DT_RELSZ => return error.BadDynamic,
            elf.DT_PLTRELSZ => if (entry.d_val != 0) return error.BadDynamic,
            elf.DT_RELA => program.rela.address = entry.d_val,
            elf.DT_RELASZ => program.rela.bytes = entry.d_val,
            elf.DT_RELAENT => if (entry.d_val != @sizeOf(elf.Elf64_Rela)) return error.BadDynamic,
            elf.DT_RELR => program.relr.address = entry.d_val,
            elf.DT_RELRSZ => program.relr.bytes = entry.d_val,
            elf.DT_RELRENT => if (entry.d_val != 8) return error.BadDynamic,
            else => {},
        }
    }
    if (program.rela.bytes % @sizeOf(elf.Elf64_Rela) != 0 or program.relr.bytes % 8 != 0) return error.BadDynamic;
    for ([_]Program.Table{ program.rela, program.relr }) |table| {
        if (table.bytes == 0) continue;
        if (table.bytes > relocation_bytes_max) return error.BadDynamic;
        if (!program.relocatable or program.fileOffset(table.address, table.bytes) == null) return error.BadDynamic;
    }
}

/// One word to set: at `address` + load address stands `addend` + load address.
pub const Relocation = struct { address: u64, addend: u64 };

/// The relative relocations of a program, each checked to lie in a writable segment. Not to be applied twice by the program
/// itself: its start-up code must not relocate.
pub fn Relocations(comptime File: type) type {
    return struct {
        const Self = @This();

        file: File,
        program: *const Program,
        rela_done: u64 = 0,
        relr_done: u64 = 0,
        relr_next: u64 = 0,
        bitmap: u64 = 0,
        bitmap_base: u64 = 0,

        pub fn init(file: File, program: *const Program) Self {
            return .{ .file = file, .program = program };
        }

        pub fn next(self: *Self) Error!?Relocation {
            const relocation = try self.nextRela() orelse try self.nextRelr() orelse return null;
            for (self.program.loaded()) |segment| {
                if (!segment.writable or relocation.address < segment.address) continue;
                if (relocation.address - segment.address <= segment.memory_bytes -| 8) return relocation;
            }
            return error.BadRelocation;
        }

        fn nextRela(self: *Self) Error!?Relocation {
            const table = self.program.rela;
            while (self.rela_done < table.bytes) {
                var entry: elf.Elf64_Rela = undefined;
                const offset = self.program.fileOffset(table.address, table.bytes) orelse return error.BadDynamic;
                try self.file.read(offset + self.rela_done, std.mem.asBytes(&entry));
                self.rela_done += @sizeOf(elf.Elf64_Rela);
                switch (entry.r_type()) {
                    @intFromEnum(elf.R_X86_64.NONE) => continue,
                    @intFromEnum(elf.R_X86_64.RELATIVE) => return .{ .address = entry.r_offset, .addend = @bitCast(entry.r_addend) },
                    else => return error.BadRelocation,
                }
            }
            return null;
        }

        /// RELR: an even word is an address, an odd one a bitmap of the 63 words that follow the last position.
        fn nextRelr(self: *Self) Error!?Relocation {
            while (true) {
                if (self.bitmap != 0) {
                    const bit = @ctz(self.bitmap);
                    self.bitmap &= self.bitmap - 1;
                    return try self.inPlace(self.bitmap_base +% @as(u64, bit) * 8);
                }
                const table = self.program.relr;
                if (self.relr_done >= table.bytes) return null;
                const offset = self.program.fileOffset(table.address, table.bytes) orelse return error.BadDynamic;
                const word = try self.readWord(offset + self.relr_done);
                self.relr_done += 8;
                if (word & 1 == 0) {
                    self.relr_next = word +% 8;
                    return try self.inPlace(word);
                }
                self.bitmap = word >> 1;
                self.bitmap_base = self.relr_next;
                self.relr_next +%= 63 * 8;
            }
        }

        /// The addend stands in the place itself.
        fn inPlace(self: *Self, address: u64) Error!Relocation {
            const offset = self.program.fileOffset(address, 8) orelse return error.BadRelocation;
            return .{ .address = address, .addend = try self.readWord(offset) };
        }

        fn readWord(self: *Self, offset: u64) Error!u64 {
            var raw: [8]u8 = undefined;
            try self.file.read(offset, &raw);
            return std.mem.readInt(u64, &raw, .little);
        }
    };
}
