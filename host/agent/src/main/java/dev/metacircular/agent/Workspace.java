package dev.metacircular.agent;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** The room that an agent works in: its directory's disk, and the temporary files in it. */
final class Workspace {
    /** SQLite's library is unpacked there, and its journal grows. */
    private static final long LEAST_BYTES = 4L << 20;

    private Workspace() {}

    /**
     * Removes the unpacked libraries of agents that were killed, of which each leaves one.
     *
     * @throws dev.metacircular.model.ProblemException {@code EXHAUSTED} if the disk is full: nothing could be written down
     */
    static void prepare(Path directory) throws IOException {
        Path temporary = directory.resolve("tmp");
        if (Files.isDirectory(temporary)) {
            try (DirectoryStream<Path> left = Files.newDirectoryStream(temporary, "sqlite-*")) {
                for (Path file : left) {
                    Files.deleteIfExists(file);
                }
            }
        }
        long free = Files.getFileStore(directory).getUsableSpace();
        if (free < LEAST_BYTES) {
            throw Problem.of(
                            Problem.Kind.EXHAUSTED,
                            "the disk of the agent's directory is full: " + free + " bytes are left")
                    .at(directory.toString())
                    .next("make room there, at least " + (LEAST_BYTES >> 20) + " MiB; what runs on the node runs on")
                    .exception();
        }
    }
}
