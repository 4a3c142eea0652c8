package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The agent is killed ({@code kill -9}) at every step of a deploy; the steps are those that a first deploy reports. */
final class CrashTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static Node node;
    private static String v1;
    private static String v2;

    @BeforeAll
    static void setUp() {
        v1 = TestImages.make("acceptance-crash", "v1", TestImages.SERVES);
        v2 = TestImages.make("acceptance-crash", "v2", TestImages.SERVES);
        node = Node.started("crash");
    }

    @AfterAll
    static void tearDown() {
        node.close();
        TestImages.remove(v1, v2);
    }

    private static void define(String image) {
        int port = 8080;
        node.define("victim", """
                [[components]]
                name = "web"
                image = "%1$s"
                %2$s
                hold_s = 0.3
                volumes = ["data:/data"]

                [[components]]
                name = "worker"
                image = "%1$s"
                %2$s
                hold_s = 0.3
                [components.health]
                http = "%3$d/"
                """.formatted(image, TestImages.COMMAND, port));
    }

    @Test
    void aDeployThatWasCutShortIsFinishedOrUndoneByItself() throws IOException, InterruptedException {
        node.define(
                "bystander",
                "[[components]]\nname = \"web\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n".formatted(v1, TestImages.COMMAND));
        node.mcp("deploy", "bystander").ok();
        define(v1);
        node.mcp("deploy", "victim").ok();
        Node.Container bystander = node.container("bystander/web");

        define(v2);
        List<String> steps = CutDeploy.steps(node, "victim");
        assertThat(steps).hasSizeGreaterThan(10);
        String now = v2;
        for (String step : steps) {
            String next = now.equals(v2) ? v1 : v2;
            define(next);
            CutDeploy.until(node, "victim", step, Duration.ofMillis(step.hashCode() & 15));
            node.kill();
            node.start();
            now = assertWhole(step, now, next);
            assertThat(node.onePerComponent()).containsEntry("bystander/web", bystander);
        }
    }

    /** Checks that the old or the new state holds, registered and running, and returns its image. */
    private static String assertWhole(String step, String old, String next) throws IOException {
        Node.await(Duration.ofSeconds(30), "after a kill at '" + step + "' every component runs once", () -> {
            Map<String, Node.Container> one;
            try {
                one = node.onePerComponent();
            } catch (AssertionError severalForNow) {
                return false;
            }
            return one.size() == 3
                    && one.values().stream().allMatch(c -> c.state().equals("running"));
        });
        String web = node.container("victim/web").image();
        assertThat(web).as("kill at '%s'", step).isIn(old, next);
        assertThat(node.container("victim/worker").image())
                .as("kill at '%s'", step)
                .isEqualTo(web);
        assertThat(node.containers().stream().map(Node.Container::name))
                .containsExactlyInAnyOrder("victim-web", "victim-worker", "bystander-web");
        assertThat(registered()).as("kill at '%s'", step).containsOnly(web);
        return web;
    }

    private static Set<String> registered() throws IOException {
        Set<String> images = new LinkedHashSet<>();
        Shell.Result list = node.mcp("list", "--json", "--timeout", "60").ok();
        for (JsonNode c : JSON.readTree(list.out()).get("components")) {
            if (c.get("service").asText().equals("victim")) {
                images.add(c.get("image").asText());
            }
        }
        return images;
    }

    @Test
    void aContainerThatEndsIsStartedAgainByTheAgentAlone() throws InterruptedException {
        String image = TestImages.make("acceptance-crash", "v3", TestImages.SERVES);
        node.define(
                "mortal",
                "[[components]]\nname = \"web\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n"
                        .formatted(image, TestImages.COMMAND));
        node.mcp("deploy", "mortal").ok();
        Node.Container first = node.container("mortal/web");
        assertThat(Shell.podman("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", first.id())
                        .ok()
                        .out()
                        .strip())
                .isIn("no", "");
        Shell.podman("kill", first.id()).ok();
        Node.await(Duration.ofSeconds(15), "it runs again", () -> {
            Node.Container c = node.container("mortal/web");
            return c.state().equals("running") && !c.startedAt().equals(first.startedAt());
        });
        node.kill();
        Node.Container running = node.container("mortal/web");
        assertThat(running.state()).isEqualTo("running");
        node.start();
        Thread.sleep(Duration.ofSeconds(3));
        assertThat(node.container("mortal/web")).isEqualTo(running);
        node.mcp("stop", "mortal").ok();
        node.mcp("purge", "mortal").ok();
        TestImages.remove(image);
    }
}
