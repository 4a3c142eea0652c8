package dev.metacircular.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.Component;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.ConformanceBackend.Capability;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.LogSink.Stream;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@link Runtime} promises of images, networks and the life of instances. Every backend passes it. */
public abstract class RuntimeConformance extends ConformanceBase {
    private static final Duration GRACE = Duration.ofSeconds(5);

    @Test
    void saysThatItIsAvailableAndWhichVersion() {
        Instant begin = Instant.now();
        assertThat(runtime().availability())
                .isInstanceOfSatisfying(
                        Availability.Available.class,
                        available -> assertThat(available.version()).isNotBlank());
        assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofSeconds(3));
    }

    @Test
    void knowsTheImagesOfTheNode() {
        Image image = runtime().image(backend().image()).orElseThrow();
        assertThat(image.references()).contains(backend().image().toString());
        assertThat(image.digest()).as("it never came from a registry").isEmpty();
        assertThat(image.sizeBytes()).isPositive();
        assertThat(runtime().images()).anySatisfy(i -> assertThat(i.id()).isEqualTo(image.id()));
        assertThat(runtime().image(ImageRef.parse("localhost/mc-no-such-image:v1")))
                .isEmpty();
    }

    @Test
    void pullsAnImageAndTellsItsProgress() {
        List<Long> done = new ArrayList<>();
        Image image = runtime().pull(backend().pullable(), (_, bytes, _) -> done.add(bytes));
        assertThat(done).isNotEmpty();
        assertThat(image.digest()).startsWith("sha256:");
        assertThat(image.references()).contains(backend().pullable().toString());
        assertThat(runtime().image(backend().pullable()).orElseThrow().id()).isEqualTo(image.id());
    }

    @Test
    void runsTheContentThatWasPlannedWhateverTheTagMeansMeanwhile() {
        Image before = runtime().pull(backend().pullable(), (_, _, _) -> {});
        Component component = Component.builder("web", backend().pullable().toString())
                .runtime(runtime().kind())
                .command(backend().command(Workload.RUNS))
                .build();
        InstanceSpec spec = spec(component, 1);
        backend().moveTag();
        Image after = runtime().pull(backend().pullable(), (_, _, _) -> {});
        assertThat(after.id()).isNotEqualTo(before.id());
        Instance instance = inspected(runtime().create(spec));
        assertThat(instance.imageId()).isEqualTo(before.id());
        assertThat(instance.image()).isEqualTo(backend().pullable().toString());
    }

    @Test
    void tellsAnImageThatDoesNotExistFromOneThatIsRefused() {
        assertFails(Kind.NOT_FOUND, () -> runtime().pull(backend().absent(), (_, _, _) -> {}));
        assertFails(Kind.DENIED, () -> runtime().pull(backend().denied(), (_, _, _) -> {}));
    }

    @Test
    void neverLooksUpALocalImageElsewhere() {
        assertThat(runtime().pull(backend().image(), (_, _, _) -> {}).id())
                .isEqualTo(runtime().image(backend().image()).orElseThrow().id());
        assertFails(
                Kind.NOT_FOUND, () -> runtime().pull(ImageRef.parse("localhost/mc-no-such-image:v1"), (_, _, _) -> {}));
    }

    @Test
    void makesAndRemovesNetworksIdempotentlyAndKeepsThoseInUse() {
        runtime().ensureNetwork(network);
        InstanceId id = started("web", Workload.RUNS);
        runtime().removeNetwork(network);
        runtime().stop(id, GRACE);
        runtime().start(id);
        runtime().remove(id);
        runtime().removeNetwork(network);
        runtime().removeNetwork(network);
        runtime().removeNetwork(Network.ofService(Name.of("mc-no-such-service")));
    }

    @Test
    void createsWithTheCanonicalNameAndAllLabelsAndDoesNotStart() {
        InstanceId id = created("web", Workload.RUNS, 7);
        Instance instance = inspected(id);
        assertThat(instance.name()).isEqualTo(service + "-web");
        assertThat(instance.identity()).contains(identity("web", 7));
        assertThat(instance.state()).isEqualTo(new InstanceState.Created());
        assertThat(instance.image()).isEqualTo(backend().image().toString());
        assertThat(instance.createdAt())
                .isBetween(Instant.now().minusSeconds(60), Instant.now().plusSeconds(5));
        assertThat(instance.setAside()).isFalse();
        assertThat(instance.ports()).isEmpty();
    }

    @Test
    void aComponentNamedAsItsServiceHasTheServicesNameAlone() {
        assertThat(inspected(created(service.value(), Workload.RUNS, 1)).name()).isEqualTo(service.value());
    }

    @Test
    void createsNoSecondInstanceOfTheSameIdentity() {
        InstanceId id = created("web", Workload.RUNS, 1);
        assertThat(created("web", Workload.RUNS, 1)).isEqualTo(id);
        runtime().start(id);
        runtime().setAside(id);
        assertThat(created("web", Workload.RUNS, 1))
                .as("also while it is set aside")
                .isEqualTo(id);
        assertThat(ours()).hasSize(1);
    }

    @Test
    void refusesACanonicalNameThatAnotherInstanceHolds() {
        created("web", Workload.RUNS, 1);
        assertFails(Kind.CONFLICT, () -> created("web", Workload.RUNS, 2));
        assertThat(ours()).hasSize(1);
    }

    @Test
    void refusesAnImageThatTheNodeDoesNotHave() {
        InstanceSpec spec = spec(component("web", Workload.RUNS).build(), 1);
        InstanceSpec other = new InstanceSpec(
                spec.identity(),
                spec.component(),
                "0".repeat(64),
                spec.networks(),
                spec.volumes(),
                spec.secrets(),
                spec.enforceLimits());
        assertFails(Kind.NOT_FOUND, () -> runtime().create(other));
        assertThat(ours()).isEmpty();
    }

    @Test
    void startsAndStaysStartedWhenStartedAgain() {
        Instant begin = Instant.now().minusSeconds(1);
        InstanceId id = started("web", Workload.RUNS);
        InstanceState state = inspected(id).state();
        assertThat(state)
                .isInstanceOfSatisfying(
                        InstanceState.Running.class,
                        running -> assertThat(running.startedAt())
                                .isBetween(begin, Instant.now().plusSeconds(1)));
        runtime().start(id);
        assertThat(inspected(id).state()).isEqualTo(state);
    }

    @Test
    void refusesToActOnWhatDoesNotExist() {
        assertFails(Kind.NOT_FOUND, () -> runtime().start(nobody()));
        assertFails(Kind.NOT_FOUND, () -> runtime().stop(nobody(), GRACE));
        assertFails(Kind.NOT_FOUND, () -> runtime().setAside(nobody()));
        assertFails(Kind.NOT_FOUND, () -> runtime().bringBack(nobody()));
        assertThat(runtime().inspect(nobody())).isEmpty();
        runtime().remove(nobody());
    }

    @Test
    void tellsThatAPublishedPortIsTakenAndCanStartOnceItIsFree() {
        PortMapping port = PortMapping.parse("127.0.0.1:" + backend().freePort() + ":8080");
        InstanceId first = runtime()
                .create(spec(
                        component("a", Workload.SERVES).ports(List.of(port)).build(), 1));
        InstanceId second = runtime()
                .create(spec(
                        component("b", Workload.SERVES).ports(List.of(port)).build(), 1));
        runtime().start(first);
        assertThat(inspected(first).ports()).containsExactly(port);
        assertFails(Kind.PORT_TAKEN, () -> runtime().start(second));
        assertThatThrownBy(() -> runtime().start(second))
                .hasMessageContaining("cannot start " + inspected(second).name());
        assertThat(inspected(second).state()).isNotInstanceOf(InstanceState.Running.class);
        runtime().remove(first);
        runtime().start(second);
        assertThat(inspected(second).state()).isInstanceOf(InstanceState.Running.class);
    }

    @Test
    void tellsTheStatusOfWhatEndsByItselfAndCanStartItAgain() {
        InstanceId id = started("web", Workload.FAILS);
        InstanceState.Ended ended = awaitEnd(id);
        assertThat(ended.exitStatus()).isEqualTo(3);
        assertThat(ended.endedAt()).isAfterOrEqualTo(ended.startedAt());
        runtime().start(id);
        assertThat(awaitEnd(id).exitStatus()).isEqualTo(3);
    }

    @Test
    void stopsByAskingFirst() {
        InstanceId id = started("web", Workload.REPORTS);
        awaitLog(id, 1);
        Instant begin = Instant.now();
        runtime().stop(id, GRACE);
        assertThat(Duration.between(begin, Instant.now())).isLessThan(GRACE);
        assertThat(inspected(id).state())
                .isInstanceOfSatisfying(
                        InstanceState.Ended.class,
                        ended -> assertThat(ended.exitStatus()).isZero());
        runtime().stop(id, GRACE);
        runtime().start(id);
        assertThat(inspected(id).state()).isInstanceOf(InstanceState.Running.class);
    }

    @Test
    void stopsByForceAfterTheGracePeriod() {
        InstanceId id = started("web", Workload.STUBBORN);
        awaitLog(id, 1);
        Instant begin = Instant.now();
        runtime().stop(id, Duration.ofSeconds(1));
        assertThat(Duration.between(begin, Instant.now())).isBetween(Duration.ofMillis(900), Duration.ofSeconds(6));
        assertThat(inspected(id).state())
                .isInstanceOfSatisfying(
                        InstanceState.Ended.class,
                        ended -> assertThat(ended.exitStatus()).isEqualTo(137));
    }

    @Test
    void removesWhateverItsState() {
        InstanceId created = created("a", Workload.RUNS, 1);
        InstanceId running = started("b", Workload.STUBBORN);
        InstanceId ended = started("c", Workload.FAILS);
        awaitEnd(ended);
        for (InstanceId id : List.of(created, running, ended)) {
            runtime().remove(id);
            assertThat(runtime().inspect(id)).isEmpty();
            runtime().remove(id);
        }
        assertThat(ours()).isEmpty();
    }

    @Test
    void setsAsideAndBringsBackWithoutDisturbing() {
        InstanceId old = started("web", Workload.RUNS, 1);
        InstanceState state = inspected(old).state();
        runtime().setAside(old);
        runtime().setAside(old);
        Instance aside = inspected(old);
        assertThat(aside.setAside()).isTrue();
        assertThat(aside.name()).isNotEqualTo(service + "-web");
        assertThat(aside.state()).isEqualTo(state);
        assertThat(aside.identity()).contains(identity("web", 1));

        InstanceId fresh = started("web", Workload.RUNS, 2);
        assertThat(fresh).isNotEqualTo(old);
        assertFails(Kind.CONFLICT, () -> runtime().bringBack(old));
        runtime().remove(fresh);
        runtime().bringBack(old);
        runtime().bringBack(old);
        assertThat(inspected(old).name()).isEqualTo(service + "-web");
        assertThat(inspected(old).setAside()).isFalse();
        assertThat(inspected(old).state()).isEqualTo(state);
    }

    @Test
    void whatIsSetAsideCanBeStoppedAndStartedAgain() {
        InstanceId old = started("web", Workload.RUNS, 1);
        runtime().setAside(old);
        runtime().stop(old, GRACE);
        runtime().bringBack(old);
        runtime().start(old);
        assertThat(inspected(old).state()).isInstanceOf(InstanceState.Running.class);
    }

    @Test
    void listsTheNodesOwnAloneAndEverythingOnDemand() {
        InstanceId own = started("web", Workload.RUNS);
        InstanceSpec spec = spec(component("other", Workload.RUNS).build(), 1);
        Identity elsewhere = new Identity(
                Name.of(backend().node() + "-else"), spec.identity().component(), 1, DIGEST);
        InstanceId foreign = runtime()
                .create(new InstanceSpec(
                        elsewhere, spec.component(), spec.imageId(), spec.networks(), List.of(), Map.of(), true));
        assertThat(runtime().list()).contains(inspected(own)).noneMatch(i -> i.id().equals(foreign));
        assertThat(runtime().listAll()).contains(inspected(own), inspected(foreign));
        assertThat(runtime().list(service)).containsExactly(inspected(own));
        assertThat(runtime().list(Name.of(service.value() + "x"))).isEmpty();
    }

    @Test
    void tellsWhoHoldsAName() {
        InstanceId own = started("web", Workload.RUNS);
        String name = inspected(own).name();
        assertThat(runtime().named(name)).contains(inspected(own));
        runtime().setAside(own);
        assertThat(runtime().named(name)).isEmpty();
        assertThat(runtime().named(inspected(own).name())).contains(inspected(own));
        assertThat(runtime().named(own.value().substring(0, 12))).as("no name").isEmpty();
    }

    @Test
    void givesTheProgramItsEnvironmentSecretsVolumesAndUser(@TempDir Path folder) throws IOException {
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path file = Files.writeString(folder.resolve("file"), "content" + "\n".repeat(505));
        Component.Builder builder = component("web", Workload.REPORTS)
                .env(List.of("GREETING=hello=world"))
                .secrets(List.of("PASSWORD"));
        Component component = (has(Capability.USERS) ? builder.user("1000:1000") : builder).build();
        InstanceSpec plain = spec(component, 1);
        InstanceSpec spec = new InstanceSpec(
                plain.identity(),
                component,
                plain.imageId(),
                plain.networks(),
                List.of(new InstanceSpec.Mount(has(Capability.FOLDERS) ? folder : file, "/data", true)),
                Map.of("PASSWORD", "s3cret$'\""),
                true);
        InstanceId id = runtime().create(spec);
        runtime().start(id);
        assertThat(awaitLog(id, 1).texts(Stream.OUT))
                .containsExactly("greeting=hello=world secret=s3cret$'\" file=content user="
                        + (has(Capability.USERS) ? 1000 : 0));
        assertThat(runtime().listAll().toString()).doesNotContain("s3cret");
        runtime().stop(id, GRACE);
        runtime().start(id);
        assertThat(awaitLog(id, 2).texts(Stream.OUT))
                .as("its secrets stay with it")
                .hasSize(2);
    }

    @Test
    void worksFromManyThreadsAtOnceAndStillMakesOneInstanceOfAnIdentity() throws Exception {
        int threads = 6;
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Callable<InstanceId>> calls = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                calls.add(() -> created("same", Workload.RUNS, 1));
            }
            Set<InstanceId> made = new HashSet<>();
            for (Future<InstanceId> call : executor.invokeAll(calls)) {
                made.add(call.get());
            }
            assertThat(made).hasSize(1);
        }
        assertThat(ours()).hasSize(1);
    }

    @Test
    void whatRunsOutlivesTheRuntimeThatMadeIt() {
        InstanceId id;
        try (Runtime first = backend().reopened(backend().node())) {
            id = first.create(spec(component("web", Workload.RUNS).build(), 1));
            first.start(id);
        }
        assertThat(inspected(id).state()).isInstanceOf(InstanceState.Running.class);
        assertThat(runtime().list()).contains(inspected(id));
    }

    private List<Instance> ours() {
        return runtime().list().stream()
                .filter(i -> i.identity().orElseThrow().component().service().equals(service))
                .toList();
    }
}
