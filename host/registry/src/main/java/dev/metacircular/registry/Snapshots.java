package dev.metacircular.registry;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The folder {@code snapshots/} beside the registry: consistent copies of it, the oldest of which go. */
final class Snapshots {
    private static final int DAYS_KEPT = 7;
    private static final int OTHERS_KEPT = 3;
    private static final Duration UNFINISHED_KEPT = Duration.ofHours(1);
    private static final String TIME = "yyyyMMdd'T'HHmmss.SSS'Z'";
    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern(TIME).withZone(ZoneOffset.UTC);
    private static final Pattern NAME =
            Pattern.compile("(?<kind>registry|uploaded|damaged)-(?<time>[0-9]{8}T[0-9]{6}\\.[0-9]{3}Z)\\.db");

    private final Path folder;
    private final Clock clock;

    Snapshots(Path directory, Clock clock) {
        this.folder = directory.resolve("snapshots");
        this.clock = clock;
    }

    /** Writes one and drops the oldest beyond what is kept. */
    Path take(Database from) {
        try {
            Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
            putBack(now);
            Path target = stamped("registry", now);
            Path partial = temporary();
            try {
                // Into the empty file, which has its permissions already.
                from.direct(h -> h.createUpdate("VACUUM INTO :f")
                        .bind("f", partial.toString())
                        .execute());
                force(partial);
                Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(partial);
            }
            prune();
            return target;
        } catch (IOException e) {
            throw new RegistryException(
                    "cannot write the registry's snapshot into " + folder + ": " + e.getMessage(), e);
        }
    }

    /**
     * Stamps that lie ahead are of a clock that was set back since. They are taken for just now, in their order, or one of them would
     * pass for the newest until its time comes.
     */
    private void putBack(Instant now) throws IOException {
        Instant stamp = now;
        for (Path file : files("registry").reversed()) {
            if (time(file).isBefore(now)) {
                return;
            }
            do {
                stamp = stamp.minusMillis(1);
            } while (Files.exists(stamped("registry", stamp)));
            Files.move(file, stamped("registry", stamp));
        }
    }

    private Path fresh(String kind) {
        return stamped(kind, clock.instant());
    }

    private Path stamped(String kind, Instant time) {
        return folder.resolve(kind + "-" + STAMP.format(time) + ".db");
    }

    private Path temporary() throws IOException {
        Files.createDirectories(folder);
        return Files.createTempFile(folder, "partial-", ".db");
    }

    /** The latest ones, and the last one of each of the days before; of the other kinds a few; of what a crash left unfinished none. */
    private void prune() throws IOException {
        Instant stale = clock.instant().minus(UNFINISHED_KEPT);
        for (Path partial : partials()) {
            if (Files.getLastModifiedTime(partial).toInstant().isBefore(stale)) {
                Files.deleteIfExists(partial);
            }
        }
        List<Path> taken = files("registry");
        Set<LocalDate> days = new HashSet<>();
        int kept = 0;
        for (Path file : taken.reversed()) {
            boolean first = days.add(time(file).atZone(ZoneOffset.UTC).toLocalDate());
            boolean keep = kept < Registry.SNAPSHOTS_KEPT || (first && days.size() <= DAYS_KEPT);
            kept++;
            if (!keep) {
                Files.delete(file);
            }
        }
        for (String kind : List.of("uploaded", "damaged")) {
            List<Path> others = files(kind);
            for (Path old : others.subList(0, Math.max(0, others.size() - OTHERS_KEPT))) {
                Files.delete(old);
                Files.deleteIfExists(Path.of(old + "-wal"));
                Files.deleteIfExists(Path.of(old + "-shm"));
            }
        }
    }

    private List<Path> partials() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(p -> String.valueOf(p.getFileName()).startsWith("partial-"))
                    .toList();
        }
    }

    /** Oldest first. */
    private List<Path> files(String kind) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(p ->
                            matcher(p).matches() && matcher(p).group("kind").equals(kind))
                    .sorted()
                    .toList();
        } catch (NoSuchFileException _) {
            return List.of();
        }
    }

    private static Matcher matcher(Path file) {
        Matcher matcher = NAME.matcher(String.valueOf(file.getFileName()));
        matcher.matches();
        return matcher;
    }

    private static Instant time(Path file) {
        try {
            return Instant.from(STAMP.parse(matcher(file).group("time")));
        } catch (DateTimeException e) {
            return Instant.EPOCH;
        }
    }

    /** All that can be restored, newest first. */
    List<Snapshot> all() {
        try {
            List<Snapshot> all = new ArrayList<>();
            for (String kind : List.of("registry", "uploaded")) {
                for (Path file : files(kind)) {
                    all.add(new Snapshot(String.valueOf(file.getFileName()), time(file), Files.size(file)));
                }
            }
            all.sort(Comparator.comparing(Snapshot::takenAt).reversed());
            return List.copyOf(all);
        } catch (IOException e) {
            throw new RegistryException("cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    /** @throws dev.metacircular.model.ProblemException {@code NOT_FOUND} */
    Path file(String name) {
        return folder.resolve(find(name).name());
    }

    /** @throws dev.metacircular.model.ProblemException {@code NOT_FOUND} */
    Snapshot find(String name) {
        return all().stream()
                .filter(s -> s.name().equals(name))
                .findFirst()
                .orElseThrow(() -> Problem.of(Problem.Kind.NOT_FOUND, "there is no snapshot '" + name + "'")
                        .next("mcp backup --list")
                        .exception());
    }

    /**
     * A copy of a snapshot, brought to this version's form and checked as a whole.
     *
     * @throws RegistryException if it is damaged or newer than this program
     */
    Path usableCopy(Path snapshot) {
        try {
            Path copy = temporary();
            try {
                Files.copy(snapshot, copy, StandardCopyOption.REPLACE_EXISTING);
                if (Files.size(copy) == 0) {
                    throw new DamagedException("the snapshot " + snapshot + " is empty");
                }
                Database.open(copy, _ -> {}).close();
                return copy;
            } catch (RuntimeException | IOException e) {
                deleteAll(copy);
                throw e;
            }
        } catch (IOException e) {
            throw new RegistryException("the snapshot " + snapshot + " cannot be read: " + e.getMessage(), e);
        }
    }

    static void deleteAll(Path database) {
        try {
            for (String end : List.of("", "-wal", "-shm")) {
                Files.deleteIfExists(Path.of(database + end));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Keeps a file from elsewhere, if it is a registry; its name. */
    Snapshot keepUploaded(Path file) {
        Path copy;
        try {
            copy = usableCopy(file);
        } catch (RegistryException e) {
            // Not with its message, which names a file of this node that is gone when it is read.
            throw Problem.of(
                            Problem.Kind.INVALID,
                            e instanceof DamagedException
                                    ? "this is no backup of a registry: it is damaged, or never was one"
                                    : "this backup of a registry cannot be used: a newer agent made it, or this one cannot read it")
                    .exception();
        }
        Path target = fresh("uploaded");
        try {
            Files.move(copy, target);
            prune();
            return new Snapshot(String.valueOf(target.getFileName()), time(target), Files.size(target));
        } catch (IOException e) {
            throw new RegistryException("cannot keep " + target + ": " + e.getMessage(), e);
        }
    }

    /** An empty file for an upload under way; those of earlier ones that never ended go. */
    Path uploading(String key) {
        try {
            Files.createDirectories(folder);
            Path own = folder.resolve("upload-" + key + ".part");
            try (Stream<Path> all = Files.list(folder)) {
                for (Path other : all.filter(
                                p -> String.valueOf(p.getFileName()).startsWith("upload-"))
                        .filter(p -> !p.equals(own))
                        .toList()) {
                    Files.deleteIfExists(other);
                }
            }
            return own;
        } catch (IOException e) {
            throw new RegistryException("cannot write below " + folder + ": " + e.getMessage(), e);
        }
    }

    /**
     * SQLite takes an empty file for a new database.
     *
     * @throws DamagedException if the registry is empty or gone although there are snapshots of it
     */
    void requireContent(Path registry) {
        try {
            if (!files("registry").isEmpty() && (!Files.exists(registry) || Files.size(registry) == 0)) {
                throw new DamagedException(
                        "the registry " + registry + " is empty or gone, and there are snapshots of it");
            }
        } catch (IOException e) {
            throw new RegistryException("cannot read the registry " + registry + ": " + e.getMessage(), e);
        }
    }

    /**
     * Puts the newest usable snapshot in the place of a damaged registry, which is kept. The loss is on record in the file before it
     * takes the place; a crash between leaves no registry, which is as damaged.
     *
     * @throws DamagedException the same, if there is none
     */
    Restored replace(Path registry, DamagedException damage, Function<Restored, RegistryEvent> told) {
        for (Snapshot snapshot : all()) {
            if (!snapshot.name().startsWith("registry-")) {
                continue;
            }
            Optional<Path> copy = tryCopy(folder.resolve(snapshot.name()));
            if (copy.isPresent()) {
                try {
                    Path damaged = fresh("damaged");
                    Restored restored = new Restored(snapshot, damaged, String.valueOf(damage.getMessage()));
                    try (Database marked = Database.open(copy.get(), _ -> {})) {
                        marked.run(h -> {
                            Restoring.markAll(h);
                            Losses.record(h, new Loss(clock.instant(), restored));
                            EventStore.append(h, told.apply(restored));
                        });
                    }
                    force(copy.get());
                    for (String end : List.of("", "-wal", "-shm")) {
                        Path part = Path.of(registry + end);
                        if (Files.exists(part)) {
                            Files.move(part, Path.of(damaged + end), StandardCopyOption.REPLACE_EXISTING);
                        }
                    }
                    Files.move(copy.get(), registry, StandardCopyOption.ATOMIC_MOVE);
                    sync(registry);
                    prune();
                    return restored;
                } catch (IOException e) {
                    throw new RegistryException("cannot restore " + snapshot.name() + ": " + e.getMessage(), e);
                }
            }
        }
        throw damage;
    }

    private Optional<Path> tryCopy(Path snapshot) {
        try {
            return Optional.of(usableCopy(snapshot));
        } catch (RegistryException e) {
            return Optional.empty();
        }
    }

    private static void sync(Path file) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        if (parent != null) {
            force(parent);
        }
    }

    private static void force(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
