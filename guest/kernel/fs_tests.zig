//! Unit tests of the file system reader and the text forms; in this folder because they use modules beside their own.
test {
    _ = @import("fs/tests.zig");
}
