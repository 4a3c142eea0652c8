package dev.metacircular.registry;

import dev.metacircular.model.Name;
import java.util.List;
import java.util.Optional;

/** A service's row with its components in the order in which they start. */
public record RegisteredService(Name name, long generation, boolean active, List<RegisteredComponent> components) {
    public RegisteredService {
        components = List.copyOf(components);
    }

    public Optional<RegisteredComponent> find(Name component) {
        return components.stream()
                .filter(c -> c.id().component().equals(component))
                .findFirst();
    }
}
