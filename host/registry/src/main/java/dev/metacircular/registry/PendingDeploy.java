package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import java.time.Instant;
import java.util.List;

/**
 * A deploy's journal entry: all that is needed to undo it before its commit and to finish it after.
 *
 * @param generation reserved for it; the instances that it makes bear it
 * @param startedBy the caller's token name
 * @param active the service's flag after the commit
 * @param components all rows of the service after the commit, in order
 * @param before the instances of the components that it touches, as they were before its first step
 */
public record PendingDeploy(
        Name service,
        long generation,
        Instant startedAt,
        String startedBy,
        boolean committed,
        boolean active,
        List<RegisteredComponent> components,
        List<Before> before) {
    public PendingDeploy {
        components = List.copyOf(components);
        before = List.copyOf(before);
    }

    /**
     * An instance that was there.
     *
     * @param runtime of the instance
     * @param removedByIt whether it goes once the deploy is committed
     */
    public record Before(
            ComponentId component, String runtime, String instance, boolean wasRunning, boolean removedByIt) {}
}
