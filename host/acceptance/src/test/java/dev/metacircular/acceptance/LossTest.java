package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A registry that is cut off and replaced by its snapshot: what it forgot runs on, is shown, and is taken back as it is. */
final class LossTest {
    private static final Duration SEVERAL_LOOKS = Duration.ofSeconds(6);

    private static List<String> unregistered(JsonNode status) {
        return StreamSupport.stream(status.get("unregistered").spliterator(), false)
                .map(i -> i.get("service").asText() + "/" + i.get("component").asText() + " "
                        + i.get("state").asText())
                .sorted()
                .toList();
    }

    private static void deploy(Node node, String service, String image) {
        node.define(service, FaultWorld.component("web", image));
        node.mcp("deploy", service).ok();
    }

    private static void requireForTheTimeOf(Duration time, Node node, Map<String, Node.Container> containers)
            throws InterruptedException {
        Instant until = Instant.now().plus(time);
        while (Instant.now().isBefore(until)) {
            assertThat(node.onePerComponent()).isEqualTo(containers);
            Thread.sleep(500);
        }
    }

    @Test
    @Timeout(value = 10, unit = TimeUnit.MINUTES)
    void whatTheSnapshotDoesNotKnowRunsOnIsShownAndTakenBackAsItIs() throws IOException, InterruptedException {
        String image = TestImages.make("acceptance-loss", "v1", TestImages.SERVES);
        try (Node node = Node.started("loss")) {
            deploy(node, "loss-kept", image);
            node.mcp("backup").ok();
            deploy(node, "loss-adopted", image);
            deploy(node, "loss-deployed", image);
            Map<String, Node.Container> before = node.onePerComponent();
            node.kill();
            FaultLoss.cut(node, 0.5);
            node.start();

            JsonNode loss = node.json("node", "show", node.name).get("registry").get("loss");
            assertThat(loss.get("snapshot").asText()).startsWith("registry-");
            assertThat(loss.get("why").asText()).isNotEmpty();
            assertThat(node.mcp("node", "show", node.name).ok().out()).contains("LOSS", "is lost");
            requireForTheTimeOf(SEVERAL_LOOKS, node, before);
            assertThat(unregistered(node.json("status")))
                    .containsExactly("loss-adopted/web running", "loss-deployed/web running");
            assertThat(unregistered(node.json("status", "loss-adopted"))).containsExactly("loss-adopted/web running");
            assertThat(node.mcp("status").ok().out()).contains("loss-deployed", "mcp adopt");
            assertThat(node.mcp("status", "--check").exit()).isEqualTo(1);

            node.mcp("adopt", "loss-adopted").ok();
            node.mcp("deploy", "loss-deployed").ok();
            node.mcp("sync").ok();
            assertThat(unregistered(node.json("status"))).isEmpty();
            node.mcp("status", "--check").ok();
            assertThat(node.json("node", "show", node.name).get("registry").get("unconfirmed"))
                    .isEmpty();
            requireForTheTimeOf(SEVERAL_LOOKS, node, before);

            node.mcp("stop", "loss-adopted").ok();
            assertThat(node.container("loss-adopted/web").state()).isEqualTo("exited");
            assertThat(node.container("loss-adopted/web").id())
                    .isEqualTo(Round.in(before, "loss-adopted/web").id());
        } finally {
            TestImages.remove(image);
        }
    }
}
