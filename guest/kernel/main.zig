const std = @import("std");
export fn kernel_main() noreturn {
    while (true) {}
}
comptime {
    asm (".section .boot,\"ax\"\n.globl pvh_entry\npvh_entry: jmp kernel_main");
}
