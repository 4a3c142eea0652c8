package dev.metacircular.model;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A service as its definition file has it.
 *
 * @param path where its sources are, below the CLI's workspace
 * @param buildImages last path segment of a component's image to its Dockerfile or {@code ukernel.toml}
 * @param components in the order in which they start
 */
public record Service(
        Name name,
        Name node,
        boolean active,
        Optional<String> path,
        Map<String, String> buildImages,
        List<Entry> components) {

    public Service {
        buildImages = Map.copyOf(buildImages);
        components = List.copyOf(components);
    }

    /** A component and what is wanted of it. */
    public record Entry(Component component, Desired desired) {}

    public Optional<Entry> find(Name component) {
        return components.stream()
                .filter(e -> e.component().name().equals(component))
                .findFirst();
    }

    public ComponentId id(Component component) {
        return new ComponentId(name, component.name());
    }
}
