//! The kernel's generator: ChaCha with fast key erasure, seeded by the host through the run-time configuration and stirred with what the
//! processor offers. Without a seed from the host the processor's has to do.
const std = @import("std");
const x86 = @import("../arch/x86.zig");
const lock = @import("../sched/lock.zig");

var generator: std.Random.ChaCha = undefined;
var host_seed: ?[32]u8 = null;
var ready = false;

/// Keeps the host's seed; the generator is made when somebody asks for random bytes, as starting it is not cheap.
pub fn seed(from_host: ?[32]u8) void {
    host_seed = from_host;
}

noinline fn start() void {
    var key: [std.Random.ChaCha.secret_seed_length]u8 = host_seed orelse .{0} ** 32;
    generator = .init(key);
    var extra: [32]u8 = undefined;
    for (0..4) |index| {
        std.mem.writeInt(u64, extra[index * 8 ..][0..8], hardware() ^ x86.rdtsc(), .little);
    }
    generator.addEntropy(&extra);
    std.crypto.secureZero(u8, &key);
    host_seed = null;
    ready = true;
}

fn hardware() u64 {
    if (x86.cpuid(1, 0).ecx & (1 << 30) == 0) return 0;
    for (0..10) |_| if (x86.rdrand()) |value| return value;
    return 0;
}

/// At most 256 bytes at a time under the lock.
pub fn fill(buffer: []u8) void {
    std.debug.assert(buffer.len <= 256);
    lock.acquire();
    defer lock.release();
    if (!ready) start();
    generator.fill(buffer);
}
