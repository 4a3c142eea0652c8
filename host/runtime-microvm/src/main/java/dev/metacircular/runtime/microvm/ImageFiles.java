package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Digest;
import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * The store's files. What is there is whole: each file is written under another name, through to the disk, and then given its own.
 *
 * <pre>
 * content/HEX.img   an image, named by its SHA-256, never changed
 * content/HEX.info  what is known of it; without it the image is not there
 * names/HEX         a reference (by the SHA-256 of its text) and the image that it means
 * packed/HEX        what an ordinary image was packed into, by the digests of all that went into it
 * new/              what is being made
 * lock              held while files appear or go, by whatever process
 * </pre>
 */
final class ImageFiles {
    private static final System.Logger LOG = System.getLogger(ImageFiles.class.getName());
    private static final ReentrantLock THIS_PROCESS = new ReentrantLock();
    private static final AtomicLong NEXT = new AtomicLong();
    private static final int MAX_NAMES = 4096;
    private static final Duration CLOCK_TICK = Duration.ofSeconds(1);

    private final Path content;
    private final Path names;
    private final Path packed;
    private final Path fresh;
    private final Path lock;
    private final StoreRoom room;
    private final Map<String, BasicFileAttributes> verified = new ConcurrentHashMap<>();
    private volatile Names lastNames = new Names(Instant.MIN, List.of());

    ImageFiles(Path directory, long maxBytes) {
        this.content = directory.resolve("content");
        this.names = directory.resolve("names");
        this.packed = directory.resolve("packed");
        this.fresh = directory.resolve("new");
        this.lock = directory.resolve("lock");
        this.room = new StoreRoom(content, fresh, maxBytes);
        attempt("make the store of guest images in " + directory, () -> {
            for (Path folder : List.of(content, names, packed, fresh)) {
                Files.createDirectories(folder);
            }
            locked(() -> {
                tidy();
                return true;
            });
            return true;
        });
    }

    /** @param command the arguments that a component's own replace */
    record Stored(String id, long sizeBytes, String digest, List<String> command) {
        Stored {
            command = List.copyOf(command);
        }

        /** The same, with what was known of it before and is not said now. */
        Stored knowing(Stored before) {
            return new Stored(
                    id,
                    sizeBytes,
                    digest.isEmpty() ? before.digest : digest,
                    command.isEmpty() ? before.command : command);
        }
    }

    /** @param digest the manifest's; empty for one that never came from a registry */
    private record Name(String reference, String id, String digest) {}

    /** All names when their folder was of this age. */
    private record Names(Instant modified, List<Name> names) {}

    private interface Work<T> {
        T run() throws IOException;
    }

    private static <T> T attempt(String what, Work<T> work) {
        try {
            return work.run();
        } catch (IOException e) {
            throw FileFailure.of(what, e);
        }
    }

    private <T> T locked(Work<T> work) throws IOException {
        THIS_PROCESS.lock();
        try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock _ = channel.lock()) {
            return work.run();
        } finally {
            THIS_PROCESS.unlock();
        }
    }

    /** Takes away what ended processes have begun and not finished. */
    private void tidy() throws IOException {
        for (Path file : files(fresh)) {
            String[] owner = file.getFileName().toString().split("-", 3);
            if (!alive(owner)) {
                FileTree.delete(file);
            }
        }
        for (Path file : files(content)) {
            String name = file.getFileName().toString();
            if (name.endsWith(".img") && !Files.exists(content.resolve(name.replace(".img", ".info")))) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static boolean alive(String[] owner) {
        if (owner.length < 3 || !owner[0].matches("[0-9]{1,10}")) {
            return false;
        }
        return ProcessHandle.of(Long.parseLong(owner[0]))
                .filter(process -> started(process).equals(owner[1]))
                .isPresent();
    }

    private static String started(ProcessHandle process) {
        return process.info()
                .startInstant()
                .map(instant -> Long.toString(instant.toEpochMilli()))
                .orElse("0");
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }

    /** As {@link FileTree#delete}, of what was being made. */
    static void discard(Path made) {
        attempt("tidy up " + made, () -> {
            FileTree.delete(made);
            return true;
        });
    }

    /** A folder for what is being made; who asks has it discarded. */
    Path workspace() {
        ProcessHandle self = ProcessHandle.current();
        return attempt(
                "make guest images below " + fresh,
                () -> Files.createDirectory(
                        fresh.resolve(self.pid() + "-" + started(self) + "-" + NEXT.incrementAndGet())));
    }

    /** @throws RuntimeFailure EXHAUSTED if so many bytes more have no room, besides what is there and what is being made */
    void requireRoom(long bytes) {
        requireFree(bytes);
        attempt(
                "look for room in " + fresh,
                () -> locked(() -> {
                    room.requireForMaking(bytes);
                    return true;
                }));
    }

    /** @throws RuntimeFailure EXHAUSTED if the file system has no room for so many bytes more */
    void requireFree(long bytes) {
        attempt("look for room in " + fresh, () -> {
            room.requireFree(bytes);
            return true;
        });
    }

    /**
     * Takes a whole image into the store, where it is not there yet, and gives it a name.
     *
     * @param file empty if it is there already
     */
    void keep(Optional<Path> file, Stored image, ImageRef reference) {
        attempt(
                "keep the guest image " + reference,
                () -> locked(() -> {
                    if (files(names).size() >= MAX_NAMES) {
                        throw new RuntimeFailure(
                                Kind.EXHAUSTED, "the node has " + MAX_NAMES + " names of guest images: remove some");
                    }
                    if (stored(image.id()).isEmpty()) {
                        Path whole = file.orElseThrow(() -> new RuntimeFailure(
                                Kind.CONFLICT,
                                "the guest image " + reference + " was removed meanwhile: pull it again"));
                        room.requireForKeeping(image.sizeBytes());
                        try (FileChannel channel = FileChannel.open(whole, StandardOpenOption.WRITE)) {
                            channel.force(true);
                        }
                        Files.setPosixFilePermissions(whole, PosixFilePermissions.fromString("r--r--r--"));
                        Files.move(whole, imageFile(image.id()), StandardCopyOption.ATOMIC_MOVE);
                        synchronise(content);
                        verified.remove(image.id());
                    }
                    remember(stored(image.id()).map(image::knowing).orElse(image));
                    write(
                            names.resolve(hex(reference.toString())),
                            List.of("reference " + reference, "image " + image.id(), "digest " + image.digest()));
                    return true;
                }));
    }

    private void remember(Stored image) throws IOException {
        List<String> lines = new ArrayList<>(List.of("bytes " + image.sizeBytes(), "digest " + image.digest()));
        image.command()
                .forEach(word -> lines.add("command " + java.net.URLEncoder.encode(word, StandardCharsets.UTF_8)));
        write(infoFile(image.id()), lines);
    }

    /** What an ordinary image was packed into before. */
    Optional<Stored> packed(String key) {
        return attempt("look for " + key, () -> {
            Path file = packed.resolve(key);
            return Files.exists(file)
                    ? values(file, "image").stream().findFirst().flatMap(this::stored)
                    : Optional.empty();
        });
    }

    void rememberPacked(String key, String id) {
        attempt(
                "remember " + key,
                () -> locked(() -> {
                    write(packed.resolve(key), List.of("image " + id));
                    return true;
                }));
    }

    private void write(Path file, List<String> lines) throws IOException {
        Path made = workspace();
        try {
            Path whole = made.resolve("file");
            Files.write(whole, lines);
            try (FileChannel channel = FileChannel.open(whole, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
            Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            Path folder = file.getParent();
            if (folder != null) {
                synchronise(folder);
            }
        } finally {
            FileTree.delete(made);
        }
    }

    private static void synchronise(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    private static List<String> values(Path file, String key) throws IOException {
        List<String> values = new ArrayList<>();
        for (String line : Files.readString(file).lines().toList()) {
            if (line.startsWith(key + " ")) {
                values.add(line.substring(key.length() + 1));
            }
        }
        return values;
    }

    private static String value(Path file, String key) throws IOException {
        return values(file, key).stream()
                .findFirst()
                .orElseThrow(() -> new IOException("it has no line '" + key + "'"));
    }

    /** An image that is there and has as many bytes as it should. */
    Optional<Stored> stored(String id) {
        Path info = infoFile(id);
        try {
            long bytes = Long.parseLong(value(info, "bytes"));
            if (Files.size(imageFile(id)) != bytes) {
                throw new IOException("it has not the %d bytes that it had".formatted(bytes));
            }
            List<String> command = values(info, "command").stream()
                    .map(word -> java.net.URLDecoder.decode(word, StandardCharsets.UTF_8))
                    .toList();
            return Optional.of(new Stored(id, bytes, value(info, "digest"), command));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException | IllegalArgumentException e) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "the guest image {0} is damaged and not used: {1}",
                    id,
                    e.getMessage());
            return Optional.empty();
        }
    }

    private Optional<Name> name(Path file) {
        try {
            return Optional.of(new Name(value(file, "reference"), value(file, "image"), value(file, "digest")));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "the name of a guest image in {0} is damaged and not used: {1}",
                    file,
                    e.getMessage());
            return Optional.empty();
        }
    }

    /** What a reference means here. */
    Optional<Image> find(ImageRef reference) {
        return allNames().stream()
                .filter(name -> name.reference().equals(reference.toString()))
                .findFirst()
                .flatMap(name -> stored(name.id())
                        .map(stored -> new Image(name.id(), references(name.id()), name.digest(), stored.sizeBytes())));
    }

    private List<String> references(String id) {
        return allNames().stream()
                .filter(name -> name.id().equals(id))
                .map(Name::reference)
                .sorted()
                .toList();
    }

    /** Read again only when a name has come or gone, by whatever process. */
    private List<Name> allNames() {
        return attempt("list the names of guest images", () -> {
            Instant modified = Files.getLastModifiedTime(names).toInstant();
            Names known = lastNames;
            if (known.modified().equals(modified)) {
                return known.names();
            }
            List<Name> read = files(names).stream()
                    .map(this::name)
                    .flatMap(Optional::stream)
                    .toList();
            // Within a clock's tick two changes leave one time.
            if (Duration.between(modified, Instant.now()).compareTo(CLOCK_TICK) > 0) {
                lastNames = new Names(modified, read);
            }
            return read;
        });
    }

    List<Image> all() {
        return attempt("list the guest images", () -> {
            Map<String, List<String>> references = new HashMap<>();
            allNames()
                    .forEach(name -> references
                            .computeIfAbsent(name.id(), _ -> new ArrayList<>())
                            .add(name.reference()));
            return files(content).stream()
                    .map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".info"))
                    .map(name -> "sha256:" + name.substring(0, name.length() - ".info".length()))
                    .map(this::stored)
                    .flatMap(Optional::stream)
                    .map(stored -> new Image(
                            stored.id(),
                            references.getOrDefault(stored.id(), List.of()).stream()
                                    .sorted()
                                    .toList(),
                            stored.digest(),
                            stored.sizeBytes()))
                    .toList();
        });
    }

    /** @return whether it is gone */
    boolean remove(Image image) {
        return attempt(
                "remove the guest image " + image.id(),
                () -> locked(() -> {
                    for (String reference : image.references()) {
                        Path file = names.resolve(hex(reference));
                        if (name(file)
                                .filter(name -> name.id().equals(image.id()))
                                .isPresent()) {
                            Files.deleteIfExists(file);
                        }
                    }
                    if (!references(image.id()).isEmpty()) {
                        return false;
                    }
                    forget(image.id());
                    return true;
                }));
    }

    private void forget(String id) throws IOException {
        Files.deleteIfExists(infoFile(id));
        Files.deleteIfExists(imageFile(id));
        for (Path file : files(packed)) {
            if (values(file, "image").contains(id)) {
                Files.deleteIfExists(file);
            }
        }
    }

    /** The image's file; the first time in this process, and after each change, all its bytes are checked. */
    Path file(String id) {
        Path file = imageFile(id);
        return attempt("read the guest image " + id, () -> {
            if (stored(id).isEmpty()) {
                throw new RuntimeFailure(Kind.NOT_FOUND, "there is no guest image " + id + " on this node");
            }
            BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
            BasicFileAttributes before = verified.get(id);
            if (before == null || !same(before, now)) {
                if (!digest(file).toString().equals(id)) {
                    locked(() -> {
                        forget(id);
                        return true;
                    });
                    throw new RuntimeFailure(
                            Kind.NOT_FOUND,
                            "the guest image " + id + " was damaged on this node's disk and is removed: deploy again");
                }
                verified.put(id, now);
            }
            return file;
        });
    }

    private static boolean same(BasicFileAttributes one, BasicFileAttributes other) {
        return one.size() == other.size()
                && one.lastModifiedTime().equals(other.lastModifiedTime())
                && java.util.Objects.equals(one.fileKey(), other.fileKey());
    }

    static Digest digest(Path file) throws IOException {
        MessageDigest digest = Digest.sha256();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        }
        return Digest.finish(digest);
    }

    private Path imageFile(String id) {
        return content.resolve(hexOf(id) + ".img");
    }

    private Path infoFile(String id) {
        return content.resolve(hexOf(id) + ".info");
    }

    /** Never a path out of the store, whatever the ID. */
    private static String hexOf(String id) {
        return id.matches("sha256:[0-9a-f]{64}") ? id.substring("sha256:".length()) : hex(id);
    }

    private static String hex(String text) {
        return Digest.of(text.getBytes(StandardCharsets.UTF_8)).hex();
    }
}
