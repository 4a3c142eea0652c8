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
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A container that somebody started by hand, from its adoption to the first deploy of it. */
final class AdoptTest {
    private static Node node;
    private static String image;

    @BeforeAll
    static void setUp() {
        image = TestImages.make("acceptance-adopt", "v1", TestImages.SERVES);
        node = Node.started("adopting");
    }

    @AfterAll
    static void tearDown() {
        Shell.podman("rm", "-f", "-t", "0", "adopted-web");
        node.close();
        TestImages.remove(image);
    }

    private static String inspected(String format) {
        return Shell.podman("inspect", "--format", format, "adopted-web")
                .ok()
                .out()
                .strip();
    }

    private static String served(int port) {
        try (HttpClient client = HttpClient.newHttpClient()) {
            return client.send(
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
    void whatRunsIsTakenAsItIsExportedAndReplacedByItsFirstDeployAlone() throws IOException {
        int port = Node.freePort();
        Shell.podman(
                        "run",
                        "-d",
                        "--name",
                        "adopted-web",
                        "--restart",
                        "on-failure:3",
                        "-e",
                        "COLOUR=blue",
                        "-p",
                        "127.0.0.1:" + port + ":8080",
                        image,
                        "/bin/sh",
                        "/etc/run")
                .ok();
        String id = inspected("{{.Id}}");
        String started = inspected("{{.State.StartedAt}}");

        JsonNode dry = node.json("adopt", "adopted", "--dry-run");
        assertThat(dry.at("/adopted/0/instance").asText()).isEqualTo(id);
        assertThat(node.json("list").get("components")).isEmpty();

        JsonNode taken = node.json("adopt", "adopted");
        assertThat(taken.at("/adopted/0/component").asText()).isEqualTo("web");
        assertThat(taken.at("/adopted/0/restart_policy").asText()).isEqualTo("on-failure:3");
        assertThat(taken.at("/adopted/0/lost")).isEmpty();
        node.kill();
        node.start();
        assertThat(node.observed()).containsEntry("adopted/web", "running");
        assertThat(inspected("{{.Id}}")).isEqualTo(id);
        assertThat(inspected("{{.State.StartedAt}}")).isEqualTo(started);
        assertThat(node.mcp("logs", "adopted").ok().out()).contains("version v1 serves");

        node.mcp("service", "export", "adopted").ok();
        Path definition = node.operator.resolve("services/adopted.toml");
        assertThat(Files.readString(definition))
                .contains("\"127.0.0.1:" + port + ":8080\"", "COLOUR=blue", "on-failure:3", image);
        node.mcp("deploy", "adopted").ok();
        Node.Container deployed = node.container("adopted/web");
        assertThat(deployed.id()).isNotEqualTo(id);
        assertThat(deployed.name()).isEqualTo("adopted-web");
        assertThat(Shell.podman("container", "exists", id).exit()).isEqualTo(1);
        Node.await(Duration.ofSeconds(30), "it serves", () -> served(port).equals("v1"));
        node.mcp("stop", "adopted").ok();
        node.mcp("purge", "adopted").ok();
        assertThat(node.containers()).isEmpty();
    }
}
