package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.registry.RegisteredComponent;
import java.util.List;
import java.util.Optional;

/** A registered service with its components' documents read. */
record KnownService(Name name, long generation, boolean active, List<Member> components) {
    KnownService {
        components = List.copyOf(components);
    }

    /** @param desired with the service's {@code active} flag taken into account */
    record Member(RegisteredComponent row, Component component, Desired desired) {
        ComponentId id() {
            return row.id();
        }
    }

    Optional<Member> find(Name component) {
        return components.stream()
                .filter(m -> m.id().component().equals(component))
                .findFirst();
    }
}
