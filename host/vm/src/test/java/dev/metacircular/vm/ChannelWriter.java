package dev.metacircular.vm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/** Writes records as a guest does, straight from docs/image-format.md and without the reader's code. */
final class ChannelWriter implements AutoCloseable {
    private final FileChannel file;
    private final int slots;
    private long next = 1;

    ChannelWriter(Path path) {
        try {
            file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
            ByteBuffer header = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
            file.read(header, 0);
            slots = header.getInt(8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Leaves this many numbers out, as if those writes had failed. */
    void skip(long records) {
        next += records;
    }

    void nextNumber(long number) {
        next = number;
    }

    void log(int level, String text) {
        message(1, level, text.getBytes(StandardCharsets.UTF_8));
    }

    void exit(int status, int cause, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        message(
                2,
                0,
                ByteBuffer.allocate(8 + bytes.length)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(status)
                        .putInt(cause)
                        .put(bytes)
                        .array());
    }

    /** A message in as many records as it needs. */
    void message(int kind, int level, byte[] payload) {
        for (int from = 0; from == 0 || from < payload.length; from += 480) {
            int bytes = Math.min(480, payload.length - from);
            int flags = (from == 0 ? 1 : 0) | (from + bytes == payload.length ? 2 : 0);
            record(kind, flags, level, ByteBuffer.wrap(payload, from, bytes));
        }
    }

    void record(int kind, int flags, int level, ByteBuffer payload) {
        ByteBuffer slot = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
        slot.putShort(4, (short) kind).put(6, (byte) flags).put(7, (byte) level);
        slot.putLong(8, next).putLong(16, next * 1_000).putInt(24, 7).putShort(28, (short) payload.remaining());
        slot.put(32, payload, payload.position(), payload.remaining());
        CRC32C crc = new CRC32C();
        crc.update(slot.array(), 4, 508);
        slot.putInt(0, (int) crc.getValue());
        overwrite(next, slot);
        next++;
    }

    /** Puts these bytes into the slot of a record. */
    void overwrite(long number, ByteBuffer bytes) {
        try {
            file.write(bytes.duplicate(), (1 + (number - 1) % slots) * 512L);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
