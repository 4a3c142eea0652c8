//! The kernel's generator: ChaCha with fast key erasure, seeded by the host through the run-time configuration and stirred with what the
//! processor offers. Without a seed from the host it says so once and goes on with the processor's.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const lock = @import("../sched/lock.zig");

var generator: std.Random.ChaCha = undefined;
var ready = false;

pub fn init(host_seed: ?[32]u8) void {
    var seed: [std.Random.ChaCha.secret_seed_length]u8 = host_seed orelse .{0} ** 32;
    generator = .init(seed);
    var extra: [32]u8 = undefined;
    for (0..4) |index| {
        std.mem.writeInt(u64, extra[index * 8 ..][0..8], hardware() ^ x86.rdtsc(), .little);
    }
    generator.addEntropy(&extra);
    std.crypto.secureZero(u8, &seed);
    ready = true;
}

fn hardware() u64 {
    if (x86.cpuid(1, 0).ecx & (1 << 30) == 0) return 0;
    for (0..10) |_| if (x86.rdrand()) |value| return value;
    return 0;
}

/// At most 256 bytes at a time under the lock.
pub fn fill(buffer: []u8) void {
    std.debug.assert(ready and buffer.len <= 256);
    lock.acquire();
    defer lock.release();
    generator.fill(buffer);
}
