package dev.metacircular.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** Bounds-checked reads from a file that nobody vouches for. */
final class BlockFile {
    private final Path path;
    private final FileChannel channel;
    private final long sizeBytes;

    BlockFile(Path path, FileChannel channel) throws IOException {
        this.path = path;
        this.channel = channel;
        this.sizeBytes = channel.size();
    }

    long sizeBytes() {
        return sizeBytes;
    }

    /** @throws ImageException if the bytes are not all there; {@code what} says what they are */
    byte[] read(long offset, int bytes, String what) {
        if (offset < 0 || offset > sizeBytes || bytes > sizeBytes - offset) {
            throw bad("%s should stand at bytes %d to %d, and the file has %d"
                    .formatted(what, offset, offset + bytes, sizeBytes));
        }
        byte[] out = new byte[bytes];
        ByteBuffer buffer = ByteBuffer.wrap(out);
        try {
            long at = offset;
            while (buffer.hasRemaining()) {
                int read = channel.read(buffer, at);
                if (read < 0) {
                    throw bad("the file was cut while it was read, at byte %d".formatted(at));
                }
                at += read;
            }
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot read the image '%s' at byte %d: %s.".formatted(path, offset, ImageWriter.reason(e)), e);
        }
        return out;
    }

    /** The error for a file that is no sound image; {@code why} says what stands where. */
    ImageException bad(String why) {
        return new ImageException(
                "'%s' is not a sound image: %s. Pack it again (ukernel pack), or fetch it again.".formatted(path, why));
    }
}
