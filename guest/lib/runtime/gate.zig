//! Finds the ABI's functions in the gate and fills the table that the stubs jump through.
const std = @import("std");
const elf = std.elf;
const names = @import("gate_names").names;
const uk = @import("ukernel");

extern var uk_gate_table: [names.len]usize;

/// The gate's dynamic symbols, by its DT_HASH table (System V ABI, chapter 5).
const Symbols = struct {
    base: u64,
    buckets: []const u32,
    chains: [*]const u32,
    entries: [*]const elf.Elf64_Sym,
    strings: [*]const u8,

    fn of(base: u64) Symbols {
        const header: *const elf.Elf64_Ehdr = @ptrFromInt(base);
        const segments: [*]const elf.Elf64_Phdr = @ptrFromInt(base + header.e_phoff);
        var symbols: Symbols = .{ .base = base, .buckets = &.{}, .chains = undefined, .entries = undefined, .strings = undefined };
        for (segments[0..header.e_phnum]) |segment| {
            if (segment.p_type != elf.PT_DYNAMIC) continue;
            const dynamic: [*]const elf.Elf64_Dyn = @ptrFromInt(base + segment.p_vaddr);
            for (dynamic[0 .. segment.p_memsz / @sizeOf(elf.Elf64_Dyn)]) |entry| switch (@as(u64, @bitCast(entry.d_tag))) {
                elf.DT_NULL => break,
                elf.DT_HASH => {
                    const table: [*]const u32 = @ptrFromInt(base + entry.d_val);
                    symbols.buckets = table[2..][0..table[0]];
                    symbols.chains = table + 2 + table[0];
                },
                elf.DT_SYMTAB => symbols.entries = @ptrFromInt(base + entry.d_val),
                elf.DT_STRTAB => symbols.strings = @ptrFromInt(base + entry.d_val),
                else => {},
            };
        }
        return symbols;
    }

    fn find(symbols: Symbols, name: []const u8, hash: u32) ?u64 {
        if (symbols.buckets.len == 0) return null;
        var index = symbols.buckets[hash % symbols.buckets.len];
        while (index != 0) : (index = symbols.chains[index]) {
            const text = symbols.strings + symbols.entries[index].st_name;
            if (std.mem.eql(u8, text[0..name.len], name) and text[name.len] == 0) return symbols.base + symbols.entries[index].st_value;
        }
        return null;
    }
};

/// A function that the kernel's gate does not have answers as one it does not support.
fn missing() callconv(.c) u64 {
    return @intFromEnum(uk.abi.Result.unsupported);
}

pub fn connect(base: u64) void {
    const symbols: Symbols = .of(base);
    for (names, &uk_gate_table) |name, *entry| {
        entry.* = symbols.find(name.text, name.hash) orelse @intFromPtr(&missing);
    }
}
