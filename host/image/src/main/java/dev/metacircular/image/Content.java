package dev.metacircular.image;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * The bytes of a regular file, which can be read more than once and are the same each time. A writer reads them in order, may
 * {@link InputStream#skip} parts, and never holds more than a buffer of them.
 */
public interface Content {
    /** Number of bytes. */
    long sizeBytes();

    /** A new stream over all bytes, from the first. */
    InputStream open() throws IOException;

    /**
     * Says whether the bytes are still those that were there when this object was made.
     *
     * @throws IOException if they are not, or it cannot be told
     */
    void requireUnchanged() throws IOException;

    /** The given bytes, of which a copy is kept. */
    static Content of(byte[] bytes) {
        byte[] copy = bytes.clone();
        return new Content() {
            @Override
            public long sizeBytes() {
                return copy.length;
            }

            @Override
            public InputStream open() {
                return new ByteArrayInputStream(copy);
            }

            @Override
            public void requireUnchanged() {}
        };
    }

    /**
     * The bytes of a file as it is now. Symbolic links are not followed.
     *
     * @throws IOException if it is not a regular file, or cannot be examined
     */
    static Content of(Path file) throws IOException {
        BasicFileAttributes before = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (!before.isRegularFile()) {
            throw new IOException(file + " is not a regular file");
        }
        return new Content() {
            @Override
            public long sizeBytes() {
                return before.size();
            }

            @Override
            public InputStream open() throws IOException {
                SeekableByteChannel channel =
                        Files.newByteChannel(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
                return Channels.newInputStream(channel);
            }

            @Override
            public void requireUnchanged() throws IOException {
                BasicFileAttributes now =
                        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
                if (now.size() != before.size() || !now.lastModifiedTime().equals(before.lastModifiedTime())) {
                    throw new IOException(file + " changed meanwhile");
                }
            }
        };
    }
}
