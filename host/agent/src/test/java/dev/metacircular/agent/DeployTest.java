package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.model.Volume;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.runtime.FakeFaults;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.UserIds;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeployTest {
    private static final String IMAGE = "registry.example:5000/shop";
    private static final ComponentId WEB = ComponentId.of("shop", "web");
    private static final PortMapping PORT = PortMapping.parse("127.0.0.1:18080:80");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    @BeforeEach
    void open() {
        node = new TestNode(directory);
        node.fake.publish(IMAGE + ":v1", FakeProgram.serves());
        node.fake.publish(IMAGE + ":v2", FakeProgram.serves());
        node.fake.publish(IMAGE + ":broken", FakeProgram.exits(3, "no database"));
        node.fake.publish(IMAGE + ":sick", FakeProgram.runs());
    }

    @AfterEach
    void close() {
        node.close();
    }

    private static Component web(String version) {
        return serving("web", IMAGE + ":" + version).ports(List.of(PORT)).build();
    }

    private static void requireKind(Problem.Kind kind, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(kind));
    }

    @Test
    void createsThenReplacesThenChangesNothing() {
        Outcome created = node.deploy(service("shop", web("v1")));
        assertThat(created.parts()).extracting(Outcome.Part::outcome).containsExactly("created");
        Outcome replaced = node.deploy(service("shop", web("v2")));
        assertThat(replaced.parts()).extracting(Outcome.Part::outcome).containsExactly("replaced");
        assertThat(replaced.generation()).isGreaterThan(created.generation());
        Instance now = node.only(WEB);
        assertThat(now.name()).isEqualTo("shop-web");
        Outcome same = node.deploy(service("shop", web("v2")));
        assertThat(same.parts()).extracting(Outcome.Part::outcome).containsExactly("unchanged");
        assertThat(same.generation()).isEqualTo(replaced.generation());
        assertThat(node.only(WEB)).isEqualTo(now);
    }

    @Test
    void changesOnlyTheNamedComponent() {
        assertThat(node.deploy(service(
                                "shop",
                                web("v1"),
                                serving("shop", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        Instance web = node.only(WEB);
        Service changed =
                service("shop", web("v2"), serving("shop", IMAGE + ":v2").build());
        assertThat(node.deployComponent(changed, "shop").error()).isEmpty();
        assertThat(node.only(WEB)).isEqualTo(web);
        assertThat(node.only(ComponentId.of("shop", "shop")).image()).endsWith(":v2");
        assertThat(node.only(ComponentId.of("shop", "shop")).name()).isEqualTo("shop");
    }

    private static Component mounting(String name, String... volumes) {
        return serving(name, IMAGE + ":v1")
                .volumes(Stream.of(volumes).map(Volume::parse).toList())
                .build();
    }

    @Test
    void refusesAVolumeInAFolderThatAnotherComponentMayWriteTo() {
        Service nested = service("shop", mounting("a", "data:/d"), mounting("b", "data/up:/u:ro"));
        assertThatThrownBy(() -> node.deploy(nested)).isInstanceOfSatisfying(ProblemException.class, e -> {
            assertThat(e.problem().kind()).isEqualTo(Problem.Kind.CONFLICT);
            assertThat(e.problem().where()).contains("shop/b");
            assertThat(e).hasMessageContaining("data/up:/u:ro of shop/b lies in volume data:/d of shop/a");
        });
        assertThat(node.fake.listAll()).isEmpty();
        assertThat(node.deploy(service("shop", mounting("a", "data:/d:ro"), mounting("b", "data/up:/u")))
                        .error())
                .isEmpty();
    }

    @Test
    void refusesAVolumeInAFolderOfWhatIsRegisteredAlsoBehindALink() throws IOException {
        Path services = directory.resolve("services/shop");
        Files.createDirectories(services.resolve("real"));
        Files.createSymbolicLink(services.resolve("link"), services.resolve("real"));
        assertThat(node.deploy(service("shop", mounting("a", "link:/d"))).error())
                .isEmpty();
        Service both = service("shop", mounting("b", "real/up:/u"));
        requireKind(Problem.Kind.CONFLICT, () -> node.deployComponent(both, "b"));
    }

    @Test
    void removesWhatTheDefinitionDropped() {
        assertThat(node.deploy(service(
                                "shop", web("v1"), serving("old", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        Outcome outcome = node.deploy(service("shop", web("v1")));
        assertThat(outcome.parts()).extracting(Outcome.Part::outcome).containsExactly("unchanged", "removed");
        assertThat(node.fake.listAll()).hasSize(1);
    }

    @Test
    void bringsTheOldOneBackWhenTheNewOneExitsAtOnceAndTellsItsLastLines() {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        long generation = node.generation(Name.of("shop"));
        Outcome outcome = node.deploy(service("shop", web("broken")));
        Problem problem = outcome.error().orElseThrow();
        assertThat(problem.kind()).isEqualTo(Problem.Kind.FAILED);
        assertThat(problem.where()).isEqualTo("shop/web");
        assertThat(problem.what()).contains("exited with status 3");
        assertThat(outcome.parts().getFirst().outcome()).isEqualTo("failed");
        assertThat(outcome.parts().getFirst().logTail()).containsExactly("no database");
        assertThat(node.generation(Name.of("shop"))).isEqualTo(generation);
        assertThat(node.only(WEB).image()).endsWith(":v1");
        assertThat(Instances.isRunning(node.only(WEB))).isTrue();
        assertThat(node.only(WEB).name()).isEqualTo("shop-web");
        assertThat(node.eventKinds()).contains("deploy_failed");
    }

    @Test
    void undoesTheComponentsThatHeldWhenALaterOneDoesNot() {
        assertThat(node.deploy(service(
                                "shop",
                                web("v1"),
                                serving("worker", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        Component sick = Component.builder("worker", IMAGE + ":sick")
                .health(new HealthCheck.Tcp(80, Duration.ofMillis(200)))
                .build();
        TestNode.Recording recording = new TestNode.Recording();
        Outcome outcome = node.deploy(service("shop", web("v2"), sick), recording);
        assertThat(outcome.error().orElseThrow().what()).contains("connection refused");
        assertThat(outcome.parts()).extracting(Outcome.Part::outcome).containsExactly("restored", "failed");
        assertThat(node.only(WEB).image()).endsWith(":v1");
        assertThat(node.only(ComponentId.of("shop", "worker")).image()).endsWith(":v1");
        assertThat(recording.lines).anyMatch(l -> l.endsWith(" undone")).anyMatch(l -> l.endsWith(" failed"));
    }

    @Test
    void touchesNothingWhenTheImageDoesNotExist() {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        Instance before = node.only(WEB);
        Outcome outcome = node.deploy(service("shop", web("v9")));
        assertThat(outcome.error().orElseThrow().what()).contains("no such image");
        assertThat(node.only(WEB)).isEqualTo(before);
    }

    @Test
    void bringsTheOldOneBackWhenThePortIsTaken() {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        PortMapping taken = PortMapping.parse("127.0.0.1:18099:80");
        node.fake.takePort(taken);
        Component moved = serving("web", IMAGE + ":v2").ports(List.of(taken)).build();
        Outcome outcome = node.deploy(service("shop", moved));
        assertThat(outcome.error().orElseThrow().kind()).isEqualTo(Problem.Kind.CONFLICT);
        assertThat(node.only(WEB).image()).endsWith(":v1");
        assertThat(Instances.isRunning(node.only(WEB))).isTrue();
    }

    @Test
    void goesOnTryingToUndoWhenTheRuntimeVanishes() throws InterruptedException {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        node.fake.faults().set(Operation.START, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "gone"));
        node.fake.faults().set(Operation.LIST, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "gone"));
        Service next = service("shop", web("v2"));
        requireKind(Problem.Kind.UNAVAILABLE, () -> node.deploy(next));
        node.fake.faults().clear();
        node.fake.faults().set(Operation.START, new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "gone"));
        Outcome outcome = node.deploy(next);
        assertThat(outcome.error().orElseThrow().what()).contains("cannot be undone yet");
        requireKind(Problem.Kind.LOCKED, () -> node.deploy(next));
        node.settle();
        requireKind(Problem.Kind.LOCKED, () -> node.deploy(next));
        node.fake.publish(IMAGE + ":other", FakeProgram.serves());
        node.fake.faults().clear();
        node.settle();
        assertThat(node.only(WEB).image()).endsWith(":v1");
        assertThat(Instances.isRunning(node.only(WEB))).isTrue();
        assertThat(node.deploy(next).error()).isEmpty();
    }

    @Test
    void waitsForAStopThatIsStillUnderWayWhenItRecovers() throws InterruptedException {
        Component web =
                serving("web", IMAGE + ":v1").restart(new RestartPolicy.No()).build();
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        Instance before = node.only(WEB);
        Name shop = Name.of("shop");
        node.registry.beginDeploy(
                new PendingDeploy(
                        shop,
                        node.registry.reserveGeneration(shop),
                        node.clock.instant(),
                        "tester",
                        false,
                        true,
                        List.of(),
                        List.of(new PendingDeploy.Before(
                                WEB, "container", before.id().value(), true, true))),
                node.generation(shop));
        node.registry.recordStopRequest(before.id().value());
        node.restart();
        node.settle();
        assertThat(node.only(WEB).id()).isEqualTo(before.id());
        assertThat(TestNode.startedAt(node.only(WEB))).isAfter(TestNode.startedAt(before));
        assertThat(node.registry.stopRequests()).isEmpty();
        assertThat(node.registry.pendingDeploys()).isEmpty();
    }

    @Test
    void refusesAPlanOfAnotherGeneration() {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        requireKind(
                Problem.Kind.STALE_PLAN,
                () -> node.deploys.deploy(
                        "tester",
                        service("shop", web("v2")),
                        new Target(Name.of("shop"), Optional.empty()),
                        0,
                        _ -> true,
                        new TestNode.Recording()));
    }

    @Test
    void tellsAPlanThatIsNotTheOneShown() {
        TestNode.Recording recording = new TestNode.Recording();
        Outcome outcome = node.deploys.deploy(
                "tester",
                service("shop", web("v1")),
                new Target(Name.of("shop"), Optional.empty()),
                0,
                _ -> false,
                recording);
        assertThat(outcome.error()).isEmpty();
        assertThat(recording.lines.getFirst()).startsWith("plan of ");
    }

    @Test
    void holdsOneServiceForOneDeployAndTellsWhoHoldsIt() throws InterruptedException {
        node.fake.faults().set(Operation.CREATE, new FakeFaults.Fault.Takes(Duration.ofMillis(400)));
        CountDownLatch done = new CountDownLatch(1);
        Thread.startVirtualThread(() -> {
            assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
            done.countDown();
        });
        while (node.fake.faults().calls(Operation.CREATE) == 0) {
            Thread.sleep(5);
        }
        assertThatThrownBy(() -> node.deploy(service("shop", web("v1"))))
                .isInstanceOf(ProblemException.class)
                .hasMessageContaining("a deploy by tester holds it since");
        assertThat(node.deploy(service("other", serving("web", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        assertThat(done.await(5, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void refusesATakenCanonicalName() {
        assertThat(node.deploy(service("shop-web", serving("x", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        requireKind(
                Problem.Kind.CONFLICT,
                () -> node.deploy(
                        service("shop", serving("web-x", IMAGE + ":v1").build())));
        node.fake.addForeign("shop-db", "postgres");
        requireKind(
                Problem.Kind.CONFLICT,
                () -> node.deploy(service("shop", serving("db", IMAGE + ":v1").build())));
        assertThat(node.view.service(Name.of("shop"))).isEmpty();
    }

    @Test
    void refusesWhatItCannotDoBeforeAnythingHappens() {
        requireKind(
                Problem.Kind.UNSUPPORTED,
                () -> node.deploy(service(
                        "shop",
                        Component.builder("vm", IMAGE + ":v1")
                                .runtime(RuntimeKind.UNIKERNEL)
                                .build())));
        requireKind(
                Problem.Kind.NOT_FOUND,
                () -> node.deploy(service(
                        "shop",
                        serving("web", IMAGE + ":v1").secrets(List.of("KEY")).build())));
        requireKind(
                Problem.Kind.CONFLICT,
                () -> node.deploy(service(
                        "shop",
                        serving("web", IMAGE + ":v1")
                                .volumes(List.of(Volume.parse("/etc:/etc:ro")))
                                .build())));
        Service elsewhere = new Service(Name.of("shop"), Name.of("beta"), true, Optional.empty(), Map.of(), List.of());
        requireKind(Problem.Kind.CONFLICT, () -> node.deploy(elsewhere));
        assertThat(node.fake.faults().calls(Operation.PULL) + node.fake.faults().calls(Operation.CREATE))
                .isZero();
    }

    @Test
    void refusesAVolumeThatALinkLeadsOut() throws IOException {
        Path home = Files.createDirectories(directory.resolve("services/shop"));
        Files.createSymbolicLink(home.resolve("data"), Path.of("/etc"));
        Component web = serving("web", IMAGE + ":v1")
                .volumes(List.of(Volume.parse("data/deeper:/data")))
                .build();
        requireKind(Problem.Kind.CONFLICT, () -> node.deploy(service("shop", web)));
        Files.delete(home.resolve("data"));
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        assertThat(home.resolve("data/deeper")).isDirectory();
    }

    @Test
    void givesAVolumesFreshFolderToTheUserOfItsComponentAndLeavesEveryOtherAsItIs() throws IOException {
        assumeTrue(SystemUser.callerIsRoot(), "only root may give files away without a user namespace");
        Path home = directory.resolve("services/shop");
        Files.createDirectories(home.resolve("brought"));
        Files.writeString(home.resolve("brought/file"), "mine");
        Component web = serving("web", IMAGE + ":v1")
                .volumes(List.of(Volume.parse("data/deeper:/data"), Volume.parse("brought:/brought")))
                .build();
        node.fake.runAs(new UserIds(1234, 2345));
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        assertThat(owner(home.resolve("data/deeper"))).isEqualTo("1234:2345");
        assertThat(owner(home.resolve("data"))).isEqualTo("0:0");
        assertThat(owner(home.resolve("brought"))).isEqualTo("0:0");

        node.fake.runAs(new UserIds(77, 88));
        Component next = serving("web", IMAGE + ":v2").volumes(web.volumes()).build();
        assertThat(node.deploy(service("shop", next)).error()).isEmpty();
        assertThat(owner(home.resolve("data/deeper"))).isEqualTo("1234:2345");
    }

    private static String owner(Path path) throws IOException {
        return Files.getAttribute(path, "unix:uid") + ":" + Files.getAttribute(path, "unix:gid");
    }

    @Test
    void countsADoneComponentAsHeldAndDoesNotRunItAgain() {
        node.fake.publish(IMAGE + ":job", FakeProgram.exits(0, "migrated"));
        Component job = Component.builder("job", IMAGE + ":job")
                .restart(new RestartPolicy.No())
                .hold(Duration.ofMillis(300))
                .build();
        assertThat(node.deploy(service("shop", job)).error()).isEmpty();
        Instance first = node.only(ComponentId.of("shop", "job"));
        assertThat(node.deploy(service("shop", job)).parts())
                .extracting(Outcome.Part::outcome)
                .containsExactly("unchanged");
        assertThat(node.only(ComponentId.of("shop", "job"))).isEqualTo(first);
    }

    @Test
    void restartsWhatIsDoneOnlyIfItIsNamed() {
        node.fake.publish(IMAGE + ":job", FakeProgram.exits(0, "migrated"));
        Component job = Component.builder("job", IMAGE + ":job")
                .restart(new RestartPolicy.No())
                .hold(Duration.ofMillis(300))
                .build();
        assertThat(node.deploy(service("shop", web("v1"), job)).error()).isEmpty();
        Name shop = Name.of("shop");
        Instance done = node.only(ComponentId.of("shop", "job"));

        Outcome whole = node.actions.restart("tester", Target.parse("shop"), node.generation(shop));
        assertThat(whole.parts()).extracting(Outcome.Part::outcome).containsExactly("restarted", "unchanged");
        assertThat(whole.parts().getLast().message()).contains("it is done", "mcp restart shop/job");
        assertThat(node.only(ComponentId.of("shop", "job"))).isEqualTo(done);

        Outcome named = node.actions.restart("tester", Target.parse("shop/job"), node.generation(shop));
        assertThat(named.parts()).extracting(Outcome.Part::outcome).containsExactly("restarted");
        assertThat(node.only(ComponentId.of("shop", "job"))).isNotEqualTo(done);
    }

    @Test
    void restartsTheSameInstanceAndPurgesOnlyWhatIsStopped() {
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
        Name shop = Name.of("shop");
        Instance before = node.only(WEB);
        Outcome restarted = node.actions.restart("tester", Target.parse("shop/web"), node.generation(shop));
        assertThat(restarted.parts()).extracting(Outcome.Part::outcome).containsExactly("restarted");
        assertThat(node.only(WEB).id()).isEqualTo(before.id());
        assertThat(TestNode.startedAt(node.only(WEB))).isAfter(TestNode.startedAt(before));
        requireKind(Problem.Kind.CONFLICT, () -> node.actions.purge("tester", shop, node.generation(shop), false));
        node.actions.setDesired("tester", shop, node.generation(shop), Optional.of(false), Map.of());
        requireKind(
                Problem.Kind.CONFLICT,
                () -> node.actions.restart("tester", Target.parse("shop/web"), node.generation(shop)));
        assertThat(node.actions.purge("tester", shop, node.generation(shop), false))
                .contains("service shop");
        assertThat(node.fake.listAll()).isEmpty();
        assertThat(node.view.service(shop)).isEmpty();
        assertThat(node.fake.networks()).isEmpty();
        assertThat(node.deploy(service("shop", web("v1"))).error()).isEmpty();
    }

    @Test
    void startsAndStopsASingleComponent() {
        assertThat(node.deploy(service(
                                "shop",
                                web("v1"),
                                serving("worker", IMAGE + ":v1").build()))
                        .error())
                .isEmpty();
        Name shop = Name.of("shop");
        Outcome stopped = node.actions.setDesired(
                "tester", shop, node.generation(shop), Optional.empty(), Map.of(Name.of("web"), Desired.STOPPED));
        assertThat(stopped.parts()).extracting(Outcome.Part::outcome).containsExactly("stopped", "unchanged");
        assertThat(Instances.isRunning(node.only(WEB))).isFalse();
        Outcome started = node.actions.setDesired(
                "tester", shop, node.generation(shop), Optional.empty(), Map.of(Name.of("web"), Desired.RUNNING));
        assertThat(started.parts()).extracting(Outcome.Part::outcome).containsExactly("started", "unchanged");
    }
}
