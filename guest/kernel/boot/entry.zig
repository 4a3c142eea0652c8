//! From the VMM's PVH entry (32-bit, paging off, EBX = hvm_start_info) and from an application processor's
//! start-up vector to 64-bit code in the upper half.
//!
//! The boot page tables map the first GiB twice, at 0 and at the kernel's base. They are left for the final tables as soon as
//! those stand, and used again only while another CPU climbs through its trampoline.

const options = @import("../options.zig").chosen;

pub const kernel_base: u64 = 0xffff_ffff_8000_0000;
/// Where the trampoline is copied to: a free page below 1 MiB, whose number is the start-up vector.
pub const trampoline_phys: u64 = 0x8000;

comptime {
    asm (
        \\.pushsection .note.pvh, "a", @note
        \\ .long 4, 4, 18
        \\ .asciz "Xen"
        \\ .long pvh_entry
        \\.popsection
        \\
        \\.pushsection .bss
        \\ .balign 4096
        \\boot_pml4: .skip 4096
        \\boot_pdpt: .skip 4096
        \\boot_pd:   .skip 4096
        \\ .balign 16
        \\ .globl boot_idle_stack_top
        \\ .skip 12288
        \\boot_idle_stack_top:
        \\ .skip 4096
        \\ .globl boot_stack_top
        \\boot_stack_top:
        \\.popsection
        \\
        \\.pushsection .boot, "ax", @progbits
        \\.set KBASE, 0xffffffff80000000
        \\.code32
        \\.globl pvh_entry
        \\pvh_entry:
        \\ cli
        \\ cld
        \\ rdtsc
        \\ movl %eax, %edi
        \\ movl %edx, %ebp
        \\ movl %ebx, %esi
        \\ movl $(boot_pdpt - KBASE + 3), %eax
        \\ movl %eax, (boot_pml4 - KBASE)
        \\ movl %eax, (boot_pml4 - KBASE + 8*511)
        \\ movl $(boot_pd - KBASE + 3), %eax
        \\ movl %eax, (boot_pdpt - KBASE)
        \\ movl %eax, (boot_pdpt - KBASE + 8*510)
        \\ movl $0x83, %eax
        \\ movl $(boot_pd - KBASE), %edx
        \\ movl $512, %ecx
        \\1:
        \\ movl %eax, (%edx)
        \\ addl $0x200000, %eax
        \\ addl $8, %edx
        \\ decl %ecx
        \\ jnz 1b
        \\ lgdt (boot_gdt_pointer)
        \\ movl %cr4, %eax
        \\ orl $0x20, %eax
        \\ movl %eax, %cr4
        \\ movl $(boot_pml4 - KBASE), %eax
        \\ movl %eax, %cr3
        \\ movl $0xc0000080, %ecx
        \\ rdmsr
        \\ orl $0x901, %eax
        \\ wrmsr
        \\ movl $0x80010033, %eax
        \\ movl %eax, %cr0
        \\ ljmp $0x08, $boot_long
        \\.code64
        \\boot_long:
        \\ movl $0x10, %eax
        \\ movl %eax, %ds
        \\ movl %eax, %es
        \\ movl %eax, %ss
        \\ xorl %eax, %eax
        \\ movl %eax, %fs
        \\ movl %eax, %gs
        \\ movq $boot_stack_top, %rsp
        \\ movl %edi, %edi
        \\ movl %ebp, %eax
        \\ shlq $32, %rax
        \\ orq %rax, %rdi
        \\ movl %esi, %esi
        \\ xorl %ebp, %ebp
        \\ movabsq $kernel_main, %rax
        \\ pushq $0
        \\ jmp *%rax
        \\
        \\.balign 16
        \\boot_gdt:
        \\ .quad 0
        \\ .quad 0x00af9b000000ffff
        \\ .quad 0x00cf93000000ffff
        \\ .quad 0x00cf9b000000ffff
        \\boot_gdt_pointer:
        \\ .word 31
        \\ .long boot_gdt
        \\.popsection
        \\
    );
    if (options.smp) asm (
        \\.pushsection .rodata
        \\.globl ap_trampoline_start
        \\.globl ap_trampoline_end
        \\.code16
        \\ap_trampoline_start:
        \\ cli
        \\ cld
        \\ movw %cs, %ax
        \\ movw %ax, %ds
        \\ lgdtl (ap_gdt_pointer - ap_trampoline_start)
        \\ movl %cr0, %eax
        \\ orl $1, %eax
        \\ movl %eax, %cr0
        \\ ljmpl $0x18, $(ap_protected - ap_trampoline_start + 0x8000)
        \\.code32
        \\ap_protected:
        \\ movw $0x10, %ax
        \\ movw %ax, %ds
        \\ movw %ax, %es
        \\ movw %ax, %ss
        \\ movl $0x20, %eax
        \\ movl %eax, %cr4
        \\ movl $(boot_pml4 - KBASE), %eax
        \\ movl %eax, %cr3
        \\ movl $0xc0000080, %ecx
        \\ rdmsr
        \\ orl $0x901, %eax
        \\ wrmsr
        \\ movl $0x80010033, %eax
        \\ movl %eax, %cr0
        \\ ljmpl $0x08, $(ap_long - ap_trampoline_start + 0x8000)
        \\.code64
        \\ap_long:
        \\ movq $ap_climb, %rax
        \\ jmp *%rax
        \\.balign 8
        \\ap_gdt_pointer:
        \\ .word 31
        \\ .long boot_gdt
        \\ap_trampoline_end:
        \\.popsection
        \\.code64
        \\
        \\.pushsection .text
        \\ap_climb:
        \\ movq ap_root, %rax
        \\ movq %rax, %cr3
        \\ movl $1, %eax
        \\ lock xaddl %eax, ap_next_index
        \\ movl %eax, %edi
        \\ cmpl ap_index_end, %edi
        \\ jae 2f
        \\ movq ap_stack_tops(,%rdi,8), %rsp
        \\ xorl %ebp, %ebp
        \\ pushq $0
        \\ jmp ap_main
        \\2:
        \\ cli
        \\ hlt
        \\ jmp 2b
        \\.popsection
    );
}
