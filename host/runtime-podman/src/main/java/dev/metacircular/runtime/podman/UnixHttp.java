package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * HTTP/1.1 on a unix socket with one connection for each request. The messages are a library's, the connections are not, because
 * libpod's exec takes one over for its own bytes in both directions, and because every call must end at its deadline however
 * its peer behaves: a watchdog closes the connection, which needs no co-operation from a library's time-outs, which count anew
 * with each byte.
 */
final class UnixHttp implements AutoCloseable {
    private final Path socket;
    private final Watchdog watchdog = new Watchdog();

    UnixHttp(Path socket) {
        this.socket = socket;
    }

    /**
     * Sends the request and returns when the head of the answer is there. The deadline covers the body too until it is
     * {@linkplain Exchange#release lifted}.
     *
     * @throws RuntimeFailure {@code UNREACHABLE} or {@code DEADLINE}
     */
    Exchange open(Request request, Duration deadline) {
        SocketChannel channel = channel();
        Exchange exchange = new Exchange(request.purpose(), channel, deadline, watchdog);
        try {
            connect(request, channel, exchange);
            exchange.perform(request);
            return exchange;
        } catch (IOException e) {
            exchange.close();
            throw exchange.failure(e);
        }
    }

    private static SocketChannel channel() {
        try {
            return SocketChannel.open(StandardProtocolFamily.UNIX);
        } catch (IOException e) {
            throw new RuntimeFailure(Kind.EXHAUSTED, "cannot open a socket: " + e.getMessage(), e);
        }
    }

    private void connect(Request request, SocketChannel channel, Exchange exchange) throws IOException {
        try {
            channel.connect(UnixDomainSocketAddress.of(socket));
        } catch (SocketException e) {
            throw new RuntimeFailure(
                    Kind.UNREACHABLE, "cannot " + request.purpose() + ": podman does not answer: " + why(e), e);
        } finally {
            if (!channel.isConnected()) {
                exchange.close();
            }
        }
    }

    private String why(IOException error) {
        return Files.exists(socket)
                ? OneLine.of(String.valueOf(error.getMessage())) + " on " + socket
                : "there is no socket " + socket + " (systemctl --user start podman.socket)";
    }

    /**
     * A whole exchange within the deadline.
     *
     * @param maxBytes of the body; one that is longer is a failure
     */
    Answer call(Request request, Duration deadline, int maxBytes) {
        try (Exchange exchange = open(request, deadline)) {
            try {
                return new Answer(exchange.status(), whole(request, exchange.body(), maxBytes));
            } catch (IOException e) {
                throw exchange.failure(e);
            }
        }
    }

    private static byte[] whole(Request request, InputStream body, int maxBytes) throws IOException {
        byte[] content = body.readNBytes(maxBytes);
        if (content.length == maxBytes && body.read() >= 0) {
            throw new RuntimeFailure(
                    Kind.FAILED, "cannot " + request.purpose() + ": the answer is longer than " + maxBytes + " bytes");
        }
        return content;
    }

    Path socket() {
        return socket;
    }

    @Override
    public void close() {
        watchdog.close();
    }
}
