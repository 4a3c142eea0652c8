//! Two stacks and a link between them that loses, duplicates, reorders and delays by a seed: the same seed gives the same run. Time is simulated.
const std = @import("std");
const builtin = @import("builtin");
const ethernet = @import("ethernet.zig");
const heap = @import("../sched/heap.zig");
const stack_file = @import("stack.zig");
const Stack = stack_file.Stack;
const TestMemory = @import("test_memory.zig").TestMemory;

pub const Faults = struct {
    loss_permille: u32 = 0,
    duplicate_permille: u32 = 0,
    reorder_permille: u32 = 0,
    delay_ns: u64 = 100_000,
    /// A reordered frame comes up to so much later.
    reorder_ns: u64 = 2_000_000,
    /// 0: no limit.
    bytes_per_second: u64 = 0,
};

const allocator = if (builtin.is_test) std.testing.allocator else std.heap.smp_allocator;

const Event = struct {
    due_ns: u64,
    order: u64,
    to: u1,
    length: u32,
    links: heap.Links = .{},
    bytes: [ethernet.frame_bytes_max]u8,

    fn less(a: *const Event, b: *const Event) bool {
        return if (a.due_ns != b.due_ns) a.due_ns < b.due_ns else a.order < b.order;
    }
};

pub const addresses = [2]u32{ 0x0a00_0001, 0x0a00_0002 };
pub const macs = [2]ethernet.Mac{ .{ 2, 0, 0, 0, 0, 1 }, .{ 2, 0, 0, 0, 0, 2 } };

pub const Network = struct {
    random: std.Random.DefaultPrng,
    faults: Faults,
    now_ns: u64 = 1_000_000_000,
    order: u64 = 0,
    events: heap.Heap(Event, "links", Event.less) = .{},
    events_count: u32 = 0,
    free_ns: [2]u64 = @splat(0),
    given: [2]TestMemory,
    nodes: [2]Stack = undefined,
    /// Frames that left each node, before the link did anything to them.
    sent: [2]u64 = @splat(0),
    /// Sees every frame that leaves; what it returns false for is lost.
    tap: ?*const fn (network: *Network, from: u1, frame: []const u8) bool = null,
    context: ?*anyopaque = null,

    pub const Setup = struct {
        pages_max: u32 = 8192,
        start_ns: u64 = 1_000_000_000,
        mtu: u16 = 1500,
        /// The first node's connections offer what RFC 2018 and RFC 7323 have.
        options: bool = true,
        /// Users read seldom, so that windows shut.
        slow: bool = false,
        /// The first node asks for its address.
        dhcp: bool = false,
        addressing: [2]stack_file.Addressing = .{ neighbour(0), neighbour(1) },

        fn neighbour(index: u1) stack_file.Addressing {
            return .{ .fixed = .{ .address = addresses[index], .prefix = 24, .gateway = 0 } };
        }
    };

    pub fn create(seed: u64, faults: Faults, setup: Setup) !*Network {
        const network = try allocator.create(Network);
        network.* = .{
            .random = .init(seed),
            .faults = faults,
            .now_ns = setup.start_ns,
            .given = .{ .{ .pages_max = setup.pages_max }, .{ .pages_max = setup.pages_max } },
        };
        for (&network.nodes, 0..) |*node, index| {
            var key: [16]u8 = undefined;
            network.random.random().bytes(&key);
            node.init(.{
                .mac = macs[index],
                .addressing = if (setup.dhcp and index == 0) .dhcp else setup.addressing[index],
                .seed = key,
                .mtu = setup.mtu,
            }, network.given[index].memory(), network.now_ns);
        }
        network.settle();
        return network;
    }

    pub fn destroy(network: *Network) void {
        while (network.events.removeMin()) |event| allocator.destroy(event);
        for (&network.given) |*given| given.deinit();
        allocator.destroy(network);
    }

    pub fn below(network: *Network, bound: u64) u64 {
        return network.random.random().uintLessThan(u64, bound);
    }

    fn chance(network: *Network, permille: u32) bool {
        return permille > 0 and network.below(1000) < permille;
    }

    /// Takes what both nodes have to send.
    pub fn settle(network: *Network) void {
        for (0..2) |index| {
            var out: [ethernet.frame_bytes_max]u8 = undefined;
            while (network.nodes[index].transmit(network.now_ns, &out)) |frame| {
                network.sent[index] += 1;
                const bytes = out[0..frame.length];
                if (network.tap) |tap| if (!tap(network, @intCast(index), bytes)) continue;
                network.put(@intCast(index), bytes);
            }
        }
    }

    pub fn put(network: *Network, from: u1, bytes: []const u8) void {
        if (network.chance(network.faults.loss_permille)) return;
        network.deliver(from, bytes);
        if (network.chance(network.faults.duplicate_permille)) network.deliver(from, bytes);
    }

    fn deliver(network: *Network, from: u1, bytes: []const u8) void {
        var due = network.now_ns;
        if (network.faults.bytes_per_second > 0) {
            due = @max(due, network.free_ns[from]) + bytes.len * 1_000_000_000 / network.faults.bytes_per_second;
            network.free_ns[from] = due;
        }
        due += network.faults.delay_ns;
        if (network.chance(network.faults.reorder_permille)) due += network.below(network.faults.reorder_ns);
        const event = allocator.create(Event) catch @panic("no memory for the simulation");
        event.* = .{ .due_ns = due, .order = network.order, .to = ~from, .length = @intCast(bytes.len), .bytes = undefined };
        @memcpy(event.bytes[0..bytes.len], bytes);
        network.order += 1;
        network.events_count += 1;
        network.events.insert(event);
    }

    /// Goes to the next thing that happens; false when nothing ever will, or not before `until_ns`.
    pub fn step(network: *Network, until_ns: u64) bool {
        network.settle();
        var next_ns = @min(network.nodes[0].deadline(), network.nodes[1].deadline());
        if (network.events.min()) |event| next_ns = @min(next_ns, event.due_ns);
        if (next_ns > until_ns) {
            network.now_ns = @max(network.now_ns, until_ns);
            return false;
        }
        network.now_ns = @max(network.now_ns, next_ns);
        for (&network.nodes) |*node| if (node.deadline() <= network.now_ns) node.advance(network.now_ns);
        while (network.events.min()) |event| {
            if (event.due_ns > network.now_ns) break;
            _ = network.events.removeMin();
            network.events_count -= 1;
            network.nodes[event.to].receive(event.bytes[0..event.length], .unknown, network.now_ns);
            allocator.destroy(event);
            // One at a time, as an interrupt per frame would.
            network.settle();
        }
        return true;
    }

    pub fn run(network: *Network, duration_ns: u64) void {
        const until = network.now_ns + duration_ns;
        while (network.step(until)) {}
    }

    /// What must hold when all is closed and has waited out its end.
    pub fn expectEmpty(network: *Network) !void {
        for (&network.nodes, &network.given) |*node, *given| {
            const left = [_]u32{ node.connections.used, node.embryos.used, node.time_waits.pool.used, node.flows.count, node.memory.pages_used, given.pages_given };
            for (left) |count| if (count != 0) {
                std.debug.print("left: connections, embryos, waiting, flows, pages, pages given: {any}\n", .{left});
                return error.SomethingLeft;
            };
        }
    }
};
