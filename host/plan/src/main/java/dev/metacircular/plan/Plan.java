package dev.metacircular.plan;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What a deploy will do.
 *
 * @param baseGeneration the service's generation that it was planned from, 0 for a service that is not registered
 */
public record Plan(Name service, long baseGeneration, List<Operation> operations) {
    public Plan {
        operations = List.copyOf(operations);
    }

    /** Whether nothing would change. */
    public boolean isEmpty() {
        return operations.isEmpty();
    }

    /** The components that it touches, in its order. */
    public Set<ComponentId> touched() {
        Set<ComponentId> touched = new LinkedHashSet<>();
        operations.forEach(o -> o.component().ifPresent(touched::add));
        return touched;
    }

    /** One line per operation, numbered by its index. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < operations.size(); i++) {
            Operation o = operations.get(i);
            lines.add("%3d  %-9s %-20s %s"
                    .formatted(
                            i,
                            o.op(),
                            o.component().map(c -> c.component().value()).orElse("-"),
                            o.message()));
        }
        return lines;
    }
}
