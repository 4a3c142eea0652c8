package dev.metacircular.registry;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** The registry's snapshots: made, listed, read, brought from elsewhere and restored. Safe for use by any number of threads. */
public final class Backups {
    /** Parts are at most so large. */
    public static final int MAX_PART_BYTES = 1 << 20;

    private static final long MAX_UPLOAD_BYTES = 256L << 20;
    private static final Pattern KEY = Pattern.compile("[A-Za-z0-9-]{1,64}");

    private final Snapshots snapshots;
    private final Database database;
    private final Clock clock;

    Backups(Snapshots snapshots, Database database, Clock clock) {
        this.snapshots = snapshots;
        this.database = database;
        this.clock = clock;
    }

    /** What can be restored, newest first. */
    public List<Snapshot> list() {
        return snapshots.all();
    }

    /** Takes one now, and drops the oldest beyond what is kept. */
    public Snapshot take() {
        Path made = snapshots.take(database);
        return snapshots.find(String.valueOf(made.getFileName()));
    }

    /** Takes one if the newest is older than that, or of a time to come. */
    public Optional<Snapshot> takeIfOlderThan(Duration age) {
        Instant now = clock.instant();
        boolean fresh = list().stream()
                .filter(s -> s.name().startsWith("registry-"))
                .anyMatch(
                        s -> !s.takenAt().isAfter(now) && s.takenAt().plus(age).isAfter(now));
        return fresh ? Optional.empty() : Optional.of(take());
    }

    /**
     * A part of a snapshot; empty behind its end.
     *
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}
     */
    public byte[] read(String name, long offset) {
        Path file = snapshots.file(name);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long left = Math.clamp(channel.size() - offset, 0, MAX_PART_BYTES);
            ByteBuffer part = ByteBuffer.allocate((int) left);
            while (part.hasRemaining() && channel.read(part, offset + part.position()) > 0) {
                // On to the part's end.
            }
            return java.util.Arrays.copyOf(part.array(), part.position());
        } catch (IOException e) {
            throw new RegistryException("cannot read the snapshot " + file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Takes a part of a backup from elsewhere; parts come in their order, and one may come again.
     *
     * @param key of the upload; there is one at a time, and a new one ends the one before
     * @return the snapshot that it is on this node, if this was the last part
     * @throws dev.metacircular.model.ProblemException {@code INVALID} if a part is missing, it is too large, or it is no registry
     */
    public synchronized Optional<Snapshot> upload(String key, long offset, byte[] part, boolean last) {
        if (!KEY.matcher(key).matches()) {
            throw Problem.of(Problem.Kind.INVALID, "an upload's key is 1 to 64 letters, digits and dashes")
                    .next("use an mcp of the agent's version")
                    .exception();
        }
        Path file = snapshots.uploading(key);
        try (FileChannel channel = FileChannel.open(
                file,
                Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            if (offset < 0 || offset > channel.size() || offset + part.length > MAX_UPLOAD_BYTES) {
                Files.delete(file);
                throw Problem.of(
                                Problem.Kind.INVALID,
                                offset > channel.size()
                                        ? "a part of the backup is missing: another upload came between"
                                        : "the backup is larger than " + (MAX_UPLOAD_BYTES >> 20) + " MiB")
                        .next("run the command again, with a copy that mcp backup --to made")
                        .exception();
            }
            channel.truncate(offset);
            ByteBuffer content = ByteBuffer.wrap(part);
            while (content.hasRemaining()) {
                channel.write(content, offset + content.position());
            }
        } catch (IOException e) {
            throw new RegistryException("cannot write " + file + ": " + e.getMessage(), e);
        }
        if (!last) {
            return Optional.empty();
        }
        try {
            return Optional.of(snapshots.keepUploaded(file));
        } finally {
            Snapshots.deleteAll(file);
        }
    }

    /**
     * The services as a snapshot has them.
     *
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}
     * @throws RegistryException if it is damaged or newer than this program
     */
    public List<RegisteredService> services(String name) {
        Path copy = snapshots.usableCopy(snapshots.file(name));
        try (Database old = Database.open(copy, _ -> {})) {
            return old.read(Registry::services);
        } finally {
            Snapshots.deleteAll(copy);
        }
    }

    /**
     * Puts a snapshot's services in the place of all there are. Tokens, events, outcomes and what was asked of instances stay as they are.
     *
     * @return the snapshot of what was replaced
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, or {@code LOCKED} while a deploy is under way
     * @throws RegistryException if it is damaged or newer than this program; nothing was changed
     */
    public Snapshot restore(String name) {
        Path copy = snapshots.usableCopy(snapshots.file(name));
        try {
            Snapshot before = take();
            database.direct(h -> h.createUpdate("ATTACH :f AS old")
                    .bind("f", copy.toString())
                    .execute());
            try {
                database.run(Restoring::replaceServices);
            } finally {
                database.direct(h -> h.execute("DETACH old"));
            }
            return before;
        } finally {
            Snapshots.deleteAll(copy);
        }
    }
}
