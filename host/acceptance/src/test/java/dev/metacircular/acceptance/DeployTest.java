package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class DeployTest {
    private static Node node;
    private static String v1;
    private static String v2;
    private static String exits;
    private static String deaf;

    @BeforeAll
    static void setUp() {
        v1 = TestImages.make("acceptance-web", "v1", TestImages.SERVES);
        v2 = TestImages.make("acceptance-web", "v2", TestImages.SERVES);
        exits = TestImages.make("acceptance-web", "v3-exits", "echo the licence has expired; exit 7");
        deaf = TestImages.make(
                "acceptance-web", "v4-deaf", "trap exit TERM; echo waiting for godot; sleep 1000 & wait");
        node = Node.started("alpha");
    }

    @AfterAll
    static void tearDown() {
        node.close();
        TestImages.remove(v1, v2, exits, deaf);
    }

    private static String component(String name, String image, String... more) {
        return "[[components]]\nname = \"%s\"\nimage = \"%s\"\n%s\n%s\n"
                .formatted(name, image, TestImages.COMMAND, String.join("\n", more));
    }

    private static String served(int port) {
        try {
            return HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/"))
                                    .timeout(Duration.ofSeconds(5))
                                    .build(),
                            HttpResponse.BodyHandlers.ofString())
                    .body()
                    .strip();
        } catch (IOException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Test
    void onlyTheNamedComponentChangesAndNamesAreCanonical() {
        node.define("uktest", component("web", v1, "hold_s = 0.2") + component("uktest", v1, "hold_s = 0.2"));
        node.define("mc-proxy", component("mc-proxy", v1, "hold_s = 0.2") + component("api", v1, "hold_s = 0.2"));
        node.mcp("deploy", "uktest").ok();
        node.mcp("deploy", "mc-proxy").ok();
        Map<String, Node.Container> before = node.onePerComponent();
        assertThat(before.values().stream().map(Node.Container::name))
                .contains("uktest-web", "uktest", "mc-proxy", "mc-proxy-api");

        node.define("uktest", component("web", v2, "hold_s = 0.2") + component("uktest", v2, "hold_s = 0.2"));
        node.mcp("deploy", "uktest/web").ok();
        Map<String, Node.Container> web = node.onePerComponent();
        assertThat(web.get("uktest/web")).isNotEqualTo(before.get("uktest/web"));
        assertThat(web.get("uktest/uktest")).isEqualTo(before.get("uktest/uktest"));

        node.mcp("deploy", "uktest/uktest").ok();
        Map<String, Node.Container> both = node.onePerComponent();
        assertThat(both.get("uktest/web")).isEqualTo(web.get("uktest/web"));
        assertThat(node.container("uktest/uktest").name()).isEqualTo("uktest");
        assertThat(both.get("mc-proxy/mc-proxy")).isEqualTo(before.get("mc-proxy/mc-proxy"));

        for (String view : List.of("ps", "list", "status")) {
            JsonNode seen = node.json(view);
            assertThat(seen.findValuesAsText("name")).contains("uktest", "uktest-web", "mc-proxy", "mc-proxy-api");
        }
        node.mcp("stop", "uktest").ok();
        node.mcp("purge", "uktest").ok();
        node.mcp("stop", "mc-proxy").ok();
        node.mcp("purge", "mc-proxy").ok();
        assertThat(node.onePerComponent().keySet())
                .noneMatch(c -> c.startsWith("uktest/") || c.startsWith("mc-proxy/"));
    }

    @Test
    void aFaultyVersionLeavesTheOldOneServingAndSaysWhy() throws IOException {
        int port = Node.freePort();
        String ports = "ports = [\"127.0.0.1:%d:8080\"]".formatted(port);
        String health = "[components.health]\nhttp = \"8080/\"\ntimeout_s = 3";
        node.define("faulty", component("web", v1, ports, health));
        node.mcp("deploy", "faulty").ok();
        assertThat(served(port)).isEqualTo("v1");
        String generation = generation("faulty");

        node.define("faulty", component("web", exits, ports, health));
        assertFallsBack(port, "the licence has expired", "7");
        node.define("faulty", component("web", deaf, ports, health));
        assertFallsBack(port, "waiting for godot", "3.0 s");
        node.define("faulty", component("web", "localhost/acceptance-web:none", ports, health));
        assertFallsBack(port, "localhost/acceptance-web:none");
        try (ServerSocket taken = new ServerSocket()) {
            taken.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            String takenPort = Integer.toString(taken.getLocalPort());
            node.define("faulty", component("web", v2, "ports = [\"127.0.0.1:%s:8080\"]".formatted(takenPort), health));
            assertFallsBack(port, takenPort);
        }
        assertThat(generation("faulty")).isEqualTo(generation);

        node.define("faulty", component("web", v2, ports, health));
        node.mcp("deploy", "faulty").ok();
        assertThat(served(port)).isEqualTo("v2");
        node.mcp("stop", "faulty").ok();
        node.mcp("purge", "faulty").ok();
    }

    private static void assertFallsBack(int port, String... saying) {
        Shell.Result result = node.mcp("deploy", "faulty");
        assertThat(result.exit()).as(result.all()).isEqualTo(1);
        assertThat(result.all()).contains(saying);
        assertThat(served(port)).as(result.all()).isEqualTo("v1");
        assertThat(node.onePerComponent()).containsOnlyKeys("faulty/web");
        assertThat(node.container("faulty/web").name()).isEqualTo("faulty-web");
    }

    private static String generation(String service) {
        return node.json("list").findValuesAsText("service").contains(service)
                ? node.json("status", service)
                        .get("components")
                        .get(0)
                        .path("generation")
                        .asText()
                : "";
    }

    @Test
    void whatTheDryRunListsIsWhatIsDone() {
        String web = component("web", v1, "hold_s = 0.2");
        node.define("planned", web + component("old", v1, "hold_s = 0.2"));
        assertPlanIsDone();
        node.define("planned", component("web", v2, "hold_s = 0.2") + component("new", v1, "hold_s = 0.2"));
        assertPlanIsDone();
        Shell.Result nothing = node.mcp("deploy", "planned", "--dry-run", "--check");
        assertThat(nothing.exit()).as(nothing.all()).isZero();
        node.define("planned", web);
        assertThat(node.mcp("deploy", "planned", "--dry-run", "--check").exit()).isEqualTo(5);
        node.mcp("stop", "planned").ok();
        node.mcp("purge", "planned").ok();
    }

    private static void assertPlanIsDone() {
        List<JsonNode> planned =
                Node.lines(node.mcp("deploy", "planned", "--dry-run", "--json").ok());
        List<JsonNode> done = Node.lines(node.mcp("deploy", "planned", "--json").ok());
        assertThat(planned.stream().filter(p -> p.has("index"))).isNotEmpty();
        assertThat(done.stream()
                        .filter(d -> d.path("status").asText().equals("done"))
                        .map(d -> d.get("index").asInt() + " " + d.get("op").asText() + " "
                                + d.path("component").asText())
                        .sorted())
                .containsExactlyElementsOf(planned.stream()
                        .filter(p -> p.has("index"))
                        .map(p -> p.get("index").asInt() + " " + p.get("op").asText() + " "
                                + p.path("component").asText())
                        .sorted()
                        .toList());
        assertThat(done.getLast().get("result").asText()).isEqualTo("ok");
    }

    @Test
    void aDefinitionWithSixFaultsGivesSixErrorsAndNothingIsSent() throws IOException {
        Files.writeString(node.operator.resolve("services/faults.toml"), """
                name = "other"
                node = "%s"
                activ = true

                [[components]]
                name = "Web"
                image = "nonsense"
                ports = ["80"]
                restart = "sometimes"
                """.formatted(node.name));
        int before = node.containers().size();
        Shell.Result result = node.mcp("deploy", "faults");
        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err().lines().filter(l -> l.matches(".*faults\\.toml:[0-9]+:[0-9]+: .*")))
                .hasSize(6);
        assertThat(result.err())
                .contains(":1:", ":3:", ":6:", ":7:", ":8:", ":9:")
                .contains("active");
        assertThat(node.containers()).hasSize(before);
        Files.delete(node.operator.resolve("services/faults.toml"));
    }

    @Test
    void stopAndStartGoThroughTheDefinitionFileAndKeepItsComments() throws IOException {
        node.define("kept", "# a comment\nactive = true # on\n\n" + component("web", v1, "hold_s = 0.2"));
        node.mcp("deploy", "kept").ok();
        node.mcp("stop", "kept/web").ok();
        String text = Files.readString(node.operator.resolve("services/kept.toml"));
        assertThat(text).contains("# a comment", "# on", "desired = \"stopped\"");
        assertThat(node.observed()).containsEntry("kept/web", "stopped");
        node.mcp("start", "kept/web").ok();
        Node.await(
                Duration.ofSeconds(10),
                "it runs",
                () -> "running".equals(node.observed().get("kept/web")));
        node.mcp("stop", "kept").ok();
        assertThat(Files.readString(node.operator.resolve("services/kept.toml")))
                .contains("active = false # on");
        assertThat(node.container("kept/web").state()).isEqualTo("exited");
        Shell.Result refused = node.mcp("purge", "none-such");
        assertThat(refused.exit()).as(refused.all()).isEqualTo(1);
        node.mcp("purge", "kept").ok();
    }
}
