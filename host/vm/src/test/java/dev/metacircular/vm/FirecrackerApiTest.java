package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class FirecrackerApiTest {
    private static final Duration DEADLINE = Duration.ofSeconds(5);

    @TempDir
    Path folder;

    private ServerSocketChannel listen(Path socket) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        return server;
    }

    private static void serve(ServerSocketChannel server) {
        CheckingFirecracker firecracker = new CheckingFirecracker("vm-1", configuration -> {});
        Thread.ofPlatform().daemon().start(() -> FirecrackerStandIn.serve(server, firecracker));
    }

    @Test
    void everyRecordedRefusalOfAPutArrivesWithItsMessage() throws IOException {
        Path socket = folder.resolve("api.sock");
        List<FirecrackerRecording.Exchange> refusals = FirecrackerRecording.load().stream()
                .filter(exchange -> exchange.phase() == FirecrackerRecording.Phase.BEFORE_BOOT)
                .filter(exchange -> exchange.method().equals("PUT") && exchange.code() == 400)
                .filter(exchange -> exchange.body().endsWith("}"))
                .toList();
        assertThat(refusals).hasSizeGreaterThan(20);
        ObjectMapper json = new ObjectMapper();
        try (ServerSocketChannel server = listen(socket);
                FirecrackerApi api = new FirecrackerApi("VM x", socket, DEADLINE)) {
            serve(server);
            for (FirecrackerRecording.Exchange refusal : refusals) {
                String message =
                        json.readTree(refusal.answer()).path("fault_message").asText();
                ObjectNode body = (ObjectNode) json.readTree(refusal.body());
                assertThatThrownBy(() -> api.put(refusal.path(), body))
                        .isInstanceOf(VmException.class)
                        .hasMessageContaining("PUT " + refusal.path())
                        .hasMessageContaining(message);
            }
        }
    }

    @Test
    void aSuccessWithoutABodyAndADescriptionAreUnderstood() throws IOException {
        Path socket = folder.resolve("api.sock");
        try (ServerSocketChannel server = listen(socket);
                FirecrackerApi api = new FirecrackerApi("VM x", socket, DEADLINE)) {
            serve(server);
            api.put(
                    "/machine-config",
                    FirecrackerApi.object().put("vcpu_count", 2).put("mem_size_mib", 64));

            assertThat(api.describe().path("state").asText()).isEqualTo("Not started");
        }
    }

    @Test
    void aRequestThatIsTooLargeIsRefusedAtTheHttpLevelAndTheMessageIsShown() throws IOException {
        Path socket = folder.resolve("api.sock");
        try (ServerSocketChannel server = listen(socket);
                FirecrackerApi api = new FirecrackerApi("VM x", socket, DEADLINE)) {
            serve(server);

            assertThatThrownBy(() ->
                            api.put("/boot-source", FirecrackerApi.object().put("boot_args", "x".repeat(60_000))))
                    .isInstanceOf(VmException.class)
                    .hasMessageContaining("larger than the limit of 51200");
        }
    }

    @Test
    void aServerThatAcceptsAndSaysNothingMeetsTheDeadline() throws IOException {
        Path socket = folder.resolve("api.sock");
        try (ServerSocketChannel server = listen(socket);
                FirecrackerApi api = new FirecrackerApi("VM x", socket, Duration.ofMillis(200))) {
            assertThat(server.isOpen()).isTrue();

            assertThatThrownBy(api::describe)
                    .isInstanceOfSatisfying(
                            VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.DEADLINE))
                    .hasMessageContaining("200 ms");
        }
    }

    @Test
    void nobodyListeningIsToldApartFromARefusal() {
        try (FirecrackerApi api = new FirecrackerApi("VM x", folder.resolve("absent.sock"), DEADLINE)) {
            assertThatThrownBy(api::describe).isInstanceOf(IOException.class);
        }
    }

    @Test
    void aSocketDeepInTheFileSystemIsReached() throws IOException {
        Path deep = Files.createDirectories(folder.resolve("d".repeat(100)).resolve("e".repeat(100)));
        Path socket = deep.resolve("api.sock");
        try (ShortPath way = ShortPath.to(socket);
                ServerSocketChannel server = listen(way.path());
                FirecrackerApi api = new FirecrackerApi("VM x", socket, DEADLINE)) {
            serve(server);

            assertThat(api.describe().path("id").asText()).isEqualTo("vm-1");
        }
    }
}
