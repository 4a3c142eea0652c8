package dev.metacircular.runtime.microvm;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.GZIPOutputStream;

/**
 * One run of {@code ops build}, in a folder of its own, for it overwrites images of the same name. Its exit status says nothing: an image is taken
 * only where it says that there is one, and where that holds a word that nobody knew before.
 *
 * <p>{@code ops} executes a dynamically linked program that it is given, to see what it loads. So it is given a stand-in that nobody ever runs; the
 * component's own is a file of the root like others, and the image's manifest names it.
 */
final class OpsBuild {
    /** An ELF file without an instruction. */
    static final byte[] STAND_IN = standIn();

    /** Where the root's file of name servers is; what it will hold only the start knows. */
    static final String RESOLVER = "etc/resolv.conf";

    static final int RESOLVER_BYTES = 4_096;

    /** What a guest may write, besides what its root has. */
    private static final long ROOM_BYTES = 64L << 20;

    private static final int SECTOR_BYTES = 512;
    private static final int PIECE_BYTES = 1 << 20;
    private static final int WORD_BYTES = 10;
    private static final int OUTPUT_BYTES_MAX = 64 << 10;
    private static final int TOLD_CHARACTERS_MAX = 300;
    private static final String SAYS_IT_BUILT = "Bootable image file:";
    private static final String STAND_IN_NAME = ".ops-stand-in";
    private static final String IMAGE = "guest";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path work;
    private final Path ops;
    private final Path root;
    private final Duration limit;

    /**
     * Prepares the folder.
     *
     * @param work an empty folder that only its owner may enter; whoever made it deletes it
     */
    OpsBuild(Path work, Duration limit) throws IOException {
        this.work = work;
        this.ops = Files.createDirectories(work.resolve("home/.ops"));
        this.root = Files.createDirectory(work.resolve("root"));
        this.limit = limit;
    }

    /** Where what the guest shall have as its root is put. */
    Path root() {
        return root;
    }

    /**
     * What runs in the guest.
     *
     * @param path in the root
     * @param arguments the first is argument 0
     * @param folder in which it begins
     */
    record Program(String path, List<String> arguments, Map<String, String> environment, String folder) {}

    /**
     * An image that was made just now, with places for what only its start knows.
     *
     * @param address the byte at which ten stand for the address, for lwIP a number such as {@code 0x0a590002}
     * @param mask of its network, likewise
     * @param gateway likewise
     * @param resolver the byte at which the {@link #RESOLVER_BYTES} of {@link #RESOLVER} begin
     */
    record Built(Path image, long address, long mask, long gateway, long resolver) {
        /** As the script reads it. */
        String places() {
            return address + " " + mask + " " + gateway + " " + resolver;
        }
    }

    /** There is no image; the message says why, and tells nothing of the configuration. */
    static final class Failed extends Exception {
        private static final long serialVersionUID = 1L;

        Failed(String why) {
            super(why);
        }
    }

    Built run(Nanos.Release release, Program program) throws IOException, Failed {
        String resolver = word();
        List<String> network = List.of(word(), word(), word());
        putResolver(resolver);
        Files.write(work.resolve(STAND_IN_NAME), STAND_IN);
        Files.writeString(ops.resolve("latest.txt"), release.version());
        try (OutputStream empty = new GZIPOutputStream(Files.newOutputStream(ops.resolve("common.tar.gz")))) {
            empty.write(new byte[2 * SECTOR_BYTES]);
        }
        Path configuration = work.resolve("config.json");
        Files.createFile(
                configuration, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.write(configuration, JSON.writeValueAsBytes(configuration(release, program, network)));
        String said = execute(release.ops(), configuration);
        Path image = ops.resolve("images").resolve(IMAGE);
        if (said.lines().noneMatch(line -> line.contains(SAYS_IT_BUILT))) {
            throw new Failed("it does not say that it built an image" + told(said));
        }
        if (!Files.isRegularFile(image)) {
            throw new Failed("it says that it built an image, and there is none" + told(said));
        }
        List<Long> places = find(image, network);
        return new Built(
                image,
                places.get(0),
                places.get(1),
                places.get(2),
                find(image, List.of(resolver)).getFirst());
    }

    /** Ten bytes that stand nowhere else. */
    private static String word() {
        byte[] random = new byte[WORD_BYTES / 2];
        new SecureRandom().nextBytes(random);
        return HexFormat.of().formatHex(random);
    }

    /** A file of the root in the place of what the image may have there. */
    private void putResolver(String word) throws IOException, Failed {
        byte[] content = new byte[RESOLVER_BYTES];
        Arrays.fill(content, (byte) '\n');
        System.arraycopy(word.getBytes(StandardCharsets.US_ASCII), 0, content, 0, WORD_BYTES);
        Path file = root.resolve(RESOLVER);
        Path folder = root.resolve("etc");
        if (Files.isSymbolicLink(folder)) {
            throw new Failed("its /etc is a link, and a file must be put there");
        }
        Files.createDirectories(folder);
        Files.deleteIfExists(file);
        Files.write(file, content, StandardOpenOption.CREATE_NEW);
    }

    private Map<String, Object> configuration(Nanos.Release release, Program program, List<String> network)
            throws IOException {
        return Map.of(
                "Kernel",
                release.kernel().toString(),
                "Boot",
                release.boot().toString(),
                "MapDirs",
                Map.of("root/*", "/"),
                "BaseVolumeSz",
                ((content() + ROOM_BYTES) >> 20) + "m",
                "ManifestPassthrough",
                Map.of(
                        "program",
                        program.path(),
                        "arguments",
                        program.arguments(),
                        "environment",
                        program.environment(),
                        "cwd",
                        program.folder(),
                        "en1",
                        Map.of("ipaddr", network.get(0), "netmask", network.get(1), "gateway", network.get(2)),
                        // Otherwise it goes off without a word of its program's exit status.
                        "debug_exit",
                        "t"));
    }

    /** Bytes of the root's files, each of which begins at a sector. */
    private long content() throws IOException {
        long[] bytes = {0};
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                bytes[0] += attributes.size() + SECTOR_BYTES;
                return FileVisitResult.CONTINUE;
            }
        });
        return bytes[0];
    }

    private String execute(Path program, Path configuration) throws IOException, Failed {
        ProcessBuilder builder = new ProcessBuilder(
                        program.toString(), "build", STAND_IN_NAME, "-c", configuration.toString(), "-i", IMAGE)
                .directory(work.toFile())
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        builder.environment().clear();
        // Each start of it asks its makers' host for news, which it can do without: nobody answers there.
        builder.environment()
                .putAll(Map.of(
                        "OPS_HOME",
                        work.resolve("home").toString(),
                        "HOME",
                        work.resolve("home").toString(),
                        "TMPDIR",
                        work.toString(),
                        "PATH",
                        "/usr/bin:/bin",
                        "HTTP_PROXY",
                        "http://127.0.0.1:9",
                        "HTTPS_PROXY",
                        "http://127.0.0.1:9"));
        Process process = builder.start();
        try (InputStream out = process.getInputStream()) {
            AtomicReference<String> said = new AtomicReference<>("");
            Thread reader = Thread.startVirtualThread(() -> read(out, said));
            if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new Failed("it did not end within " + limit.toSeconds() + " s");
            }
            reader.join(Duration.ofSeconds(1));
            return String.valueOf(said.get());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failed("it was interrupted");
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
    }

    private static void read(InputStream out, AtomicReference<String> said) {
        try {
            said.set(new String(out.readNBytes(OUTPUT_BYTES_MAX), StandardCharsets.UTF_8));
            out.transferTo(OutputStream.nullOutputStream());
        } catch (IOException _) {
            // It was ended.
            return;
        }
    }

    /** The last line that it said, for people. */
    private static String told(String said) {
        return said.lines()
                .map(line -> line.replaceAll("\\e\\[[0-9;]*m", "")
                        .replaceAll("\\p{Cntrl}", " ")
                        .strip())
                .filter(line -> !line.isEmpty())
                .reduce((_, line) -> line)
                .map(line -> ": " + line.substring(0, Math.min(line.length(), TOLD_CHARACTERS_MAX)))
                .orElse("");
    }

    /** Where each of the words stands, which is one place. */
    private static List<Long> find(Path image, List<String> words) throws IOException, Failed {
        long[] places = new long[words.size()];
        Arrays.fill(places, -1);
        try (FileChannel channel = FileChannel.open(image, StandardOpenOption.READ)) {
            ByteBuffer piece = ByteBuffer.allocate(PIECE_BYTES);
            for (long at = 0; at < channel.size(); at += PIECE_BYTES - WORD_BYTES) {
                piece.clear();
                while (piece.hasRemaining() && channel.read(piece, at + piece.position()) > 0) {}
                String text = new String(piece.array(), 0, piece.position(), StandardCharsets.ISO_8859_1);
                for (int i = 0; i < places.length; i++) {
                    int found = text.indexOf(words.get(i));
                    places[i] = found < 0 ? places[i] : at + found;
                }
            }
        }
        if (Arrays.stream(places).anyMatch(place -> place < 0)) {
            throw new Failed("the image that it left is not made of what it was given");
        }
        return Arrays.stream(places).boxed().toList();
    }

    private static byte[] standIn() {
        ByteBuffer elf = ByteBuffer.allocate(64 + 56).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0, ElfProgram.MAGIC).put(4, (byte) 2).put(5, (byte) 1).put(6, (byte) 1);
        elf.putShort(16, (short) 2).putShort(18, (short) ElfProgram.X86_64).putInt(20, 1);
        elf.putLong(32, 64).putShort(52, (short) 64).putShort(54, (short) 56).putShort(56, (short) 1);
        // PT_LOAD of the headers themselves.
        elf.putInt(64, 1).putInt(64 + 4, 4).putLong(64 + 16, 0x400000).putLong(64 + 24, 0x400000);
        elf.putLong(64 + 32, 120).putLong(64 + 40, 120).putLong(64 + 48, 0x1000);
        return elf.array();
    }
}
