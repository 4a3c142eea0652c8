package dev.metacircular.runtime.microvm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs programs of the host. */
final class Shell {
    private static final Path SCRIPTS = Path.of("../scripts").toAbsolutePath().normalize();
    private static final int LIMIT_SECONDS = 120;

    private Shell() {}

    /** What it prints, or a failure with what it complains of. */
    static String run(String... command) {
        try {
            Path errors = Files.createTempFile("metacircular", ".err");
            try {
                Process process = new ProcessBuilder(command)
                        .redirectError(errors.toFile())
                        .start();
                process.getOutputStream().close();
                String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new IllegalStateException(List.of(command) + " does not end");
                }
                if (process.exitValue() != 0) {
                    throw new IllegalStateException(List.of(command) + ": " + output + Files.readString(errors));
                }
                return output;
            } finally {
                Files.delete(errors);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    static String script(String name, String... arguments) {
        List<String> command = new ArrayList<>(List.of(SCRIPTS.resolve(name).toString()));
        command.addAll(List.of(arguments));
        return run(command.toArray(String[]::new));
    }

    /** Runs podman's CLI as podman's user. */
    static String podman(String... arguments) {
        List<String> command = new ArrayList<>(List.of("run", "podman"));
        command.addAll(List.of(arguments));
        return script("rootless-podman-env", command.toArray(String[]::new));
    }
}
