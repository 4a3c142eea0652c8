package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The agent dies at every call that a restart, or a start of what was stopped, makes to the runtime and the registry: it runs all the same, its end
 * on request is never taken for its own, and each run is told once.
 */
class RestartFaultsTest {
    private static final Name SHOP = Name.of("shop");
    private static final ComponentId WEB = ComponentId.of("shop", "web");
    private static final String IMAGE = "registry.example:5000/shop:v1";
    private static final List<String> BEGINS = List.of("started", "restarted", "recovered", "recreated", "running");

    @TempDir
    private Path directory;

    /** What the agent dies of. */
    private interface Act {
        void on(TestNode node);
    }

    private TestNode prepared(String run, RestartPolicy restart) throws IOException, InterruptedException {
        TestNode node = new TestNode(Files.createDirectories(directory.resolve(run)));
        node.fake.publish(IMAGE, FakeProgram.serves());
        assertThat(node.deploy(service(
                                "shop", serving("web", IMAGE).restart(restart).build()))
                        .error())
                .isEmpty();
        return node;
    }

    private static void restart(TestNode node) {
        Outcome _ = node.actions.restart("tester", new Target(SHOP, Optional.empty()), node.generation(SHOP));
    }

    private static void setDesired(TestNode node, Desired desired) {
        Outcome _ = node.actions.setDesired(
                "tester", SHOP, node.generation(SHOP), Optional.empty(), Map.of(Name.of("web"), desired));
    }

    private static List<String> kindsSince(TestNode node, int before) {
        List<String> kinds = node.eventKinds();
        return kinds.subList(before, kinds.size());
    }

    /** Returns whether there are more calls to die at. */
    private static boolean dies(TestNode node, int index, Steps.Fault fault, Act act) {
        node.steps.spoil(index, fault);
        try {
            act.on(node);
        } catch (Steps.Dead _) {
            // What it leaves behind is examined by the caller.
        }
        return node.steps.seen().size() > index;
    }

    @ParameterizedTest
    @EnumSource(names = {"DIES_BEFORE", "DIES_AFTER"})
    void aRestartIsToldOnceAndLeavesItRunningWhereverTheAgentDies(Steps.Fault fault)
            throws IOException, InterruptedException {
        List<RestartPolicy> policies = List.of(new RestartPolicy.UnlessStopped(), new RestartPolicy.No());
        for (RestartPolicy policy : policies) {
            for (boolean looked : List.of(true, false)) {
                boolean more = true;
                int index = 0;
                for (; more; index++) {
                    try (TestNode node = prepared(policy + "-" + looked + "-" + index, policy)) {
                        if (looked) {
                            node.settle();
                        }
                        Instance before = node.only(WEB);
                        int events = node.eventKinds().size();
                        more = dies(node, index, fault, RestartFaultsTest::restart);
                        node.restart();
                        node.settle();
                        String where = "%s, restart = %s, looked %s, call %d: %s"
                                .formatted(fault, policy, looked, index, kindsSince(node, events));
                        Instant now = TestNode.startedAt(node.only(WEB));
                        boolean began = !now.equals(TestNode.startedAt(before));
                        List<String> kinds = kindsSince(node, events);
                        assertThat(kinds).as(where).doesNotContain("exited", "removed", "start_failed");
                        assertThat(kinds).as(where).filteredOn(BEGINS::contains).hasSize(began ? 1 : 0);
                        assertThat(Collections.frequency(kinds, "stopped"))
                                .as(where)
                                .isLessThanOrEqualTo(1);
                        if (began) {
                            requireThatItsOwnEndCounts(node, where);
                        }
                    }
                }
                assertThat(index).isGreaterThan(4);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"DIES_BEFORE", "DIES_AFTER"})
    void aStartAfterAStopIsToldOnceWhateverItsPolicy(Steps.Fault fault) throws IOException, InterruptedException {
        for (RestartPolicy policy : List.of(new RestartPolicy.UnlessStopped(), new RestartPolicy.No())) {
            boolean more = true;
            for (int index = 0; more; index++) {
                try (TestNode node = prepared("start-" + policy + "-" + index, policy)) {
                    setDesired(node, Desired.STOPPED);
                    int events = node.eventKinds().size();
                    more = dies(node, index, fault, n -> setDesired(n, Desired.RUNNING));
                    node.restart();
                    node.settle();
                    List<String> kinds = kindsSince(node, events);
                    String where = "%s, restart = %s, call %d: %s".formatted(fault, policy, index, kinds);
                    Instant _ = TestNode.startedAt(node.only(WEB));
                    assertThat(kinds).as(where).doesNotContain("exited", "removed", "stopped");
                    assertThat(kinds).as(where).filteredOn(BEGINS::contains).hasSize(1);
                    requireThatItsOwnEndCounts(node, where);
                }
            }
        }
    }

    /** No request for an earlier run's end is left. */
    private static void requireThatItsOwnEndCounts(TestNode node, String where) throws InterruptedException {
        int events = node.eventKinds().size();
        node.fake.crash(node.only(WEB).id(), 3);
        node.supervisor.pass().join();
        assertThat(kindsSince(node, events)).as(where).contains("exited");
    }
}
