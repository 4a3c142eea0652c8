//! Unit tests of the device drivers, over simulated devices.
test {
    _ = @import("virtio_block_test.zig");
    _ = @import("virtio_net_test.zig");
    _ = @import("channel_test.zig");
    _ = @import("serial_test.zig");
}
