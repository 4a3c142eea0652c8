package dev.metacircular.agent;

import dev.metacircular.agent.EventLog.Entry;
import dev.metacircular.agent.EventLog.Kind;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.registry.ComponentState;
import dev.metacircular.runtime.Instance;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/**
 * What is on record of each component, in memory and in the registry. A change and the event that tells it are written in one
 * transaction, so that whatever dies whenever, it is told once; what nobody looked at meanwhile is told as a net change.
 */
final class Tracks {
    /** A state that a runtime cannot tell is one only when it lasts: instances pass through such states as they come and go. */
    private static final Duration UNCLEAR_FOR = Duration.ofSeconds(2);

    private final EventLog events;
    private final Clock clock;
    private final Map<ComponentId, Track> byComponent = new HashMap<>();
    /** When the record was last changed: a listing that was begun before tells nothing new. */
    private final Map<ComponentId, Long> changedNanos = new HashMap<>();
    /** Looked at since the agent's start, and since its runtime could last not be asked. */
    private final Set<ComponentId> looked = new HashSet<>();

    private final Map<ComponentId, Instant> due = new HashMap<>();
    private final Map<ComponentId, Instant> unclearSince = new HashMap<>();

    /** @param stored what an earlier agent put down */
    Tracks(EventLog events, List<ComponentState> stored, Clock clock) {
        this.events = events;
        this.clock = clock;
        stored.forEach(s -> byComponent.put(s.id(), Track.of(s)));
    }

    synchronized Track of(ComponentId id) {
        return byComponent.getOrDefault(id, Track.NONE);
    }

    /**
     * One look at a component.
     *
     * @param instance the one that counts, empty if the backend answered and there is none
     * @param beganNanos when the backend was asked
     * @param booting whether the node has booted since an agent last ran on it
     */
    record Look(
            ComponentId id,
            Desired desired,
            RestartPolicy restart,
            Optional<Instance> instance,
            boolean stopRequested,
            long beganNanos,
            boolean booting) {}

    /** Takes note of what is seen: a change that nothing on record explains is recorded as an event. */
    synchronized void see(Look look) {
        ComponentId id = look.id();
        Track before = of(id);
        if (changedNanos.getOrDefault(id, Long.MIN_VALUE) > look.beganNanos()) {
            return;
        }
        Recorded seen = Recorded.seen(look.instance(), look.stopRequested());
        List<Entry> entries = new ArrayList<>();
        Track after = before.recorded().explains(seen)
                ? settle(look, before.with(before.recorded().filledFrom(seen)), entries)
                : changed(look, before, seen, entries);
        after = after.notAfter(clock.instant());
        boolean net = !looked.contains(id);
        put(id, after, entries.stream().map(e -> net ? e.asNet() : e).toList());
        looked.add(id);
    }

    private Track settle(Look look, Track track, List<Entry> entries) {
        unclearSince.remove(look.id());
        boolean healthy =
                look.instance().map(Instance::state).orElse(null) instanceof InstanceState.Running(Instant startedAt)
                        && !startedAt.plus(Healing.STABLE).isAfter(clock.instant());
        if (!healthy || track.fresh().equals(track)) {
            return track;
        }
        if (track.flapping()) {
            entries.add(Entry.of(
                    look.id(), Kind.SETTLED, "has run for " + Healing.STABLE.toSeconds() + " s: it does not flap"));
        }
        return track.fresh();
    }

    private Track changed(Look look, Track before, Recorded seen, List<Entry> entries) {
        ComponentId id = look.id();
        Instant now = clock.instant();
        if (seen.what() == Recorded.What.UNCLEAR
                && Duration.between(unclearSince.computeIfAbsent(id, _ -> now), now)
                                .compareTo(UNCLEAR_FOR)
                        < 0) {
            return before;
        }
        if (seen.what() != Recorded.What.UNCLEAR) {
            unclearSince.remove(id);
        }
        if (seen.what() == Recorded.What.REMOVED
                && before.recorded().what() == Recorded.What.EXITED
                && !look.restart().wantsRestart(before.recorded().status())) {
            entries.add(Entry.of(id, Kind.REMOVED, "its instance is gone, which had ended before")
                    .asQuiet());
            return before.with(before.recorded().gone());
        }
        Track after = before.with(seen);
        if (look.booting() && seen.what().isRest()) {
            entries.add(
                    Entry.of(id, Kind.STOPPED, "ended with the node's restart").asQuiet());
            return after.fresh();
        }
        Entry entry = entry(look, before.recorded(), seen);
        boolean failed = look.desired() == Desired.RUNNING
                && switch (seen.what()) {
                    case EXITED -> !Observation.isDone(look.restart(), seen.status());
                    case REMOVED -> true;
                    case NOTHING, RUNNING, STOPPED, UNCLEAR, AT_REST -> false;
                };
        boolean expected = look.desired() != Desired.RUNNING || (seen.what() == Recorded.What.EXITED && !failed);
        entries.add(expected ? entry.asQuiet() : entry);
        if (!failed) {
            return after;
        }
        // One that was removed is made again at once; only its being removed again and again counts.
        int inARow = ran(look).compareTo(Healing.STABLE) >= 0 ? 0 : before.failures();
        Track counted = seen.what() == Recorded.What.REMOVED
                ? uncounted(before, after.failed(0, now))
                : after.failed(inARow, now);
        noteFlapping(id, before, counted, entries);
        return counted;
    }

    private static Track uncounted(Track before, Track counted) {
        return counted.flapping()
                ? counted
                : new Track(
                        counted.recorded(),
                        before.failures(),
                        before.lastFailure(),
                        before.gaveUp(),
                        false,
                        counted.recent());
    }

    private static void noteFlapping(ComponentId id, Track before, Track after, List<Entry> entries) {
        if (after.flapping() && !before.flapping()) {
            entries.add(Entry.of(
                    id,
                    Kind.FLAPPING,
                    "failed " + Healing.FLAP_LIMIT + " times within " + Healing.FLAP_WINDOW.toMinutes()
                            + " min: from now on tried every " + Healing.FLAP_REST.toMinutes()
                            + " min only, until it has run for " + Healing.STABLE.toSeconds()
                            + " s or an operator starts it"));
        }
    }

    private static Duration ran(Look look) {
        if (look.instance().map(Instance::state).orElse(null)
                instanceof InstanceState.Ended(int _, Instant startedAt, Instant endedAt)) {
            Duration ran = Duration.between(startedAt, endedAt);
            return ran.isNegative() ? Duration.ZERO : ran;
        }
        return Duration.ZERO;
    }

    private static Entry entry(Look look, Recorded before, Recorded seen) {
        return switch (seen.what()) {
            case EXITED ->
                Entry.of(
                        look.id(),
                        Kind.EXITED,
                        "exited with status " + seen.status() + " after " + Hold.seconds(ran(look)));
            case REMOVED -> Entry.of(look.id(), Kind.REMOVED, "its instance is gone, and the agent did not remove it");
            case RUNNING ->
                Entry.of(
                        look.id(),
                        Kind.RUNNING,
                        before.what() == Recorded.What.UNCLEAR
                                ? "runs again"
                                : before.what() == Recorded.What.RUNNING
                                        ? "runs anew, and it is not on record that the agent started it"
                                        : "runs, and it is not on record that the agent started it");
            case UNCLEAR -> Entry.of(look.id(), Kind.UNCLEAR, "its runtime cannot tell its state; nothing is done");
            case STOPPED, AT_REST, NOTHING -> Entry.of(look.id(), Kind.STOPPED, "does not run any more");
        };
    }

    /** Records what the agent did, and how the component is after it. */
    synchronized void did(ComponentId id, Kind kind, String message, Recorded now) {
        put(id, of(id).with(now), List.of(Entry.of(id, kind, message)));
        looked.add(id);
    }

    /** Records what an operator had done to it: its past does not count any more. */
    synchronized void didOnRequest(ComponentId id, Kind kind, String message, Recorded now) {
        put(id, of(id).fresh().with(now), List.of(Entry.of(id, kind, message)));
        looked.add(id);
    }

    /** Puts down how components are after what has been told already. */
    synchronized void know(Map<ComponentId, Recorded> states) {
        states.forEach((id, now) -> put(id, of(id).fresh().with(now), List.of()));
    }

    /** Ends a deploy's journal entry with the event that tells how it ended, and how those of its components that it touched are now. */
    synchronized void endDeploy(Name service, Entry entry, Map<ComponentId, Recorded> touched) {
        Map<ComponentId, Track> tracks = new HashMap<>();
        touched.forEach((id, now) -> tracks.put(id, of(id).fresh().with(now)));
        write(tracks, states -> events.endDeploy(service, entry, states));
        looked.addAll(touched.keySet());
    }

    /** Records that it could not be started. */
    synchronized void startFailed(ComponentId id, String message) {
        Track before = of(id);
        Track after = before.with(Recorded.RESTS).failed(before.failures(), clock.instant());
        List<Entry> entries = new ArrayList<>(List.of(Entry.of(id, Kind.START_FAILED, message)));
        noteFlapping(id, before, after, entries);
        put(id, after, entries);
        looked.add(id);
    }

    /** Records, once, that its restart policy forbids another try. */
    synchronized void giveUp(ComponentId id) {
        Track track = of(id);
        if (!track.gaveUp()) {
            put(
                    id,
                    track.givenUp(),
                    List.of(Entry.of(id, Kind.GAVE_UP, "not started again: its restart policy's limit is reached")));
        }
        due.remove(id);
    }

    /** An operator acts on it: its past does not count any more. */
    synchronized void forget(ComponentId id) {
        put(id, of(id).fresh(), List.of());
    }

    private void put(ComponentId id, Track track, List<Entry> entries) {
        if (!entries.isEmpty() || !track.equals(of(id))) {
            write(Map.of(id, track), states -> events.record(entries, states));
        }
    }

    private void write(Map<ComponentId, Track> tracks, Consumer<List<ComponentState>> record) {
        try {
            record.accept(tracks.entrySet().stream()
                    .map(e -> e.getValue().state(e.getKey()))
                    .toList());
        } catch (RuntimeException e) {
            // Nothing was written: the change is seen again, and told as one that nobody looked at.
            looked.removeAll(tracks.keySet());
            throw e;
        }
        byComponent.putAll(tracks);
        tracks.keySet().forEach(id -> {
            changedNanos.put(id, System.nanoTime());
            due.remove(id);
        });
    }

    /** From now on, until it is looked at again, what happened to these components went unseen. */
    synchronized void unseen(Set<ComponentId> ids) {
        looked.removeAll(ids);
    }

    /** The status of its own end, where that is the last on record of this instance, or of one that is gone since. */
    synchronized OptionalInt endOnRecord(ComponentId id, Optional<Instance> instance) {
        Recorded r = of(id).recorded();
        return r.what() == Recorded.What.EXITED
                        && (instance.isEmpty() || instance.get().id().value().equals(r.instance()))
                ? OptionalInt.of(r.status())
                : OptionalInt.empty();
    }

    /** Whether it runs, and what is on record of it is another run, or none. */
    synchronized boolean isNewRun(ComponentId id, Instance instance) {
        Recorded seen = Recorded.seen(Optional.of(instance), false);
        return seen.what() == Recorded.What.RUNNING && !of(id).recorded().explains(seen);
    }

    synchronized void setDue(ComponentId id, Optional<Instant> when) {
        when.ifPresentOrElse(w -> due.put(id, w), () -> due.remove(id));
    }

    synchronized Optional<Instant> dueAt(ComponentId id) {
        return Optional.ofNullable(due.get(id));
    }

    /**
     * Forgets components that are no longer registered.
     *
     * @param known those that were registered at the given time
     * @return those that were forgotten
     */
    synchronized List<ComponentId> retain(Set<ComponentId> known, long atNanos) {
        List<ComponentId> gone = byComponent.keySet().stream()
                .filter(id -> !known.contains(id) && changedNanos.getOrDefault(id, Long.MIN_VALUE) <= atNanos)
                .toList();
        for (ComponentId id : gone) {
            byComponent.remove(id);
            changedNanos.remove(id);
            looked.remove(id);
            due.remove(id);
            unclearSince.remove(id);
        }
        return gone;
    }

    /** What to tell people, empty if there is nothing. */
    synchronized String message(ComponentId id) {
        Track track = of(id);
        if (track.gaveUp()) {
            return "its restart policy forbids another try after " + times(track.failures());
        }
        return dueAt(id)
                .map(when -> (track.flapping() ? "flapping, " : "") + "restarts in "
                        + seconds(Duration.between(clock.instant(), when)) + " after " + times(track.failures()))
                .orElse(track.flapping() ? "flapping: " + times(track.failures()) + " in a row" : "");
    }

    private static String seconds(Duration left) {
        return Math.max(0, Math.round(left.toMillis() / 1000.0)) + " s";
    }

    private static String times(int failures) {
        return failures + (failures == 1 ? " failure" : " failures");
    }
}
