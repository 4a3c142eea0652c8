//! What the VMM hands over (Xen's PVH start info, version 1): command line, memory map, first module. Everything is
//! copied before page tables change, because the VMM may have put it anywhere.
const std = @import("std");
const limits = @import("../limits.zig");

const StartInfo = extern struct {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
};
const Module = extern struct { address: u64, bytes: u64, command_line: u64, reserved: u64 };
pub const MapEntry = extern struct { address: u64, bytes: u64, kind: u32, reserved: u32 };

pub const magic: u32 = 0x336ec578;
pub const kind_usable: u32 = 1;
/// What the boot page tables reach.
const reachable_end: u64 = 1 << 30;

pub const BootInformation = struct {
    command_line: [limits.command_line_bytes_max]u8 = undefined,
    command_line_bytes: usize = 0,
    map: [limits.memory_map_entries_max]MapEntry = undefined,
    map_entries: usize = 0,
    module_address: u64 = 0,
    module_bytes: u64 = 0,

    pub fn commandLine(info: *const BootInformation) []const u8 {
        return info.command_line[0..info.command_line_bytes];
    }
};

pub fn read(info: *BootInformation, start_info_phys: u64) error{ NoStartInfo, NoMemoryMap }!void {
    @setRuntimeSafety(limits.start_checks);
    if (start_info_phys == 0 or start_info_phys >= reachable_end) return error.NoStartInfo;
    const start: *align(4) const StartInfo = @ptrFromInt(start_info_phys);
    if (start.magic != magic) return error.NoStartInfo;
    if (start.command_line != 0 and start.command_line < reachable_end - limits.command_line_bytes_max) {
        const text: [*]const u8 = @ptrFromInt(start.command_line);
        while (info.command_line_bytes < limits.command_line_bytes_max and text[info.command_line_bytes] != 0) {
            info.command_line[info.command_line_bytes] = text[info.command_line_bytes];
            info.command_line_bytes += 1;
        }
    }
    if (start.module_count > 0 and start.modules != 0 and start.modules < reachable_end) {
        const module: *align(4) const Module = @ptrFromInt(start.modules);
        info.module_address = module.address;
        info.module_bytes = module.bytes;
    }
    if (start.version < 1 or start.memory_map == 0 or start.memory_map >= reachable_end) return error.NoMemoryMap;
    const map: [*]align(4) const MapEntry = @ptrFromInt(start.memory_map);
    const entries = @min(start.memory_map_entries, limits.memory_map_entries_max);
    for (map[0..entries]) |entry| {
        if (entry.bytes == 0) continue;
        info.map[info.map_entries] = entry;
        info.map_entries += 1;
    }
}
