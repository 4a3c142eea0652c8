package dev.metacircular.vm;

import java.util.OptionalInt;

/** How a VM ended. */
public sealed interface VmOutcome {
    /**
     * The guest ended and said so in its channel's exit record.
     *
     * @param status the workload's status
     * @param cause why it ended
     * @param text what the guest added, may be empty
     */
    record Exited(int status, ExitCause cause, String text) implements VmOutcome {}

    /**
     * The VMM was ended before the guest left an exit record.
     *
     * @param by who ended it
     * @param signal the signal, where it is known
     */
    record Killed(By by, OptionalInt signal) implements VmOutcome {}

    /**
     * The VMM ended in order, but the guest left no exit record: it reset or shut down by itself, as a kernel does that faults
     * before it can write.
     *
     * @param consoleTail the end of its console
     */
    record EndedWithoutStatus(String consoleTail) implements VmOutcome {}

    /**
     * The VMM failed.
     *
     * @param exitCode its exit code where it is known; 128 and the signal's number for a signal
     * @param errors what it wrote to its standard error
     */
    record VmmFailed(OptionalInt exitCode, String errors) implements VmOutcome {}

    /** Who ended a VMM. */
    enum By {
        /** A forced stop through this library. */
        REQUEST,
        /** Someone else on the host: an operator, the kernel's out-of-memory killer. */
        HOST,
        /** It is gone and nothing was left behind that says why, as after a loss of power. */
        UNKNOWN
    }
}
