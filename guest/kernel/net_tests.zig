//! Unit tests of the network stack, over a simulated network.
test {
    _ = @import("net/chain.zig");
    _ = @import("net/checksum.zig");
    _ = @import("net/sequence.zig");
    _ = @import("net/round_trip.zig");
    _ = @import("net/ipv4.zig");
    _ = @import("net/arp.zig");
    _ = @import("net/flows.zig");
    _ = @import("net/replies.zig");
    _ = @import("net/tcp_segment.zig");
    _ = @import("net/link_test.zig");
    _ = @import("net/dhcp_test.zig");
    _ = @import("net/transfer_test.zig");
    _ = @import("net/fuzz.zig");
    _ = @import("net/tcp_rules_test.zig");
    _ = @import("net/tcp_recovery_test.zig");
    _ = @import("net/tcp_life_test.zig");
    _ = @import("net/tcp_load_test.zig");
    @import("std").testing.refAllDecls(@import("net/stack.zig").Stack);
}
