package dev.metacircular.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The way into the user namespace of rootless podman's containers, where the agent's user is root and the containers' users exist.
 *
 * <p>Podman keeps the namespace open by its pause process, which is entered; that needs no privilege, so it works in a unit with
 * {@code NoNewPrivileges}, where {@code podman unshare} does not. Only where there is no such process is {@code podman unshare} the way.
 */
final class UserNamespace {
    private UserNamespace() {}

    /**
     * The command line that runs the command inside. Its paths are absolute, for its working directory is {@code /}; it sees the machine's
     * files without the restrictions of the agent's own unit. Ending the process ends the command.
     */
    static List<String> enter(List<String> command) {
        if (SystemUser.callerIsRoot()) {
            return command;
        }
        List<String> all = new ArrayList<>(pauseProcess()
                .map(pid -> List.of("nsenter", "--user", "--mount", "--preserve-credentials", "--target", pid, "--"))
                .orElse(List.of("podman", "unshare")));
        all.addAll(command);
        return all;
    }

    /** Podman's pause process, if the number that podman wrote down is still that of a process in such a namespace. */
    private static Optional<String> pauseProcess() {
        Path file = PodmanService.runtimeDirectory().resolve("libpod/tmp/pause.pid");
        try {
            String pid = Files.readString(file).strip();
            if (!pid.matches("[1-9][0-9]{0,9}")) {
                return Optional.empty();
            }
            String[] first = Files.readAllLines(Path.of("/proc", pid, "uid_map"))
                    .getFirst()
                    .strip()
                    .split(" +");
            boolean mapsRootToSelf = first[0].equals("0") && first[1].equals(Long.toString(SystemUser.effectiveUid()));
            return mapsRootToSelf ? Optional.of(pid) : Optional.empty();
        } catch (IOException | RuntimeException _) {
            return Optional.empty();
        }
    }
}
