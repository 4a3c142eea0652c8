package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A limit is enforced, refused, or shown as not enforced; which one depends on the machine and on what the node is told. */
final class LimitsTest {
    private static final long LIMIT_BYTES = 64L << 20;

    private static String image;
    private static boolean canLimit;

    @BeforeAll
    static void setUp() {
        image = TestImages.make("acceptance-limits", "v1", "trap exit TERM; sleep 1000 & wait");
        String controllers = Shell.podman("info", "--format", "{{.Host.CgroupsVersion}} {{.Host.CgroupControllers}}")
                .ok()
                .out();
        canLimit = controllers.matches("v2 \\[(.* )?memory\\b.*") && controllers.matches("v2 \\[(.* )?cpu\\b.*");
    }

    @AfterAll
    static void tearDown() {
        TestImages.remove(image);
    }

    private static void define(Node node) {
        node.define("bound", """
                [[components]]
                name = "web"
                image = "%s"
                %s
                memory_mb = 64
                cpus = 0.5
                hold_s = 0.2
                """.formatted(image, TestImages.COMMAND));
    }

    private static String enforcedMemory(Node node) {
        return Shell.podman(
                        "inspect",
                        "--format",
                        "{{.HostConfig.Memory}}",
                        node.container("bound/web").id())
                .ok()
                .out()
                .strip();
    }

    @Test
    void aNodeThatCannotEnforceALimitRefusesIt() {
        try (Node node = Node.started("strict")) {
            define(node);
            Shell.Result result = node.mcp("deploy", "bound");
            if (canLimit) {
                assertThat(result.ok().exit()).isZero();
                assertThat(enforcedMemory(node)).isEqualTo(Long.toString(LIMIT_BYTES));
            } else {
                assertThat(result.exit()).as(result.all()).isEqualTo(1);
                assertThat(result.all()).contains("bound/web", "cannot limit", "best-effort");
                assertThat(node.containers()).isEmpty();
            }
        }
    }

    @Test
    void aNodeToldToDoItsBestRunsItAndShowsWhatIsNotEnforced() throws IOException {
        try (Node node = Node.started("lenient")) {
            node.kill();
            Path configuration = node.agentDirectory().resolve("agent.toml");
            String text = Files.readString(configuration).replaceAll("(?m)^limits = .*$", "");
            Files.writeString(configuration, "limits = \"best-effort\"\n" + text);
            node.start();
            define(node);
            node.mcp("deploy", "bound").ok();
            JsonNode resources =
                    node.json("node", "show", node.name).get("components").get(0);
            String status = node.mcp("status", "bound").ok().out();
            assertThat(resources.get("service").asText()).isEqualTo("bound");
            assertThat(resources.get("component").asText()).isEqualTo("web");
            assertThat(resources.get("memory_limit_bytes").asLong()).isEqualTo(LIMIT_BYTES);
            assertThat(resources.get("cpu_limit").asDouble()).isEqualTo(0.5);
            assertThat(resources.get("memory_bytes").isNull())
                    .isNotEqualTo(resources.get("reason").isNull());
            if (canLimit) {
                assertThat(resources.get("not_enforced").isNull()).isTrue();
                assertThat(status).doesNotContain("not enforced");
                assertThat(enforcedMemory(node)).isEqualTo(Long.toString(LIMIT_BYTES));
            } else {
                assertThat(resources.get("not_enforced").asText()).contains("cannot limit");
                assertThat(node.mcp("node", "show", node.name).ok().out())
                        .contains("LIMITS   of bound/web are not enforced");
                assertThat(status).contains("limits are not enforced");
            }
        }
    }
}
