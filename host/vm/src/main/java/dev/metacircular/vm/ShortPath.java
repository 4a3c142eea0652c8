package dev.metacircular.vm;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A way to a Unix-domain socket that fits into a socket address, whatever the length of the socket's own path: a long one is reached
 * through a temporary link to its directory.
 */
record ShortPath(Path path, Optional<Path> temporary) implements AutoCloseable {
    static ShortPath to(Path socket) {
        if (socket.toString().getBytes(StandardCharsets.UTF_8).length <= Limits.SOCKET_PATH_BYTES_MAX) {
            return new ShortPath(socket, Optional.empty());
        }
        Path parent = socket.getParent();
        if (parent == null) {
            throw new IllegalArgumentException("no directory: " + socket);
        }
        try {
            Path directory = Files.createTempDirectory("vm");
            Files.createSymbolicLink(directory.resolve("d"), parent);
            return new ShortPath(directory.resolve("d").resolve(socket.getFileName()), Optional.of(directory));
        } catch (IOException e) {
            throw StateDirectory.cannot("make a short way to", socket, e);
        }
    }

    @Override
    public void close() {
        temporary.ifPresent(directory -> {
            try {
                Files.deleteIfExists(directory.resolve("d"));
                Files.deleteIfExists(directory);
            } catch (IOException e) {
                throw StateDirectory.cannot("delete", directory, e);
            }
        });
    }
}
