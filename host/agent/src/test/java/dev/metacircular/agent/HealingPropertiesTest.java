package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Observed;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Of the one function that says how a component is healed, whatever is wanted, seen and remembered. */
final class HealingPropertiesTest {
    private static final Instant NOW = Instant.parse("2026-11-21T12:00:00Z");
    private static final Instant STARTED = NOW.minusSeconds(30);

    private record Past(int failures, Instant lastFailure, boolean flapping, OptionalInt end) {}

    private record Seen(Optional<Instance> instance, boolean stopRequested) {}

    @Provide
    Arbitrary<Healing.Situation> situations() {
        Arbitrary<RestartPolicy> policies = Arbitraries.of(
                new RestartPolicy.No(),
                new RestartPolicy.Always(),
                new RestartPolicy.UnlessStopped(),
                new RestartPolicy.OnFailure(OptionalInt.empty()),
                new RestartPolicy.OnFailure(OptionalInt.of(2)));
        Arbitrary<Seen> seen = Combinators.combine(
                        Arbitraries.of(
                                        new InstanceState.Created(),
                                        new InstanceState.Running(STARTED),
                                        new InstanceState.Ended(0, STARTED, NOW),
                                        new InstanceState.Ended(7, STARTED, NOW),
                                        new InstanceState.Ended(137, STARTED, Instant.EPOCH),
                                        new InstanceState.Unclear("paused"))
                                .map(HealingPropertiesTest::instance)
                                .optional(),
                        Arbitraries.of(true, false))
                .as((instance, requested) -> new Seen(instance, requested && instance.isPresent()));
        Arbitrary<Past> pasts = Combinators.combine(
                        Arbitraries.integers().between(0, 12),
                        Arbitraries.longs().between(0, 1_000),
                        Arbitraries.of(true, false),
                        Arbitraries.of(OptionalInt.empty(), OptionalInt.of(0), OptionalInt.of(7)))
                .as((failures, ago, flapping, end) -> new Past(failures, NOW.minusSeconds(ago), flapping, end));
        return Combinators.combine(
                        Arbitraries.of(Desired.class),
                        policies,
                        seen,
                        pasts,
                        Arbitraries.integers(),
                        Arbitraries.of(true, false))
                .as((desired, restart, s, past, seed, booting) -> new Healing.Situation(
                        desired,
                        restart,
                        s.instance(),
                        s.stopRequested(),
                        past.failures(),
                        past.lastFailure(),
                        past.flapping(),
                        past.end(),
                        seed,
                        booting));
    }

    private static Instance instance(InstanceState state) {
        return new Instance(
                new InstanceId(RuntimeKind.CONTAINER, "1"),
                "shop-web",
                Optional.of(new Identity(Name.of("alpha"), ComponentId.of("shop", "web"), 1, "digest")),
                "registry.example:5000/shop:v1",
                "image",
                state,
                STARTED,
                List.of(),
                false);
    }

    private static Observed observed(Healing.Situation s) {
        return Observation.of(s.instance().map(Instance::state), s.stopRequested());
    }

    private static Healing.Situation with(Healing.Situation s, InstanceState state, boolean stopRequested) {
        return new Healing.Situation(
                s.desired(),
                s.restart(),
                Optional.of(instance(state)),
                stopRequested,
                s.failures(),
                s.lastFailure(),
                s.flapping(),
                s.endOnRecord(),
                s.seed(),
                s.booting());
    }

    /** What is so once the action succeeded. */
    private static Healing.Situation after(Healing.Situation s, Healing.Action action) {
        return switch (action) {
            case Healing.Action.Start(var _, var _), Healing.Action.Create() ->
                with(s, new InstanceState.Running(NOW), false);
            case Healing.Action.Stop(var _) -> with(s, new InstanceState.Ended(0, STARTED, NOW), true);
            case Healing.Action.Nothing(), Healing.Action.Wait(var _), Healing.Action.GiveUp() -> s;
        };
    }

    private static boolean doneOnRecord(Healing.Situation s) {
        return s.endOnRecord().isPresent()
                && Observation.isDone(s.restart(), s.endOnRecord().getAsInt());
    }

    private static boolean isFinal(Healing.Situation s) {
        return s.endOnRecord().isPresent()
                && !s.restart().wantsRestart(s.endOnRecord().getAsInt());
    }

    private static boolean acts(Healing.Action action) {
        return switch (action) {
            case Healing.Action.Start(var _, var _), Healing.Action.Create(), Healing.Action.Stop(var _) -> true;
            case Healing.Action.Nothing(), Healing.Action.Wait(var _), Healing.Action.GiveUp() -> false;
        };
    }

    @Property(tries = 5000)
    void oneStepConvergesAndASecondFindsNothingToDo(@ForAll("situations") Healing.Situation s) {
        Healing.Action first = Healing.decide(s, NOW);
        Healing.Action second = Healing.decide(after(s, first), NOW);
        assertThat(second).isEqualTo(acts(first) ? new Healing.Action.Nothing() : first);
    }

    @Property(tries = 5000)
    void aStepLeavesNoDriftOfStateThatItIsNotWaitingForOrForbiddenToMend(@ForAll("situations") Healing.Situation s) {
        Healing.Action action = Healing.decide(s, NOW);
        Healing.Situation after = after(s, action);
        boolean drifts = Observation.stateDrifts(s.desired(), observed(after), s.restart());
        switch (action) {
            case Healing.Action.Start(var _, var _), Healing.Action.Create(), Healing.Action.Stop(var _) ->
                assertThat(drifts).isFalse();
            case Healing.Action.Wait(Instant until) ->
                assertThat(acts(Healing.decide(s, until))).isTrue();
            case Healing.Action.GiveUp() -> assertThat(s.restart()).isInstanceOf(RestartPolicy.OnFailure.class);
            case Healing.Action.Nothing() ->
                assertThat(!drifts
                                || isFinal(s)
                                || (observed(s) instanceof Observed.Exited(int status)
                                        && !s.restart().wantsRestart(status)))
                        .isTrue();
        }
    }

    @Property(tries = 5000)
    void ignoreIsNeverTouchedAndUnknownNeverActedOn(@ForAll("situations") Healing.Situation s) {
        if (s.desired() == Desired.IGNORE || observed(s) instanceof Observed.Unknown) {
            assertThat(Healing.decide(s, NOW)).isEqualTo(new Healing.Action.Nothing());
        }
    }

    @Property(tries = 5000)
    void onlyWhatShouldRunIsStartedAndOnlyWhatRunsIsStopped(@ForAll("situations") Healing.Situation s) {
        switch (Healing.decide(s, NOW)) {
            case Healing.Action.Start(Instance instance, boolean _) -> {
                assertThat(s.desired()).isEqualTo(Desired.RUNNING);
                assertThat(s.instance()).contains(instance);
                assertThat(Instances.isRunning(instance)).isFalse();
            }
            case Healing.Action.Create() -> {
                assertThat(s.desired()).isEqualTo(Desired.RUNNING);
                assertThat(s.instance()).isEmpty();
            }
            case Healing.Action.Stop(Instance instance) -> {
                assertThat(s.desired()).isEqualTo(Desired.STOPPED);
                assertThat(Instances.isRunning(instance)).isTrue();
            }
            case Healing.Action.Wait(Instant until) -> {
                assertThat(s.desired()).isEqualTo(Desired.RUNNING);
                assertThat(until).isAfter(NOW).isBeforeOrEqualTo(s.lastFailure().plus(Healing.FLAP_REST));
            }
            case Healing.Action.GiveUp() -> assertThat(s.desired()).isEqualTo(Desired.RUNNING);
            case Healing.Action.Nothing() -> {}
        }
    }

    @Property(tries = 5000)
    void aBootStartsAtOnceWhateverEndedWithTheNodeAndNothingThatIsDone(@ForAll("situations") Healing.Situation s) {
        if (!s.booting() || s.desired() != Desired.RUNNING || !(observed(s) instanceof Observed.Exited(int status))) {
            return;
        }
        boolean itsOwnEnd = s.instance().orElseThrow().state() instanceof InstanceState.Ended(var _, var _, Instant at)
                && at.equals(NOW);
        boolean done = doneOnRecord(s) || (itsOwnEnd && Observation.isDone(s.restart(), status));
        assertThat(Healing.decide(s, NOW))
                .isEqualTo(
                        done
                                ? new Healing.Action.Nothing()
                                : new Healing.Action.Start(s.instance().orElseThrow(), false));
    }

    @Property(tries = 5000)
    void whatIsDoneIsNeverMadeAgain(@ForAll("situations") Healing.Situation s) {
        if (doneOnRecord(s)) {
            assertThat(Healing.decide(s, NOW)).isNotEqualTo(new Healing.Action.Create());
        }
    }

    @Property(tries = 2000)
    void delaysGrowAreCappedAndDifferByLittle(@ForAll int seed) {
        Duration before = Duration.ZERO;
        for (int failures = 1; failures < 60; failures++) {
            Duration delay = Healing.delay(failures, seed);
            assertThat(delay).isBetween(Duration.ofSeconds(1), Duration.ofSeconds(66));
            if (failures < 7) {
                assertThat(delay).isGreaterThan(before);
            }
            before = delay;
        }
        assertThat(Healing.delay(1, seed)).isEqualTo(Duration.ofSeconds(1));
    }
}
