package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * A podman of the test user's with a home and a runtime directory of its own, and so with a network namespace, a resolver and containers that
 * nobody else's tests share. All of it is gone when it is closed.
 */
final class OwnPodman implements AutoCloseable {
    static final String IMAGE = "localhost/names:1";

    private static final String SCRIPT = Path.of("../scripts/rootless-podman-env")
            .toAbsolutePath()
            .normalize()
            .toString();
    private static final long COMMAND_SECONDS = 60;
    private static final int LOOKS = 300;

    private final Path home;
    private final Process service;

    record Result(int exit, String output) {}

    OwnPodman() throws IOException {
        Map<String, String> environment = new HashMap<>();
        for (String line : run(List.of(SCRIPT)).output().lines().toList()) {
            String[] parts = line.split("=", 2);
            environment.put(parts[0], parts.length > 1 ? parts[1] : "");
        }
        home = Path.of(environment.getOrDefault("METACIRCULAR_PODMAN_HOME", "/"))
                .resolve("mct-%08x".formatted(ThreadLocalRandom.current().nextInt()));
        asUser("mkdir", "-p", home.resolve("run/podman").toString());
        service = new ProcessBuilder(command("podman", "system", "service", "--time=0", "unix://" + socket()))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        for (int i = 0; !Files.exists(socket()); i++) {
            if (i == LOOKS || !service.isAlive()) {
                throw new IllegalStateException("podman's service does not begin on " + socket());
            }
            pause();
        }
        Result image = run(List.of(
                "sh",
                "-c",
                "tar -C / -c --transform 's,.*,bin/busybox,' \"$(readlink -f \"$(command -v busybox)\")\" | \"$@\"",
                "sh",
                SCRIPT,
                "run",
                "env",
                "HOME=" + home,
                "XDG_RUNTIME_DIR=" + home.resolve("run"),
                "podman",
                "import",
                "--quiet",
                "-",
                IMAGE));
        if (image.exit() != 0) {
            throw new IllegalStateException(image.output());
        }
    }

    static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    Path home() {
        return home;
    }

    Path socket() {
        return home.resolve("run/podman/podman.sock");
    }

    /** Of podman's resolver. */
    Path files() {
        return home.resolve("run/containers/networks/aardvark-dns");
    }

    private List<String> command(String... command) {
        List<String> all = new ArrayList<>(
                List.of(SCRIPT, "run", "env", "HOME=" + home, "XDG_RUNTIME_DIR=" + home.resolve("run")));
        all.addAll(List.of(command));
        return all;
    }

    Result asUser(String... command) {
        return run(command(command));
    }

    /** Podman's program, which must do it. */
    String podman(String... arguments) {
        List<String> command = new ArrayList<>(List.of("podman"));
        command.addAll(List.of(arguments));
        Result result = asUser(command.toArray(String[]::new));
        if (result.exit() != 0) {
            throw new IllegalStateException(command + ": " + result.output());
        }
        return result.output().strip();
    }

    private static Result run(List<String> command) {
        try {
            Path output = Files.createTempFile("metacircular", ".out");
            try {
                Process process = new ProcessBuilder(command)
                        .redirectInput(Path.of("/dev/null").toFile())
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .redirectOutput(output.toFile())
                        .start();
                if (!process.waitFor(COMMAND_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new IllegalStateException(command + " does not end");
                }
                return new Result(process.exitValue(), Files.readString(output, StandardCharsets.UTF_8));
            } finally {
                Files.delete(output);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        podman("rm", "-f", "-a", "-t", "0");
        service.descendants().forEach(ProcessHandle::destroy);
        service.destroy();
        // Files of other IDs than the user's own, then what holds the namespace in which they can be removed.
        asUser("podman", "unshare", "rm", "-rf", home.resolve(".local").toString());
        asUser("sh", "-c", "kill $(cat " + home.resolve("run/libpod/tmp/pause.pid") + "); rm -rf " + home);
    }
}
