package dev.metacircular.vm;

/** Why the guest ended, as its exit record says ({@code docs/image-format.md}, «Channel»). */
public enum ExitCause {
    /** The workload's first task returned. */
    RETURNED,
    /** The workload called {@code vm_exit}. */
    VM_EXIT,
    /** The host asked for a stop. */
    STOP_REQUEST,
    /** A fault that nobody handled. */
    FAULT,
    /** The kernel panicked. */
    KERNEL_PANIC,
    /** A code that this version does not know. */
    UNKNOWN;

    static ExitCause of(int code) {
        return switch (code) {
            case 0 -> RETURNED;
            case 1 -> VM_EXIT;
            case 2 -> STOP_REQUEST;
            case 3 -> FAULT;
            case 4 -> KERNEL_PANIC;
            default -> UNKNOWN;
        };
    }
}
