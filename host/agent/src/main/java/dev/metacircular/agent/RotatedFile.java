package dev.metacircular.agent;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;

/** A file of the agent's alone that begins anew at a size; so many before it are kept, with a number each. */
final class RotatedFile implements AutoCloseable {
    private final Path file;
    private final long maxBytes;
    private final int files;
    private Optional<OutputStream> out;
    private long size;

    /** @param files how many there are at most, this one included */
    RotatedFile(Path file, long maxBytes, int files) throws IOException {
        this.file = file;
        this.maxBytes = maxBytes;
        this.files = files;
        this.out = Optional.of(open());
    }

    private OutputStream open() throws IOException {
        if (!Files.exists(file)) {
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        }
        size = Files.size(file);
        return Files.newOutputStream(file, StandardOpenOption.APPEND);
    }

    /** Writes a whole line. One that fails is lost, and the next one is tried anew. */
    synchronized void write(byte[] line) throws IOException {
        if (out.isEmpty()) {
            out = Optional.of(open());
        }
        if (size > 0 && size + line.length > maxBytes) {
            OutputStream full = out.get();
            out = Optional.empty();
            full.close();
            rotate();
            out = Optional.of(open());
        }
        out.get().write(line);
        size += line.length;
    }

    /** Moves only what stands in the way, so that an attempt that failed, repeated, pushes no older file out. */
    private void rotate() throws IOException {
        int free = 1;
        while (free < files - 1 && Files.exists(numbered(free))) {
            free++;
        }
        for (int i = free; i > 1; i--) {
            Files.move(numbered(i - 1), numbered(i), StandardCopyOption.REPLACE_EXISTING);
        }
        Files.move(file, numbered(1), StandardCopyOption.REPLACE_EXISTING);
    }

    private Path numbered(int index) {
        return file.resolveSibling(file.getFileName() + "." + index);
    }

    @Override
    public synchronized void close() throws IOException {
        if (out.isPresent()) {
            out.get().close();
        }
    }
}
