package dev.metacircular.acceptance;

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
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Stands between an agent and the real podman, and behaves as badly as it is told to. */
final class Relay implements AutoCloseable {
    enum Mode {
        PASS,
        /** Accepts and closes at once. */
        REFUSE,
        /** Answers every request with status 500. */
        FAIL,
        /** Accepts and never answers. */
        HANG,
        /** Answers at a byte a second. */
        DRIP,
        /** There is no socket. */
        GONE
    }

    private final Path path;
    private final Path target;
    private final Set<SocketChannel> open = ConcurrentHashMap.newKeySet();
    private volatile Mode mode = Mode.PASS;
    private @Nullable ServerSocketChannel server;

    Relay(Path path, Path target) {
        this.path = path;
        this.target = target;
        listen();
    }

    private void listen() {
        try {
            Files.deleteIfExists(path);
            ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            listening.bind(UnixDomainSocketAddress.of(path));
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw-rw-"));
            server = listening;
            Thread.startVirtualThread(() -> accept(listening));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void accept(ServerSocketChannel listening) {
        while (listening.isOpen()) {
            try {
                SocketChannel client = listening.accept();
                open.add(client);
                Thread.startVirtualThread(() -> serve(client));
            } catch (IOException closed) {
                return;
            }
        }
    }

    private void serve(SocketChannel client) {
        try (client) {
            switch (mode) {
                case PASS -> pass(client);
                case REFUSE, GONE -> {}
                case HANG -> client.read(ByteBuffer.allocate(1 << 20));
                case FAIL -> {
                    client.read(ByteBuffer.allocate(1 << 16));
                    String body = "{\"cause\":\"made up\",\"message\":\"database is locked\",\"response\":500}";
                    client.write(bytes("HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                            + "Connection: close\r\nContent-Length: " + body.length() + "\r\n\r\n" + body));
                }
                case DRIP -> {
                    client.read(ByteBuffer.allocate(1 << 16));
                    for (byte b : "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[          "
                            .getBytes(StandardCharsets.US_ASCII)) {
                        client.write(ByteBuffer.wrap(new byte[] {b}));
                        Thread.sleep(1000);
                    }
                }
            }
            while (mode == Mode.HANG && client.read(ByteBuffer.allocate(4096)) >= 0) {
                Thread.onSpinWait();
            }
        } catch (IOException ended) {
            // The peer or set() closed it: that is what the mode is about.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            open.remove(client);
        }
    }

    private void pass(SocketChannel client) throws IOException {
        try (SocketChannel podman = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            podman.connect(UnixDomainSocketAddress.of(target));
            open.add(podman);
            Thread back = Thread.startVirtualThread(() -> copy(podman, client));
            copy(client, podman);
            back.join();
            open.remove(podman);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void copy(SocketChannel from, SocketChannel to) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        try {
            while (from.read(buffer) >= 0) {
                buffer.flip();
                while (buffer.hasRemaining()) {
                    to.write(buffer);
                }
                buffer.clear();
            }
            to.shutdownOutput();
        } catch (IOException ended) {
            // Either side went away; the other is closed by its own thread.
        }
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII));
    }

    /** From now on; connections that are open are cut. */
    void set(Mode next) {
        try {
            boolean wasGone = mode == Mode.GONE;
            mode = next;
            if (next == Mode.GONE) {
                close();
            } else if (wasGone) {
                listen();
            }
            for (SocketChannel channel : open) {
                channel.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        ServerSocketChannel listening = server;
        if (listening != null) {
            listening.close();
        }
        Files.deleteIfExists(path);
    }
}
