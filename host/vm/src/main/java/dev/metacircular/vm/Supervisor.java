package dev.metacircular.vm;

import dev.metacircular.vm.VmException.Fault;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Launches a VMM so that it belongs to no terminal and to no process of ours: in a session of its own, under {@code supervise.sh}. */
final class Supervisor {
    /** What a VMM needs of the environment; secrets of the caller's are none of its business. */
    private static final List<String> ENVIRONMENT = List.of("PATH", "HOME", "XDG_RUNTIME_DIR", "TMPDIR");

    private Supervisor() {}

    /**
     * Starts the supervisor with this VMM command line in the state directory.
     *
     * @throws VmException HOST when a program that it needs is missing
     */
    static Process launch(StateDirectory directory, int consoleSegmentBytes, List<String> vmm) {
        directory.writeScript();
        List<String> command = new ArrayList<>(List.of(
                "setsid",
                "sh",
                StateDirectory.SCRIPT,
                Integer.toString(consoleSegmentBytes),
                Integer.toString(Limits.VMM_ERROR_BYTES_MAX)));
        command.addAll(vmm);
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(directory.path().toFile())
                .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                .redirectErrorStream(true)
                .redirectOutput(directory.supervisorLog().toFile());
        Map<String, String> environment = builder.environment();
        environment.keySet().retainAll(ENVIRONMENT);
        environment.put("LC_ALL", "C");
        try {
            return builder.start();
        } catch (IOException e) {
            throw new VmException(
                    Fault.HOST,
                    "cannot start a VMM: " + e.getMessage()
                            + ". The package util-linux has setsid; coreutils has split and head",
                    e);
        }
    }

    /** Waits until the VMM's process exists. */
    static void awaitLaunch(StateDirectory directory, Process supervisor) throws InterruptedException {
        Optional<Boolean> launched = Polling.until(
                Limits.START_DEADLINE,
                () -> directory.pids().isPresent()
                        ? Optional.of(true)
                        : supervisor.isAlive()
                                ? Optional.empty()
                                : Optional.of(directory.pids().isPresent()));
        if (launched.isEmpty()) {
            throw new VmException(
                    Fault.DEADLINE,
                    "no VMM process within " + Limits.START_DEADLINE.toSeconds() + " s; the machine is overloaded");
        }
        if (!launched.get()) {
            throw new VmException(
                    Fault.HOST,
                    "the supervisor of the VMM failed: "
                            + directory.supervisorErrors().strip());
        }
    }
}
