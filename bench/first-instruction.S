/* The smallest guest: its first instructions write one byte to the serial line and end the machine by a triple fault. What passes from the
 * start of QEMU's process to that byte is the VMM's and its firmware's own time. */
    .section .note.pvh, "a", @note
    .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    mov $0x3f8, %edx
    mov $'!', %al
    out %al, %dx
    lidt nowhere
    int3

    .section .rodata
nowhere:
    .word 0
    .long 0
