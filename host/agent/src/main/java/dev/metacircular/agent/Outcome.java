package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.util.List;
import java.util.Optional;

/**
 * How an operation on a service ended.
 *
 * @param generation of the service after it
 * @param error present if it failed
 */
record Outcome(long generation, List<Part> parts, Optional<Problem> error) {
    Outcome {
        parts = List.copyOf(parts);
    }

    /**
     * How it ended for one component.
     *
     * @param outcome see the contract's {@code ComponentResult}
     * @param logTail the last lines of an instance that failed
     */
    record Part(Name component, String outcome, String message, List<String> logTail) {
        Part {
            logTail = List.copyOf(logTail);
        }

        static Part of(Name component, String outcome) {
            return new Part(component, outcome, "", List.of());
        }
    }
}
