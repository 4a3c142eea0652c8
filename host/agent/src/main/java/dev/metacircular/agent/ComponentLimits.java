package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.Optional;

/** What a node that is told to do its best makes of the limits of its components. */
final class ComponentLimits {
    private final Runtimes runtimes;
    private final boolean enforce;

    /** @param enforce whether a limit that cannot be enforced is refused; none is then left out */
    ComponentLimits(Runtimes runtimes, boolean enforce) {
        this.runtimes = runtimes;
        this.enforce = enforce;
    }

    /** Why the component's limits are not enforced; empty where they are, or where it has none. */
    Optional<String> notEnforced(Component component) {
        if (enforce
                || !runtimes.has(component.runtime())
                || (component.memoryMb().isEmpty() && component.cpus().isEmpty())) {
            return Optional.empty();
        }
        try {
            return runtimes.of(component.runtime()).unenforceable(component);
        } catch (RuntimeFailure _) {
            // Its runtime cannot be asked, which is told of it anyway.
            return Optional.empty();
        }
    }
}
