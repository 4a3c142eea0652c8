package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Content;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** The contents of many files in one, so that no name out of an image ever becomes a path of this machine. */
final class Spool implements AutoCloseable {
    private final FileChannel channel;
    private long size;

    Spool(Path file) throws IOException {
        channel = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** All that the stream has. */
    Content add(InputStream in) throws IOException {
        long start = size;
        byte[] buffer = new byte[1 << 16];
        for (int read = in.read(buffer, 0, buffer.length); read >= 0; read = in.read(buffer, 0, buffer.length)) {
            ByteBuffer piece = ByteBuffer.wrap(buffer, 0, read);
            while (piece.hasRemaining()) {
                size += channel.write(piece, size);
            }
        }
        return new Slice(channel, start, size - start);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private record Slice(FileChannel channel, long start, long sizeBytes) implements Content {
        @Override
        public InputStream open() {
            return new InputStream() {
                private long at;

                @Override
                public int read() throws IOException {
                    byte[] one = new byte[1];
                    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
                }

                @Override
                public int read(byte[] buffer, int offset, int length) throws IOException {
                    long left = sizeBytes - at;
                    if (left == 0) {
                        return -1;
                    }
                    int read = channel.read(ByteBuffer.wrap(buffer, offset, (int) Math.min(length, left)), start + at);
                    if (read > 0) {
                        at += read;
                    }
                    return read;
                }

                @Override
                public long skip(long bytes) {
                    long skipped = Math.clamp(bytes, 0, sizeBytes - at);
                    at += skipped;
                    return skipped;
                }
            };
        }

        @Override
        public void requireUnchanged() {}
    }
}
