package dev.metacircular.model;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/** The one table from what a runtime tells, and what the agent asked for, to what is so. */
public final class Observation {
    private Observation() {}

    /**
     * @param state empty if the runtime answered and has no instance
     * @param stopRequested whether the agent asked for this instance's end
     */
    public static Observed of(Optional<InstanceState> state, boolean stopRequested) {
        return state.map(s -> observed(s, stopRequested)).orElse(new Observed.Removed());
    }

    private static Observed observed(InstanceState state, boolean stopRequested) {
        return switch (state) {
            case InstanceState.Created() -> new Observed.Stopped();
            case InstanceState.Running(var _) -> new Observed.Running();
            case InstanceState.Ended(int status, var _, var _) ->
                stopRequested ? new Observed.Stopped() : new Observed.Exited(status);
            case InstanceState.Unclear(var _) -> new Observed.Unknown();
        };
    }

    /**
     * Drift of {@code state} alone.
     *
     * @param desired with the service's {@code active} flag taken into account
     */
    public static boolean stateDrifts(Desired desired, Observed observed, RestartPolicy restart) {
        return switch (desired) {
            case IGNORE -> false;
            case RUNNING ->
                switch (observed) {
                    case Observed.Running(), Observed.Unknown() -> false;
                    case Observed.Exited(int status) -> !isDone(restart, status);
                    case Observed.Stopped(), Observed.Removed() -> true;
                };
            case STOPPED -> observed instanceof Observed.Running;
        };
    }

    /** Whether an end with this status is the component's natural end, so that it neither drifts nor runs again by a boot. */
    public static boolean isDone(RestartPolicy restart, int exitStatus) {
        return switch (restart) {
            case RestartPolicy.No(), RestartPolicy.OnFailure(var _) -> exitStatus == 0;
            case RestartPolicy.Always(), RestartPolicy.UnlessStopped() -> false;
        };
    }

    /**
     * All drift of a component.
     *
     * @param imageMoved whether the instance's image differs from what its reference means on the node now
     * @param configDiffers whether the instance's document digest differs from the registered one
     */
    public static Set<Drift> drift(
            Desired desired, Observed observed, RestartPolicy restart, boolean imageMoved, boolean configDiffers) {
        Set<Drift> drift = EnumSet.noneOf(Drift.class);
        if (desired == Desired.IGNORE || observed instanceof Observed.Unknown) {
            return drift;
        }
        if (stateDrifts(desired, observed, restart)) {
            drift.add(Drift.STATE);
        }
        boolean exists = !(observed instanceof Observed.Removed);
        if (exists && imageMoved) {
            drift.add(Drift.IMAGE);
        }
        if (exists && configDiffers) {
            drift.add(Drift.CONFIG);
        }
        return drift;
    }
}
