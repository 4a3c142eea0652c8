//! Unit tests of the file system reader and the formats the kernel reads from it.
test {
    _ = @import("erofs_test.zig");
    _ = @import("elf_test.zig");
    _ = @import("text_test.zig");
}
