package dev.metacircular.acceptance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs programs with a time limit and keeps what they print. */
final class Shell {
    static final Path HOME = Path.of(System.getProperty("metacircular.home", "../.."))
            .toAbsolutePath()
            .normalize();
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final Map<String, String> PODMAN = podman();

    record Result(int exit, String out, String err, Duration took) {
        Result ok() {
            if (exit != 0) {
                throw new AssertionError("exit " + exit + "\n" + out + err);
            }
            return this;
        }

        String all() {
            return out + err;
        }
    }

    private Shell() {}

    private static Map<String, String> podman() {
        Map<String, String> environment = new java.util.HashMap<>();
        for (String line : run(
                        Map.of(),
                        HOME.resolve("host/scripts/rootless-podman-env").toString())
                .ok()
                .out()
                .lines()
                .toList()) {
            int equals = line.indexOf('=');
            environment.put(line.substring(0, equals), line.substring(equals + 1));
        }
        return environment;
    }

    static String podmanUser() {
        return PODMAN.getOrDefault("METACIRCULAR_PODMAN_USER", "");
    }

    static Path podmanSocket() {
        return Path.of(PODMAN.getOrDefault("METACIRCULAR_PODMAN_SOCKET", ""));
    }

    /** Where the test's podman keeps what is to last. */
    static Path podmanHome() {
        return Path.of(PODMAN.getOrDefault("METACIRCULAR_PODMAN_HOME", ""));
    }

    /** What a process needs to use the test's podman; empty on a host that needs no work-around. */
    static Map<String, String> podmanEnvironment() {
        String conf = PODMAN.getOrDefault("METACIRCULAR_PODMAN_CONF", "");
        return conf.isEmpty() ? Map.of() : Map.of("CONTAINERS_CONF", conf);
    }

    /** The {@code podman} program, as the test's user. */
    static Result podman(String... arguments) {
        List<String> command = new ArrayList<>(
                List.of(HOME.resolve("host/scripts/rootless-podman-env").toString(), "run", "podman"));
        command.addAll(Arrays.asList(arguments));
        return run(Map.of(), command.toArray(String[]::new));
    }

    static Result run(Map<String, String> environment, String... command) {
        long begun = System.nanoTime();
        try {
            Path out = Files.createTempFile("acceptance", ".out");
            Path err = Files.createTempFile("acceptance", ".err");
            try {
                ProcessBuilder builder = new ProcessBuilder(command)
                        .redirectInput(Path.of("/dev/null").toFile())
                        .redirectOutput(out.toFile())
                        .redirectError(err.toFile());
                builder.environment().putAll(environment);
                Process process = builder.start();
                if (!process.waitFor(LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
                    process.destroyForcibly().waitFor();
                    throw new AssertionError(String.join(" ", command) + " did not end in " + LIMIT + "\n"
                            + Files.readString(out) + Files.readString(err));
                }
                return new Result(
                        process.exitValue(),
                        Files.readString(out, StandardCharsets.UTF_8),
                        Files.readString(err, StandardCharsets.UTF_8),
                        Duration.ofNanos(System.nanoTime() - begun));
            } finally {
                Files.delete(out);
                Files.delete(err);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
