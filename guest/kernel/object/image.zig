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
const Disk = @import("disk.zig").Disk;

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

    fn unhold(cache: *Cache, cluster: *Cluster) void {
        cluster.holders -= 1;
        if (cluster.holders == 0) if (cache.waiters.first) |task| {
            _ = scheduler.wake(task, .woken);
        };
    }

    fn find(cache: *Cache, number: u32) ?*Cluster {
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
        const count: u32 = @intCast(@min(blocks_per_cluster, cache.blockCount() - first));
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

/// Whether the disk begins as an image does. If so, it is what `mount` mounts.
pub fn attach(disk: *Disk) bool {
    blocks.init(disk);
    const first = blocks.acquire(0) catch return false;
    defer blocks.release(0);
    return std.mem.readInt(u32, first[1024..1028], .little) == erofs_magic;
}

const erofs_magic = 0xe0f5e1e2;

pub fn mount() erofs.Error!void {
    file_system = try FileSystem.mount(&blocks);
}
