package dev.metacircular.vm;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a VMM's exit code and error output say about its end. */
sealed interface VmmEnd {
    /** It ended in order, at the guest's will. */
    record Regular() implements VmmEnd {}

    /** Someone on the host ended it. */
    record Signalled(int signal) implements VmmEnd {}

    /** It failed: an error of its own, or a signal that means a fault. */
    record Failed() implements VmmEnd {}

    /** QEMU catches SIGHUP, SIGINT and SIGTERM, says so, and exits with 0. */
    Pattern QEMU_TERMINATED = Pattern.compile("terminating on signal ([0-9]{1,3})");

    /** Firecracker's words for a guest that reset itself by a triple fault; it exits with 1. */
    String FIRECRACKER_TRIPLE_FAULT = "Unexpected exit reason on vcpu run: Shutdown";

    int SIGNAL_BASE = 128;

    /**
     * Classifies an end.
     *
     * @param exitCode as a shell gives it: 128 and the signal's number for a signal
     */
    static VmmEnd of(int exitCode, String errors) {
        Matcher terminated = QEMU_TERMINATED.matcher(errors);
        if (exitCode == 0) {
            return terminated.find() ? new Signalled(Integer.parseInt(terminated.group(1))) : new Regular();
        }
        if (exitCode == 1 && errors.contains(FIRECRACKER_TRIPLE_FAULT)) {
            return new Regular();
        }
        // SIGHUP, SIGINT, SIGKILL and SIGTERM come from outside; SIGABRT, SIGSEGV and the like from the VMM itself.
        return switch (exitCode - SIGNAL_BASE) {
            case 1, 2, 9, 15 -> new Signalled(exitCode - SIGNAL_BASE);
            default -> new Failed();
        };
    }
}
