package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import java.time.Instant;
import java.util.List;

/**
 * What was last recorded of a component; the agent gives the fields their meaning.
 *
 * @param startedAt the epoch where it is not known
 * @param lastFailure the epoch where there was none
 * @param recent the times that the flap counter holds
 */
public record ComponentState(
        ComponentId id,
        String observed,
        int exitStatus,
        String instance,
        Instant startedAt,
        int failures,
        Instant lastFailure,
        boolean gaveUp,
        boolean flapping,
        List<Instant> recent) {
    public ComponentState {
        recent = List.copyOf(recent);
    }
}
