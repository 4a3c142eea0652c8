package dev.metacircular.agent;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Runs small helper programs, each with a deadline and a bounded output. */
final class Programs {
    private static final int MAX_OUTPUT_BYTES = 64 << 10;

    private Programs() {}

    /** @param output what it wrote to both of its streams, cut after 64 KiB */
    record Result(int status, String output) {
        boolean ok() {
            return status == 0;
        }
    }

    /**
     * Runs the program and waits for its end.
     *
     * @throws IOException if it cannot be started, or does not end in time, after which it is ended by force
     */
    static Result run(Duration deadline, List<String> command) throws IOException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .start();
        try (InputStream out = process.getInputStream()) {
            StringBuilder text = new StringBuilder();
            Thread reader = Thread.startVirtualThread(() -> {
                try {
                    text.append(new String(out.readNBytes(MAX_OUTPUT_BYTES), StandardCharsets.UTF_8));
                    out.transferTo(java.io.OutputStream.nullOutputStream());
                } catch (IOException e) {
                    text.append(e.getMessage());
                }
            });
            if (!process.waitFor(deadline.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new IOException(command.getFirst() + " did not end within " + deadline.toSeconds() + " s");
            }
            reader.join(Duration.ofSeconds(1));
            return new Result(process.exitValue(), text.toString().strip());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while " + command.getFirst() + " ran", e);
        } finally {
            process.destroyForcibly();
        }
    }

    /** As in the environment variable {@code PATH}, with the folders of system programs. */
    static String searchPath() {
        return Optional.ofNullable(System.getenv("PATH")).orElse("/usr/local/bin:/usr/bin:/bin") + ":/usr/sbin:/sbin";
    }

    /** Where a program lies on the search path. */
    static Optional<Path> find(String program) {
        for (String directory : searchPath().split(":")) {
            Path candidate = Path.of(directory.isEmpty() ? "." : directory, program);
            if (Files.isExecutable(candidate) && !Files.isDirectory(candidate)) {
                return Optional.of(candidate);
            }
        }
        return Optional.empty();
    }
}
