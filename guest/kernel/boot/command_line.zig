//! Words of the kernel command line that the kernel understands. Unknown words are the VMM's business and ignored.
const std = @import("std");
const limits = @import("../limits.zig");

pub const VirtioDevice = struct { address: u64, bytes: u64, irq: u32 };

pub const Devices = struct {
    items: [limits.virtio_devices_max]VirtioDevice = undefined,
    count: usize = 0,

    pub fn slice(devices: *const Devices) []const VirtioDevice {
        return devices.items[0..devices.count];
    }
};

/// Every `virtio_mmio.device=<size>[KMG]@<base>:<irq>[:<id>]`, in order. A malformed word is skipped.
pub fn virtioDevices(command_line: []const u8) Devices {
    var devices: Devices = .{};
    var words = std.mem.tokenizeAny(u8, command_line, " \t\n");
    while (words.next()) |word| {
        if (devices.count == devices.items.len) break;
        const prefix = "virtio_mmio.device=";
        if (!std.mem.startsWith(u8, word, prefix)) continue;
        devices.items[devices.count] = parseDevice(word[prefix.len..]) orelse continue;
        devices.count += 1;
    }
    return devices;
}

/// QEMU's microvm without a word on the command line: eight transports in one page, most of them empty.
pub fn fixedTransports() Devices {
    var devices: Devices = .{};
    for (0..8) |index| {
        devices.items[index] = .{ .address = 0xfeb00000 + index * 512, .bytes = 512, .irq = @intCast(5 + index) };
    }
    devices.count = 8;
    return devices;
}

fn parseDevice(text: []const u8) ?VirtioDevice {
    const at = std.mem.indexOfScalar(u8, text, '@') orelse return null;
    const bytes = parseSize(text[0..at]) orelse return null;
    var parts = std.mem.splitScalar(u8, text[at + 1 ..], ':');
    const address = std.fmt.parseInt(u64, parts.first(), 0) catch return null;
    const irq = std.fmt.parseInt(u64, parts.next() orelse return null, 0) catch return null;
    if (bytes == 0 or bytes > 1 << 20 or address % 4 != 0 or address >= 1 << 44 or irq > 255) return null;
    return .{ .address = address, .bytes = bytes, .irq = @intCast(irq) };
}

fn parseSize(text: []const u8) ?u64 {
    if (text.len == 0) return null;
    const shift: u6 = switch (text[text.len - 1]) {
        'k', 'K' => 10,
        'm', 'M' => 20,
        'g', 'G' => 30,
        else => 0,
    };
    const digits = if (shift == 0) text else text[0 .. text.len - 1];
    const count = std.fmt.parseInt(u64, digits, 0) catch return null;
    return if (count > 1 << 30) null else count << shift;
}

/// The value of `name=` as a number, if the word is there and is one.
pub fn number(command_line: []const u8, name: []const u8) ?u64 {
    var words = std.mem.tokenizeAny(u8, command_line, " \t\n");
    while (words.next()) |word| {
        if (word.len <= name.len or word[name.len] != '=' or !std.mem.startsWith(u8, word, name)) continue;
        return std.fmt.parseInt(u64, word[name.len + 1 ..], 0) catch null;
    }
    return null;
}

test "QEMU's and Firecracker's words" {
    const devices = virtioDevices("quiet virtio_mmio.device=512@0xfeb00e00:12 x virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@zz:5");
    try std.testing.expectEqualSlices(VirtioDevice, &.{
        .{ .address = 0xfeb00e00, .bytes = 512, .irq = 12 },
        .{ .address = 0xc0001000, .bytes = 4096, .irq = 5 },
    }, devices.slice());
}

test "numbers" {
    try std.testing.expectEqual(4, number("a ukernel.cpus=4 b", "ukernel.cpus"));
    try std.testing.expectEqual(null, number("ukernel.cpus=x", "ukernel.cpus"));
}
