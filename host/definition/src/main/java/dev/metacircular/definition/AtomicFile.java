package dev.metacircular.definition;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.UUID;

/** Files that hold the old text or the new one, whatever happens in between. */
final class AtomicFile {
    private AtomicFile() {}

    /** Writes a file that must not exist yet, with the mode that the umask gives; makes its folders. */
    static void create(Path file, String text) throws IOException {
        Path folder = folder(file);
        Files.createDirectories(folder);
        Path temporary = temporary(file);
        try {
            write(temporary, text);
            // Unlike a rename, a link never replaces a file that another program made meanwhile.
            Files.createLink(file, temporary);
        } finally {
            Files.deleteIfExists(temporary);
        }
        sync(folder);
    }

    /**
     * Replaces a file's text, keeping its mode and owner; a symbolic link stays and what it leads to is replaced.
     *
     * @param old what the file must hold until then
     * @throws FileAlreadyExistsException if it holds something else
     */
    static void replace(Path link, String old, String text) throws IOException {
        Path file = link.toRealPath();
        Path temporary = temporary(file);
        try {
            write(temporary, text);
            keepAttributes(file, temporary);
            if (!old.equals(Files.readString(file))) {
                throw new FileAlreadyExistsException(file.toString());
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
        sync(folder(file));
    }

    private static void keepAttributes(Path from, Path to) throws IOException {
        PosixFileAttributes old = Files.readAttributes(from, PosixFileAttributes.class);
        PosixFileAttributeView view = Files.getFileAttributeView(to, PosixFileAttributeView.class);
        PosixFileAttributes fresh = view.readAttributes();
        if (!old.owner().equals(fresh.owner())) {
            view.setOwner(old.owner());
        }
        if (!old.group().equals(fresh.group())) {
            view.setGroup(old.group());
        }
        view.setPermissions(old.permissions());
    }

    private static void write(Path file, String text) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer bytes = StandardCharsets.UTF_8.encode(text);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
    }

    private static Path folder(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        return folder == null ? file.toAbsolutePath() : folder;
    }

    private static Path temporary(Path file) {
        return folder(file).resolve("." + file.getFileName() + "." + UUID.randomUUID() + ".tmp");
    }

    private static void sync(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
