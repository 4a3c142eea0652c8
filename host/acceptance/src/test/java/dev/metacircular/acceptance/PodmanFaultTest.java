package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Podman refuses, fails, hangs, drips or is gone: everything is unknown, nothing is restarted, and it goes on once it is back. */
final class PodmanFaultTest {
    private static Path directory;
    private static Relay relay;
    private static Node node;
    private static String image;

    @BeforeAll
    static void setUp() throws IOException {
        image = TestImages.make("acceptance-fault", "v1", TestImages.SERVES);
        directory = Files.createTempDirectory("metacircular-relay-");
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        relay = new Relay(directory.resolve("podman.sock"), Shell.podmanSocket());
        node = Node.started("fault", "[podman]", "socket = \"" + directory.resolve("podman.sock") + "\"");
        node.define("steady", component());
        node.mcp("deploy", "steady").ok();
    }

    @AfterAll
    static void tearDown() throws IOException {
        relay.set(Relay.Mode.PASS);
        node.close();
        relay.close();
        Files.delete(directory);
        TestImages.remove(image);
    }

    private static String component() {
        return "[[components]]\nname = \"web\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n"
                .formatted(image, TestImages.COMMAND);
    }

    @ParameterizedTest
    @EnumSource(value = Relay.Mode.class, mode = EnumSource.Mode.EXCLUDE, names = "PASS")
    void unknownIsNotDead(Relay.Mode mode) throws InterruptedException, IOException {
        Node.Container before = node.container("steady/web");
        Duration ordinary = node.mcp("status", "--json").ok().took();
        relay.set(mode);
        Shell.Result status = node.mcp("status", "--json");
        // The agent's second, and what else takes time on a machine that may be busy.
        assertThat(status.took()).isLessThan(ordinary.multipliedBy(3).plusMillis(1500));
        assertThat(status.out()).contains("\"observed\":\"unknown\"").doesNotContain("\"observed\":\"running\"");
        assertThat(statusMillis()).isLessThan(1000.0);
        assertThat(node.json("ps").findValuesAsText("state")).containsOnly("unknown");
        Thread.sleep(Duration.ofSeconds(4));
        relay.set(Relay.Mode.PASS);
        Node.await(
                Duration.ofSeconds(15),
                "it is seen again",
                () -> "running".equals(node.observed().get("steady/web")));
        assertThat(node.container("steady/web")).isEqualTo(before);
        node.define("other", component());
        node.mcp("deploy", "other").ok();
        node.mcp("stop", "other").ok();
        node.mcp("purge", "other").ok();
        assertThat(node.onePerComponent()).containsOnlyKeys("steady/web");
    }

    /** How long the latest Status call took in the agent, by its audit log. */
    private static double statusMillis() throws IOException {
        return Files.readAllLines(node.agentDirectory().resolve("audit.log")).reversed().stream()
                .filter(line -> line.contains("\"method\":\"Status\""))
                .map(line -> line.replaceFirst(".*\"duration_ms\":([0-9.]+).*", "$1"))
                .mapToDouble(Double::parseDouble)
                .findFirst()
                .orElseThrow();
    }
}
