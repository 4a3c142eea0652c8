package dev.metacircular.agent;

import dev.metacircular.model.Desired;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Observed;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.runtime.Instance;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;

/** What heals one component: a pure function of what is wanted, what is so and what was tried. */
final class Healing {
    private static final Duration FIRST_DELAY = Duration.ofSeconds(1);
    private static final Duration LONGEST_DELAY = Duration.ofSeconds(60);
    /** One that ran so long is healthy: what it did before does not count any more. */
    static final Duration STABLE = Duration.ofSeconds(60);
    /** So many failures within {@link #FLAP_WINDOW} are flapping, whatever the runtime. */
    static final int FLAP_LIMIT = 5;

    static final Duration FLAP_WINDOW = Duration.ofMinutes(10);
    /** What flaps is tried again this rarely. */
    static final Duration FLAP_REST = Duration.ofMinutes(10);

    private Healing() {}

    /** What to do. */
    sealed interface Action {
        record Nothing() implements Action {}

        /** @param recovers whether it ended by itself, so that the restart policy rules */
        record Start(Instance instance, boolean recovers) implements Action {}

        record Create() implements Action {}

        record Stop(Instance instance) implements Action {}

        /** Nothing before that time. */
        record Wait(Instant until) implements Action {}

        /** The restart policy forbids another try. */
        record GiveUp() implements Action {}
    }

    /**
     * @param instance the one that counts, empty if the backend answered and there is none
     * @param failures ends and failed starts in a row
     * @param lastFailure when the last of them was
     * @param flapping whether it failed too often lately
     * @param endOnRecord the status of its own end, where that is the last that is on record, whatever the runtime makes of it since
     * @param seed spreads the delays of components that fail together
     * @param booting whether the node has booted since the component was last looked after: its end then was the node's
     */
    record Situation(
            Desired desired,
            RestartPolicy restart,
            Optional<Instance> instance,
            boolean stopRequested,
            int failures,
            Instant lastFailure,
            boolean flapping,
            OptionalInt endOnRecord,
            int seed,
            boolean booting) {
        private boolean doneOnRecord() {
            return endOnRecord.isPresent() && Observation.isDone(restart, endOnRecord.getAsInt());
        }

        /** Whether its own end is on record, after which its policy wants no other run. */
        private boolean finalOnRecord() {
            return endOnRecord.isPresent() && !restart.wantsRestart(endOnRecord.getAsInt());
        }
    }

    static Action decide(Situation s, Instant now) {
        Observed observed = Observation.of(s.instance().map(Instance::state), s.stopRequested());
        return switch (s.desired()) {
            case IGNORE -> new Action.Nothing();
            case STOPPED ->
                observed instanceof Observed.Running
                        ? new Action.Stop(s.instance().orElseThrow())
                        : new Action.Nothing();
            case RUNNING ->
                switch (observed) {
                    case Observed.Running(), Observed.Unknown() -> new Action.Nothing();
                    // Someone tidied up after what had ended for good: a job does not run again for that.
                    case Observed.Removed() ->
                        s.doneOnRecord() || (s.finalOnRecord() && !s.booting())
                                ? new Action.Nothing()
                                : delayed(s, now, new Action.Create());
                    case Observed.Stopped() ->
                        s.doneOnRecord()
                                ? new Action.Nothing()
                                : delayed(s, now, new Action.Start(s.instance().orElseThrow(), false));
                    case Observed.Exited(int status) -> exited(s, status, now);
                };
        };
    }

    private static Action exited(Situation s, int status, Instant now) {
        Instance instance = s.instance().orElseThrow();
        if (s.booting()) {
            return s.doneOnRecord() || (Observation.isDone(s.restart(), status) && endedByItself(instance))
                    ? new Action.Nothing()
                    : new Action.Start(instance, false);
        }
        if (!s.restart().wantsRestart(status)) {
            return new Action.Nothing();
        }
        return delayed(s, now, new Action.Start(instance, true));
    }

    /** What an adopted instance's own restart policy is for is left to it, and only a deploy makes another in its place. */
    static Action whileAdopted(Action action) {
        return switch (action) {
            case Action.Start(var _, boolean recovers) when recovers -> new Action.Nothing();
            case Action.Create(), Action.Wait(var _), Action.GiveUp() -> new Action.Nothing();
            case Action.Nothing(), Action.Start(var _, var _), Action.Stop(var _) -> action;
        };
    }

    /** A node that lost its power leaves no time of the end. */
    private static boolean endedByItself(Instance instance) {
        return instance.state() instanceof InstanceState.Ended(int _, Instant startedAt, Instant endedAt)
                && !endedAt.isBefore(startedAt);
    }

    private static Action delayed(Situation s, Instant now, Action action) {
        if (s.restart() instanceof RestartPolicy.OnFailure(var limit)
                && limit.isPresent()
                && s.failures() > limit.getAsInt()) {
            return new Action.GiveUp();
        }
        Instant due = s.lastFailure().plus(s.flapping() ? FLAP_REST : delay(s.failures(), s.seed()));
        return s.failures() > 0 && due.isAfter(now) ? new Action.Wait(due) : action;
    }

    /**
     * One second, doubled for each failure after the first, at most a minute; from the second on up to a tenth more, which differs from
     * component to component.
     */
    static Duration delay(int failures, int seed) {
        int doublings = Math.min(6, Math.max(0, failures - 1));
        Duration delay = FIRST_DELAY.multipliedBy(1L << doublings);
        Duration capped = delay.compareTo(LONGEST_DELAY) > 0 ? LONGEST_DELAY : delay;
        int permille = failures <= 1 ? 0 : Math.floorMod(31 * seed + failures, 101);
        return capped.plus(capped.multipliedBy(permille).dividedBy(1_000));
    }
}
