package dev.metacircular.runtime.podman;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Takes a command's two streams apart, which come in frames on one connection. Both must be read, as a pipe's must: what is
 * not read holds the other up once {@link #MAX_HELD_BYTES} are waiting.
 */
final class Demultiplexer {
    static final int MAX_HELD_BYTES = 256 * 1024;
    private static final int MAX_PIECE_BYTES = 16 * 1024;

    private final Exchange exchange;
    private final Side output = new Side();
    private final Side errors = new Side();

    Demultiplexer(Exchange exchange) {
        this.exchange = exchange;
        Thread.ofVirtual().name("podman-exec-output").start(this::run);
    }

    InputStream output() {
        return output;
    }

    InputStream errors() {
        return errors;
    }

    private void run() {
        IOException end = new EOFException();
        try (DataInputStream input = new DataInputStream(exchange.body())) {
            for (int kind = input.read(); kind >= 0; kind = input.read()) {
                input.skipNBytes(3);
                long left = Integer.toUnsignedLong(input.readInt());
                while (left > 0) {
                    byte[] piece = input.readNBytes((int) Math.min(left, MAX_PIECE_BYTES));
                    if (piece.length == 0) {
                        throw new EOFException("the output of the command broke off");
                    }
                    left -= piece.length;
                    (kind == 2 ? errors : output).put(piece);
                }
            }
        } catch (IOException e) {
            end = exchange.isClosed() ? new EOFException() : new IOException(exchange.failure(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            output.end(end);
            errors.end(end);
        }
    }

    /** What has arrived of one stream and is not yet read. */
    private static final class Side extends InputStream {
        private final Deque<byte[]> pieces = new ArrayDeque<>();
        private int held;
        private int offset;
        private boolean ended;
        private IOException why = new EOFException();

        synchronized void put(byte[] piece) throws InterruptedException {
            while (held >= MAX_HELD_BYTES) {
                wait();
            }
            pieces.add(piece);
            held += piece.length;
            notifyAll();
        }

        synchronized void end(IOException reason) {
            ended = true;
            why = reason;
            notifyAll();
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public synchronized int read(byte[] target, int start, int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            try {
                while (pieces.isEmpty() && !ended) {
                    wait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
            byte[] piece = pieces.peek();
            if (piece == null) {
                if (why instanceof EOFException) {
                    return -1;
                }
                throw why;
            }
            int count = Math.min(length, piece.length - offset);
            System.arraycopy(piece, offset, target, start, count);
            offset += count;
            if (offset == piece.length) {
                pieces.remove();
                offset = 0;
                held -= piece.length;
                notifyAll();
            }
            return count;
        }

        @Override
        public synchronized int available() {
            return held - offset;
        }
    }
}
