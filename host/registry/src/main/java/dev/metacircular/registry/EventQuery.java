package dev.metacircular.registry;

import dev.metacircular.model.Name;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;

/**
 * Which events are wanted.
 *
 * @param kinds empty for all
 * @param since not older than this
 * @param until older than this
 */
public record EventQuery(
        Optional<Name> service,
        Optional<Name> component,
        Set<String> kinds,
        Optional<Instant> since,
        Optional<Instant> until) {
    /** Every event. */
    public static final EventQuery ALL =
            new EventQuery(Optional.empty(), Optional.empty(), Set.of(), Optional.empty(), Optional.empty());

    public EventQuery {
        kinds = Set.copyOf(kinds);
    }
}
