package dev.metacircular.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;

/**
 * Writes a part of a file from a position on and feeds a digest with it. Blocks of zeros are left as holes; the file's length is
 * the caller's to set.
 */
final class BlockSink {
    private static final int BUFFER_BYTES = 1 << 16;

    private final FileChannel file;
    private final MessageDigest digest;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int used;
    private long start;

    BlockSink(FileChannel file, long position, MessageDigest digest) {
        this.file = file;
        this.start = position;
        this.digest = digest;
    }

    long position() {
        return start + used;
    }

    void write(byte[] bytes) throws IOException {
        write(bytes, 0, bytes.length);
    }

    void write(byte[] bytes, int offset, int length) throws IOException {
        int at = offset;
        int left = length;
        while (left > 0) {
            int step = Math.min(left, buffer.length - used);
            System.arraycopy(bytes, at, buffer, used, step);
            used += step;
            at += step;
            left -= step;
            if (used == buffer.length) {
                flush();
            }
        }
    }

    /** Writes zeros up to {@code position}, which must not lie behind what is written. */
    void zerosTo(long position) throws IOException {
        if (position < position()) {
            throw new IllegalStateException("position %d is before %d".formatted(position, position()));
        }
        byte[] zeros = new byte[ErofsFormat.BLOCK_BYTES];
        while (position() < position) {
            write(zeros, 0, (int) Math.min(zeros.length, position - position()));
        }
    }

    void flush() throws IOException {
        digest.update(buffer, 0, used);
        if (!SparseMap.isZero(buffer, 0, used)) {
            ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, used);
            long at = start;
            while (bytes.hasRemaining()) {
                at += file.write(bytes, at);
            }
        }
        start += used;
        used = 0;
    }
}
