//! The image's blocks: read from the disk in clusters of 32 KiB and kept, as many as memory allows; the least recently used goes
//! first. All reading of the file system goes through here.
const std = @import("std");
const limits = @import("../limits.zig");
const frames = @import("../mem/frames.zig");
const layout = @import("../mem/layout.zig");
const lock = @import("../sched/lock.zig");
const scheduler = @import("../sched/scheduler.zig");
const task_object = @import("task.zig");
const erofs = @import("../fs/erofs.zig");
const disk_object = @import("disk.zig");
const Disk = disk_object.Disk;

pub const FileSystem = erofs.FileSystem(Cache);

const blocks_per_cluster = 8;
const clusters_max = 128;
/// A cache may take this part of memory.
const memory_divisor = 256;

const Cluster = struct {
    state: enum { empty, loading, ready } = .empty,
    number: u32 = 0,
    frames: [blocks_per_cluster]frames.Frame = .{0} ** blocks_per_cluster,
    /// Blocks held through `acquire`, and tasks that wait for the loading.
    holders: u32 = 0,
    last_used: u64 = 0,
    /// Asked for ahead, and nobody waits for it yet; the state is loading.
    is_ahead: bool = false,
    request: disk_object.Request = .{},
    waiters: task_object.WaitQueue = .{},
};

pub const Cache = struct {
    disk: *Disk,
    clusters: [clusters_max]Cluster = .{Cluster{}} ** clusters_max,
    cluster_count: u32 = 0,
    clock: u64 = 0,
    /// Tasks that found every cluster held.
    waiters: task_object.WaitQueue = .{},

    /// Turns to another disk, before anything else uses the cache.
    fn init(cache: *Cache, disk: *Disk) void {
        cache.disk = disk;
        for (cache.clusters[0..cache.cluster_count]) |*cluster| cluster.state = .empty;
        cache.cluster_count = std.math.clamp(frames.total / memory_divisor, 2, clusters_max);
    }

    pub fn blockCount(cache: *Cache) u64 {
        return cache.disk.sectors / 8;
    }

    fn blocksIn(cache: *Cache, number: u32) u32 {
        return @intCast(@min(blocks_per_cluster, cache.blockCount() - number * blocks_per_cluster));
    }

    /// A block's content, valid until the matching release.
    pub fn acquire(cache: *Cache, block: u32) error{DeviceError}!*const erofs.Block {
        if (block >= cache.blockCount()) return error.DeviceError;
        const number = block / blocks_per_cluster;
        lock.acquire();
        defer lock.release();
        const cluster = try cache.obtain(number);
        cache.clock += 1;
        cluster.last_used = cache.clock;
        return layout.page(cluster.frames[block % blocks_per_cluster]);
    }

    pub fn release(cache: *Cache, block: u32) void {
        lock.acquire();
        defer lock.release();
        const cluster = cache.find(block / blocks_per_cluster).?;
        cache.unhold(cluster);
    }

    noinline fn unhold(cache: *Cache, cluster: *Cluster) void {
        cluster.holders -= 1;
        if (cluster.holders == 0) if (cache.waiters.first) |task| {
            _ = scheduler.wake(task, .woken);
        };
    }

    noinline fn find(cache: *Cache, number: u32) ?*Cluster {
        for (cache.clusters[0..cache.cluster_count]) |*cluster| {
            if (cluster.state != .empty and cluster.number == number) return cluster;
        }
        return null;
    }

    /// The cluster, held once more and loaded. The lock is held, and free while waiting.
    fn obtain(cache: *Cache, number: u32) error{DeviceError}!*Cluster {
        while (true) {
            if (cache.find(number)) |cluster| {
                if (cluster.state == .ready) {
                    cluster.holders += 1;
                    return cluster;
                }
                if (cluster.is_ahead) {
                    cache.take(cluster);
                    continue;
                }
                cluster.waiters.append(scheduler.current());
                _ = scheduler.block(scheduler.forever, false);
                continue;
            }
            const victim = cache.chooseVictim() orelse {
                cache.waiters.append(scheduler.current());
                _ = scheduler.block(scheduler.forever, false);
                continue;
            };
            try cache.load(victim, number);
            return victim;
        }
    }

    /// Takes what was asked for ahead: the cluster is ready then, or empty. The lock is held, and free while waiting.
    fn take(cache: *Cache, cluster: *Cluster) void {
        cluster.is_ahead = false;
        if (cache.disk.finish(&cluster.request)) |_| cluster.state = .ready else |_| cluster.state = .empty;
        while (cluster.waiters.first) |task| _ = scheduler.wake(task, .woken);
    }

    fn chooseVictim(cache: *Cache) ?*Cluster {
        var oldest: ?*Cluster = null;
        for (cache.clusters[0..cache.cluster_count]) |*cluster| {
            if (cluster.state == .empty) return cluster;
            if (cluster.state == .loading or cluster.holders != 0) continue;
            if (oldest == null or cluster.last_used < oldest.?.last_used) oldest = cluster;
        }
        return oldest;
    }

    fn load(cache: *Cache, cluster: *Cluster, number: u32) error{DeviceError}!void {
        cluster.state = .loading;
        cluster.number = number;
        cluster.holders = 1;
        const first = number * blocks_per_cluster;
        const count = cache.blocksIn(number);
        const outcome = cache.fillFrames(cluster, first, count);
        while (cluster.waiters.first) |task| _ = scheduler.wake(task, .woken);
        if (outcome) |_| {
            cluster.state = .ready;
        } else |failure| {
            cluster.state = .empty;
            cache.unhold(cluster);
            return failure;
        }
    }

    /// Asks for a cluster that is likely to be wanted soon, if memory gives its frames in one piece. The lock is held.
    fn ask(cache: *Cache, cluster: *Cluster, number: u32) void {
        const count = cache.blocksIn(number);
        for (cluster.frames[0..count], 0..) |*frame, index| {
            frame.* = frames.allocate() orelse return;
            if (frame.* != cluster.frames[0] + index) return;
        }
        if (!cache.disk.ask(@as(u64, number) * blocks_per_cluster * 8, cluster.frames[0], count * @as(u32, limits.page_bytes), &cluster.request)) return;
        cluster.is_ahead = true;
        cluster.state = .loading;
        cluster.number = number;
    }

    fn fillFrames(cache: *Cache, cluster: *Cluster, first: u32, count: u32) error{DeviceError}!void {
        for (cluster.frames[0..count]) |*frame| {
            if (frame.* != 0) continue;
            // The reserve may be used: memory that has run out must still be able to page in what it runs.
            frame.* = frames.allocate() orelse return error.DeviceError;
        }
        lock.release();
        defer lock.acquire();
        return cache.disk.readFrames(@as(u64, first) * 8, cluster.frames[0..count]);
    }
};

var blocks: Cache = .{ .disk = undefined };
pub var file_system: FileSystem = undefined;

/// Asks a disk that may hold the image for its beginning, which mounting reads, and for its end, where a small image has its program. The
/// lock is held.
pub fn ask(disk: *Disk) void {
    blocks.init(disk);
    const end = std.math.divCeil(u64, blocks.blockCount(), blocks_per_cluster) catch unreachable;
    if (end == 0 or end > std.math.maxInt(u32) / blocks_per_cluster) return;
    const last: u32 = @intCast(end - 1);
    blocks.ask(&blocks.clusters[0], 0);
    if (blocks.cluster_count < 2 * asked_max) return;
    for (1..asked_max) |index| {
        if (index > last) break;
        blocks.ask(&blocks.clusters[index], last + 1 - @as(u32, @intCast(index)));
    }
}

const asked_max = 3;

/// Whether the disk begins as an image does. If so, it is what `mount` mounts.
pub fn attach(disk: *Disk) bool {
    if (blocks.cluster_count == 0 or blocks.disk != disk) {
        lock.acquire();
        defer lock.release();
        for (blocks.clusters[0..asked_max]) |*cluster| if (cluster.is_ahead) blocks.take(cluster);
        blocks.init(disk);
    }
    const first = blocks.acquire(0) catch return false;
    defer blocks.release(0);
    return std.mem.readInt(u32, first[1024..1028], .little) == erofs_magic;
}

const erofs_magic = 0xe0f5e1e2;

pub fn mount() erofs.Error!void {
    file_system = try FileSystem.mount(&blocks);
}
