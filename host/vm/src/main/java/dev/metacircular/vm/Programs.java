package dev.metacircular.vm;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Programs of the host. */
final class Programs {
    private static final int VERSION_SECONDS_MAX = 5;
    private static final int VERSION_BYTES_MAX = 4_096;

    private Programs() {}

    /** The first executable of this name in a list of folders like {@code PATH}. */
    static Optional<Path> find(String name, String searchPath) {
        return Arrays.stream(searchPath.split(File.pathSeparator))
                .filter(folder -> !folder.isBlank())
                .map(folder -> Path.of(folder, name))
                .filter(file -> Files.isRegularFile(file) && Files.isExecutable(file))
                .findFirst();
    }

    /** The first line that {@code --version} prints; empty when it does not within five seconds. */
    static Optional<String> version(Path program) {
        try {
            Process process = new ProcessBuilder(program.toString(), "--version")
                    .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            try {
                if (!process.waitFor(VERSION_SECONDS_MAX, TimeUnit.SECONDS)) {
                    return Optional.empty();
                }
                byte[] output = process.getInputStream().readNBytes(VERSION_BYTES_MAX);
                return new String(output, StandardCharsets.UTF_8).lines().findFirst();
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }
}
