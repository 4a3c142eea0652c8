package dev.metacircular.cli.http2;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The client's side of one HTTP/2 connection (RFC 9113). One thread reads and tells the streams; writers block while the
 * peer's flow-control window is closed, so they must not be the reading thread.
 */
final class Http2Connection implements AutoCloseable {
    static final int NO_ERROR = 0;
    static final int PROTOCOL_ERROR = 1;
    static final int CANCEL = 8;

    private static final int DATA = 0;
    private static final int HEADERS = 1;
    private static final int RST_STREAM = 3;
    private static final int SETTINGS = 4;
    private static final int PUSH_PROMISE = 5;
    private static final int PING = 6;
    private static final int GOAWAY = 7;
    private static final int WINDOW_UPDATE = 8;
    private static final int CONTINUATION = 9;

    private static final int END_STREAM = 0x1;
    private static final int ACK = 0x1;
    private static final int END_HEADERS = 0x4;
    private static final int PADDED = 0x8;
    private static final int PRIORITY = 0x20;

    private static final int SETTING_ENABLE_PUSH = 2;
    private static final int SETTING_INITIAL_WINDOW = 4;
    private static final int SETTING_MAX_FRAME = 5;
    private static final int SETTING_MAX_HEADER_LIST = 6;

    private static final int DEFAULT_WINDOW_BYTES = 65_535;
    private static final int MAX_FRAME_BYTES = 16_384;
    private static final int FRAME_HEADER_BYTES = 9;
    /** What a peer may send on a stream, and on the connection, before it is consumed. */
    static final int WINDOW_BYTES = 1 << 20;

    private static final byte[] PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII);

    /** What a stream is told, by the reading thread. */
    interface Listener {
        void headers(List<Header> headers, boolean end);

        void data(byte[] bytes, boolean end);

        /** Last: the stream was reset, or the connection is gone. */
        void failed(IOException why, boolean untouched);
    }

    private final Socket socket;
    private final DataInputStream in;
    private final OutputStream out;
    private final HpackDecoder decoder = new HpackDecoder();
    private final byte[] frameHeader = new byte[FRAME_HEADER_BYTES];

    /** Guards what follows and every write. */
    private final Object lock = new Object();

    private final Map<Integer, Stream> streams = new HashMap<>();
    private int nextStreamId = 1;
    private int sendWindowBytes = DEFAULT_WINDOW_BYTES;
    private int initialSendWindowBytes = DEFAULT_WINDOW_BYTES;
    private int maxSendFrameBytes = MAX_FRAME_BYTES;
    private boolean refusesStreams;
    private @Nullable IOException failure;

    private int unacknowledgedBytes;

    /** Takes the socket over. The preface is sent with the first request. */
    Http2Connection(Socket socket, String name) throws IOException {
        this.socket = socket;
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 2 * MAX_FRAME_BYTES));
        out = new BufferedOutputStream(socket.getOutputStream(), 2 * MAX_FRAME_BYTES);
        out.write(PREFACE);
        byte[] settings = new byte[18];
        setting(settings, 0, SETTING_ENABLE_PUSH, 0);
        setting(settings, 6, SETTING_INITIAL_WINDOW, WINDOW_BYTES);
        setting(settings, 12, SETTING_MAX_HEADER_LIST, HpackDecoder.MAX_LIST_BYTES);
        frame(SETTINGS, 0, 0, settings, 0, settings.length);
        windowUpdate(0, WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
        Thread reader = new Thread(this::read, "http2 " + name);
        reader.setDaemon(true);
        reader.start();
    }

    private static void setting(byte[] settings, int at, int id, int value) {
        settings[at + 1] = (byte) id;
        putInt(settings, at + 2, value);
    }

    /** A request or response half of each direction. */
    final class Stream {
        private final int id;
        private final Listener listener;
        private int windowBytes;
        private boolean finished;
        private boolean sentEnd;

        private Stream(int id, Listener listener, int windowBytes) {
            this.id = id;
            this.listener = listener;
            this.windowBytes = windowBytes;
        }

        /** Sends it all, and waits for the window where it must. Sends nothing once the stream has ended. */
        void send(byte[] bytes, boolean end) throws IOException {
            try {
                synchronized (lock) {
                    int at = 0;
                    while (at < bytes.length && !finished && !sentEnd) {
                        int window = Math.min(sendWindowBytes, windowBytes);
                        if (window <= 0) {
                            out.flush();
                            lock.wait();
                            continue;
                        }
                        int size = Math.min(window, Math.min(bytes.length - at, maxSendFrameBytes));
                        sendWindowBytes -= size;
                        windowBytes -= size;
                        boolean last = end && at + size == bytes.length;
                        frame(DATA, last ? END_STREAM : 0, id, bytes, at, size);
                        at += size;
                    }
                    if (end && bytes.length == 0 && !finished && !sentEnd) {
                        frame(DATA, END_STREAM, id, bytes, 0, 0);
                    }
                    sentEnd |= end;
                    out.flush();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }

        /** Lets the peer send so much more. */
        void consumed(int bytes) {
            synchronized (lock) {
                if (!finished && bytes > 0) {
                    try {
                        windowUpdate(id, bytes);
                        out.flush();
                    } catch (IOException e) {
                        abort(e);
                    }
                }
            }
        }

        /** Ends it at once; the listener is told no more. */
        void cancel(int errorCode) {
            synchronized (lock) {
                if (!finish(this)) {
                    return;
                }
                try {
                    byte[] payload = new byte[4];
                    putInt(payload, 0, errorCode);
                    frame(RST_STREAM, 0, id, payload, 0, payload.length);
                    out.flush();
                } catch (IOException e) {
                    abort(e);
                }
            }
        }
    }

    /** @param flush whether the peer is to see the request before its body */
    Stream open(List<Header> headers, Listener listener, boolean flush) throws IOException {
        byte[] block = HpackEncoder.encode(headers);
        synchronized (lock) {
            if (failure != null) {
                throw failure;
            }
            Stream stream = new Stream(nextStreamId, listener, initialSendWindowBytes);
            nextStreamId += 2;
            streams.put(stream.id, stream);
            int at = 0;
            do {
                int size = Math.min(block.length - at, maxSendFrameBytes);
                int flags = at + size == block.length ? END_HEADERS : 0;
                frame(at == 0 ? HEADERS : CONTINUATION, flags, stream.id, block, at, size);
                at += size;
            } while (at < block.length);
            if (flush) {
                out.flush();
            }
            return stream;
        }
    }

    /** Whether new streams can be opened. */
    boolean isUsable() {
        synchronized (lock) {
            return failure == null && !refusesStreams;
        }
    }

    /** Ends every stream. */
    @Override
    public void close() {
        abort(new IOException("the connection was closed"));
    }

    private boolean finish(Stream stream) {
        boolean first = !stream.finished;
        stream.finished = true;
        streams.remove(stream.id);
        lock.notifyAll();
        return first;
    }

    private void frame(int type, int flags, int streamId, byte[] payload, int offset, int length) throws IOException {
        synchronized (lock) {
            frameHeader[0] = (byte) (length >> 16);
            frameHeader[1] = (byte) (length >> 8);
            frameHeader[2] = (byte) length;
            frameHeader[3] = (byte) type;
            frameHeader[4] = (byte) flags;
            putInt(frameHeader, 5, streamId);
            out.write(frameHeader);
            out.write(payload, offset, length);
        }
    }

    private void windowUpdate(int streamId, int bytes) throws IOException {
        byte[] payload = new byte[4];
        putInt(payload, 0, bytes);
        frame(WINDOW_UPDATE, 0, streamId, payload, 0, payload.length);
    }

    private void abort(IOException why) {
        List<Stream> open;
        synchronized (lock) {
            if (failure == null) {
                failure = why;
            }
            open = List.copyOf(streams.values());
            open.forEach(this::finish);
            try {
                socket.close();
            } catch (IOException e) {
                why.addSuppressed(e);
            }
        }
        open.forEach(s -> s.listener.failed(why, false));
    }

    private void read() {
        try {
            while (true) {
                readFrame();
            }
        } catch (EOFException e) {
            abort(new IOException("the node closed the connection", e));
        } catch (IOException e) {
            abort(e);
        } catch (UncheckedIOException e) {
            abort(new IOException(e.getMessage(), e));
        } catch (RuntimeException e) {
            abort(new IOException("what the node sent cannot be understood: " + e, e));
        }
    }

    private void readFrame() throws IOException {
        int length = (in.readUnsignedShort() << 8) | in.readUnsignedByte();
        int type = in.readUnsignedByte();
        int flags = in.readUnsignedByte();
        int streamId = in.readInt() & Integer.MAX_VALUE;
        if (length > MAX_FRAME_BYTES) {
            throw new IOException("the node sent a frame of " + length + " bytes; allowed are " + MAX_FRAME_BYTES);
        }
        byte[] payload = new byte[length];
        in.readFully(payload);
        switch (type) {
            case DATA -> data(flags, streamId, payload);
            case HEADERS -> headers(flags, streamId, payload);
            case RST_STREAM -> reset(streamId, payload);
            case SETTINGS -> settings(flags, payload);
            case PING -> ping(flags, payload);
            case GOAWAY -> goAway(payload);
            case WINDOW_UPDATE -> credit(streamId, payload);
            case PUSH_PROMISE, CONTINUATION -> throw new IOException("the node sent a frame out of place");
            default -> {
                // RFC 9113, section 5.5: a frame of an unknown type is ignored.
            }
        }
    }

    private void data(int flags, int streamId, byte[] payload) throws IOException {
        byte[] content = withoutPadding(flags, payload, 0);
        boolean end = (flags & END_STREAM) != 0;
        @Nullable Stream stream;
        synchronized (lock) {
            unacknowledgedBytes += payload.length;
            if (unacknowledgedBytes > WINDOW_BYTES / 2) {
                windowUpdate(0, unacknowledgedBytes);
                unacknowledgedBytes = 0;
                out.flush();
            }
            stream = streams.get(streamId);
            if (stream != null && end) {
                finish(stream);
            }
        }
        if (stream != null) {
            stream.consumed(payload.length - content.length);
            stream.listener.data(content, end);
        }
    }

    private void headers(int flags, int streamId, byte[] payload) throws IOException {
        byte[] fragment = withoutPadding(flags, payload, (flags & PRIORITY) == 0 ? 0 : 5);
        byte[] block = (flags & END_HEADERS) != 0 ? fragment : continued(streamId, fragment);
        List<Header> headers = decoder.decode(block);
        boolean end = (flags & END_STREAM) != 0;
        @Nullable Stream stream;
        synchronized (lock) {
            stream = streams.get(streamId);
            if (stream != null && end) {
                finish(stream);
            }
        }
        if (stream != null) {
            stream.listener.headers(headers, end);
        }
    }

    private byte[] continued(int streamId, byte[] fragment) throws IOException {
        ByteArrayOutputStream block = new ByteArrayOutputStream(2 * MAX_FRAME_BYTES);
        block.write(fragment);
        while (true) {
            int length = (in.readUnsignedShort() << 8) | in.readUnsignedByte();
            int type = in.readUnsignedByte();
            int flags = in.readUnsignedByte();
            int id = in.readInt() & Integer.MAX_VALUE;
            if (type != CONTINUATION || id != streamId || block.size() + length > HpackDecoder.MAX_LIST_BYTES) {
                throw new IOException("the node sent malformed headers");
            }
            block.write(in.readNBytes(length));
            if ((flags & END_HEADERS) != 0) {
                return block.toByteArray();
            }
        }
    }

    /** @param priorityBytes what stands between the padding's length and the content */
    private static byte[] withoutPadding(int flags, byte[] payload, int priorityBytes) throws IOException {
        boolean padded = (flags & PADDED) != 0;
        int from = (padded ? 1 : 0) + priorityBytes;
        int padding = padded && payload.length > 0 ? payload[0] & 0xff : 0;
        if (from + padding > payload.length) {
            throw new IOException("the node sent a frame with malformed padding");
        }
        return from + padding == 0 ? payload : Arrays.copyOfRange(payload, from, payload.length - padding);
    }

    private void reset(int streamId, byte[] payload) throws IOException {
        int code = intAt(payload, 0);
        @Nullable Stream stream;
        synchronized (lock) {
            stream = streams.get(streamId);
            if (stream != null) {
                finish(stream);
            }
        }
        if (stream != null) {
            stream.listener.failed(new IOException("the node reset the call (HTTP/2 error " + code + ")"), false);
        }
    }

    private void settings(int flags, byte[] payload) throws IOException {
        if ((flags & ACK) != 0) {
            return;
        }
        synchronized (lock) {
            for (int at = 0; at + 6 <= payload.length; at += 6) {
                int value = intAt(payload, at + 2);
                int id = ((payload[at] & 0xff) << 8) | (payload[at + 1] & 0xff);
                if (id == SETTING_MAX_FRAME && value >= MAX_FRAME_BYTES) {
                    maxSendFrameBytes = Math.min(value, 1 << 20);
                } else if (id == SETTING_INITIAL_WINDOW) {
                    if (value < 0) {
                        throw new IOException("the node sent a malformed setting");
                    }
                    int change = value - initialSendWindowBytes;
                    streams.values().forEach(s -> s.windowBytes += change);
                    initialSendWindowBytes = value;
                }
            }
            frame(SETTINGS, ACK, 0, payload, 0, 0);
            out.flush();
            lock.notifyAll();
        }
    }

    private void ping(int flags, byte[] payload) throws IOException {
        if ((flags & ACK) == 0) {
            synchronized (lock) {
                frame(PING, ACK, 0, payload, 0, payload.length);
                out.flush();
            }
        }
    }

    private void goAway(byte[] payload) throws IOException {
        int last = intAt(payload, 0) & Integer.MAX_VALUE;
        int code = intAt(payload, 4);
        String debug = new String(payload, 8, payload.length - 8, StandardCharsets.UTF_8);
        List<Stream> dropped;
        synchronized (lock) {
            refusesStreams = true;
            dropped = streams.values().stream().filter(s -> s.id > last).toList();
            dropped.forEach(this::finish);
        }
        IOException why = new IOException("the node is closing the connection"
                + (code == NO_ERROR ? "" : " (HTTP/2 error " + code + (debug.isBlank() ? "" : ", " + debug) + ")"));
        dropped.forEach(s -> s.listener.failed(why, true));
    }

    private void credit(int streamId, byte[] payload) throws IOException {
        int bytes = intAt(payload, 0) & Integer.MAX_VALUE;
        synchronized (lock) {
            @Nullable Stream stream = streams.get(streamId);
            if (streamId == 0) {
                sendWindowBytes = Math.addExact(sendWindowBytes, bytes);
            } else if (stream != null) {
                stream.windowBytes = Math.addExact(stream.windowBytes, bytes);
            }
            lock.notifyAll();
        }
    }

    private static int intAt(byte[] bytes, int at) throws IOException {
        if (at + 4 > bytes.length) {
            throw new IOException("the node sent a frame that is too short");
        }
        return ((bytes[at] & 0xff) << 24)
                | ((bytes[at + 1] & 0xff) << 16)
                | ((bytes[at + 2] & 0xff) << 8)
                | (bytes[at + 3] & 0xff);
    }

    private static void putInt(byte[] bytes, int at, int value) {
        bytes[at] = (byte) (value >> 24);
        bytes[at + 1] = (byte) (value >> 16);
        bytes[at + 2] = (byte) (value >> 8);
        bytes[at + 3] = (byte) value;
    }
}
