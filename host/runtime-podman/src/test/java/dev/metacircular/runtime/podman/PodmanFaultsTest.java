package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.podman.FaultyRelay.Mode;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A podman that does not behave, made of a real one and a relay before its socket. */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 40, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class PodmanFaultsTest {
    private static final Duration LIMIT = Duration.ofMillis(800);
    /** What a loaded machine may add. */
    private static final Duration SLACK = Duration.ofSeconds(5);

    private static final InstanceId SOME = new InstanceId(RuntimeKind.CONTAINER, "a".repeat(64));

    private TestNode node;
    private FaultyRelay relay;
    private PodmanRuntime runtime;

    @BeforeAll
    void openNode() {
        node = new TestNode();
    }

    @AfterAll
    void closeNode() {
        node.close();
    }

    @BeforeEach
    void open() {
        relay = new FaultyRelay(node.folder().resolve("relay.sock"), node.socket());
        PodmanOptions options = node.options();
        runtime = new PodmanRuntime(new PodmanOptions(
                node.folder().resolve("relay.sock"),
                options.node(),
                options.home(),
                options.registries(),
                new PodmanDeadlines(LIMIT, LIMIT, LIMIT, LIMIT, LIMIT, Duration.ofMinutes(1))));
    }

    @AfterEach
    void close() {
        runtime.close();
        relay.close();
    }

    private static RuntimeFailure fails(ThrowingCallable call) {
        Instant begin = Instant.now();
        RuntimeFailure failure = catchThrowableOfType(RuntimeFailure.class, call);
        assertThat(Duration.between(begin, Instant.now())).isLessThan(LIMIT.plus(SLACK));
        assertThat(failure).as("a RuntimeFailure").isNotNull();
        assertThat(failure.getMessage()).startsWith("cannot ").doesNotContain("\n");
        return failure;
    }

    @ParameterizedTest
    @EnumSource(
            value = Mode.class,
            names = {"PASS", "FLOOD"},
            mode = EnumSource.Mode.EXCLUDE)
    void everyCallEndsInTimeAndLeavesTheStateUnknown(Mode mode) {
        assertThat(runtime.list()).isEmpty();
        relay.mode(mode);
        boolean silent = mode == Mode.HANG || mode == Mode.DRIP;
        List<ThrowingCallable> calls = List.of(
                runtime::list,
                () -> runtime.inspect(SOME),
                () -> runtime.image(node.image()),
                () -> runtime.start(SOME),
                () -> runtime.stop(SOME, Duration.ZERO),
                () -> runtime.remove(SOME));
        for (ThrowingCallable call : calls) {
            RuntimeFailure failure = fails(call);
            assertThat(failure.kind()).as(failure.getMessage()).isEqualTo(silent ? Kind.DEADLINE : Kind.UNREACHABLE);
            assertThat(failure.leavesUnknown()).as(failure.getMessage()).isTrue();
        }
        RuntimeFailure _ = fails(() -> runtime.pull(node.plain(), (_, _, _) -> {}));
        Instant begin = Instant.now();
        assertThat(runtime.availability()).isInstanceOf(Availability.Unavailable.class);
        assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofSeconds(2));

        relay.mode(Mode.PASS);
        assertThat(runtime.list()).isEmpty();
        assertThat(runtime.availability()).isInstanceOf(Availability.Available.class);
    }

    @Test
    void saysWhereThereIsNoSocket() {
        relay.close();
        RuntimeFailure failure = fails(runtime::list);
        assertThat(failure.kind()).isEqualTo(Kind.UNREACHABLE);
        assertThat(failure.getMessage())
                .contains("there is no socket " + node.folder().resolve("relay.sock"));
    }

    @Test
    void whatPodmanToldOfItselfCountsOnForAWhileOnceItDoesNotTellInTime() {
        AtomicLong ahead = new AtomicLong();
        try (Libpod libpod = new Libpod(
                new UnixHttp(node.folder().resolve("relay.sock")),
                node.options().deadlines())) {
            NodeInfo.Cache cache = new NodeInfo.Cache(libpod, () -> System.nanoTime() + ahead.get());
            NodeInfo told = cache.get(Duration.ofMinutes(1));
            relay.mode(Mode.HANG);
            ahead.set(Duration.ofMinutes(2).toNanos());
            int asked = relay.connections();
            for (int i = 0; i < 3; i++) {
                assertThat(cache.get(Duration.ofMillis(200))).isEqualTo(told);
            }
            assertThat(relay.connections()).isEqualTo(asked + 1);
        }
    }

    @Test
    void anAnswerWithoutEndIsCutOff() {
        relay.mode(Mode.FLOOD);
        assertThat(fails(runtime::list).kind()).isIn(Kind.FAILED, Kind.DEADLINE);
    }

    @Test
    void followingALogEndsWhenPodmanFallsSilentForGood() {
        InstanceId id = talking();
        AtomicInteger lines = new AtomicInteger();
        List<Kind> failures = new CopyOnWriteArrayList<>();
        Thread reader = Thread.ofVirtual().start(() -> {
            LogOptions follow = new LogOptions(true, Optional.empty(), OptionalInt.empty());
            try {
                runtime.logs(id, follow, counting(lines));
            } catch (RuntimeFailure e) {
                failures.add(e.kind());
            }
        });
        await(Duration.ofSeconds(5), () -> lines.get() == 3);
        relay.holdEverything();
        await(Logs.IDLE.plus(LIMIT).plusSeconds(4), () -> !reader.isAlive());
        assertThat(failures).containsExactly(Kind.DEADLINE);
    }

    @Test
    void aTakerThatIsSlowerThanTheDeadlineGetsTheWholeLog() {
        InstanceId id = running(Workload.LONG_LINE);
        await(
                Duration.ofSeconds(20),
                () -> node.runtime().inspect(id).orElseThrow().state() instanceof InstanceState.Ended);
        AtomicInteger lines = new AtomicInteger();
        List<String> ends = new CopyOnWriteArrayList<>();
        runtime.logs(id, LogOptions.lastLines(10), new LogSink() {
            @Override
            public void line(Instant time, Stream stream, String text) {
                if (lines.getAndIncrement() == 0) {
                    pause(LIMIT.multipliedBy(3));
                }
                ends.add(text.substring(Math.max(0, text.length() - 3)));
            }

            @Override
            public boolean isCancelled() {
                return false;
            }
        });
        assertThat(ends).endsWith("end");
        node.runtime().remove(id);
    }

    @Test
    void aLookDoesNotWaitForAListingThatIsUnderWay() {
        PodmanOptions options = node.options();
        Duration patience = Duration.ofSeconds(30);
        try (PodmanRuntime patient = new PodmanRuntime(new PodmanOptions(
                node.folder().resolve("relay.sock"),
                options.node(),
                options.home(),
                options.registries(),
                new PodmanDeadlines(patience, patience, patience, patience, patience, patience)))) {
            relay.mode(Mode.HANG);
            Thread listing = Thread.ofVirtual().start(() -> {
                try {
                    patient.list();
                } catch (RuntimeFailure e) {
                    // It is cut below.
                    return;
                }
            });
            await(Duration.ofSeconds(10), () -> relay.connections() == 1);
            relay.mode(Mode.PASS);
            assertThat(patient.look()).isEqualTo(node.runtime().list());
            assertThat(listing.isAlive()).isTrue();
            relay.cut();
        }
    }

    @Test
    void eventsAreTakenUpAgainAfterABreakAndSayThatSomeMayBeMissing() {
        AtomicInteger gaps = new AtomicInteger();
        Events.Listener listener = new Events.Listener() {
            @Override
            public void changed(InstanceId instance) {}

            @Override
            public void gap() {
                gaps.incrementAndGet();
            }
        };
        try (Events.Subscription _ = runtime.events().orElseThrow().subscribe(listener)) {
            await(Duration.ofSeconds(5), () -> gaps.get() == 1);
            relay.mode(Mode.REFUSE);
            relay.cut();
            pause(Duration.ofMillis(500));
            assertThat(gaps).hasValue(1);
            relay.mode(Mode.PASS);
            await(Duration.ofSeconds(5), () -> gaps.get() == 2);
        }
    }

    private InstanceId talking() {
        return running(Workload.TALKS);
    }

    private InstanceId running(Workload workload) {
        String name = workload.name().toLowerCase(Locale.ROOT).replace('_', '-');
        Component component = Component.builder(name, node.image().toString())
                .command(node.command(workload))
                .build();
        InstanceId id = node.runtime()
                .create(new InstanceSpec(
                        new Identity(node.node(), ComponentId.of(node.node().value(), name), 1, "d"),
                        component,
                        node.runtime().image(node.image()).orElseThrow().id(),
                        List.of(),
                        List.of(),
                        Map.of(),
                        true));
        node.runtime().start(id);
        return id;
    }

    private static LogSink counting(AtomicInteger lines) {
        return new LogSink() {
            @Override
            public void line(Instant time, Stream stream, String text) {
                lines.incrementAndGet();
            }

            @Override
            public boolean isCancelled() {
                return false;
            }
        };
    }

    private static void await(Duration limit, BooleanSupplier condition) {
        Instant end = Instant.now().plus(limit);
        while (!condition.getAsBoolean()) {
            assertThat(Instant.now()).as("waiting for a condition").isBefore(end);
            pause(Duration.ofMillis(20));
        }
    }

    private static void pause(Duration duration) {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }
}
