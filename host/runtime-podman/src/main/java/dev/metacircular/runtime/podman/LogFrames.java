package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.LogSink.Stream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * The frames in which podman tells a log (as Docker's attach does): a byte for the stream, three unused, four for the length,
 * then {@code <RFC 3339 time> <text>}. A frame without a line end is the beginning of a longer line. Holds no more than a part of
 * a line however long the frame is.
 */
final class LogFrames {
    /** The longest part of a line that is delivered at once. */
    static final int MAX_PART_BYTES = 16 * 1024;

    private static final int MAX_TIME_BYTES = 64;

    /** A line that is not at its end. */
    private static final class Open {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Instant time = Instant.EPOCH;
        boolean hasParts;
    }

    private final DataInputStream input;
    private final Map<Stream, Open> open = new EnumMap<>(Stream.class);
    private Optional<LogSink> sink = Optional.empty();

    LogFrames(InputStream input) {
        this.input = new DataInputStream(input);
        for (Stream stream : Stream.values()) {
            open.put(stream, new Open());
        }
    }

    /** Until the stream's end, or until the sink is cancelled. */
    void deliver(LogSink target) throws IOException {
        sink = Optional.of(target);
        int kind = input.read();
        while (kind >= 0 && !target.isCancelled()) {
            input.skipNBytes(3);
            long length = Integer.toUnsignedLong(input.readInt());
            frame(kind == 2 ? Stream.ERR : Stream.OUT, length);
            kind = input.read();
        }
        for (Stream stream : Stream.values()) {
            if (line(stream).bytes.size() > 0) {
                part(stream, line(stream).bytes.toByteArray());
            }
        }
    }

    private Open line(Stream stream) {
        return open.computeIfAbsent(stream, _ -> new Open());
    }

    private void frame(Stream stream, long length) throws IOException {
        Open line = line(stream);
        ByteArrayOutputStream time = new ByteArrayOutputStream();
        long left = length;
        while (left > 0) {
            int next = input.readUnsignedByte();
            left--;
            if (next == ' ' || time.size() == MAX_TIME_BYTES) {
                break;
            }
            time.write(next);
        }
        line.time = parse(time.toString(StandardCharsets.US_ASCII));
        byte[] chunk = new byte[4096];
        while (left > 0) {
            int count = input.read(chunk, 0, (int) Math.min(chunk.length, left));
            if (count < 0) {
                throw new EOFException("the log ends within a line");
            }
            left -= count;
            boolean ends = left == 0 && chunk[count - 1] == '\n';
            line.bytes.write(chunk, 0, ends ? count - 1 : count);
            flush(stream, line, ends);
        }
    }

    private void flush(Stream stream, Open line, boolean ends) {
        byte[] bytes = line.bytes.toByteArray();
        int at = 0;
        while (bytes.length - at > MAX_PART_BYTES) {
            int end = characterBoundary(bytes, at + MAX_PART_BYTES);
            part(stream, Arrays.copyOfRange(bytes, at, end));
            line.hasParts = true;
            at = end;
        }
        line.bytes.reset();
        if (!ends) {
            line.bytes.write(bytes, at, bytes.length - at);
            return;
        }
        if (at < bytes.length || !line.hasParts) {
            part(stream, Arrays.copyOfRange(bytes, at, bytes.length));
        }
        line.hasParts = false;
    }

    /** The position, or the begin of the UTF-8 sequence that it is in. */
    private static int characterBoundary(byte[] bytes, int position) {
        int at = position;
        while (at > position - 3 && (bytes[at] & 0xc0) == 0x80) {
            at--;
        }
        return at;
    }

    private void part(Stream stream, byte[] text) {
        LogSink target = sink.orElseThrow();
        if (!target.isCancelled()) {
            target.line(line(stream).time, stream, new String(text, StandardCharsets.UTF_8));
        }
    }

    private static Instant parse(String time) {
        try {
            return OffsetDateTime.parse(time).toInstant();
        } catch (DateTimeParseException e) {
            return Instant.EPOCH;
        }
    }
}
