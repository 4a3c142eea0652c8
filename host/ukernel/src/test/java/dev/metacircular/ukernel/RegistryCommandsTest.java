package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.Progress;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.Sha256;
import dev.metacircular.oci.TestRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code push} and {@code pull} against a real image registry. */
@Timeout(180)
class RegistryCommandsTest {
    @TempDir
    Path folder;

    @Test
    void aProjectIsPackedPushedPulledAndInspected() throws IOException {
        Workbench.requireGuest();
        Workbench bench = new Workbench(folder);
        bench.run(folder, "init", "--name", "hello", "--lang", "c");
        Path hello = folder.resolve("hello");
        try (TestRegistry registry = TestRegistry.tls()) {
            String reference = registry.host() + "/team/hello:v1";
            List<String> access = List.of(
                    "--auth-file",
                    registry.authFile().toString(),
                    "--ca",
                    registry.caFile().toString());

            Workbench.Result push = run(bench, hello, access, "push", reference);
            assertThat(push.status()).as(push.err()).isZero();
            assertThat(push.err()).contains("pack: wrote dist/hello.img", "push: " + reference);
            assertThat(push.out()).matches(registry.host() + "/team/hello@sha256:[0-9a-f]{64}\n");

            Workbench.Result pull = run(bench, folder, access, "pull", reference);
            assertThat(pull.status()).as(pull.err()).isZero();
            assertThat(pull.out()).isEqualTo(push.out());
            assertThat(folder.resolve("hello.img")).hasSameBinaryContentAs(hello.resolve("dist/hello.img"));
            assertThat(bench.run(folder, "inspect", "hello.img").out()).contains("every byte checked");

            Workbench.Result json = run(
                    bench,
                    folder,
                    access,
                    "pull",
                    "--json",
                    "--out",
                    "hello.img",
                    push.out().strip());
            JsonNode said = new ObjectMapper().readTree(json.out());
            List<String> keys = new ArrayList<>();
            said.fieldNames().forEachRemaining(keys::add);
            assertThat(keys).containsExactly("image", "reference", "digest", "image_digest", "size_bytes");
            assertThat(push.out()).contains(said.path("digest").asText());
            Workbench.Result pushed =
                    run(bench, folder, access, "push", "--json", "hello.img", registry.host() + "/team/hello:v2");
            assertThat(new ObjectMapper().readTree(pushed.out()).path("image_digest"))
                    .isEqualTo(said.path("image_digest"));

            assertThat(bench.run(folder, "pull", reference))
                    .satisfies(result -> assertThat(result.status()).isEqualTo(1))
                    .satisfies(result -> assertThat(result.err()).contains("not trusted", "--insecure", "--ca"));
        }
    }

    @Test
    void aPullThatASignalEndsLeavesNothing() throws Exception {
        byte[] whole = new byte[1 << 20];
        Sha256 digest = Sha256.of(whole);
        String layer = "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
                .formatted(GuestArtifact.LAYER_TYPE, digest, whole.length);
        String manifest = "{\"artifactType\":\"%s\",\"config\":%s,\"layers\":[%s]}"
                .formatted(GuestArtifact.ARTIFACT_TYPE, layer, layer);
        CountDownLatch over = new CountDownLatch(1);
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            server.setExecutor(executor);
            server.createContext("/v2/x/manifests/v1", exchange -> {
                try (exchange) {
                    byte[] bytes = manifest.getBytes(StandardCharsets.UTF_8);
                    exchange.getResponseHeaders().set("Content-Type", "application/vnd.oci.image.manifest.v1+json");
                    exchange.sendResponseHeaders(200, bytes.length);
                    exchange.getResponseBody().write(bytes);
                }
            });
            server.createContext("/v2/x/blobs/", exchange -> {
                try (exchange) {
                    exchange.sendResponseHeaders(200, whole.length);
                    exchange.getResponseBody().write(whole, 0, 1000);
                    exchange.getResponseBody().flush();
                    over.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            server.start();
            Path there = Files.createDirectory(folder.resolve("there"));
            Process pull = new ProcessBuilder(
                            ProcessHandle.current().info().command().orElseThrow(),
                            "-cp",
                            System.getProperty("java.class.path"),
                            Main.class.getName(),
                            "pull",
                            "--insecure",
                            "127.0.0.1:" + server.getAddress().getPort() + "/x:v1")
                    .directory(there.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("said").toFile())
                    .start();
            try {
                while (isEmpty(there)) {
                    assertThat(pull.isAlive())
                            .as(Files.readString(folder.resolve("said")))
                            .isTrue();
                    Thread.sleep(20);
                }
                pull.destroy();
                assertThat(pull.waitFor(60, TimeUnit.SECONDS)).isTrue();
                assertThat(there).isEmptyDirectory();
            } finally {
                pull.destroyForcibly();
                over.countDown();
                server.stop(0);
            }
        }
    }

    private static boolean isEmpty(Path there) throws IOException {
        try (Stream<Path> all = Files.list(there)) {
            return all.findAny().isEmpty();
        }
    }

    @Test
    void whatIsNoGuestImageIsNeitherPushedNorPulledNorReplaced() throws IOException {
        Workbench bench = new Workbench(folder);
        Path text = Files.writeString(folder.resolve("text"), "text");
        try (TestRegistry registry = TestRegistry.plain();
                RegistryClient client = registry.client()) {
            String reference = registry.host() + "/x:v1";
            List<String> access = List.of("--insecure");
            assertThat(run(bench, folder, access, "push", "text", reference).err())
                    .contains("text");
            assertThat(run(bench, folder, access, "pull", reference).err())
                    .contains("HTTP 404", "look at the reference");

            GuestArtifact.push(client, "x", "v1", text, "text", Progress.NONE);
            Workbench.Result damaged = run(bench, folder, access, "pull", reference);
            assertThat(damaged.status()).isEqualTo(1);
            assertThat(damaged.err()).contains("is no sound guest image");

            Descriptor config = client.upload("x", "application/vnd.oci.image.config.v1+json", new byte[] {'{', '}'});
            String ordinary = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" + config.mediaType()
                    + "\",\"digest\":\"" + config.digest() + "\",\"size\":2},\"layers\":[]}";
            client.putManifest(
                    "x", "v2", "application/vnd.oci.image.manifest.v1+json", ordinary.getBytes(StandardCharsets.UTF_8));
            Workbench.Result refused = run(bench, folder, access, "pull", registry.host() + "/x:v2");
            assertThat(refused.err()).contains("ordinary image", "a node packs it");

            Workbench.Result kept = run(bench, folder, access, "pull", "--out", "text", reference);
            assertThat(kept.err()).contains("is not replaced", "--out");
        }
        assertThat(text).hasContent("text");
        assertThat(folder).isDirectoryNotContaining("glob:**x*.img");
    }

    @Test
    void whereItGoesIsChecked() {
        Workbench bench = new Workbench(folder);
        assertThat(bench.run(folder, "push", "hello").status()).isEqualTo(2);
        assertThat(bench.run(folder, "pull", "localhost/hello:v1").err()).contains("node's own");
        assertThat(bench.run(folder, "pull", "--insecure", "--ca", "x", "r.example/hello")
                        .err())
                .contains("exclude each other");
        assertThat(bench.run(folder, "push", "a", "r.example/hello@sha256:" + "0".repeat(64))
                        .err())
                .contains("under a tag");
    }

    @Test
    void aTerminalIsToldHowFarItIs() throws InterruptedException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try (TransferLine line = new TransferLine("push", out, true)) {
            line.bytes(1, 4096);
            Thread.sleep(250);
            line.bytes(1024, 4096);
        }
        assertThat(bytes.toString(StandardCharsets.UTF_8)).isEqualTo("\r\033[Kpush: 1.0 KiB of 4.0 KiB, 25 %\r\033[K");
    }

    private static Workbench.Result run(Workbench bench, Path where, List<String> access, String... arguments) {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(1, access);
        return bench.run(where, all.toArray(String[]::new));
    }
}
