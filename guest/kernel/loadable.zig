//! Copies of an ELF file what its program headers name, and nothing else: loadable INPUT OUTPUT. The kernel that runs and the names for
//! its addresses so come from one compilation; two, one of them stripped by the compiler, need not have the same code.
const std = @import("std");
const elf = std.elf;

const file_bytes_max = 64 << 20;

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const arguments = try init.minimal.args.toSlice(arena);
    if (arguments.len != 3) return error.Usage;
    const cwd = std.Io.Dir.cwd();
    const file = try cwd.readFileAlloc(init.io, arguments[1], arena, .limited(file_bytes_max));
    if (file.len < @sizeOf(elf.Elf64_Ehdr)) return error.NoElfFile;
    const header = std.mem.bytesAsValue(elf.Elf64_Ehdr, file[0..@sizeOf(elf.Elf64_Ehdr)]);
    if (!std.mem.eql(u8, header.e_ident[0..4], elf.MAGIC)) return error.NoElfFile;
    var end: u64 = header.e_phoff + @as(u64, header.e_phnum) * header.e_phentsize;
    for (0..header.e_phnum) |index| {
        const at: usize = @intCast(header.e_phoff + index * header.e_phentsize);
        const program = std.mem.bytesToValue(elf.Elf64_Phdr, file[at..][0..@sizeOf(elf.Elf64_Phdr)]);
        end = @max(end, program.p_offset + program.p_filesz);
    }
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    try cwd.writeFile(init.io, .{ .sub_path = arguments[2], .data = file[0..@intCast(end)] });
}
