package dev.metacircular.vm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A process that cannot be confused with a later one of the same number: its start time belongs to its identity.
 *
 * @param pid process number
 * @param startTicks start time since the host's boot in clock ticks, field 22 of {@code /proc/PID/stat} (proc(5))
 */
record ProcessIdentity(long pid, long startTicks) {
    private static final int START_TIME_AFTER_NAME = 19;

    /** Whether it exists and is no zombie. */
    boolean isAlive() {
        return stat(pid)
                .filter(fields -> fields.size() > START_TIME_AFTER_NAME)
                .filter(fields ->
                        !fields.getFirst().equals("Z") && !fields.getFirst().equals("X"))
                .filter(fields -> fields.get(START_TIME_AFTER_NAME).equals(Long.toString(startTicks)))
                .isPresent();
    }

    /** Sends SIGKILL when the process is still this one. */
    void kill() {
        Optional<ProcessHandle> handle = ProcessHandle.of(pid);
        if (handle.isPresent() && isAlive()) {
            handle.get().destroyForcibly();
        }
    }

    /** The fields after the name, which is in parentheses and may hold anything. */
    private static Optional<List<String>> stat(long pid) {
        try {
            String line = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            return Optional.of(
                    List.of(line.substring(line.lastIndexOf(')') + 1).strip().split(" ")));
        } catch (IOException gone) {
            return Optional.empty();
        }
    }

    /** Identifies the host's present boot. */
    static String bootId() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        } catch (IOException e) {
            throw new VmException(
                    VmException.Fault.HOST, "cannot read /proc/sys/kernel/random/boot_id: " + e.getMessage(), e);
        }
    }
}
