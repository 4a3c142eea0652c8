//! `memset` by string instructions. The compiler's runtime library has one that stores byte by byte where vector registers are not to be used, and the
//! kernel fills much: pages, and in a checked build whatever is undefined.
comptime {
    asm (
        \\.pushsection .text
        \\.globl memset
        \\.type memset, @function
        \\memset:
        \\ movq %rdi, %r8
        \\ movzbl %sil, %eax
        \\ movabsq $0x0101010101010101, %rcx
        \\ imulq %rcx, %rax
        \\ movq %rdx, %rcx
        \\ shrq $3, %rcx
        \\ rep stosq
        \\ movl %edx, %ecx
        \\ andl $7, %ecx
        \\ rep stosb
        \\ movq %r8, %rax
        \\ ret
        \\.popsection
    );
}
