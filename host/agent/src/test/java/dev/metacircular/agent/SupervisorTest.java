package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.Volume;
import dev.metacircular.runtime.FakeFaults;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SupervisorTest {
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

    private Instance deployed(RestartPolicy restart) {
        Component web = serving("web", IMAGE).restart(restart).build();
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        return node.only(WEB);
    }

    private boolean runs() {
        return Instances.isRunning(node.only(WEB));
    }

    private String message() {
        return node.status.status(Optional.of(SHOP)).getComponents(0).getMessage();
    }

    private String observed() {
        return node.status.status(Optional.of(SHOP)).getComponents(0).getObserved();
    }

    private void pass() throws InterruptedException {
        node.supervisor.pass().join();
    }

    @Test
    void aStopThatWasAskedForIsForgottenOnceSomebodyElseRemovedTheContainer() {
        Instance web = deployed(new RestartPolicy.UnlessStopped());
        node.lifecycle.stop(web.id());
        Agent.dropGone(node.view, node.runtimes);
        assertThat(node.registry.stopRequests()).containsExactly(web.id().value());
        node.fake.remove(web.id());
        Agent.dropGone(node.view, node.runtimes);
        assertThat(node.registry.stopRequests()).isEmpty();
        assertThat(node.view.stopRequested(web.id())).isFalse();
    }

    @Test
    void noStopThatWasAskedForIsForgottenWhileTheRuntimeDoesNotAnswer() {
        Instance web = deployed(new RestartPolicy.UnlessStopped());
        node.lifecycle.stop(web.id());
        node.fake.faults().set(Operation.LIST, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "gone"));
        Agent.dropGone(node.view, node.runtimes);
        assertThat(node.registry.stopRequests()).containsExactly(web.id().value());
    }

    @Test
    void whatCannotHaveItsFoldersIsMadeAnewRatherThanStarted() throws InterruptedException {
        Component web = serving("web", IMAGE)
                .volumes(List.of(Volume.parse("data:/data")))
                .restart(new RestartPolicy.Always())
                .build();
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        node.fake.remove(node.only(WEB).id());
        node.fake.faults().set(Operation.USER, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.FAILED, "no"));
        pass();
        assertThat(node.instances(WEB)).isEmpty();
        node.fake.faults().clear();
        node.clock.advance(Duration.ofMinutes(1));
        node.settle();
        assertThat(runs()).isTrue();
        assertThat(node.eventKinds()).contains("start_failed", "recreated");
    }

    @Test
    void whileTheImagesAreNotListedItIsToldThatDriftOfTheImageIsUnknown() {
        deployed(new RestartPolicy.UnlessStopped());
        assertThat(node.status.status(Optional.empty()).getComponents(0).getDriftList())
                .isEmpty();
        node.fake.faults().set(Operation.IMAGE, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.DEADLINE, "slow"));
        assertThat(node.status.status(Optional.empty()).getComponents(0).getDriftList())
                .containsExactly("image_unknown");
    }

    @Test
    void startsTheSameInstanceAgainAfterASecondThatDoubles() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.UnlessStopped()).id();
        int seconds = 1;
        for (int exits = 1; exits < Healing.FLAP_LIMIT; exits++) {
            node.fake.crash(web, 7);
            pass();
            assertThat(runs()).as("at once after exit %d", exits).isFalse();
            assertThat(message())
                    .isEqualTo(
                            "restarts in " + seconds + " s after " + exits + (exits == 1 ? " failure" : " failures"));
            node.clock.advance(Duration.ofMillis(seconds * 1000L - 500));
            pass();
            assertThat(runs()).as("early after exit %d", exits).isFalse();
            // At most a tenth later than the full delay.
            node.clock.advance(Duration.ofMillis(600 + seconds * 100L));
            pass();
            assertThat(runs()).as("after exit %d", exits).isTrue();
            assertThat(node.only(WEB).id()).isEqualTo(web);
            seconds = seconds * 2;
        }
        assertThat(node.eventKinds()).filteredOn("exited"::equals).hasSize(4);
        assertThat(node.eventKinds()).filteredOn("recovered"::equals).hasSize(4);
    }

    @Test
    void anEndCountsAsItsOwnWhereAStopThatWasAskedForNeverCame() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always()).id();
        node.view.requestStop(web);
        node.restart();
        pass();
        assertThat(node.view.stopRequested(web)).isTrue();
        node.clock.advance(Duration.ofMinutes(2));
        pass();
        node.fake.crash(web, 7);
        pass();
        assertThat(node.eventKinds()).contains("exited").doesNotContain("stopped");
    }

    @Test
    void forgetsExitsOnceItHasRunForAMinute() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always()).id();
        for (int i = 0; i < 3; i++) {
            node.fake.crash(web, 1);
            pass();
            node.clock.advance(Duration.ofSeconds(10));
            pass();
            assertThat(runs()).isTrue();
        }
        node.clock.advance(Duration.ofMinutes(2));
        pass();
        node.fake.crash(web, 1);
        pass();
        assertThat(message()).isEqualTo("restarts in 1 s after 1 failure");
    }

    @Test
    void givesUpAfterTheLimitOfItsPolicy() throws InterruptedException {
        InstanceId web =
                deployed(new RestartPolicy.OnFailure(OptionalInt.of(2))).id();
        for (int i = 0; i < 3; i++) {
            assertThat(runs()).isTrue();
            node.fake.crash(web, 1);
            pass();
            node.clock.advance(Duration.ofMinutes(1));
            pass();
        }
        assertThat(runs()).isFalse();
        assertThat(message()).isEqualTo("its restart policy forbids another try after 3 failures");
        assertThat(node.eventKinds()).contains("gave_up");
    }

    @Test
    void leavesAloneWhatIsDoneAndWhatMustNotBeRestarted() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.No()).id();
        node.fake.crash(web, 0);
        pass();
        node.clock.advance(Duration.ofMinutes(5));
        pass();
        assertThat(runs()).isFalse();
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getDriftList())
                .isEmpty();
    }

    @Test
    void runsEverythingDesiredAgainAfterABootButNotWhatIsDone() throws InterruptedException {
        Component job = Component.builder("job", IMAGE)
                .restart(new RestartPolicy.No())
                .hold(Duration.ofMillis(1))
                .build();
        Component once = serving("once", IMAGE).restart(new RestartPolicy.No()).build();
        Component off = serving("off", IMAGE).build();
        assertThat(node.deploy(service("shop", job, once, off)).error()).isEmpty();
        node.fake.crash(node.only(ComponentId.of("shop", "job")).id(), 0);
        node.actions.setDesired(
                "tester", SHOP, node.generation(SHOP), Optional.empty(), Map.of(Name.of("off"), Desired.STOPPED));
        node.fake.reboot();
        node.restart(true);
        node.settle();
        assertThat(Instances.isRunning(node.only(ComponentId.of("shop", "once"))))
                .isTrue();
        assertThat(Instances.isRunning(node.only(ComponentId.of("shop", "job"))))
                .isFalse();
        assertThat(Instances.isRunning(node.only(ComponentId.of("shop", "off"))))
                .isFalse();
    }

    @Test
    void makesAMissingInstanceAgainFromTheRegisteredDocumentAndImage() throws InterruptedException {
        Instance web = deployed(new RestartPolicy.UnlessStopped());
        node.fake.publish(IMAGE, FakeProgram.exits(1, "another image under the same tag"));
        node.fake.remove(web.id());
        pass();
        Instance again = node.only(WEB);
        assertThat(again.id()).isNotEqualTo(web.id());
        assertThat(again.imageId()).isEqualTo(web.imageId());
        assertThat(again.identity().orElseThrow().documentDigest())
                .isEqualTo(web.identity().orElseThrow().documentDigest());
        assertThat(runs()).isTrue();
        assertThat(node.eventKinds()).contains("recreated");
    }

    @Test
    void doesNothingWhileTheRuntimeCannotBeAsked() throws InterruptedException {
        Instance web = deployed(new RestartPolicy.UnlessStopped());
        node.fake.faults().setAll(new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "connection refused"));
        int creations = node.fake.faults().calls(Operation.CREATE);
        int starts = node.fake.faults().calls(Operation.START);
        int stops =
                node.fake.faults().calls(Operation.STOP) + node.fake.faults().calls(Operation.REMOVE);
        for (int i = 0; i < 5; i++) {
            pass();
            node.clock.advance(Duration.ofMinutes(1));
        }
        assertThat(observed()).isEqualTo("unknown");
        assertThat(message()).contains("connection refused");
        node.fake.faults().clear();
        assertThat(node.fake.faults().calls(Operation.CREATE)).isEqualTo(creations);
        assertThat(node.fake.faults().calls(Operation.START)).isEqualTo(starts);
        assertThat(node.fake.faults().calls(Operation.STOP) + node.fake.faults().calls(Operation.REMOVE))
                .isEqualTo(stops);
        pass();
        assertThat(TestNode.startedAt(node.only(WEB))).isEqualTo(TestNode.startedAt(web));
        assertThat(node.eventKinds())
                .filteredOn(k -> k.startsWith("runtime_"))
                .containsExactly("runtime_unavailable", "runtime_available");
    }

    @Test
    void recordsLaterThatABackendIsGoneWhereTheRecordFailsAndHealsAllTheSame() throws InterruptedException {
        deployed(new RestartPolicy.Always());
        node.steps.spoil(0, Steps.Fault.FAILS);
        pass();
        node.steps.spoil(1, Steps.Fault.FAILS);
        pass();
        assertThat(node.steps.seen()).as("what was spoiled").element(1).isEqualTo("recordAvailability");
        assertThat(node.eventKinds()).contains("runtime_unavailable").doesNotContain("runtime_available");
        pass();
        assertThat(node.eventKinds()).filteredOn("runtime_available"::equals).hasSize(1);
    }

    @Test
    void aBootIsNotOverBeforeAllThatItCutShortCouldBeTried() throws InterruptedException {
        deployed(new RestartPolicy.No());
        node.fake.reboot();
        node.restart(true);
        // The pass's own listing and the record of what it found, then the healing's listing.
        node.steps.spoil(2, Steps.Fault.FAILS);
        assertThat(node.supervisor.pass().join()).isFalse();
        assertThat(node.steps.seen()).as("what was spoiled").element(2).isEqualTo("list");
        assertThat(runs()).isFalse();
        node.steps.spoil(-1, Steps.Fault.NONE);
        assertThat(node.supervisor.pass().join()).isTrue();
        assertThat(runs()).isTrue();
    }

    @Test
    void keepsStoppedWhatAnOperatorStoppedAlsoUnderAnotherAgent() throws InterruptedException {
        deployed(new RestartPolicy.Always());
        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        node.restart();
        node.clock.advance(Duration.ofMinutes(5));
        node.settle();
        assertThat(runs()).isFalse();
        assertThat(observed()).isEqualTo("stopped");
    }

    @Test
    void stopsWhatShouldNotRun() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always()).id();
        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        node.fake.start(web);
        pass();
        assertThat(runs()).isFalse();
    }

    @Test
    void neverTouchesAnIgnoredComponent() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always()).id();
        node.actions.setDesired(
                "tester", SHOP, node.generation(SHOP), Optional.empty(), Map.of(Name.of("web"), Desired.IGNORE));
        node.fake.crash(web, 3);
        node.clock.advance(Duration.ofMinutes(5));
        node.settle();
        assertThat(node.only(WEB).state()).isInstanceOf(InstanceState.Ended.class);
        assertThat(node.status.status(Optional.of(SHOP)).getComponents(0).getDriftList())
                .isEmpty();
    }

    @Test
    void backsOffWhenTheInstanceCannotBeStarted() throws InterruptedException {
        InstanceId web = deployed(new RestartPolicy.Always()).id();
        node.fake.crash(web, 1);
        pass();
        node.fake.faults().set(Operation.START, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.PORT_TAKEN, "taken"));
        node.clock.advance(Duration.ofSeconds(2));
        int starts = node.fake.faults().calls(Operation.START);
        for (int i = 0; i < 5; i++) {
            pass();
        }
        assertThat(node.fake.faults().calls(Operation.START)).isEqualTo(starts + 1);
        assertThat(node.eventKinds()).contains("start_failed");
        node.fake.faults().clear();
        node.clock.advance(Duration.ofSeconds(3));
        pass();
        assertThat(runs()).isTrue();
    }

    @Test
    void whatRunsIsNotStoppedForRowsThatCameFromASnapshotUntilAnOperatorSpeaks() throws Exception {
        deployed(new RestartPolicy.UnlessStopped());
        long generation = node.generation(SHOP);
        generation = node.actions
                .setDesired("tester", SHOP, generation, Optional.of(false), Map.of())
                .generation();
        node.registry.backups().take();
        node.actions.setDesired("tester", SHOP, generation, Optional.of(true), Map.of());
        node.restartWith(file -> java.nio.file.Files.write(file, new byte[0]));
        node.settle();
        assertThat(node.registry.loss()).isPresent();
        assertThat(node.view.require(SHOP).active()).isFalse();
        assertThat(runs()).isTrue();

        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        assertThat(runs()).isFalse();
    }
}
