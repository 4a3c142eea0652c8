package dev.metacircular.oci;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A real image registry on a loopback port, by {@code host/scripts/test-registry}; what it kept is gone when it is closed. */
public final class TestRegistry implements AutoCloseable {
    private static final String USER = "puller:s3cret";

    private final Path folder;
    private final int port;
    private final Process process;
    private final boolean tls;

    private TestRegistry(boolean tls) {
        this.tls = tls;
        try {
            folder = Files.createTempDirectory("metacircular-registry");
            port = freePort();
            List<String> command =
                    new ArrayList<>(List.of(script().toString(), folder.toString(), Integer.toString(port)));
            if (tls) {
                command.addAll(List.of("--tls", "--user", USER));
            }
            Path log = folder.resolve("log");
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            Instant end = Instant.now().plusSeconds(30);
            while (!accepts()) {
                if (!process.isAlive() || Instant.now().isAfter(end)) {
                    throw new IllegalStateException("the image registry does not start: " + Files.readString(log));
                }
                pause();
            }
            String auth = Base64.getEncoder().encodeToString(USER.getBytes(StandardCharsets.UTF_8));
            Files.writeString(authFile(), "{\"auths\":{\"" + host() + "\":{\"auth\":\"" + auth + "\"}}}");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One over plain HTTP that asks for nothing. */
    public static TestRegistry plain() {
        return new TestRegistry(false);
    }

    /** One over TLS with an authority of its own that asks for credentials. */
    public static TestRegistry tls() {
        return new TestRegistry(true);
    }

    private static Path script() {
        Path folder = Path.of("").toAbsolutePath();
        while (!Files.exists(folder.resolve("scripts/test-registry"))) {
            folder = Optional.ofNullable(folder.getParent())
                    .orElseThrow(() -> new IllegalStateException("host/scripts/test-registry is nowhere above"));
        }
        return folder.resolve("scripts/test-registry");
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private boolean accepts() {
        try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static void pause() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Its host and port. */
    public String host() {
        return "127.0.0.1:" + port;
    }

    public Path authFile() {
        return folder.resolve("auth.json");
    }

    public Path caFile() {
        return folder.resolve("ca.pem");
    }

    /** What one needs to use it. */
    public Access access() {
        return tls
                ? new Access(Optional.of(authFile()), Optional.of(caFile()), false)
                : new Access(Optional.empty(), Optional.empty(), true);
    }

    /** A client with all that it needs. */
    public RegistryClient client() {
        return new RegistryClient(host(), access());
    }

    @Override
    public void close() {
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(file);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
