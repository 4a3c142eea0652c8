package dev.metacircular.runtime.podman;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.ContentLengthStrategy;
import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.HttpStatus;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.impl.DefaultContentLengthStrategy;
import org.apache.hc.core5.http.impl.io.ChunkedInputStream;
import org.apache.hc.core5.http.impl.io.ContentLengthInputStream;
import org.apache.hc.core5.http.impl.io.DefaultHttpRequestWriter;
import org.apache.hc.core5.http.impl.io.DefaultHttpResponseParser;
import org.apache.hc.core5.http.impl.io.IdentityInputStream;
import org.apache.hc.core5.http.impl.io.SessionInputBufferImpl;
import org.apache.hc.core5.http.impl.io.SessionOutputBufferImpl;

/**
 * HTTP/1.1 messages (RFC 9112) on a channel, by Apache HttpComponents' blocking coders. After the head of an answer that hands the
 * connection over, {@link #body} and {@link #output} are the peers' own bytes.
 */
final class HttpWire {
    private static final int BUFFER_BYTES = 16 * 1024;
    private static final int MAX_LINE_BYTES = 8 * 1024;
    private static final int MAX_HEADERS = 100;
    private static final long NOT_WAITING = Long.MIN_VALUE;
    private static final Http1Config LIMITS = Http1Config.custom()
            .setMaxLineLength(MAX_LINE_BYTES)
            .setMaxHeaderCount(MAX_HEADERS)
            .build();

    private final SocketChannel channel;
    private final InputStream input = new Arriving();
    private final OutputStream output = new Leaving();
    private final SessionInputBufferImpl buffer = new SessionInputBufferImpl(BUFFER_BYTES, MAX_LINE_BYTES);
    private final AtomicLong waitingSinceNanos = new AtomicLong(NOT_WAITING);

    HttpWire(SocketChannel channel) {
        this.channel = channel;
    }

    /** Since when the reader waits for something to arrive, on the clock of {@link System#nanoTime}; empty while it does not. */
    OptionalLong waitingSinceNanos() {
        long since = waitingSinceNanos.get();
        return since == NOT_WAITING ? OptionalLong.empty() : OptionalLong.of(since);
    }

    void write(ClassicHttpRequest request, byte[] body) throws IOException {
        SessionOutputBufferImpl whole = new SessionOutputBufferImpl(BUFFER_BYTES);
        try {
            new DefaultHttpRequestWriter().write(request, whole, output);
        } catch (HttpException e) {
            throw new IOException("the request cannot be written: " + e.getMessage(), e);
        }
        whole.write(body, output);
        whole.flush(output);
    }

    ClassicHttpResponse readHead() throws IOException {
        try {
            return new DefaultHttpResponseParser(LIMITS).parse(buffer, input);
        } catch (HttpException e) {
            throw new IOException("it does not speak HTTP: " + e.getMessage(), e);
        }
    }

    /** The body that a head announces (RFC 9112, section 6.3). */
    InputStream body(ClassicHttpResponse head) throws IOException {
        if (head.getCode() == HttpStatus.SC_NO_CONTENT || head.getCode() == HttpStatus.SC_NOT_MODIFIED) {
            return InputStream.nullInputStream();
        }
        long length;
        try {
            length = DefaultContentLengthStrategy.INSTANCE.determineLength(head);
        } catch (HttpException e) {
            throw new IOException("the answer's length makes no sense: " + e.getMessage(), e);
        }
        InputStream body;
        if (length == ContentLengthStrategy.CHUNKED) {
            body = new ChunkedInputStream(buffer, input, LIMITS);
        } else if (length == ContentLengthStrategy.UNDEFINED) {
            body = new IdentityInputStream(buffer, input);
        } else {
            body = new ContentLengthInputStream(buffer, input, length);
        }
        return new FilterInputStream(body) {
            @Override
            public void close() {
                // The library's streams read what is left, for the connection's next use: this one has none.
            }
        };
    }

    /** Bytes to the peer; closing it tells the peer that no more will come. */
    OutputStream output() {
        return output;
    }

    private final class Arriving extends InputStream {
        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            waitingSinceNanos.set(System.nanoTime());
            try {
                return channel.read(ByteBuffer.wrap(target, offset, length));
            } finally {
                waitingSinceNanos.set(NOT_WAITING);
            }
        }
    }

    private final class Leaving extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            ByteBuffer left = ByteBuffer.wrap(bytes, offset, length);
            while (left.hasRemaining()) {
                channel.write(left);
            }
        }

        @Override
        public void close() throws IOException {
            if (channel.isOpen()) {
                channel.shutdownOutput();
            }
        }
    }
}
