package dev.metacircular.oci;

import static dev.metacircular.oci.RegistryClientTest.fails;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a registry may do to its clients. */
@Timeout(60)
final class FaultyRegistryTest {
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final Access INSECURE = new Access(Optional.empty(), Optional.empty(), true);

    private final byte[] content = new byte[1_000_000];
    private final CountDownLatch over = new CountDownLatch(1);
    private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
    private HttpServer server;
    private Descriptor blob;

    @TempDir
    private Path folder;

    @BeforeEach
    void start() throws IOException {
        new Random(7).nextBytes(content);
        blob = Descriptor.of("application/octet-stream", content);
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(executor);
        server.start();
    }

    @AfterEach
    void end() {
        over.countDown();
        server.stop(0);
        executor.shutdownNow();
    }

    private String host() {
        return "127.0.0.1:" + server.getAddress().getPort();
    }

    private RegistryClient client() {
        return client(new Deadlines(LONG, LONG, LONG, LONG));
    }

    private RegistryClient client(Deadlines deadlines) {
        return new RegistryClient(host(), INSECURE, deadlines);
    }

    private interface Handler {
        void handle(HttpExchange exchange) throws IOException;
    }

    private void serve(String path, Handler handler) {
        server.createContext(path, exchange -> {
            try (exchange) {
                handler.handle(exchange);
            }
        });
    }

    private void serveBlob(Handler handler) {
        serve("/v2/x/blobs/" + blob.digest(), handler);
    }

    private void serveManifest(String type, byte[] bytes) {
        serve("/v2/x/manifests/v1", exchange -> answer(exchange, 200, type, bytes));
    }

    private static void answer(HttpExchange exchange, int status, String type, byte[] bytes) throws IOException {
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        if (bytes.length > 0) {
            exchange.getResponseBody().write(bytes);
        }
    }

    private void waitUntilOver() {
        try {
            over.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void leavesNothing() {
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aDownloadThatIsCutOffGoesOnWhereItWas() throws IOException {
        List<String> ranges = Collections.synchronizedList(new ArrayList<>());
        serveBlob(exchange -> {
            String range = Optional.ofNullable(exchange.getRequestHeaders().getFirst("Range"))
                    .orElse("");
            ranges.add(range);
            int from = range.isEmpty() ? 0 : Integer.parseInt(range.substring(6, range.length() - 1));
            if (from > 0) {
                exchange.getResponseHeaders().set("Content-Range", "bytes " + from + "-999999/1000000");
            }
            exchange.sendResponseHeaders(from == 0 ? 200 : 206, content.length - from);
            int to = from < 600_000 ? from + 300_000 : content.length;
            exchange.getResponseBody().write(content, from, to - from);
            exchange.getResponseBody().flush();
        });
        Path file = folder.resolve("file");
        try (RegistryClient client = client()) {
            client.download("x", blob, file, Progress.NONE);
        }
        assertThat(Files.readAllBytes(file)).isEqualTo(content);
        assertThat(ranges).hasSizeGreaterThanOrEqualTo(2).first().isEqualTo("");
    }

    @Test
    void aDownloadThatIsAlwaysCutOffFailsAndLeavesNothing() {
        AtomicInteger tries = new AtomicInteger();
        serveBlob(exchange -> {
            tries.incrementAndGet();
            exchange.sendResponseHeaders(200, content.length);
            exchange.getResponseBody().write(content, 0, 1000);
            exchange.getResponseBody().flush();
        });
        try (RegistryClient client = client()) {
            fails(
                    Kind.UNREACHABLE,
                    () -> client.download("x", blob, folder.resolve("file"), Progress.NONE),
                    "connection was lost");
        }
        assertThat(tries).hasValue(4);
        leavesNothing();
    }

    @Test
    void wrongFewerOrMoreBytesAreRefusedAndLeaveNothing() {
        byte[] wrong = content.clone();
        wrong[500_000] ^= 1;
        for (byte[] sent : List.of(wrong, Arrays.copyOf(content, 999_999), Arrays.copyOf(content, 1_000_001))) {
            serveBlob(exchange -> answer(exchange, 200, "application/octet-stream", sent));
            try (RegistryClient client = client()) {
                fails(Kind.INVALID, () -> client.download("x", blob, folder.resolve("file"), Progress.NONE));
            }
            server.removeContext("/v2/x/blobs/" + blob.digest());
            leavesNothing();
        }
    }

    @Test
    void aDownloadThatStandsStillEndsAtItsDeadline() {
        serveBlob(exchange -> {
            exchange.sendResponseHeaders(200, content.length);
            exchange.getResponseBody().write(content, 0, 1000);
            exchange.getResponseBody().flush();
            waitUntilOver();
        });
        try (RegistryClient client = client(new Deadlines(LONG, LONG, Duration.ofMillis(300), LONG))) {
            fails(
                    Kind.DEADLINE,
                    () -> client.download("x", blob, folder.resolve("file"), Progress.NONE),
                    "nothing has moved for 0.3 s");
        }
        leavesNothing();
    }

    @Test
    void aDownloadThatDripsEndsAtTheWholeCallsDeadline() {
        serveBlob(exchange -> {
            exchange.sendResponseHeaders(200, content.length);
            OutputStream out = exchange.getResponseBody();
            try {
                while (over.getCount() > 0) {
                    out.write(1);
                    out.flush();
                    Thread.sleep(20);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        try (RegistryClient client = client(new Deadlines(LONG, LONG, LONG, Duration.ofMillis(500)))) {
            fails(
                    Kind.DEADLINE,
                    () -> client.download("x", blob, folder.resolve("file"), Progress.NONE),
                    "taken too long");
        }
        leavesNothing();
    }

    @Test
    void aRegistryThatAnswersNothingEndsTheCallAtItsDeadline() {
        serve("/v2/x/manifests/v1", _ -> waitUntilOver());
        try (RegistryClient client = client(new Deadlines(LONG, Duration.ofMillis(500), LONG, LONG))) {
            fails(Kind.DEADLINE, () -> client.document("x", "v1"), "answers nothing");
        }
    }

    @Test
    void aPushOfWhichNothingIsTakenEndsAtItsDeadline() throws IOException {
        serve("/v2/x/blobs/uploads/", exchange -> {
            exchange.getResponseHeaders().set("Location", "/put");
            answer(exchange, 202, "text/plain", new byte[0]);
        });
        serve("/put", _ -> waitUntilOver());
        byte[] much = new byte[20_000_000];
        Path file = Files.write(folder.resolve("much"), much);
        Descriptor descriptor = Descriptor.of("application/octet-stream", much);
        try (RegistryClient client = client(new Deadlines(LONG, Duration.ofMillis(800), LONG, LONG))) {
            fails(Kind.DEADLINE, () -> client.upload("x", descriptor, file, Progress.NONE), "answers nothing");
        }
    }

    @Test
    void aManifestThatIsNoneIsRefused() {
        String manifest = MediaTypes.MANIFEST;
        String valid = "{\"mediaType\":\"" + manifest + "\",\"config\":{\"mediaType\":\"a\",\"digest\":\""
                + blob.digest() + "\",\"size\":1},\"layers\":[%s]}";
        List<String> bad = new ArrayList<>(List.of(
                "",
                "[]",
                "{",
                "{}",
                "{\"mediaType\":\"text/plain\"}",
                "{\"mediaType\":\"" + MediaTypes.INDEX + "\",\"manifests\":[]}",
                valid.formatted("{\"digest\":\"sha256:1\",\"size\":1}"),
                valid.formatted("{\"digest\":\"" + blob.digest() + "\",\"size\":-1}"),
                valid.formatted("{\"digest\":\"" + blob.digest() + "\"}"),
                valid.formatted("7"),
                valid.replace("[%s]", "{}"),
                valid.replace("\"layers\"", "\"manifests\":[],\"layers\"").formatted(""),
                "[".repeat(100_000)));
        String layer = "{\"digest\":\"" + blob.digest() + "\",\"size\":1}";
        bad.add(valid.formatted(String.join(",", Collections.nCopies(2000, layer))));
        bad.add(valid.replace("[%s]", "[],\"x\":[" + String.join(",", Collections.nCopies(60_000, "{}")) + "]"));
        for (String text : bad) {
            serveManifest(manifest, text.getBytes(StandardCharsets.UTF_8));
            try (RegistryClient client = client()) {
                fails(Kind.INVALID, () -> client.document("x", "v1"), host() + "/x:v1");
            }
            server.removeContext("/v2/x/manifests/v1");
        }
    }

    @Test
    void aManifestThatIsTooLargeOrNotWhatWasAskedForIsRefused() {
        serveManifest(MediaTypes.MANIFEST, new byte[Document.MAX_BYTES + 1]);
        serve("/v2/x/manifests/" + blob.digest(), e -> answer(e, 200, MediaTypes.MANIFEST, new byte[] {'{', '}'}));
        try (RegistryClient client = client()) {
            fails(Kind.INVALID, () -> client.document("x", "v1"), "more than");
            fails(Kind.INVALID, () -> client.document("x", blob.digest().text()), "not " + blob.digest());
        }
    }

    @Test
    void aTokenIsFetchedWhereTheRegistryAsksForOneAndSentNowhereElse() throws IOException {
        Path auth = Files.writeString(
                folder.resolve("auth.json"), "{\"auths\":{\"" + host() + "\":{\"auth\":\"bWU6cHc=\"}}}");
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        serve("/token", exchange -> {
            seen.add(exchange.getRequestURI().getQuery() + " "
                    + exchange.getRequestHeaders().getFirst("Authorization"));
            answer(exchange, 200, "application/json", "{\"access_token\":\"t0k\"}".getBytes(StandardCharsets.UTF_8));
        });
        HttpServer elsewhere = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        elsewhere.createContext("/", exchange -> {
            try (exchange) {
                seen.add("elsewhere " + exchange.getRequestHeaders().getFirst("Authorization"));
                answer(exchange, 200, "application/octet-stream", content);
            }
        });
        elsewhere.start();
        serveBlob(exchange -> {
            if ("Bearer t0k".equals(exchange.getRequestHeaders().getFirst("Authorization"))) {
                exchange.getResponseHeaders()
                        .set(
                                "Location",
                                "http://127.0.0.1:" + elsewhere.getAddress().getPort() + "/there");
                answer(exchange, 307, "text/plain", new byte[0]);
            } else {
                exchange.getResponseHeaders()
                        .set(
                                "WWW-Authenticate",
                                "Bearer service=\"reg, istry\",realm=\"http://" + host() + "/token\",scope=\"any\"");
                answer(exchange, 401, "text/plain", new byte[0]);
            }
        });
        Access access = new Access(Optional.of(auth), Optional.empty(), true);
        try (RegistryClient client = new RegistryClient(host(), access)) {
            client.download("x", blob, folder.resolve("file"), Progress.NONE);
        } finally {
            elsewhere.stop(0);
        }
        assertThat(seen).containsExactly("service=reg,+istry&scope=repository:x:pull Basic bWU6cHc=", "elsewhere null");
    }

    @Test
    void aCallThatIsTurnedAwayForAMomentIsTriedAgainAndRedirectsEnd() {
        AtomicInteger tries = new AtomicInteger();
        serveBlob(exchange -> {
            if (tries.incrementAndGet() < 3) {
                answer(exchange, 503, "text/plain", new byte[0]);
            } else {
                exchange.getResponseHeaders().set("Location", "/v2/x/blobs/" + blob.digest());
                answer(exchange, 302, "text/plain", new byte[0]);
            }
        });
        try (RegistryClient client = client()) {
            fails(Kind.FAILED, () -> client.blob("x", blob, 2_000_000), "HTTP 302");
        }
        assertThat(tries).hasValue(2 + 1 + 5);
    }

    @ParameterizedTest
    @ValueSource(strings = {"registry.1:5000", "a..b:5000", "-a", "a b", "a_b"})
    void aHostThatIsNoneIsRefused(String host) {
        try (RegistryClient client = new RegistryClient(host, INSECURE)) {
            fails(Kind.INVALID, () -> client.document("x", "v1"), "'" + host + "' is no host");
        }
    }

    @Test
    void aRegistrysOwnWordsAreSaidInOneLine() {
        byte[] error =
                "{\"errors\":[{\"code\":\"X\",\"message\":\"no\\n\\u001b[31mroom\"}]}".getBytes(StandardCharsets.UTF_8);
        serve("/v2/x/manifests/v1", exchange -> answer(exchange, 500, "application/json", error));
        try (RegistryClient client = client()) {
            fails(Kind.FAILED, () -> client.document("x", "v1"), "HTTP 500 (no [31mroom)");
        }
    }
}
