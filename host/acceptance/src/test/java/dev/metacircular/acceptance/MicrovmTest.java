package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A service of two containers and a microVM, the guestbook of {@code examples/}, and what happens to the VM when things die. */
final class MicrovmTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Path EXAMPLE = Shell.HOME.resolve("examples/guestbook");

    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static ImageRegistry registry;
    private static Node node;
    private static int page;
    private static int counter;

    @BeforeAll
    static void setUp() throws IOException {
        registry = new ImageRegistry();
        for (String version : List.of("v1", "v2")) {
            Shell.run(Shell.podmanEnvironment(), EXAMPLE.resolve("make-images").toString(), registry.host(), version)
                    .ok();
        }
        node = Node.started("mixed", "[registries.\"%s\"]".formatted(registry.host()), "insecure = true");
        page = Node.freePort();
        counter = Node.freePort();
        define("v1");
        node.mcp("deploy", "guestbook").ok();
    }

    @AfterAll
    static void tearDown() {
        node.close();
        registry.close();
    }

    /** @param version of the counter's image */
    private static void define(String version) throws IOException {
        String body = Files.readString(EXAMPLE.resolve("guestbook.toml"))
                .replaceAll("(?m)^(name = \"guestbook\"|node = .*)$", "")
                .replace("guestbook-counter:v1", "guestbook-counter:" + version)
                .replace("@REGISTRY@", registry.host())
                .replace("@VERSION@", "v1")
                .replace("@PORT@", Integer.toString(page))
                .replace("@COUNTER_PORT@", Integer.toString(counter));
        node.define("guestbook", body);
    }

    @BeforeEach
    void everythingRuns() {
        if (!node.isRunning()) {
            node.start();
        }
        node.mcp("start", "guestbook").ok();
        Node.await(LIMIT, "the counter answers", () -> get(counter, "/count").contains("entries"));
    }

    private static String get(int port, String path) {
        return ask(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)));
    }

    /** The answer's body, or nothing where there is no answer. */
    private static String ask(HttpRequest.Builder request) {
        try {
            return HTTP.send(request.timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofString())
                    .body();
        } catch (IOException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private static Map<String, Node.Container> running() {
        Map<String, Node.Container> all = node.onePerComponent();
        assertThat(all).hasSize(3).allSatisfy((_, c) -> assertThat(c.state()).isEqualTo("running"));
        return all;
    }

    /** The VMM, a child of the carrier's shell. */
    private static ProcessHandle vmm() {
        long carrier = Long.parseLong(Shell.podman(
                        "inspect",
                        "--format",
                        "{{.State.Pid}}",
                        node.container("guestbook/counter").id())
                .ok()
                .out()
                .strip());
        return ProcessHandle.of(carrier)
                .orElseThrow()
                .children()
                .filter(p -> p.info().command().orElse("").matches(".*/(qemu-system-x86_64|firecracker)"))
                .findFirst()
                .orElseThrow();
    }

    private static void awaitAnother(Node.Container before) {
        Node.await(LIMIT, "the counter serves again", () -> {
            Node.Container now = node.container("guestbook/counter");
            return now.state().equals("running")
                    && !now.startedAt().equals(before.startedAt())
                    && get(counter, "/healthz").equals("ok\n");
        });
    }

    @Test
    void itsContainersAndItsMicrovmReachEachOtherByName() {
        ask(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + page + "/sign"))
                .POST(HttpRequest.BodyPublishers.ofString("entry=two+words")));
        assertThat(get(counter, "/count")).as("through its forward").contains("entries, ");
        assertThat(get(page, "/"))
                .as("web asked counter, and counter asked store")
                .contains("<p>" + get(counter, "/count").strip());

        JsonNode seen = node.json("ps");
        assertThat(seen.findValuesAsText("name")).contains("guestbook-store", "guestbook-counter", "guestbook-web");
        assertThat(node.observed())
                .containsEntry("guestbook/counter", "running")
                .containsEntry("guestbook/web", "running");
        assertThat(node.mcp("status", "--check").ok().all()).doesNotContain("drift");
        assertThat(node.mcp("logs", "guestbook/counter").ok().out()).contains("GET /count HTTP/1.");
        assertThat(node.mcp("node", "show", node.name).ok().out())
                .containsPattern("unikernel.*QEMU.*")
                .containsPattern("kvm|emulation");
        Shell.Result exec = node.mcp("exec", "guestbook/counter", "--", "ls");
        assertThat(exec.exit()).isNotZero();
        assertThat(exec.err()).contains("unikernel");
    }

    @Test
    void stopsStartsAndRestartsAsContainersDo() {
        node.mcp("stop", "guestbook/counter").ok();
        assertThat(node.observed()).containsEntry("guestbook/counter", "stopped");
        assertThat(get(page, "/")).contains("the counter does not answer");
        node.mcp("start", "guestbook/counter").ok();
        Node.await(LIMIT, "it answers", () -> get(counter, "/healthz").equals("ok\n"));
        Node.Container before = node.container("guestbook/counter");
        node.mcp("restart", "guestbook/counter").ok();
        awaitAnother(before);
    }

    @Test
    void aVmmThatIsKilledIsHealedAndTheOthersAreLeftAlone() {
        Map<String, Node.Container> before = running();
        Node.Container killed = node.container("guestbook/counter");
        long exits = events("exited");
        assertThat(vmm().destroyForcibly()).isTrue();
        awaitAnother(killed);
        Map<String, Node.Container> after = running();
        assertThat(after.get("guestbook/web")).isEqualTo(before.get("guestbook/web"));
        assertThat(after.get("guestbook/store")).isEqualTo(before.get("guestbook/store"));
        assertThat(events("exited")).as("its end is told once").isEqualTo(exits + 1);
    }

    private static long events(String kind) {
        return Node.lines(node.mcp("events", "--json", "--since", "1h", "guestbook/counter")
                        .ok())
                .stream()
                .filter(e -> e.path("kind").asText().equals(kind))
                .count();
    }

    @Test
    void itServesWhileTheAgentIsDeadAndIsTakenUpAgain() throws InterruptedException {
        Map<String, Node.Container> before = running();
        node.kill();
        assertThat(get(counter, "/count")).contains("entries");
        assertThat(get(page, "/")).contains("entries");
        node.start();
        Thread.sleep(Duration.ofSeconds(3));
        assertThat(running()).isEqualTo(before);
    }

    @Test
    void agentAndVmmKilledTogetherAreHealedByTheNextStart() {
        Node.Container before = node.container("guestbook/counter");
        ProcessHandle vmm = vmm();
        node.kill();
        vmm.destroyForcibly();
        node.start();
        awaitAnother(before);
        running();
    }

    @Test
    void aDeployThatWasCutShortIsFinishedOrUndone() throws IOException, InterruptedException {
        Map<String, Node.Container> containers = running();
        // Both versions are pulled before the steps are looked at: a pull is a step, and no later deploy has it.
        for (String version : List.of("v2", "v1")) {
            define(version);
            node.mcp("deploy", "guestbook").ok();
        }
        define("v2");
        List<String> steps = CutDeploy.steps(node, "guestbook");
        assertThat(steps).hasSizeGreaterThan(5);
        String now = "v2";
        for (String step : steps) {
            String next = now.equals("v2") ? "v1" : "v2";
            define(next);
            CutDeploy.until(node, "guestbook", step, Duration.ofMillis(step.hashCode() & 15));
            node.kill();
            node.start();
            Node.await(LIMIT, "after a kill at '" + step + "' every component runs once", () -> {
                try {
                    running();
                    return get(counter, "/healthz").equals("ok\n");
                } catch (AssertionError notYet) {
                    return false;
                }
            });
            assertThat(running().get("guestbook/web")).isEqualTo(containers.get("guestbook/web"));
            now = version(step, now, next);
            assertThat(states())
                    .as("state directories after a kill at '%s'", step)
                    .hasSize(1);
        }
        define("v1");
        node.mcp("deploy", "guestbook").ok();
    }

    /** The version that is registered, which is the one that runs. */
    private static String version(String step, String... either) {
        List<String> registered = new ArrayList<>();
        for (JsonNode c : node.json("list", "--timeout", "60").get("components")) {
            if (c.path("component").asText().equals("counter")) {
                registered.add(c.get("image").asText());
            }
        }
        assertThat(registered).hasSize(1);
        String image = registered.getFirst();
        assertThat(node.container("guestbook/counter").image())
                .as("kill at '%s'", step)
                .isEqualTo(image);
        String version = image.substring(image.lastIndexOf(':') + 1);
        assertThat(version).as("kill at '%s'", step).isIn((Object[]) either);
        return version;
    }

    private static List<Path> states() throws IOException {
        try (Stream<Path> all = Files.list(node.agentDirectory().resolve("microvms"))) {
            return all.filter(p -> p.getFileName().toString().contains("counter"))
                    .toList();
        }
    }
}
