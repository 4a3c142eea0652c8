package dev.metacircular.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.ConformanceBackend.Capability;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.LogSink.Stream;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What {@link Runtime} promises of logs, checks, commands and events. Every backend passes it. */
public abstract class RuntimeStreamsConformance extends ConformanceBase {
    private static final Duration TRY = Duration.ofSeconds(5);
    private static final LogOptions ALL = new LogOptions(false, Optional.empty(), OptionalInt.empty());
    private static final LogOptions FOLLOW = new LogOptions(true, Optional.empty(), OptionalInt.empty());

    @Test
    void readsTheLinesOfBothStreamsInTheirOrder() {
        Instant begin = Instant.now().minusSeconds(2);
        InstanceId id = started("web", Workload.TALKS);
        Lines log = awaitLog(id, 3);
        if (has(Capability.STREAMS_APART)) {
            assertThat(log.texts(Stream.OUT)).containsExactly("one", "two");
            assertThat(log.texts(Stream.ERR)).containsExactly("three");
        } else {
            assertThat(log.texts(Stream.OUT)).containsExactly("one", "two", "three");
        }
        assertThat(log.lines)
                .allSatisfy(line ->
                        assertThat(line.time()).isBetween(begin, Instant.now().plusSeconds(1)));
    }

    @Test
    void readsTheLastLinesOfAnInstanceThatHasEnded() {
        InstanceId id = started("web", Workload.FAILS);
        awaitEnd(id);
        assertThat(log(id, LogOptions.lastLines(5)).texts(has(Capability.STREAMS_APART) ? Stream.ERR : Stream.OUT))
                .containsExactly("boom");
        InstanceId ticks = started("ticks", Workload.TICKS);
        awaitEnd(ticks);
        assertThat(log(ticks, LogOptions.lastLines(3)).lines).hasSize(3);
        assertThat(log(ticks, ALL).lines).hasSize(10);
    }

    @Test
    void readsOnlyWhatWasWrittenSince() {
        InstanceId id = started("web", Workload.TICKS);
        Instant hour = Instant.now().minus(Duration.ofHours(1));
        awaitEnd(id);
        assertThat(log(id, new LogOptions(false, Optional.of(hour), OptionalInt.empty())).lines)
                .hasSize(10);
        Instant later = Instant.now().plusSeconds(60);
        assertThat(log(id, new LogOptions(false, Optional.of(later), OptionalInt.empty())).lines)
                .isEmpty();
    }

    @Test
    void followsTheLogUntilTheInstanceEnds() {
        InstanceId id = started("web", Workload.TICKS);
        Instant begin = Instant.now();
        Lines log = log(id, FOLLOW);
        assertThat(log.texts()).hasSize(10).containsOnly("tick");
        assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofSeconds(20));
        assertThat(log(id, FOLLOW).texts()).as("of one that has ended").hasSize(10);
    }

    @Test
    void stopsFollowingSoonAfterTheSinkIsCancelled() throws InterruptedException {
        InstanceId id = started("web", Workload.TALKS);
        Lines lines = new Lines();
        Thread reader = Thread.ofVirtual().start(() -> runtime().logs(id, FOLLOW, lines));
        await(SOON, () -> lines.lines.size() == 3);
        lines.cancelled = true;
        assertThat(reader.join(Duration.ofMillis(1500))).isTrue();
    }

    @Test
    void deliversALongLineInParts() {
        InstanceId id = started("web", Workload.LONG_LINE);
        awaitEnd(id);
        List<String> texts = log(id, ALL).texts();
        assertThat(texts)
                .hasSizeGreaterThan(3)
                .allSatisfy(t -> assertThat(t.length()).isLessThanOrEqualTo(16 * 1024));
        assertThat(texts.getLast()).isEqualTo("end");
        assertThat(String.join("", texts.subList(0, texts.size() - 1))).isEqualTo("x".repeat(40_000));
    }

    @Test
    void hasNoLogOfWhatDoesNotExistAndAnEmptyOneOfWhatNeverRan() {
        assertFails(Kind.NOT_FOUND, () -> log(nobody(), ALL));
        assertThat(log(created("web", Workload.RUNS, 1), ALL).lines).isEmpty();
    }

    @Test
    void checksHttpThroughThePublishedPort() {
        PortMapping port = PortMapping.parse("127.0.0.1:" + backend().freePort() + ":8080");
        InstanceId id = runtime()
                .create(spec(
                        component("web", Workload.SERVES).ports(List.of(port)).build(), 1));
        assertThat(runtime().probe(id, new HealthCheck.Http(8080, "/ok", TRY), TRY))
                .as("before it runs")
                .isInstanceOf(ProbeResult.Unhealthy.class);
        runtime().start(id);
        awaitHealthy(id, new HealthCheck.Http(8080, "/ok", TRY));
        assertThat(runtime().probe(id, new HealthCheck.Http(8080, "/nothing", TRY), TRY))
                .isEqualTo(new ProbeResult.Unhealthy("HTTP status 404"));
    }

    @Test
    void checksHttpAndTcpWithoutAPublishedPort() {
        InstanceId id = started("web", Workload.SERVES);
        awaitHealthy(id, new HealthCheck.Http(8080, "/ok", TRY));
        awaitHealthy(id, new HealthCheck.Tcp(8080, TRY));
        assertThat(runtime().probe(id, new HealthCheck.Http(8080, "/nothing", TRY), TRY))
                .isEqualTo(new ProbeResult.Unhealthy("HTTP status 404"));
    }

    @Test
    void aPortWithoutAListenerIsUnhealthyPublishedOrNot() {
        PortMapping port = PortMapping.parse("127.0.0.1:" + backend().freePort() + ":8080");
        InstanceId published = runtime()
                .create(spec(component("a", Workload.RUNS).ports(List.of(port)).build(), 1));
        runtime().start(published);
        InstanceId hidden = started("b", Workload.RUNS);
        for (InstanceId id : List.of(published, hidden)) {
            assertThat(runtime().probe(id, new HealthCheck.Tcp(8080, TRY), TRY))
                    .isInstanceOf(ProbeResult.Unhealthy.class);
            assertThat(runtime().probe(id, new HealthCheck.Http(8080, "/ok", TRY), TRY))
                    .isInstanceOf(ProbeResult.Unhealthy.class);
        }
    }

    @Test
    void waitsNoLongerForAnAnswerThanItMay() {
        PortMapping port = PortMapping.parse("127.0.0.1:" + backend().freePort() + ":8080");
        InstanceId published = runtime()
                .create(spec(component("a", Workload.MUTE).ports(List.of(port)).build(), 1));
        runtime().start(published);
        InstanceId hidden = started("b", Workload.MUTE);
        awaitHealthy(hidden, new HealthCheck.Tcp(8080, TRY));
        for (InstanceId id : List.of(published, hidden)) {
            Instant begin = Instant.now();
            assertThat(runtime().probe(id, new HealthCheck.Http(8080, "/ok", TRY), Duration.ofMillis(500)))
                    .isInstanceOf(ProbeResult.Unhealthy.class);
            assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofMillis(1500));
        }
    }

    @Test
    void checksByACommandInside() {
        InstanceId id = started("web", Workload.RUNS);
        if (!has(Capability.COMMANDS)) {
            assertFails(
                    Kind.UNSUPPORTED, () -> runtime().probe(id, new HealthCheck.Command(List.of("true"), TRY), TRY));
            return;
        }
        assertThat(runtime().probe(id, new HealthCheck.Command(List.of("true"), TRY), TRY))
                .isEqualTo(new ProbeResult.Healthy());
        assertThat(runtime().probe(id, new HealthCheck.Command(List.of("sh", "-c", "exit 7"), TRY), TRY))
                .isEqualTo(new ProbeResult.Unhealthy("exit status 7"));
    }

    @Test
    void hasNoCheckOfWhatDoesNotExistAndNothingHealthyThatDoesNotRun() {
        List<HealthCheck> checks =
                new ArrayList<>(List.of(new HealthCheck.Tcp(8080, TRY), new HealthCheck.Http(8080, "/ok", TRY)));
        if (has(Capability.COMMANDS)) {
            checks.add(new HealthCheck.Command(List.of("true"), TRY));
        }
        InstanceId created = created("web", Workload.SERVES, 1);
        for (HealthCheck check : checks) {
            assertFails(Kind.NOT_FOUND, () -> runtime().probe(nobody(), check, TRY));
            assertThat(runtime().probe(created, check, TRY)).isInstanceOf(ProbeResult.Unhealthy.class);
        }
    }

    private void awaitHealthy(InstanceId id, HealthCheck check) {
        await(SOON, () -> runtime().probe(id, check, TRY) instanceof ProbeResult.Healthy);
    }

    @Test
    void runsACommandAndTellsItsOutputAndStatus() throws IOException {
        if (!has(Capability.COMMANDS)) {
            assertThat(runtime().exec()).isEmpty();
            return;
        }
        InstanceId id = started("web", Workload.RUNS);
        Exec exec = runtime().exec().orElseThrow();
        try (Exec.Session session = exec.exec(id, List.of("echo", "a b", "c"), Optional.empty())) {
            assertThat(new String(session.output().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("a b c\n");
            assertThat(session.exitStatus()).isZero();
        }
        try (Exec.Session session = exec.exec(id, List.of("sh", "-c", "exit 7"), Optional.empty())) {
            assertThat(session.exitStatus()).isEqualTo(7);
        }
    }

    @Test
    void givesACommandItsInputAndItsEnd() throws IOException {
        if (!has(Capability.COMMANDS)) {
            assertThat(runtime().exec()).isEmpty();
            return;
        }
        InstanceId id = started("web", Workload.RUNS);
        try (Exec.Session session = runtime().exec().orElseThrow().exec(id, List.of("cat"), Optional.empty())) {
            session.input().write("to and fro\n".getBytes(StandardCharsets.UTF_8));
            session.input().flush();
            assertThat(session.output().readNBytes(11)).isEqualTo("to and fro\n".getBytes(StandardCharsets.UTF_8));
            session.input().close();
            assertThat(session.output().readAllBytes()).isEmpty();
            assertThat(session.exitStatus()).isZero();
        }
    }

    @Test
    void runsACommandOnATerminalOfTheGivenSize() throws IOException {
        if (!has(Capability.COMMANDS)) {
            assertThat(runtime().exec()).isEmpty();
            return;
        }
        InstanceId id = started("web", Workload.RUNS);
        Exec.TerminalSize size = new Exec.TerminalSize(97, 31);
        try (Exec.Session session =
                runtime().exec().orElseThrow().exec(id, List.of("stty", "size"), Optional.of(size))) {
            assertThat(new String(session.output().readAllBytes(), StandardCharsets.UTF_8).strip())
                    .isEqualTo("31 97");
            assertThat(session.errors().readAllBytes()).isEmpty();
            assertThat(session.exitStatus()).isZero();
        }
    }

    @Test
    void runsNoCommandInWhatDoesNotRun() {
        if (!has(Capability.COMMANDS)) {
            assertThat(runtime().exec()).isEmpty();
            return;
        }
        InstanceId created = created("web", Workload.RUNS, 1);
        Exec exec = runtime().exec().orElseThrow();
        assertFails(
                Kind.CONFLICT,
                () -> exec.exec(created, List.of("true"), Optional.empty()).close());
        assertFails(
                Kind.NOT_FOUND,
                () -> exec.exec(nobody(), List.of("true"), Optional.empty()).close());
    }

    @Test
    void tellsThatAnInstanceStartedEndedAndWasRemoved() {
        Set<InstanceId> changed = Collections.synchronizedSet(new LinkedHashSet<>());
        AtomicInteger gaps = new AtomicInteger();
        Events.Listener listener = new Events.Listener() {
            @Override
            public void changed(InstanceId instance) {
                changed.add(instance);
            }

            @Override
            public void gap() {
                gaps.incrementAndGet();
            }
        };
        try (Events.Subscription _ = runtime().events().orElseThrow().subscribe(listener)) {
            await(SOON, () -> gaps.get() == 1);
            InstanceId id = created("web", Workload.RUNS, 1);
            runtime().start(id);
            await(SOON, () -> changed.remove(id));
            pause(Duration.ofMillis(700));
            changed.clear();
            runtime().stop(id, TRY);
            await(SOON, () -> changed.remove(id));
            pause(Duration.ofMillis(700));
            changed.clear();
            runtime().remove(id);
            await(SOON, () -> changed.remove(id));
        }
        assertThat(gaps).hasValue(1);
    }
}
