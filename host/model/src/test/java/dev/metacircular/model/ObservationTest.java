package dev.metacircular.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ObservationTest {
    private static final Instant NOW = Instant.EPOCH;
    private static final RestartPolicy ALWAYS = new RestartPolicy.Always();
    private static final RestartPolicy NO = new RestartPolicy.No();

    @Test
    void theTableTellsAnEndOnRequestFromOneByItself() {
        var ended = Optional.<InstanceState>of(new InstanceState.Ended(137, NOW, NOW));
        assertThat(Observation.of(ended, true)).isEqualTo(new Observed.Stopped());
        assertThat(Observation.of(ended, false)).isEqualTo(new Observed.Exited(137));
        assertThat(Observation.of(Optional.of(new InstanceState.Running(NOW)), true))
                .isEqualTo(new Observed.Running());
        assertThat(Observation.of(Optional.of(new InstanceState.Created()), false))
                .isEqualTo(new Observed.Stopped());
        assertThat(Observation.of(Optional.of(new InstanceState.Unclear("paused")), false))
                .isEqualTo(new Observed.Unknown());
        assertThat(Observation.of(Optional.empty(), false)).isEqualTo(new Observed.Removed());
    }

    @Test
    void unknownAndIgnoredNeverDrift() {
        assertThat(Observation.drift(Desired.RUNNING, new Observed.Unknown(), ALWAYS, true, true))
                .isEmpty();
        assertThat(Observation.drift(Desired.IGNORE, new Observed.Exited(1), ALWAYS, true, true))
                .isEmpty();
    }

    @Test
    void whatIsDoneDoesNotDrift() {
        assertThat(Observation.drift(Desired.RUNNING, new Observed.Exited(0), NO, false, false))
                .isEmpty();
        assertThat(Observation.drift(Desired.RUNNING, new Observed.Exited(1), NO, false, false))
                .isEqualTo(Set.of(Drift.STATE));
        assertThat(Observation.drift(Desired.RUNNING, new Observed.Exited(0), ALWAYS, false, false))
                .isEqualTo(Set.of(Drift.STATE));
    }

    @Test
    void allKindsOfDriftAreTold() {
        assertThat(Observation.drift(Desired.STOPPED, new Observed.Running(), ALWAYS, true, true))
                .isEqualTo(Set.of(Drift.STATE, Drift.IMAGE, Drift.CONFIG));
        assertThat(Observation.drift(Desired.RUNNING, new Observed.Removed(), ALWAYS, true, true))
                .isEqualTo(Set.of(Drift.STATE));
    }

    @Test
    void aServiceThatIsNotActiveStopsAllButTheIgnored() {
        assertThat(Desired.RUNNING.under(false)).isEqualTo(Desired.STOPPED);
        assertThat(Desired.IGNORE.under(false)).isEqualTo(Desired.IGNORE);
        assertThat(Desired.STOPPED.under(true)).isEqualTo(Desired.STOPPED);
    }
}
