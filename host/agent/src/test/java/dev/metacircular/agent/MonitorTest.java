package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.Target;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.StoredEvent;
import dev.metacircular.runtime.FakeFaults;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each change is told once, over the agent's death too, and failures are counted over it. */
class MonitorTest {
    private static final String IMAGE = "registry.example:5000/shop:v1";
    private static final ComponentId WEB = ComponentId.of("shop", "web");
    private static final Name SHOP = Name.of("shop");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    @BeforeEach
    void open() {
        node = new TestNode(directory);
        node.fake.publish(IMAGE, FakeProgram.serves());
    }

    @AfterEach
    void close() {
        node.close();
    }

    private InstanceId deployed(RestartPolicy restart) throws InterruptedException {
        Component web = serving("web", IMAGE).restart(restart).build();
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        pass();
        return node.only(WEB).id();
    }

    private void pass() throws InterruptedException {
        node.supervisor.pass().join();
    }

    private boolean runs() {
        return Instances.isRunning(node.only(WEB));
    }

    private List<RegistryEvent> events() {
        return node
                .registry
                .events()
                .latest(
                        new EventQuery(
                                Optional.of(SHOP), Optional.empty(), Set.of(), Optional.empty(), Optional.empty()),
                        0,
                        1000)
                .stream()
                .map(StoredEvent::event)
                .toList();
    }

    private List<String> kinds() {
        return events().stream().map(RegistryEvent::kind).toList();
    }

    private static void unreachable(TestNode node) {
        node.fake.faults().setAll(new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "connection refused"));
    }

    @Test
    void aDeployIsOneEventWhateverInstancesItMakes() throws InterruptedException {
        deployed(new RestartPolicy.UnlessStopped());
        node.fake.publish("registry.example:5000/shop:v2", FakeProgram.serves());
        assertThat(node.deploy(service(
                                "shop",
                                serving("web", "registry.example:5000/shop:v2").build()))
                        .error())
                .isEmpty();
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "deployed");
    }

    @Test
    void aFailedDeployIsOneEventAndWhatRanBeforeIsNoChange() throws InterruptedException {
        deployed(new RestartPolicy.UnlessStopped());
        node.fake.publish("registry.example:5000/shop:v2", FakeProgram.exits(3, "no configuration"));
        assertThat(node.deploy(service(
                                "shop",
                                serving("web", "registry.example:5000/shop:v2").build()))
                        .error())
                .isPresent();
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "deploy_failed");
        assertThat(runs()).isTrue();
    }

    @Test
    void eachChangeIsToldOnceHoweverOftenOneLooks() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        node.fake.crash(web, 7);
        node.settle();
        node.clock.advance(Duration.ofSeconds(1));
        node.settle();
        node.restart();
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "exited", "recovered");
        assertThat(events().get(1).message()).startsWith("exited with status 7 after ");
        assertThat(events()).noneMatch(RegistryEvent::net);
    }

    @Test
    void whatHappenedWhileNoAgentRanIsToldOnceAndMarked() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.No());
        node.fake.crash(web, 7);
        node.restart();
        node.settle();
        node.restart();
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "exited");
        assertThat(events().getLast().net()).isTrue();
    }

    @Test
    void whatHappenedWhileTheRuntimeCouldNotBeAskedIsMarkedAndTheOutageIsToldOnce() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.No());
        unreachable(node);
        pass();
        node.restart();
        node.settle();
        node.fake.faults().clear();
        node.fake.crash(web, 7);
        node.settle();
        assertThat(node.eventKinds()).containsExactly("deployed", "runtime_unavailable", "runtime_available", "exited");
        assertThat(events().getLast().net()).isTrue();
    }

    @Test
    void anAgentThatDiesBetweenDoingAndTellingLeavesOneEvent() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        node.fake.crash(web, 7);
        pass();
        node.fake.start(web);
        node.restart();
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "exited", "running");
        assertThat(events().getLast().net()).isTrue();
    }

    @Test
    void aStopByAnotherHandIsHealedAndARunByAnotherHandIsStopped() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        node.fake.remove(web);
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "removed", "recreated");
        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        node.settle();
        node.fake.start(node.only(WEB).id());
        node.settle();
        assertThat(kinds().subList(3, 7)).containsExactly("desired_changed", "stopped", "running", "stopped");
    }

    @Test
    void aChangeOfWhatIsIgnoredIsToldAndNothingIsDone() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always());
        node.actions.setDesired(
                "tester", SHOP, node.generation(SHOP), Optional.empty(), Map.of(Name.of("web"), Desired.IGNORE));
        node.fake.crash(web, 3);
        node.settle();
        node.clock.advance(Duration.ofHours(1));
        node.settle();
        assertThat(kinds()).containsExactly("deployed", "desired_changed", "exited");
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getMessage())
                .isEmpty();
    }

    @Test
    void whatFailsTooOftenFlapsAndIsTriedRarely() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        crashTimes(web, Healing.FLAP_LIMIT);
        assertThat(kinds()).filteredOn("flapping"::equals).hasSize(1);
        assertThat(kinds()).filteredOn("recovered"::equals).hasSize(Healing.FLAP_LIMIT - 1);
        node.restart();
        node.clock.advance(Healing.FLAP_REST.minusSeconds(90));
        pass();
        assertThat(runs()).isFalse();
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getMessage())
                .startsWith("flapping, restarts in ");
        node.clock.advance(Duration.ofSeconds(91));
        pass();
        assertThat(runs()).isTrue();
        node.clock.advance(Healing.STABLE);
        pass();
        assertThat(kinds()).filteredOn("flapping"::equals).hasSize(1);
        assertThat(kinds()).endsWith("recovered", "settled");
    }

    /** Lets it crash and, but for the last time, come back. */
    private void crashTimes(InstanceId web, int times) throws InterruptedException {
        for (int i = 1; i <= times; i++) {
            node.fake.crash(web, 7);
            pass();
            if (i < times) {
                node.clock.advance(Duration.ofSeconds(20));
                pass();
                assertThat(runs()).isTrue();
            }
        }
    }

    @Test
    void anOperatorsRestartEndsTheFlapping() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        crashTimes(web, Healing.FLAP_LIMIT);
        node.actions.restart("tester", new Target(SHOP, Optional.empty()), node.generation(SHOP));
        node.fake.crash(web, 7);
        pass();
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getMessage())
                .isEqualTo("restarts in 1 s after 1 failure");
    }

    @Test
    void anotherAgentGoesOnCountingFailures() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.OnFailure(OptionalInt.of(2)));
        crashTimes(web, 2);
        node.restart();
        pass();
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getMessage())
                .isEqualTo("restarts in 2 s after 2 failures");
        node.clock.advance(Duration.ofSeconds(3));
        pass();
        node.fake.crash(web, 7);
        pass();
        node.restart();
        node.settle();
        assertThat(kinds())
                .endsWith("exited", "gave_up")
                .filteredOn("gave_up"::equals)
                .hasSize(1);
        assertThat(runs()).isFalse();
    }

    @Test
    void aJobThatIsDoneIsNotRunAgainByABootThatLosesItsEnd() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.OnFailure(OptionalInt.empty()));
        node.fake.crash(web, 0);
        pass();
        node.fake.reboot();
        node.restart(true);
        node.settle();
        node.supervisor.bootDone();
        node.settle();
        assertThat(runs()).isFalse();
        assertThat(kinds()).containsExactly("deployed", "exited");
    }

    @Test
    void aJobThatIsDoneIsNotRunAgainWhenItsInstanceIsTidiedAway() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.OnFailure(OptionalInt.empty()));
        node.fake.crash(web, 0);
        pass();
        node.fake.remove(web);
        node.settle();
        node.restart();
        node.clock.advance(Duration.ofHours(1));
        node.settle();
        node.restart(true);
        node.settle();
        node.supervisor.bootDone();
        node.settle();
        assertThat(node.instances(WEB)).isEmpty();
        assertThat(kinds()).containsExactly("deployed", "exited", "removed");
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getDriftList())
                .isEmpty();
        node.actions.restart("tester", Target.parse("shop"), node.generation(SHOP));
        assertThat(node.instances(WEB)).isEmpty();
        node.actions.restart("tester", Target.parse("shop/web"), node.generation(SHOP));
        assertThat(runs()).isTrue();
    }

    @Test
    void whatItsPolicyForbidsToRunAgainIsNotMadeAgainEither() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.No());
        node.fake.crash(web, 3);
        pass();
        node.fake.remove(web);
        node.settle();
        assertThat(node.instances(WEB)).isEmpty();
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getDriftList())
                .hasSize(1);
        node.clock.advance(Duration.ofMinutes(1));
        node.restart(true);
        node.settle();
        assertThat(runs()).isTrue();
    }

    @Test
    void whatRanAndWasRemovedIsMadeAgainWhateverItsPolicy() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.No());
        node.fake.remove(web);
        node.settle();
        assertThat(runs()).isTrue();
    }

    @Test
    void aBootIsNoFailure() throws InterruptedException {
        deployed(new RestartPolicy.OnFailure(OptionalInt.of(1)));
        for (int boots = 0; boots < 7; boots++) {
            node.fake.reboot();
            node.restart(true);
            node.settle();
            node.supervisor.bootDone();
            node.settle();
            assertThat(runs()).isTrue();
        }
        assertThat(kinds().subList(0, 3)).containsExactly("deployed", "stopped", "started");
        assertThat(kinds()).hasSize(15).doesNotContain("exited", "flapping", "gave_up");
    }

    @Test
    void aClockThatIsSetBackHoldsNothingUp() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped());
        node.clock.advance(Duration.ofHours(3));
        pass();
        node.fake.crash(web, 7);
        pass();
        node.clock.advance(Duration.ofHours(-3));
        pass();
        node.clock.advance(Duration.ofSeconds(2));
        pass();
        assertThat(runs()).isTrue();
    }

    @Test
    void aFailedStartIsOneEventAndCountsAsAFailure() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always());
        node.fake.crash(web, 1);
        pass();
        node.fake.faults().set(Operation.START, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.PORT_TAKEN, "taken"));
        for (int i = 0; i < Healing.FLAP_LIMIT; i++) {
            node.clock.advance(Duration.ofSeconds(30));
            node.settle();
        }
        assertThat(kinds())
                .containsExactly(
                        "deployed",
                        "exited",
                        "start_failed",
                        "start_failed",
                        "start_failed",
                        "start_failed",
                        "flapping");
    }

    @Test
    void whatIsPurgedLeavesNoRecord() throws InterruptedException {
        deployed(new RestartPolicy.Always());
        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        node.actions.purge("tester", SHOP, node.generation(SHOP), false);
        node.settle();
        assertThat(node.registry.events().states()).isEmpty();
        assertThat(kinds()).endsWith("stopped", "purged");
    }
}
