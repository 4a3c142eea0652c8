package dev.metacircular.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.ConformanceBackend.Capability;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.LogSink.Stream;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;

/** What the conformance tests share: a service with a network of its own for each test, gone afterwards. */
@Timeout(value = 90, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class ConformanceBase {
    /** Long enough on a busy machine. */
    static final Duration SOON = Duration.ofSeconds(30);

    static final String DIGEST = "d".repeat(64);

    final Name service = Name.of("t%08x".formatted(ThreadLocalRandom.current().nextInt()));
    final Network network = Network.ofService(service);

    /** The same one for every test of a class. */
    protected abstract ConformanceBackend backend();

    Runtime runtime() {
        return backend().runtime();
    }

    boolean has(Capability capability) {
        return backend().capabilities().contains(capability);
    }

    @BeforeEach
    void makeNetwork() {
        runtime().ensureNetwork(network);
    }

    @AfterEach
    void removeEverything() {
        runtime().listAll().stream()
                .filter(i -> i.identity()
                        .filter(d -> d.component().service().equals(service))
                        .isPresent())
                .forEach(i -> runtime().remove(i.id()));
        runtime().removeNetwork(network);
    }

    Component.Builder component(String name, Workload workload) {
        return Component.builder(name, backend().image().toString())
                .runtime(runtime().kind())
                .command(backend().command(workload));
    }

    Identity identity(String component, long generation) {
        return new Identity(backend().node(), new ComponentId(service, Name.of(component)), generation, DIGEST);
    }

    InstanceSpec spec(Component component, long generation) {
        return new InstanceSpec(
                identity(component.name().value(), generation),
                component,
                runtime().image(component.image()).orElseThrow().id(),
                List.of(new InstanceSpec.Attachment(
                        network, List.of(component.name().value()))),
                List.of(),
                Map.of(),
                true);
    }

    InstanceId created(String name, Workload workload, long generation) {
        return runtime().create(spec(component(name, workload).build(), generation));
    }

    InstanceId started(String name, Workload workload, long generation) {
        InstanceId id = created(name, workload, generation);
        runtime().start(id);
        return id;
    }

    InstanceId started(String name, Workload workload) {
        return started(name, workload, 1);
    }

    Instance inspected(InstanceId id) {
        return runtime().inspect(id).orElseThrow();
    }

    InstanceState.Ended awaitEnd(InstanceId id) {
        await(SOON, () -> inspected(id).state() instanceof InstanceState.Ended);
        return (InstanceState.Ended) inspected(id).state();
    }

    InstanceId nobody() {
        return new InstanceId(runtime().kind(), "f".repeat(64));
    }

    static void await(Duration limit, BooleanSupplier condition) {
        Instant end = Instant.now().plus(limit);
        while (!condition.getAsBoolean()) {
            assertThat(Instant.now()).as("waiting for a condition").isBefore(end);
            pause(Duration.ofMillis(20));
        }
    }

    static void pause(Duration duration) {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    static void assertFails(Kind kind, ThrowingCallable call) {
        RuntimeFailure failure = catchThrowableOfType(RuntimeFailure.class, call);
        assertThat(failure).as("a RuntimeFailure").isNotNull();
        assertThat(failure.kind()).as(String.valueOf(failure.getMessage())).isEqualTo(kind);
        assertThat(failure.getMessage()).isNotBlank().doesNotContain("\n");
    }

    /** Collects a log. */
    static final class Lines implements LogSink {
        record Line(Instant time, Stream stream, String text) {}

        final List<Line> lines = Collections.synchronizedList(new ArrayList<>());
        volatile boolean cancelled;

        @Override
        public void line(Instant time, Stream stream, String text) {
            lines.add(new Line(time, stream, text));
        }

        @Override
        public boolean isCancelled() {
            return cancelled;
        }

        List<String> texts() {
            return List.copyOf(lines).stream().map(Line::text).toList();
        }

        List<String> texts(Stream stream) {
            return List.copyOf(lines).stream()
                    .filter(l -> l.stream() == stream)
                    .map(Line::text)
                    .toList();
        }
    }

    Lines log(InstanceId id, LogOptions options) {
        Lines lines = new Lines();
        runtime().logs(id, options, lines);
        return lines;
    }

    /** Reads the whole log until it has so many lines. */
    Lines awaitLog(InstanceId id, int lines) {
        LogOptions all = new LogOptions(false, Optional.empty(), OptionalInt.empty());
        await(SOON, () -> log(id, all).lines.size() >= lines);
        return log(id, all);
    }
}
