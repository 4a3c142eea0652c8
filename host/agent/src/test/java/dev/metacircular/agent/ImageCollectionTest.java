package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.Image;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ImageCollectionTest {
    private static final String BASE = "registry.example:5000/shop:v";

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    @BeforeEach
    void open() {
        node = new TestNode(directory);
    }

    @AfterEach
    void close() {
        node.close();
    }

    private void publish(String reference) {
        node.fake.publish(reference, process -> {
            process.answer(200);
            process.awaitTermination();
            return 0;
        });
    }

    private void deployVersions(int from, int to) {
        for (int v = from; v <= to; v++) {
            publish(BASE + v);
            node.deploy(service("shop", serving("web", BASE + v).build()));
            node.clock.advance(Duration.ofMinutes(1));
        }
    }

    private List<String> collect(boolean dryRun) {
        EventLog events = new EventLog(new RegistryLedger(node.registry), node.clock);
        return new ImageCollection(node.runtimes, node.registry.images(), node.locks, events, node.clock)
                .collect(dryRun).getImagesList().stream()
                        .flatMap(i -> i.getNamesList().stream())
                        .toList();
    }

    private List<String> present() {
        return node.fake.images().stream()
                .map(Image::references)
                .flatMap(List::stream)
                .sorted()
                .toList();
    }

    @Test
    void theLastVersionsOfAComponentStayAndOlderOnesGoAfterADay() {
        deployVersions(1, 5);
        assertThat(collect(false)).isEmpty();
        node.clock.advance(Duration.ofDays(2));

        assertThat(collect(true)).containsExactlyInAnyOrder(BASE + 1, BASE + 2);
        assertThat(present()).hasSize(5);
        assertThat(collect(false)).containsExactlyInAnyOrder(BASE + 1, BASE + 2);
        assertThat(present()).containsExactly(BASE + 3, BASE + 4, BASE + 5);
        assertThat(node.eventKinds()).contains("images_collected");
        assertThat(collect(false)).isEmpty();
    }

    @Test
    void whatADroppedComponentUsedIsNeededNoMore() {
        publish(BASE + 1);
        publish(BASE + 2);
        node.deploy(service(
                "shop",
                serving("web", BASE + 1).build(),
                serving("old", BASE + 2).build()));
        node.deploy(service("shop", serving("web", BASE + 1).build()));
        node.clock.advance(Duration.ofDays(2));
        assertThat(collect(false)).containsExactly(BASE + 2);
    }

    @Test
    void whatTheAgentDidNotPullOrAnotherNamedOrAnInstanceHasStays() {
        publish(BASE + 1);
        node.fake.pull(ImageRef.parse(BASE + 1), (_, _, _) -> {});
        deployVersions(1, 6);
        node.fake.tag(BASE + 2, "registry.example:5000/mine:v2");
        node.fake.addForeign("somebody", serving("x", BASE + 3).build());
        node.clock.advance(Duration.ofDays(2));

        assertThat(collect(false)).isEmpty();
        assertThat(present()).contains(BASE + 1, BASE + 2, BASE + 3);
    }

    @Test
    void whatOnlyAForgottenServiceHadGoesAndNothingWhileADeployIsUnderWay() {
        deployVersions(1, 2);
        node.actions.setDesired(
                "tester",
                Name.of("shop"),
                node.generation(Name.of("shop")),
                java.util.Optional.of(false),
                java.util.Map.of());
        node.actions.purge("tester", Name.of("shop"), node.generation(Name.of("shop")), false);
        node.clock.advance(Duration.ofDays(2));

        try (ServiceLocks.Held _ = node.locks.acquire(Name.of("other"), "a deploy")) {
            assertThat(collect(false)).isEmpty();
        }
        assertThat(collect(false)).containsExactlyInAnyOrder(BASE + 1, BASE + 2);
        assertThat(present()).isEmpty();
    }
}
