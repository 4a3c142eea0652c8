package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.registry.ComponentState;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * One component's recent past.
 *
 * @param failures ends by itself and failed starts in a row
 * @param lastFailure when the last of them was
 * @param gaveUp whether its restart policy forbids another try
 * @param flapping whether it failed too often, and has not run long enough since
 * @param recent the failures within {@link Healing#FLAP_WINDOW}: the flap counter
 */
record Track(
        Recorded recorded, int failures, Instant lastFailure, boolean gaveUp, boolean flapping, List<Instant> recent) {
    static final Track NONE = new Track(Recorded.NOTHING, 0, Instant.EPOCH, false, false, List.of());

    Track {
        recent = List.copyOf(recent);
    }

    static Track of(ComponentState s) {
        Recorded recorded =
                new Recorded(Recorded.What.parse(s.observed()), s.exitStatus(), s.instance(), s.startedAt());
        return new Track(recorded, s.failures(), s.lastFailure(), s.gaveUp(), s.flapping(), s.recent());
    }

    ComponentState state(ComponentId id) {
        return new ComponentState(
                id,
                recorded.what().toString(),
                recorded.status(),
                recorded.instance(),
                recorded.startedAt(),
                failures,
                lastFailure,
                gaveUp,
                flapping,
                recent);
    }

    Track with(Recorded now) {
        return new Track(now, failures, lastFailure, gaveUp, flapping, recent);
    }

    /** Its past does not count any more: it ran long enough, or an operator acted on it. */
    Track fresh() {
        return new Track(recorded, 0, Instant.EPOCH, false, false, List.of());
    }

    Track givenUp() {
        return new Track(recorded, failures, lastFailure, true, flapping, recent);
    }

    /** @param before how many failures in a row came before this one */
    Track failed(int before, Instant now) {
        List<Instant> times = new ArrayList<>(inWindow(now));
        times.add(now);
        // More are never asked for.
        List<Instant> kept = times.subList(Math.max(0, times.size() - Healing.FLAP_LIMIT), times.size());
        return new Track(recorded, before + 1, now, false, flapping || kept.size() >= Healing.FLAP_LIMIT, kept);
    }

    private List<Instant> inWindow(Instant now) {
        return recent.stream()
                .filter(t -> t.isAfter(now.minus(Healing.FLAP_WINDOW)) && !t.isAfter(now))
                .toList();
    }

    /** As it is after the clock was set back: what lies ahead is taken for now, or one would wait for that time to come again. */
    Track notAfter(Instant now) {
        return lastFailure.isAfter(now) ? new Track(recorded, failures, now, gaveUp, flapping, recent) : this;
    }
}
