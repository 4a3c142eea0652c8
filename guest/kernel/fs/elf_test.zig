//! The ELF reader over a program made here, and over every damage of one byte and every truncation of it.
const std = @import("std");
const loader = @import("elf.zig");
const elf = std.elf;
const testing = std.testing;

const range: loader.Range = .{ .low = 0x1000, .high = 1 << 40 };

const File = struct {
    data: []const u8,

    pub fn size(file: File) u64 {
        return file.data.len;
    }

    pub fn read(file: File, offset: u64, buffer: []u8) error{ CorruptImage, DeviceError }!void {
        @memcpy(buffer, file.data[@intCast(offset)..][0..buffer.len]);
    }
};

/// A static-PIE program of three segments: headers and relocations, code, data with four words to relocate.
const Sample = struct {
    header: elf.Elf64_Ehdr,
    segments: [5]elf.Elf64_Phdr,
    rela: [2]elf.Elf64_Rela,
    relr: [2]u64,
    dynamic: [7]elf.Elf64_Dyn,

    const code_offset = 0x1000;
    const data_offset = 0x2000;
    const file_bytes = 0x2100;

    fn make(buffer: *[file_bytes]u8) *align(1) Sample {
        @memset(buffer, 0);
        const sample: *align(1) Sample = @ptrCast(buffer);
        sample.header = std.mem.zeroes(elf.Elf64_Ehdr);
        sample.header.e_ident[0..4].* = elf.MAGIC.*;
        sample.header.e_ident[elf.EI.CLASS] = elf.ELFCLASS64;
        sample.header.e_ident[elf.EI.DATA] = elf.ELFDATA2LSB;
        sample.header.e_type = .DYN;
        sample.header.e_machine = .X86_64;
        sample.header.e_entry = code_offset + 4;
        sample.header.e_phoff = @offsetOf(Sample, "segments");
        sample.header.e_phentsize = @sizeOf(elf.Elf64_Phdr);
        sample.header.e_phnum = 5;
        sample.segments[0] = segment(elf.PT_LOAD, 0, @sizeOf(Sample), @sizeOf(Sample), elf.PF_R);
        sample.segments[1] = segment(elf.PT_LOAD, code_offset, 0x800, 0x800, elf.PF_R | elf.PF_X);
        sample.segments[2] = segment(elf.PT_LOAD, data_offset, 0x100, 0x3000, elf.PF_R | elf.PF_W);
        sample.segments[3] = segment(elf.PT_DYNAMIC, @offsetOf(Sample, "dynamic"), @sizeOf(@FieldType(Sample, "dynamic")), @sizeOf(@FieldType(Sample, "dynamic")), elf.PF_R);
        sample.segments[4] = segment(elf.PT_GNU_STACK, 0, 0, 0, elf.PF_R);
        sample.rela[0] = .{ .r_offset = data_offset + 8, .r_info = @intFromEnum(elf.R_X86_64.RELATIVE), .r_addend = 0x1234 };
        sample.rela[1] = .{ .r_offset = data_offset + 0x2000, .r_info = @intFromEnum(elf.R_X86_64.RELATIVE), .r_addend = 0x99 };
        // The word at +0x10, then by bitmap (bit 0 marks it as one) the first and third behind that: +0x18 and +0x28.
        sample.relr = .{ data_offset + 0x10, 0b1011 };
        std.mem.writeInt(u64, buffer[data_offset + 0x10 ..][0..8], 0x10, .little);
        std.mem.writeInt(u64, buffer[data_offset + 0x18 ..][0..8], 0x18, .little);
        std.mem.writeInt(u64, buffer[data_offset + 0x28 ..][0..8], 0x28, .little);
        sample.dynamic = .{
            .{ .d_tag = elf.DT_RELA, .d_val = @offsetOf(Sample, "rela") },
            .{ .d_tag = elf.DT_RELASZ, .d_val = @sizeOf(@FieldType(Sample, "rela")) },
            .{ .d_tag = elf.DT_RELAENT, .d_val = @sizeOf(elf.Elf64_Rela) },
            .{ .d_tag = elf.DT_RELR, .d_val = @offsetOf(Sample, "relr") },
            .{ .d_tag = elf.DT_RELRSZ, .d_val = @sizeOf(@FieldType(Sample, "relr")) },
            .{ .d_tag = elf.DT_RELRENT, .d_val = 8 },
            .{ .d_tag = elf.DT_NULL, .d_val = 0 },
        };
        return sample;
    }

    fn segment(kind: u32, address: u64, file: u64, memory: u64, flags: u32) elf.Elf64_Phdr {
        return .{ .p_type = kind, .p_flags = flags, .p_offset = address, .p_vaddr = address, .p_paddr = address, .p_filesz = file, .p_memsz = memory, .p_align = 4096 };
    }
};

test "a static-PIE program is read with all its relocations" {
    var buffer: [Sample.file_bytes]u8 = undefined;
    _ = Sample.make(&buffer);
    const file: File = .{ .data = &buffer };
    const program = try loader.parse(file, range);
    try testing.expect(program.relocatable);
    try testing.expectEqual(@as(usize, 3), program.loaded().len);
    try testing.expectEqual(@as(u64, 0), program.low());
    try testing.expectEqual(@as(u64, 0x5000), program.high());
    try testing.expectEqual(@as(u64, @offsetOf(Sample, "segments")), program.header_address);
    try testing.expect(program.segments[1].executable and !program.segments[1].writable);
    try testing.expect(program.segments[2].writable and !program.segments[2].executable);

    var relocations: loader.Relocations(File) = .init(file, &program);
    const expected = [_]loader.Relocation{
        .{ .address = 0x2008, .addend = 0x1234 }, .{ .address = 0x4000, .addend = 0x99 }, .{ .address = 0x2010, .addend = 0x10 },
        .{ .address = 0x2018, .addend = 0x18 },   .{ .address = 0x2028, .addend = 0x28 },
    };
    for (expected) |relocation| try testing.expectEqual(relocation, (try relocations.next()).?);
    try testing.expectEqual(null, try relocations.next());
}

test "what cannot be started is refused with its reason" {
    const Change = struct {
        expected: loader.Error,
        apply: *const fn (*align(1) Sample) void,
    };
    const changes = [_]Change{
        .{ .expected = error.NotElf, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_ident[0] = 0;
            }
        }.f },
        .{ .expected = error.WrongMachine, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_machine = .AARCH64;
            }
        }.f },
        .{ .expected = error.BadHeader, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_type = .REL;
            }
        }.f },
        .{ .expected = error.BadHeader, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_phoff = std.math.maxInt(u64);
            }
        }.f },
        .{ .expected = error.TooManySegments, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_phnum = 17;
            }
        }.f },
        .{ .expected = error.NeedsInterpreter, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.segments[4].p_type = elf.PT_INTERP;
            }
        }.f },
        .{ .expected = error.WritableCode, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.segments[1].p_flags |= elf.PF_W;
            }
        }.f },
        .{ .expected = error.BadSegment, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.segments[2].p_memsz = std.math.maxInt(u64);
            }
        }.f },
        .{ .expected = error.BadSegment, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.segments[2].p_vaddr = 0x1800;
            }
        }.f },
        .{ .expected = error.BadSegment, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.segments[2].p_filesz = 0x101;
            }
        }.f },
        .{ .expected = error.BadEntry, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.header.e_entry = Sample.data_offset;
            }
        }.f },
        .{ .expected = error.NeedsInterpreter, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.dynamic[6].d_tag = elf.DT_NEEDED;
            }
        }.f },
        .{ .expected = error.BadDynamic, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.dynamic[1].d_val = 1 << 40;
            }
        }.f },
        .{ .expected = error.BadRelocation, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.rela[1].r_offset = Sample.code_offset;
            }
        }.f },
        .{ .expected = error.BadRelocation, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.rela[0].r_info = 1;
            }
        }.f },
        .{ .expected = error.BadRelocation, .apply = struct {
            fn f(s: *align(1) Sample) void {
                s.relr[0] = std.math.maxInt(u64) - 1;
            }
        }.f },
    };
    for (changes) |change| {
        var buffer: [Sample.file_bytes]u8 = undefined;
        change.apply(Sample.make(&buffer));
        try testing.expectError(change.expected, load(.{ .data = &buffer }));
        try testing.expect(loader.explain(change.expected).len > 0);
    }
}

/// Reads a program and all its relocations; gives the number of those.
fn load(file: File) loader.Error!u32 {
    const program = try loader.parse(file, range);
    for (program.loaded()) |segment| {
        std.debug.assert(segment.file_offset + segment.file_bytes <= file.data.len);
        std.debug.assert(segment.end() <= range.high);
        std.debug.assert(!(segment.writable and segment.executable));
    }
    var relocations: loader.Relocations(File) = .init(file, &program);
    var count: u32 = 0;
    while (try relocations.next()) |relocation| : (count += 1) {
        std.debug.assert(relocation.address >= program.low() and relocation.address + 8 <= program.high());
    }
    return count;
}

test "a static program keeps its addresses, which must lie in the range" {
    var buffer: [Sample.file_bytes]u8 = undefined;
    const sample = Sample.make(&buffer);
    sample.header.e_type = .EXEC;
    sample.segments[3].p_type = elf.PT_NULL;
    // Its first segment lies below the range.
    try testing.expectError(error.BadSegment, load(.{ .data = &buffer }));
    for (sample.segments[0..3]) |*segment| segment.p_vaddr += 0x40_0000;
    sample.header.e_entry += 0x40_0000;
    try testing.expectEqual(@as(u32, 0), try load(.{ .data = &buffer }));
}

test "every damaged byte and every truncation gives an error or a consistent program" {
    var original: [Sample.file_bytes]u8 = undefined;
    _ = Sample.make(&original);
    try testing.expectEqual(@as(u32, 5), try load(.{ .data = &original }));
    var buffer = original;
    for (0..@sizeOf(Sample)) |offset| {
        for ([_]u8{ 0x01, 0x80, 0xff }) |mask| {
            buffer[offset] ^= mask;
            _ = load(.{ .data = &buffer }) catch {};
            buffer[offset] = original[offset];
        }
    }
    for (0..original.len) |bytes| {
        try testing.expect(std.meta.isError(load(.{ .data = original[0..bytes] })));
    }
}
