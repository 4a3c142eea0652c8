package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.ExitCause;
import dev.metacircular.vm.VmOutcome;
import java.util.Locale;

/** How a VM's end is told, to people, to programs and as an exit status. */
final class Outcomes {
    private static final int SIGNAL_BASE = 128;
    private static final int SIGKILL = 9;

    /** What the kernel gives, with the cause of a panic, when it refuses to start a workload. */
    private static final int REFUSED = 126;

    private Outcomes() {}

    /**
     * The exit status of {@code ukernel run}: the workload's, as far as 8 bits hold it and never 0 for one that is not; 137 when the user had
     * the VM ended by force; else 125.
     */
    static int status(VmOutcome outcome) {
        return switch (outcome) {
            case VmOutcome.Exited exited when exited.cause() == ExitCause.KERNEL_PANIC -> Failures.VMM_OR_KERNEL;
            case VmOutcome.Exited exited -> {
                int low = exited.status() & 0xff;
                yield low == 0 && exited.status() != 0 ? 0xff : low;
            }
            case VmOutcome.Killed killed when killed.by() == VmOutcome.By.REQUEST -> SIGNAL_BASE + SIGKILL;
            case VmOutcome.Killed _, VmOutcome.EndedWithoutStatus _, VmOutcome.VmmFailed _ -> Failures.VMM_OR_KERNEL;
        };
    }

    static String brief(VmOutcome outcome) {
        return switch (outcome) {
            case VmOutcome.Exited(int status, ExitCause cause, String text) ->
                switch (cause) {
                    case RETURNED, VM_EXIT -> "ended, status " + status;
                    case STOP_REQUEST -> "stopped, status " + status;
                    case FAULT -> "crashed, status " + status;
                    case KERNEL_PANIC ->
                        status == REFUSED ? "the kernel could not start the workload" : "the kernel panicked";
                    case UNKNOWN -> "ended, status " + status + (text.isEmpty() ? "" : ", " + text);
                };
            case VmOutcome.Killed killed ->
                switch (killed.by()) {
                    case REQUEST -> "ended by force";
                    case HOST ->
                        "its VMM was killed from outside"
                                + (killed.signal().isPresent()
                                        ? " (signal " + killed.signal().getAsInt() + ")"
                                        : "");
                    case UNKNOWN -> "gone without a trace";
                };
            case VmOutcome.EndedWithoutStatus _ -> "ended without a status";
            case VmOutcome.VmmFailed failed ->
                "its VMM failed"
                        + (failed.exitCode().isPresent()
                                ? " (exit code " + failed.exitCode().getAsInt() + ")"
                                : "");
        };
    }

    /** Whether it was the kernel that failed: what it wrote last tells how. */
    static boolean kernelFailed(VmOutcome outcome) {
        return switch (outcome) {
            case VmOutcome.Exited exited -> exited.cause() == ExitCause.KERNEL_PANIC;
            case VmOutcome.EndedWithoutStatus _ -> true;
            case VmOutcome.Killed _, VmOutcome.VmmFailed _ -> false;
        };
    }

    static ObjectNode json(VmOutcome outcome) {
        ObjectNode node = Report.object().put("outcome", brief(outcome)).put("exit_status", status(outcome));
        switch (outcome) {
            case VmOutcome.Exited exited ->
                node.put("workload_status", exited.status())
                        .put("cause", exited.cause().name().toLowerCase(Locale.ROOT));
            case VmOutcome.Killed _ -> node.put("cause", "killed");
            case VmOutcome.EndedWithoutStatus _ -> node.put("cause", "no_status");
            case VmOutcome.VmmFailed _ -> node.put("cause", "vmm_failed");
        }
        return node;
    }
}
