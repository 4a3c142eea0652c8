package dev.metacircular.cli.http2;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Queue;

/** Takes gRPC's length-prefixed messages out of a stream of bytes, and puts them in. */
final class MessageReader {
    /** The longest message that is accepted. */
    static final int MAX_MESSAGE_BYTES = 16 << 20;

    private static final int PREFIX_BYTES = 5;

    private byte[] buffer = {};
    private int size;

    /** @throws IOException if a message is compressed or too long */
    void add(byte[] bytes, Queue<byte[]> messages) throws IOException {
        reserve(bytes.length);
        System.arraycopy(bytes, 0, buffer, size, bytes.length);
        size += bytes.length;
        int from = 0;
        while (size - from >= PREFIX_BYTES) {
            int length = ((buffer[from + 1] & 0xff) << 24)
                    | ((buffer[from + 2] & 0xff) << 16)
                    | ((buffer[from + 3] & 0xff) << 8)
                    | (buffer[from + 4] & 0xff);
            if (buffer[from] != 0) {
                throw new IOException("the node sent a compressed message, which was not asked for");
            }
            if (length < 0 || length > MAX_MESSAGE_BYTES) {
                throw new IOException("the node sent a message longer than " + MAX_MESSAGE_BYTES + " bytes");
            }
            if (size - from - PREFIX_BYTES < length) {
                break;
            }
            byte[] message = new byte[length];
            System.arraycopy(buffer, from + PREFIX_BYTES, message, 0, length);
            messages.add(message);
            from += PREFIX_BYTES + length;
        }
        System.arraycopy(buffer, from, buffer, 0, size - from);
        size -= from;
    }

    private void reserve(int more) {
        if (buffer.length - size < more) {
            byte[] larger = new byte[Math.max(size + more, 2 * buffer.length)];
            System.arraycopy(buffer, 0, larger, 0, size);
            buffer = larger;
        }
    }

    static byte[] frame(byte[] message) {
        byte[] framed = new byte[PREFIX_BYTES + message.length];
        framed[1] = (byte) (message.length >> 24);
        framed[2] = (byte) (message.length >> 16);
        framed[3] = (byte) (message.length >> 8);
        framed[4] = (byte) message.length;
        System.arraycopy(message, 0, framed, PREFIX_BYTES, message.length);
        return framed;
    }

    static InputStream stream(byte[] message) {
        return new ByteArrayInputStream(message);
    }
}
