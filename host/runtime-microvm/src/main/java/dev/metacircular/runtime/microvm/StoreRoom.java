package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The room that a store of images has.
 *
 * @param content the folder of what is kept
 * @param fresh the folder of what is being made
 * @param maxBytes of both together
 */
record StoreRoom(Path content, Path fresh, long maxBytes) {
    /** Left of the file system to others, of which the agent's registry is one. */
    private static final long RESERVE_BYTES = 256L << 20;

    /** @throws RuntimeFailure EXHAUSTED if the file system has no room for so many bytes more */
    void requireFree(long bytes) throws IOException {
        long free = Files.getFileStore(fresh).getUsableSpace();
        if (bytes > free - RESERVE_BYTES) {
            throw new RuntimeFailure(
                    Kind.EXHAUSTED,
                    "no room for %d MiB of guest images: %d MiB are free below %s, %d of them for other files"
                            .formatted(bytes >> 20, free >> 20, fresh, RESERVE_BYTES >> 20));
        }
    }

    /** @throws RuntimeFailure EXHAUSTED if so many bytes more, besides what is there and what is being made, are beyond the bound */
    void requireForMaking(long bytes) throws IOException {
        require(bytesIn(content) + bytesIn(fresh), bytes);
    }

    /** @throws RuntimeFailure EXHAUSTED if so many bytes more of what is there are beyond the bound */
    void requireForKeeping(long bytes) throws IOException {
        require(bytesIn(content), bytes);
    }

    private void require(long taken, long bytes) {
        if (taken + bytes > maxBytes) {
            throw new RuntimeFailure(
                    Kind.EXHAUSTED,
                    "the node's guest images take %d MiB, and with %d MiB more they would take more than %d: remove some"
                            .formatted(taken >> 20, bytes >> 20, maxBytes >> 20));
        }
    }

    /** Of the files in a folder and below; those that go meanwhile do not count. */
    private static long bytesIn(Path folder) throws IOException {
        long bytes = 0;
        for (Path file : files(folder)) {
            bytes += Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS) ? bytesIn(file) : sizeOf(file);
        }
        return bytes;
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        } catch (NoSuchFileException e) {
            return List.of();
        }
    }

    private static long sizeOf(Path file) throws IOException {
        try {
            return Files.size(file);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }
}
