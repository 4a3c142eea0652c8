package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Observed;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import java.time.Instant;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What of a component is on record, or was seen: the two are compared, and a difference is an event.
 *
 * @param instance empty where any will do
 * @param startedAt of the run; the epoch where any will do
 */
record Recorded(What what, int status, String instance, Instant startedAt) {
    /** Nothing is known yet. */
    static final Recorded NOTHING = new Recorded(What.NOTHING, 0, "", Instant.EPOCH);
    /** It runs, whichever instance. */
    static final Recorded RUNS = new Recorded(What.RUNNING, 0, "", Instant.EPOCH);
    /** It does not run, however it came about. */
    static final Recorded RESTS = new Recorded(What.AT_REST, 0, "", Instant.EPOCH);

    /** The states. */
    enum What {
        NOTHING,
        RUNNING,
        STOPPED,
        EXITED,
        REMOVED,
        UNCLEAR,
        AT_REST;

        static What parse(String text) {
            for (What what : values()) {
                if (what.toString().equals(text)) {
                    return what;
                }
            }
            return NOTHING;
        }

        boolean isRest() {
            return switch (this) {
                case STOPPED, EXITED, REMOVED, AT_REST -> true;
                case NOTHING, RUNNING, UNCLEAR -> false;
            };
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** @param instance empty if the backend answered and there is none */
    static Recorded seen(Optional<Instance> instance, boolean stopRequested) {
        String id = instance.map(i -> i.id().value()).orElse("");
        Instant start = instance.map(Recorded::start).orElse(Instant.EPOCH);
        return switch (Observation.of(instance.map(Instance::state), stopRequested)) {
            case Observed.Running() -> new Recorded(What.RUNNING, 0, id, start);
            case Observed.Stopped() -> new Recorded(What.STOPPED, 0, id, start);
            case Observed.Exited(int status) -> new Recorded(What.EXITED, status, id, start);
            case Observed.Removed() -> new Recorded(What.REMOVED, 0, "", Instant.EPOCH);
            case Observed.Unknown() -> new Recorded(What.UNCLEAR, 0, id, start);
        };
    }

    private static Instant start(Instance instance) {
        return switch (instance.state()) {
            case InstanceState.Running(Instant at) -> at;
            case InstanceState.Ended(int _, Instant at, Instant _) -> at;
            case InstanceState.Created(), InstanceState.Unclear(var _) -> Instant.EPOCH;
        };
    }

    /** This instance runs, since whenever. */
    static Recorded runs(InstanceId instance) {
        return new Recorded(What.RUNNING, 0, instance.value(), Instant.EPOCH);
    }

    /** The same end, of an instance that is gone since. */
    Recorded gone() {
        return new Recorded(what, status, "", Instant.EPOCH);
    }

    /** Whether what is seen is what is on record, so that it is no change. */
    boolean explains(Recorded seen) {
        return switch (what) {
            case NOTHING -> true;
            case RUNNING -> seen.what == What.RUNNING && sameRun(seen);
            case AT_REST -> seen.what.isRest();
            // One that was stopped may look as if it had ended by itself once the request for its end was forgotten.
            case STOPPED, EXITED ->
                seen.what == What.REMOVED
                        ? equals(gone())
                        : (seen.what == What.STOPPED || seen.what == What.EXITED) && sameRun(seen);
            case REMOVED -> seen.what == What.REMOVED;
            case UNCLEAR -> seen.what == What.UNCLEAR;
        };
    }

    private boolean sameRun(Recorded seen) {
        boolean instances = instance.isEmpty() || instance.equals(seen.instance);
        // Some runtimes forget over a boot when a run began.
        boolean starts = unknown(startedAt)
                || unknown(seen.startedAt)
                || startedAt.toEpochMilli() == seen.startedAt.toEpochMilli();
        return instances && starts;
    }

    private static boolean unknown(Instant time) {
        return time.equals(Instant.EPOCH);
    }

    /** This, with what it leaves open taken from what is seen and explained. */
    Recorded filledFrom(Recorded seen) {
        return switch (what) {
            case NOTHING, AT_REST -> seen;
            case RUNNING, STOPPED, EXITED ->
                seen.what == What.REMOVED
                        ? this
                        : new Recorded(
                                what,
                                status,
                                instance.isEmpty() ? seen.instance : instance,
                                unknown(startedAt) ? seen.startedAt : startedAt);
            case REMOVED, UNCLEAR -> this;
        };
    }

    /**
     * How the components that a deploy touched are after it.
     *
     * @param touched of them
     */
    static Map<ComponentId, Recorded> afterDeploy(PendingDeploy deploy, Set<ComponentId> touched) {
        Map<ComponentId, Recorded> states = new HashMap<>();
        for (RegisteredComponent row : deploy.components()) {
            if (touched.contains(row.id())) {
                states.put(
                        row.id(),
                        switch (row.desired().under(deploy.active())) {
                            case RUNNING -> RUNS;
                            case STOPPED -> RESTS;
                            case IGNORE -> NOTHING;
                        });
            }
        }
        return states;
    }

    /** The components that a journalled deploy touches: those that it makes, and those that had an instance before. */
    static Set<ComponentId> touchedBy(PendingDeploy deploy) {
        return Stream.concat(
                        deploy.before().stream().map(PendingDeploy.Before::component),
                        deploy.components().stream()
                                .filter(c -> c.generation() == deploy.generation())
                                .map(RegisteredComponent::id))
                .collect(Collectors.toSet());
    }

    /** How the components whose instances ran before a deploy are once it was undone. */
    static Map<ComponentId, Recorded> afterRollBack(PendingDeploy deploy) {
        return deploy.before().stream()
                .filter(PendingDeploy.Before::wasRunning)
                .collect(Collectors.toMap(
                        PendingDeploy.Before::component,
                        b -> new Recorded(What.RUNNING, 0, b.instance(), Instant.EPOCH),
                        (a, _) -> a));
    }
}
