package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.Instance;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** What the supervisor remembers of each component while the agent runs: its failures in a row. */
final class Tracks {
    private final Map<ComponentId, Track> byComponent = new ConcurrentHashMap<>();

    /**
     * One component's recent past.
     *
     * @param lastEnd names the end that was counted last, so that none is counted twice
     * @param dueAt when the next try is due, while one is waited for
     */
    record Track(String lastEnd, int failures, Instant lastFailure, Optional<Instant> dueAt, boolean gaveUp) {
        static final Track NONE = new Track("", 0, Instant.EPOCH, Optional.empty(), false);

        Track failed(Instant when) {
            return new Track(lastEnd, failures + 1, when, Optional.empty(), false);
        }

        Track due(Optional<Instant> when) {
            return new Track(lastEnd, failures, lastFailure, when, gaveUp);
        }

        Track givenUp() {
            return new Track(lastEnd, failures, lastFailure, Optional.empty(), true);
        }
    }

    Track of(ComponentId id) {
        return byComponent.getOrDefault(id, Track.NONE);
    }

    void put(ComponentId id, Track track) {
        byComponent.put(id, track);
    }

    /** An operator acted on it: its past does not count any more. */
    void forget(ComponentId id) {
        byComponent.remove(id);
    }

    void retain(Set<ComponentId> known) {
        byComponent.keySet().retainAll(known);
    }

    /**
     * Takes note of what an instance's state says.
     *
     * @return how long it ran, if it has ended in a way that was not noted before
     */
    Optional<Duration> note(ComponentId id, Instance instance, Instant now) {
        return switch (instance.state()) {
            case InstanceState.Running(Instant startedAt) -> {
                Track track = of(id);
                if (track.failures() > 0 && !startedAt.plus(Healing.STABLE).isAfter(now)) {
                    put(id, new Track(track.lastEnd(), 0, Instant.EPOCH, Optional.empty(), false));
                }
                yield Optional.empty();
            }
            case InstanceState.Ended(int _, Instant startedAt, Instant endedAt) -> {
                Track track = of(id);
                String end = instance.id().value() + "@" + endedAt;
                if (track.lastEnd().equals(end)) {
                    yield Optional.empty();
                }
                Duration ran = Duration.between(startedAt, endedAt);
                int before = ran.compareTo(Healing.STABLE) >= 0 ? 0 : track.failures();
                put(id, new Track(end, before + 1, now, Optional.empty(), false));
                yield Optional.of(ran.isNegative() ? Duration.ZERO : ran);
            }
            case InstanceState.Created(), InstanceState.Unclear(var _) -> Optional.empty();
        };
    }

    /** What to tell people, empty if there is nothing. */
    String message(ComponentId id, Instant now) {
        Track track = of(id);
        if (track.gaveUp()) {
            return "its restart policy forbids another try after " + times(track.failures());
        }
        return track.dueAt()
                .map(due -> "restarts in "
                        + Math.max(0, Math.round(Duration.between(now, due).toMillis() / 1000.0)) + " s after "
                        + times(track.failures()))
                .orElse("");
    }

    private static String times(int failures) {
        return failures + (failures == 1 ? " exit" : " exits");
    }
}
