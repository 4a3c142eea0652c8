package dev.metacircular.image;

import java.io.InputStream;
import java.util.Objects;

/** The content of a file in an image, from the first byte. */
final class EntryStream extends InputStream {
    private static final int MAX_STEP_BYTES = 1 << 16;

    private final ErofsReader reader;
    private final ErofsReader.RawInode inode;
    private long at;

    EntryStream(ErofsReader reader, ErofsReader.RawInode inode) {
        this.reader = reader;
        this.inode = inode;
    }

    @Override
    public int read() {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        if (length == 0) {
            return 0;
        }
        if (at >= inode.sizeBytes()) {
            return -1;
        }
        int step = (int) Math.min(Math.min(length, MAX_STEP_BYTES), inode.sizeBytes() - at);
        System.arraycopy(reader.data(inode, at, step), 0, bytes, offset, step);
        at += step;
        return step;
    }

    @Override
    public long skip(long bytes) {
        long step = Math.clamp(bytes, 0, inode.sizeBytes() - at);
        at += step;
        return step;
    }
}
