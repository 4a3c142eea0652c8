//! Words of the kernel command line that the kernel understands. Unknown words are the VMM's business and ignored.
const std = @import("std");
const limits = @import("../limits.zig");

pub const VirtioDevice = struct { address: u64, bytes: u64, irq: u32 };

pub const Settings = struct {
    devices: [limits.virtio_devices_max]VirtioDevice = undefined,
    device_count: usize = 0,
    /// `ukernel.cpus=` and `ukernel.selftest=`; the first of several counts.
    cpus: ?u64 = null,
    selftest: ?u64 = null,

    /// Every `virtio_mmio.device=<size>[KMG]@<base>:<irq>[:<id>]`, in order; without any, QEMU's microvm: eight transports in one page,
    /// most of them empty. A malformed word is skipped.
    pub fn read(settings: *Settings, text: []const u8) void {
        @setRuntimeSafety(limits.start_checks);
        var at: usize = 0;
        while (true) {
            while (at < text.len and text[at] <= ' ') at += 1;
            if (at == text.len) break;
            const start = at;
            while (at < text.len and text[at] > ' ') at += 1;
            settings.take(text[start..at]);
        }
        if (settings.device_count != 0) return;
        for (settings.devices[0..8], 0..) |*device, index| {
            device.* = .{ .address = 0xfeb00000 + index * 512, .bytes = 512, .irq = @intCast(5 + index) };
        }
        settings.device_count = 8;
    }

    pub fn deviceSlice(settings: *const Settings) []const VirtioDevice {
        return settings.devices[0..settings.device_count];
    }

    fn take(settings: *Settings, word: []const u8) void {
        @setRuntimeSafety(limits.start_checks);
        const names = [_][]const u8{ "virtio_mmio.device=", "ukernel.cpus=", "ukernel.selftest=" };
        const which = for (names, 0..) |name, index| {
            if (begins(word, name)) break index;
        } else return;
        var value: Value = .{ .text = word[names[which].len..] };
        if (which == 0) return settings.addDevice(&value);
        const number = value.number() orelse return;
        if (value.text.len != 0) return;
        const place = if (which == 1) &settings.cpus else &settings.selftest;
        if (place.* == null) place.* = number;
    }

    fn addDevice(settings: *Settings, value: *Value) void {
        @setRuntimeSafety(limits.start_checks);
        if (settings.device_count == settings.devices.len) return;
        const bytes = value.size() orelse return;
        if (!value.skip('@')) return;
        const address = value.number() orelse return;
        if (!value.skip(':')) return;
        const irq = value.number() orelse return;
        if (value.text.len != 0 and value.text[0] != ':') return;
        if (bytes == 0 or bytes > 1 << 20 or address % 4 != 0 or address >= 1 << 44 or irq > 255) return;
        settings.devices[settings.device_count] = .{ .address = address, .bytes = bytes, .irq = @intCast(irq) };
        settings.device_count += 1;
    }
};

noinline fn begins(text: []const u8, with: []const u8) bool {
    @setRuntimeSafety(limits.start_checks);
    if (text.len < with.len) return false;
    for (text[0..with.len], with) |a, b| if (a != b) return false;
    return true;
}

const Value = struct {
    text: []const u8,

    /// A decimal number, or one in hexadecimal behind 0x; null where none stands or it is too long.
    noinline fn number(value: *Value) ?u64 {
        @setRuntimeSafety(limits.start_checks);
        const text = value.text;
        const hexadecimal = begins(text, "0x");
        const start: usize = if (hexadecimal) 2 else 0;
        const base: u64 = if (hexadecimal) 16 else 10;
        var result: u64 = 0;
        var at = start;
        while (at < text.len) : (at += 1) {
            const figure = text[at] -% '0';
            const letter = (text[at] | 0x20) -% 'a';
            const digit: u64 = if (figure < 10) figure else @as(u64, letter) + 10;
            if (digit >= base) break;
            if (result >> 59 != 0) return null;
            result = result * base + digit;
        }
        if (at == start) return null;
        value.text = text[at..];
        return result;
    }

    fn size(value: *Value) ?u64 {
        @setRuntimeSafety(limits.start_checks);
        const count = value.number() orelse return null;
        if (value.text.len == 0 or count > 1 << 30) return null;
        const shift: u6 = switch (value.text[0] | 0x20) {
            'k' => 10,
            'm' => 20,
            'g' => 30,
            else => return count,
        };
        value.text = value.text[1..];
        return count << shift;
    }

    fn skip(value: *Value, separator: u8) bool {
        if (value.text.len == 0 or value.text[0] != separator) return false;
        value.text = value.text[1..];
        return true;
    }
};

test "QEMU's and Firecracker's words" {
    var settings: Settings = .{};
    settings.read("quiet virtio_mmio.device=512@0xfeb00e00:12 x virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@zz:5 virtio_mmio.device=1:2");
    try std.testing.expectEqualSlices(VirtioDevice, &.{
        .{ .address = 0xfeb00e00, .bytes = 512, .irq = 12 },
        .{ .address = 0xc0001000, .bytes = 4096, .irq = 5 },
    }, settings.deviceSlice());
}

test "without a device's word, the fixed transports" {
    var settings: Settings = .{};
    settings.read("");
    try std.testing.expectEqual(8, settings.device_count);
    try std.testing.expectEqual(VirtioDevice{ .address = 0xfeb00e00, .bytes = 512, .irq = 12 }, settings.devices[7]);
}

test "numbers" {
    var settings: Settings = .{};
    settings.read("a ukernel.cpus=4 ukernel.cpus=5\tukernel.selftest=0x1F");
    try std.testing.expectEqual(4, settings.cpus);
    try std.testing.expectEqual(31, settings.selftest);
    settings = .{};
    settings.read("ukernel.cpus=x ukernel.cpu=3 ukernel.selftest=99999999999999999999999 ukernel.cpus=7z");
    try std.testing.expectEqual(null, settings.cpus);
    try std.testing.expectEqual(null, settings.selftest);
}
