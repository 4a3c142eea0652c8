package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Observation;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.util.Optional;

/**
 * Waits until a started instance has held: its health check succeeded, or it ran for its {@code hold_s}. One that ends meanwhile has
 * failed at once; but where there is no health check, one that its restart policy calls done by ending has held.
 */
final class Hold {
    private static final Duration FIRST_PAUSE = Duration.ofMillis(20);
    private static final Duration FIRST_COMMAND_PAUSE = Duration.ofMillis(200);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_HOLD_PAUSE = Duration.ofMillis(250);
    private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(5);
    /** How long a backend may be out of reach while an instance without a health check is watched. */
    private static final Duration UNKNOWN_PATIENCE = Duration.ofSeconds(30);

    private Hold() {}

    /** How it went. */
    sealed interface Outcome {
        record Held() implements Outcome {}

        /** @param why such as {@code it exited with status 1 after 0.2 s} */
        record Failed(String why) implements Outcome {}
    }

    static Outcome await(Runtime runtime, InstanceId instance, Component component) throws InterruptedException {
        return component.health().isPresent()
                ? awaitHealthy(runtime, instance, component.health().get())
                : awaitRunningOn(runtime, instance, component);
    }

    private static Outcome awaitHealthy(Runtime runtime, InstanceId instance, HealthCheck check)
            throws InterruptedException {
        long deadline = System.nanoTime() + check.timeout().toNanos();
        Duration pause = check instanceof HealthCheck.Command ? FIRST_COMMAND_PAUSE : FIRST_PAUSE;
        String last = "it was never asked";
        while (true) {
            Duration left = Duration.ofNanos(deadline - System.nanoTime());
            if (left.isNegative() || left.isZero()) {
                return new Outcome.Failed("its health check (" + check + ") did not succeed within "
                        + seconds(check.timeout()) + ": " + last);
            }
            boolean healthy = false;
            try {
                switch (runtime.probe(instance, check, min(left, PROBE_TIMEOUT))) {
                    case ProbeResult.Healthy() -> healthy = true;
                    case ProbeResult.Unhealthy(String why) -> last = why;
                }
                Optional<Outcome> end = ended(runtime.inspect(instance));
                if (end.isPresent()) {
                    return end.get();
                }
                if (healthy) {
                    return new Outcome.Held();
                }
            } catch (RuntimeFailure e) {
                if (!e.leavesUnknown()) {
                    return new Outcome.Failed(String.valueOf(e.getMessage()));
                }
                last = String.valueOf(e.getMessage());
            }
            Thread.sleep(min(pause, Duration.ofNanos(Math.max(0, deadline - System.nanoTime()))));
            pause = min(pause.multipliedBy(2), LONGEST_PAUSE);
        }
    }

    private static Outcome awaitRunningOn(Runtime runtime, InstanceId instance, Component component)
            throws InterruptedException {
        long start = System.nanoTime();
        long held = start + component.hold().toNanos();
        long patience = held + UNKNOWN_PATIENCE.toNanos();
        Duration pause = FIRST_PAUSE;
        while (true) {
            boolean last = System.nanoTime() - held >= 0;
            try {
                Optional<Instance> seen = runtime.inspect(instance);
                if (seen.isPresent()
                        && seen.get().state() instanceof InstanceState.Ended(int status, var _, var _)
                        && Observation.isDone(component.restart(), status)) {
                    return new Outcome.Held();
                }
                Optional<Outcome> end = ended(seen);
                if (end.isPresent()) {
                    return end.get();
                }
                if (last) {
                    return new Outcome.Held();
                }
            } catch (RuntimeFailure e) {
                if (!e.leavesUnknown() || System.nanoTime() - patience >= 0) {
                    return new Outcome.Failed(String.valueOf(e.getMessage()));
                }
            }
            Duration left = Duration.ofNanos(Math.max(0, held - System.nanoTime()));
            Thread.sleep(last ? LONGEST_HOLD_PAUSE : min(pause, left.plusMillis(1)));
            pause = min(pause.multipliedBy(2), LONGEST_HOLD_PAUSE);
        }
    }

    private static Optional<Outcome> ended(Optional<Instance> seen) {
        if (seen.isEmpty()) {
            return Optional.of(new Outcome.Failed("it is gone: someone removed it"));
        }
        return seen.get().state() instanceof InstanceState.Ended(int status, var startedAt, var endedAt)
                ? Optional.of(new Outcome.Failed(
                        "it exited with status " + status + " after " + seconds(Duration.between(startedAt, endedAt))))
                : Optional.empty();
    }

    private static Duration min(Duration a, Duration b) {
        return a.compareTo(b) <= 0 ? a : b;
    }

    static String seconds(Duration duration) {
        return Math.max(0, Math.round(duration.toMillis() / 100.0)) / 10.0 + " s";
    }
}
