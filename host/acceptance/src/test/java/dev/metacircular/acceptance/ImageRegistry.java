package dev.metacircular.acceptance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** A real image registry over plain HTTP on the loopback interface, of the test's own. */
final class ImageRegistry implements AutoCloseable {
    private final int port = Node.freePort();
    private final Path folder;
    private final Process process;

    ImageRegistry() {
        try {
            folder = Files.createTempDirectory("metacircular-registry-");
            Path log = folder.resolve("log");
            process = new ProcessBuilder(
                            Shell.HOME.resolve("host/scripts/test-registry").toString(),
                            folder.resolve("content").toString(),
                            Integer.toString(port))
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            Node.await(Duration.ofSeconds(30), "the image registry answers", this::accepts);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean accepts() {
        try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    String host() {
        return "127.0.0.1:" + port;
    }

    @Override
    public void close() {
        process.destroy();
        Node.remove(folder);
    }
}
