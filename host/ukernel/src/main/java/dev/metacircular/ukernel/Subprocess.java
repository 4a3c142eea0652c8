package dev.metacircular.ukernel;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs a program of the toolchain to its end. */
final class Subprocess {
    private static final int OUTPUT_CHARS_MAX = 1 << 16;

    private Subprocess() {}

    /**
     * How it ended.
     *
     * @param output standard output and error in one, cut after 64 Ki characters
     */
    record Result(int status, String output) {}

    /**
     * Runs the program.
     *
     * @param environment variables beside the process's own
     * @throws dev.metacircular.model.ProblemException if it cannot be started or takes longer than {@code time}
     */
    static Result run(List<String> command, Path folder, Map<String, String> environment, Duration time) {
        Path output = null;
        try {
            output = Files.createTempFile("ukernel-", ".out");
            ProcessBuilder builder = new ProcessBuilder(command)
                    .directory(folder.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            process.getOutputStream().close();
            try {
                if (!process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS)) {
                    end(process);
                    throw Problem.of(
                                    Problem.Kind.DEADLINE,
                                    "%s did not end within %d s".formatted(command.getFirst(), time.toSeconds()))
                            .exception();
                }
            } catch (InterruptedException e) {
                end(process);
                Thread.currentThread().interrupt();
                throw Problem.of(Problem.Kind.FAILED, command.getFirst() + " was interrupted")
                        .exception();
            }
            String text = Files.readString(output, StandardCharsets.ISO_8859_1);
            byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
            String decoded = new String(bytes, StandardCharsets.UTF_8);
            return new Result(process.exitValue(), decoded.substring(0, Math.min(decoded.length(), OUTPUT_CHARS_MAX)));
        } catch (IOException e) {
            throw Problem.of(Problem.Kind.FAILED, "cannot run " + command.getFirst() + " (" + e.getMessage() + ")")
                    .exception();
        } finally {
            if (output != null) {
                output.toFile().delete();
            }
        }
    }

    private static void end(Process process) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }
}
