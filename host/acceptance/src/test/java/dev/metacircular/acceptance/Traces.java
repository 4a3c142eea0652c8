package dev.metacircular.acceptance;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Searches for a value that is to be kept: as it stands, in hexadecimal, and in base64 wherever it begins in what was encoded. */
final class Traces {
    private static final int BLOCK_BYTES = 1 << 20;
    private static final long MAX_FILE_BYTES = 64L << 20;

    private final List<String> forms;

    Traces(String value) {
        Set<String> all = new LinkedHashSet<>();
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        all.add(value);
        String hex = HexFormat.of().formatHex(bytes);
        all.add(hex);
        all.add(hex.toUpperCase(Locale.ROOT));
        for (int offset = 0; offset < 3; offset++) {
            byte[] shifted = new byte[offset + bytes.length];
            System.arraycopy(bytes, 0, shifted, offset, bytes.length);
            String encoded = Base64.getEncoder().withoutPadding().encodeToString(shifted);
            all.add(encoded.substring((offset * 8 + 5) / 6, shifted.length * 8 / 6));
        }
        forms = List.copyOf(all);
    }

    boolean in(String text) {
        return forms.stream().anyMatch(text::contains);
    }

    /** The regular files below the folder that hold it; those that cannot be read are left out, and so are those larger than 64 MiB. */
    SortedSet<Path> filesBelow(Path folder) throws IOException {
        SortedSet<Path> found = new TreeSet<>();
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                if (attributes.isRegularFile() && attributes.size() <= MAX_FILE_BYTES && isIn(file)) {
                    found.add(file);
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException failure) {
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure) {
                return FileVisitResult.CONTINUE;
            }
        });
        return found;
    }

    private boolean isIn(Path file) {
        int overlap = forms.stream().mapToInt(String::length).max().orElseThrow();
        try (var channel = Files.newByteChannel(file)) {
            byte[] block = new byte[BLOCK_BYTES + overlap];
            int kept = 0;
            while (true) {
                int read = channel.read(ByteBuffer.wrap(block, kept, BLOCK_BYTES));
                if (read <= 0) {
                    return false;
                }
                int length = kept + read;
                if (in(new String(block, 0, length, StandardCharsets.ISO_8859_1))) {
                    return true;
                }
                kept = Math.min(overlap, length);
                System.arraycopy(block, length - kept, block, 0, kept);
            }
        } catch (IOException e) {
            return false;
        }
    }

    /** A process whose command line or environment holds it. */
    record Found(String pid, String what, String program) {}

    /** As far as processes may be looked at. */
    List<Found> processes() throws IOException {
        List<Found> found = new ArrayList<>();
        try (Stream<Path> all = Files.list(Path.of("/proc"))) {
            for (Path process : all.filter(p -> p.getFileName().toString().matches("[0-9]+"))
                    .toList()) {
                for (String what : List.of("cmdline", "environ")) {
                    try {
                        if (in(Files.readString(process.resolve(what), StandardCharsets.ISO_8859_1))) {
                            found.add(new Found(
                                    process.getFileName().toString(),
                                    what,
                                    Files.readString(process.resolve("comm")).strip()));
                        }
                    } catch (IOException e) {
                        // It has ended, or is another user's.
                    }
                }
            }
        }
        return found;
    }
}
