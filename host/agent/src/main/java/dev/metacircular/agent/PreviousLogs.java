package dev.metacircular.agent;

import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * The end of the log of the last instance of each component that a deploy removed: one file for each, which its agent's user alone can read.
 * An instance that has written nothing leaves what was kept before. It goes when its service is purged, or a deploy drops the component.
 */
final class PreviousLogs {
    static final int MAX_LINES = 10_000;
    static final int MAX_BYTES = 1 << 20;

    private static final Logger LOG = Logger.getLogger(PreviousLogs.class.getName());
    /** A removal waits no longer for its log. */
    private static final Duration LIMIT = Duration.ofSeconds(5);

    private static final int MAX_LINE_CHARS = 64 << 10;
    private static final String NEW = ".new";
    private static final FileAttribute<Set<PosixFilePermission>> FOLDER =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
    private static final FileAttribute<Set<PosixFilePermission>> FILE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final Path directory;

    PreviousLogs(Path directory) {
        this.directory = directory;
    }

    /** Keeps what the instance wrote last. Never fails: nothing stays for the sake of its log. */
    void keep(ComponentId id, Runtime runtime, InstanceId instance) {
        try {
            Tail tail = new Tail();
            runtime.logs(instance, LogOptions.lastLines(MAX_LINES), tail);
            if (!tail.lines.isEmpty()) {
                write(id, tail.lines);
            }
        } catch (RuntimeFailure | IOException e) {
            boolean gone = e instanceof RuntimeFailure f && f.kind() == RuntimeFailure.Kind.NOT_FOUND;
            LOG.log(
                    gone ? Level.FINE : Level.WARNING,
                    "the log of " + id + " before its removal is not kept: " + e.getMessage());
        }
    }

    private void write(ComponentId id, Deque<byte[]> lines) throws IOException {
        Path folder = directory.resolve(id.service().value());
        Files.createDirectories(folder, FOLDER);
        Path fresh = folder.resolve(NEW + id.component());
        Files.deleteIfExists(fresh);
        Files.createFile(fresh, FILE);
        try (OutputStream out = Files.newOutputStream(fresh)) {
            BufferedOutputStream buffered = new BufferedOutputStream(out);
            for (byte[] line : lines) {
                buffered.write(line);
            }
            buffered.flush();
        }
        Files.move(fresh, file(id), StandardCopyOption.ATOMIC_MOVE);
    }

    private Path file(ComponentId id) {
        return directory.resolve(id.service().value()).resolve(id.component().value());
    }

    /** Whether something is kept of the component. */
    boolean has(ComponentId id) {
        return Files.exists(file(id));
    }

    /** The lines that are wanted, oldest first; none if nothing is kept. */
    List<LogLine> read(ComponentId id, LogOptions options) {
        List<LogLine> lines = new ArrayList<>();
        try {
            for (String line : Files.readString(file(id)).split("\n")) {
                String[] parts = line.split("\t", 3);
                long time = parts.length == 3 ? Long.parseLong(parts[0]) : 0;
                if (parts.length == 3
                        && options.since().filter(s -> time < s.toEpochMilli()).isEmpty()) {
                    lines.add(LogLine.newBuilder()
                            .setComponent(id.component().value())
                            .setTimeMs(time)
                            .setStream(parts[1])
                            .setText(parts[2])
                            .build());
                }
            }
        } catch (IOException | NumberFormatException e) {
            LOG.log(Level.FINE, "nothing is kept of " + id, e);
        }
        int tail = options.tail().orElse(lines.size());
        return lines.subList(Math.max(0, lines.size() - tail), lines.size());
    }

    void forget(ComponentId id) {
        try {
            Files.deleteIfExists(file(id));
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot remove " + file(id) + ": " + Main.describe(e));
        }
    }

    /** With what a sudden end left half written. */
    void forget(Name service) {
        Path folder = directory.resolve(service.value());
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                Files.delete(file);
            }
            Files.delete(folder);
        } catch (NoSuchFileException _) {
            // Nothing is kept of it.
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot remove the kept logs of " + service + ": " + Main.describe(e));
        }
    }

    /** The last lines, within both bounds. */
    private static final class Tail implements LogSink {
        private final Deque<byte[]> lines = new ArrayDeque<>();
        private final long end = System.nanoTime() + LIMIT.toNanos();
        private long bytes;

        @Override
        public void line(Instant time, Stream stream, String text) {
            String cut = text.length() <= MAX_LINE_CHARS ? text : text.substring(0, MAX_LINE_CHARS) + "…";
            byte[] line = (time.toEpochMilli() + "\t" + (stream == Stream.OUT ? "out" : "err") + "\t"
                            + cut.replace('\n', ' ') + "\n")
                    .getBytes(StandardCharsets.UTF_8);
            lines.add(line);
            bytes += line.length;
            while (bytes > MAX_BYTES || lines.size() > MAX_LINES) {
                bytes -= lines.removeFirst().length;
            }
        }

        @Override
        public boolean isCancelled() {
            return System.nanoTime() - end >= 0;
        }
    }
}
