package dev.metacircular.agent;

import java.io.File;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Sees to it that podman's API answers: by the user's systemd manager where there is one, else as a process in a session of its own,
 * which outlives the agent. A socket that the configuration names is somebody else's business and only used.
 */
final class PodmanService {
    private static final Logger LOG = Logger.getLogger(PodmanService.class.getName());
    private static final Duration PATIENCE = Duration.ofSeconds(8);
    private static final Duration SYSTEMCTL_DEADLINE = Duration.ofSeconds(20);
    private static final Duration POLL = Duration.ofMillis(25);

    private final Path socket;
    private final boolean isOurs;
    private final Path output;

    /** @param configured the socket that the configuration names */
    PodmanService(Path directory, Optional<Path> configured) {
        this.socket = configured.orElseGet(() -> runtimeDirectory().resolve("podman/podman.sock"));
        this.isOurs = configured.isEmpty();
        this.output = directory.resolve("podman-service.log");
    }

    Path socket() {
        return socket;
    }

    static Path runtimeDirectory() {
        if (SystemUser.callerIsRoot()) {
            return Path.of("/run");
        }
        return Optional.ofNullable(System.getenv("XDG_RUNTIME_DIR"))
                .filter(d -> !d.isEmpty())
                .map(Path::of)
                .orElseGet(() -> Path.of("/run/user/" + SystemUser.effectiveUid()));
    }

    private enum Answer {
        ACCEPTS,
        REFUSES,
        ABSENT,
        UNCLEAR
    }

    private Answer ask() {
        if (!Files.exists(socket)) {
            return Answer.ABSENT;
        }
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            return channel.isConnected() ? Answer.ACCEPTS : Answer.UNCLEAR;
        } catch (ConnectException e) {
            return Answer.REFUSES;
        } catch (IOException e) {
            return Answer.UNCLEAR;
        }
    }

    /** Starts the service if nobody listens, and waits a little until somebody does; what fails is logged. */
    synchronized void ensure() {
        Answer answer = ask();
        if (!isOurs || answer == Answer.ACCEPTS || answer == Answer.UNCLEAR) {
            return;
        }
        try {
            if (Files.exists(runtimeDirectory().resolve("systemd/private")) && !SystemUser.callerIsRoot()) {
                Programs.Result result =
                        Programs.run(SYSTEMCTL_DEADLINE, List.of("systemctl", "--user", "start", "podman.socket"));
                if (!result.ok()) {
                    LOG.warning("systemctl --user start podman.socket: " + result.output());
                }
            } else {
                startOwn(answer);
            }
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (ask() != Answer.ACCEPTS) {
                if (System.nanoTime() - deadline >= 0) {
                    LOG.warning("podman's service does not listen on " + socket + "; see " + output);
                    return;
                }
                Thread.sleep(POLL);
            }
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot start podman's service: " + Main.describe(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void startOwn(Answer answer) throws IOException, InterruptedException {
        if (answer == Answer.REFUSES) {
            Files.deleteIfExists(socket);
        }
        Path parent = socket.getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        ProcessBuilder builder = new ProcessBuilder(
                        "setsid",
                        "--fork",
                        "podman",
                        "--log-level=error",
                        "system",
                        "service",
                        "--time=0",
                        "unix://" + socket)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .redirectInput(new File("/dev/null"));
        Map<String, String> environment = builder.environment();
        environment.putIfAbsent("XDG_RUNTIME_DIR", runtimeDirectory().toString());
        Path home = output.getParent();
        if (home != null) {
            builder.directory(home.toFile());
        }
        int status = builder.start().waitFor();
        if (status != 0) {
            throw new IOException("setsid ended with status " + status);
        }
        LOG.info("started podman's service on " + socket);
    }
}
