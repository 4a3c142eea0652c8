package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.Header;

/**
 * One request and its answer on a connection of their own. Whatever ends it from outside closes the connection, which ends
 * a read or write that another thread is blocked in; {@link #failure} then tells why.
 */
final class Exchange implements AutoCloseable {
    private final String purpose;
    private final SocketChannel channel;
    private final HttpWire wire;
    private final AtomicReference<RuntimeFailure> reason = new AtomicReference<>();
    private volatile boolean closed;
    private int status;
    private String server = "";
    private InputStream body = InputStream.nullInputStream();
    private final Watchdog watchdog;
    private volatile ScheduledFuture<?> deadline;

    /** Waits for nothing: {@link #perform} does. */
    Exchange(String purpose, SocketChannel channel, Duration limit, Watchdog watchdog) {
        this.purpose = purpose;
        this.channel = channel;
        this.wire = new HttpWire(channel);
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
        wire.write(request.head(), request.body());
        ClassicHttpResponse head = wire.readHead();
        status = head.getCode();
        Header name = head.getFirstHeader("Server");
        server = name == null || name.getValue() == null ? "" : name.getValue();
        // 101 and a hijacked 200 have no length: what follows is the peers' own.
        body = wire.body(head);
    }

    int status() {
        return status;
    }

    String server() {
        return server;
    }

    InputStream body() {
        return body;
    }

    /** Since when its reader waits for the peer; empty while the reader is busy elsewhere. */
    OptionalLong waitingSinceNanos() {
        return wire.waitingSinceNanos();
    }

    /** Bytes to the peer after the request, once it has given up HTTP on this connection. */
    OutputStream output() {
        return wire.output();
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
