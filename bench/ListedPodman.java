import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** What an agent asks of podman's API where nothing happens: it tells the lists that it is given, in turn, and knows nothing besides. */
final class ListedPodman {
    private final AtomicInteger listed = new AtomicInteger();
    private volatile List<String> listings = List.of("[]");

    /** @throws IOException if it cannot listen on the socket */
    ListedPodman(Path socket) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
        Thread.startVirtualThread(() -> {
            while (true) {
                try {
                    SocketChannel client = server.accept();
                    Thread.startVirtualThread(() -> answer(client));
                } catch (IOException e) {
                    return;
                }
            }
        });
    }

    /** From now on it tells these, each a JSON array of {@link #container}s. */
    void list(String... all) {
        listings = List.of(all);
    }

    /** How often it was asked for its containers. */
    int listed() {
        return listed.get();
    }

    /** A container as podman lists it, about 2 KB. */
    static String container(int service, int component) {
        String name = "s" + service + "-c" + component;
        return """
                {"AutoRemove":false,"Command":["serve","--listen","0.0.0.0:8080"],"Created":"2026-11-21T10:00:00Z","CreatedAt":"","Exited":false,"ExitedAt":-62135596800,\
                "ExitCode":0,"Id":"%064x","Image":"registry.example:5000/app:v1","ImageID":"%064x","IsInfra":false,"Labels":{\
                "dev.metacircular.node":"thousand","dev.metacircular.service":"s%d","dev.metacircular.component":"c%d","dev.metacircular.generation":"1",\
                "dev.metacircular.document":"%064x","dev.metacircular.image":"registry.example:5000/app:v1"},"Mounts":["/data"],"Names":["%s"],"Namespaces":{},\
                "Networks":["mc.s%d"],"Pid":%d,"Pod":"","PodName":"","Ports":[{"host_ip":"127.0.0.1","container_port":8080,"host_port":%d,"range":1,"protocol":"tcp"}],\
                "Size":null,"StartedAt":1795255200,"State":"running","Status":"Up 2 hours","Padding":"%s"}"""
                .formatted(service * 1_000 + component + 1, 7, service, component, 1, name, service, 1_000 + service * 100 + component,
                        1_024 + service * 100 + component, "x".repeat(1_000));
    }

    private void answer(SocketChannel client) {
        try (client) {
            ByteBuffer head = ByteBuffer.allocate(65_536);
            String request = "";
            while (!request.contains("\r\n\r\n")) {
                if (client.read(head) < 0) {
                    return;
                }
                request = new String(head.array(), 0, head.position(), StandardCharsets.UTF_8);
            }
            String path = request.split(" ")[1];
            String body = "{}";
            if (path.contains("/events")) {
                client.write(ByteBuffer.wrap("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
                Thread.sleep(Duration.ofHours(1));
            } else if (path.contains("/containers/json") && path.contains("dev.metacircular.runtime")) {
                // What carries microVMs is asked for by itself; there are none.
                body = "[]";
            } else if (path.contains("/containers/json")) {
                List<String> all = listings;
                body = all.get(listed.incrementAndGet() % all.size());
            } else if (path.contains("/images/json") || path.contains("/networks/json")) {
                body = "[]";
            }
            byte[] content = body.getBytes(StandardCharsets.UTF_8);
            String answer = "HTTP/1.1 200 OK\r\nServer: Libpod/4.3.1 (linux)\r\nContent-Type: application/json\r\nContent-Length: " + content.length + "\r\nConnection: close\r\n\r\n";
            client.write(ByteBuffer.wrap(answer.getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer out = ByteBuffer.wrap(content);
            while (out.hasRemaining()) {
                client.write(out);
            }
        } catch (IOException | InterruptedException e) {
            // The agent went away.
        }
    }
}
