package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.atomic.AtomicReference;

/**
 * One request and its answer on a connection of their own. Whatever ends it from outside closes the connection, which ends
 * a read or write that another thread is blocked in; {@link #failure} then tells why.
 */
final class Exchange implements AutoCloseable {
    private final String purpose;
    private final SocketChannel channel;
    private final HttpInput input;
    private final AtomicReference<RuntimeFailure> reason = new AtomicReference<>();
    private volatile boolean closed;
    private HttpHead head = new HttpHead(0, "", false, OptionalLong.empty());
    private InputStream body = InputStream.nullInputStream();
    private final Watchdog watchdog;
    private volatile ScheduledFuture<?> deadline;

    /** Waits for nothing: {@link #perform} does. */
    Exchange(String purpose, SocketChannel channel, Duration limit, Watchdog watchdog) {
        this.purpose = purpose;
        this.channel = channel;
        this.input = new HttpInput(channel);
        this.watchdog = watchdog;
        this.deadline = watchdog.after(limit, () -> abort(late(limit)));
    }

    private RuntimeFailure late(Duration limit) {
        return new RuntimeFailure(
                Kind.DEADLINE, "cannot " + purpose + ": podman has not answered within " + seconds(limit));
    }

    private static String seconds(Duration duration) {
        return duration.toMillis() % 1000 == 0 ? duration.toSeconds() + " s" : duration.toMillis() + " ms";
    }

    void perform(Request request) throws IOException {
        byte[] bytes = request.encode();
        write(bytes, 0, bytes.length);
        head = HttpHead.read(input);
        // 101 and a hijacked 200 have no length: what follows is the peers' own.
        body = input.body(head);
    }

    int status() {
        return head.status();
    }

    String server() {
        return head.server();
    }

    InputStream body() {
        return body;
    }

    long lastReadNanos() {
        return input.lastReadNanos();
    }

    /** Bytes to the peer after the request, once it has given up HTTP on this connection. */
    OutputStream output() {
        return new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int offset, int length) throws IOException {
                Exchange.this.write(bytes, offset, length);
            }

            @Override
            public void close() throws IOException {
                if (channel.isOpen()) {
                    channel.shutdownOutput();
                }
            }
        };
    }

    private void write(byte[] bytes, int offset, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, offset, length);
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Lifts the deadline: a stream has begun, which its reader watches over by other means. */
    void release() {
        deadline.cancel(false);
    }

    /** Replaces the deadline by one from now on. */
    void extend(Duration limit) {
        deadline.cancel(false);
        deadline = watchdog.after(limit, () -> abort(late(limit)));
    }

    /** Ends the exchange for this reason; the first reason counts. */
    void abort(RuntimeFailure why) {
        reason.compareAndSet(null, why);
        close();
    }

    /** Whether it was closed from this side, without a failure. */
    boolean isClosed() {
        return closed && reason.get() == null;
    }

    /** What an I/O error means. */
    RuntimeFailure failure(IOException error) {
        RuntimeFailure why = reason.get();
        if (why != null) {
            return why;
        }
        if (Thread.currentThread().isInterrupted()) {
            return new RuntimeFailure(Kind.DEADLINE, "cannot " + purpose + ": interrupted", error);
        }
        String cause = OneLine.of(Objects.requireNonNullElse(error.getMessage(), "the connection broke"));
        return new RuntimeFailure(Kind.UNREACHABLE, "cannot " + purpose + ": podman is not well: " + cause, error);
    }

    @Override
    public void close() {
        closed = true;
        deadline.cancel(false);
        try {
            channel.close();
        } catch (IOException e) {
            reason.compareAndSet(null, new RuntimeFailure(Kind.FAILED, "cannot close a connection to podman", e));
        }
    }
}
