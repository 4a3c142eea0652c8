package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Stands on a unix socket in front of podman's, and passes everything on or does to each new connection what it is told. */
final class FaultyRelay implements AutoCloseable {
    enum Mode {
        PASS,
        /** Closes at once. */
        REFUSE,
        ANSWER_500,
        /** Reads, and says nothing. */
        HANG,
        /** A byte of a faultless answer every 100 ms. */
        DRIP,
        /** Announces more than it sends. */
        BREAK_OFF,
        GARBAGE,
        /** An answer without end. */
        FLOOD
    }

    private final Path socket;
    private final Path podman;
    private final ServerSocketChannel server;
    private final List<SocketChannel> connections = new CopyOnWriteArrayList<>();
    private volatile Mode mode = Mode.PASS;
    private volatile boolean held;

    FaultyRelay(Path socket, Path podman) {
        this.socket = socket;
        this.podman = podman;
        try {
            server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            server.bind(UnixDomainSocketAddress.of(socket));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread _ = Thread.ofVirtual().start(this::serve);
    }

    void mode(Mode value) {
        mode = value;
    }

    /** Passes nothing more on from the connections that there are, without closing them. */
    void holdEverything() {
        held = true;
        mode = Mode.HANG;
    }

    /** How many connections there were since the last {@link #cut}, to either side. */
    int connections() {
        return connections.size();
    }

    /** Closes the connections that there are. */
    void cut() {
        connections.forEach(FaultyRelay::close);
        connections.clear();
    }

    private void serve() {
        try {
            while (true) {
                SocketChannel client = server.accept();
                connections.add(client);
                Thread _ = Thread.ofVirtual().start(() -> {
                    try {
                        handle(client);
                    } catch (IOException e) {
                        close(client);
                    }
                });
            }
        } catch (IOException e) {
            // Closed.
            return;
        }
    }

    private void handle(SocketChannel client) throws IOException {
        Mode now = mode;
        if (now == Mode.PASS) {
            pass(client);
            return;
        }
        if (now != Mode.REFUSE) {
            int _ = client.read(ByteBuffer.allocate(64 << 10));
        }
        switch (now) {
            case PASS, HANG -> {}
            case REFUSE -> close(client);
            case ANSWER_500 -> say(client, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry");
            case DRIP -> drip(client);
            case BREAK_OFF -> {
                say(client, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n[{\"Id\":\"");
                close(client);
            }
            case GARBAGE -> say(client, "\u0000\u0001SSH-2.0-whatever\r\n\r\n");
            case FLOOD -> flood(client);
        }
    }

    private static void drip(SocketChannel client) throws IOException {
        for (char c : ("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + "[".repeat(4000)).toCharArray()) {
            say(client, String.valueOf(c));
            pause();
        }
    }

    private static void flood(SocketChannel client) throws IOException {
        say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        String chunk = "10000\r\n" + " ".repeat(0x10000) + "\r\n";
        while (true) {
            say(client, chunk);
        }
    }

    private void pass(SocketChannel client) throws IOException {
        SocketChannel upstream = SocketChannel.open(UnixDomainSocketAddress.of(podman));
        connections.add(upstream);
        Thread _ = Thread.ofVirtual().start(() -> copy(client, upstream));
        copy(upstream, client);
    }

    private void copy(SocketChannel from, SocketChannel to) {
        ByteBuffer buffer = ByteBuffer.allocate(16 << 10);
        try {
            while (from.read(buffer.clear()) >= 0) {
                while (held) {
                    pause();
                }
                buffer.flip();
                while (buffer.hasRemaining()) {
                    to.write(buffer);
                }
            }
            to.shutdownOutput();
        } catch (IOException e) {
            close(from);
            close(to);
        }
    }

    private static void say(SocketChannel client, String text) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
        while (buffer.hasRemaining()) {
            client.write(buffer);
        }
    }

    private static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private static void close(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            held = false;
            server.close();
            cut();
            Files.deleteIfExists(socket);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
