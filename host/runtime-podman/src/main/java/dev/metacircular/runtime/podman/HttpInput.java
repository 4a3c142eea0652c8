package dev.metacircular.runtime.podman;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;

/** Bytes from a connection, by line or as they come; never reads on while there is something in the buffer. */
final class HttpInput extends InputStream {
    private static final int BUFFER_BYTES = 16 * 1024;
    private static final int MAX_LINE_BYTES = 8 * 1024;

    private final ReadableByteChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES).flip();
    private volatile long lastReadNanos = System.nanoTime();

    HttpInput(ReadableByteChannel channel) {
        this.channel = channel;
    }

    /** When something last arrived, on the clock of {@link System#nanoTime}. */
    long lastReadNanos() {
        return lastReadNanos;
    }

    private boolean fill() throws IOException {
        if (buffer.hasRemaining()) {
            return true;
        }
        buffer.clear();
        int count = channel.read(buffer);
        buffer.flip();
        lastReadNanos = System.nanoTime();
        return count > 0;
    }

    @Override
    public int read() throws IOException {
        return fill() ? buffer.get() & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int count = Math.min(length, buffer.remaining());
        buffer.get(target, offset, count);
        return count;
    }

    @Override
    public int available() {
        return buffer.remaining();
    }

    /** A line without its line end. */
    String line() throws IOException {
        StringBuilder line = new StringBuilder();
        while (true) {
            int next = read();
            if (next < 0) {
                throw new EOFException("the connection was closed");
            }
            if (next == '\n') {
                int end = line.length();
                return end > 0 && line.charAt(end - 1) == '\r' ? line.substring(0, end - 1) : line.toString();
            }
            if (line.length() >= MAX_LINE_BYTES) {
                throw new IOException("a line of an HTTP head is longer than " + MAX_LINE_BYTES + " bytes");
            }
            line.append((char) next);
        }
    }

    /** The body that a head announces (RFC 9112, section 6.3). */
    InputStream body(HttpHead head) {
        if (head.chunked()) {
            return new Chunked();
        }
        return head.length().isPresent() ? new Counted(head.length().getAsLong()) : this;
    }

    private final class Counted extends InputStream {
        private long left;

        Counted(long length) {
            this.left = length;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            if (left == 0) {
                return -1;
            }
            int count = HttpInput.this.read(target, offset, (int) Math.min(length, left));
            if (count < 0) {
                throw new EOFException("the answer ends " + left + " bytes early");
            }
            left -= count;
            return count;
        }
    }

    private final class Chunked extends InputStream {
        private long left;
        private boolean first = true;
        private boolean ended;

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            if (left == 0 && !ended) {
                next();
            }
            if (ended) {
                return -1;
            }
            int count = HttpInput.this.read(target, offset, (int) Math.min(length, left));
            if (count < 0) {
                throw new EOFException("the answer ends within a chunk");
            }
            left -= count;
            return count;
        }

        private void next() throws IOException {
            if (!first && !line().isEmpty()) {
                throw new IOException("a chunk of the answer has no end");
            }
            first = false;
            String size = line().split(";", 2)[0].strip();
            try {
                left = Long.parseLong(size, 16);
            } catch (NumberFormatException e) {
                throw new IOException("'" + OneLine.of(size) + "' is not the size of a chunk", e);
            }
            if (left < 0) {
                throw new IOException("a chunk of the answer has a negative size");
            }
            if (left == 0) {
                ended = true;
                // Trailers, which nobody reads.
                while (!line().isEmpty()) {}
            }
        }
    }
}
