package dev.metacircular.plan;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is registered and what runs of one service, when it is planned.
 *
 * @param generation 0 for a service that is not registered
 * @param instances those of the service's components; a component may have several only after a fault
 * @param images what each image of the new definition means on the node now; one that is absent must be pulled
 * @param networks that exist
 */
public record Current(
        long generation,
        boolean active,
        Map<Name, Registered> registered,
        List<Existing> instances,
        Map<ImageKey, String> images,
        List<String> networks) {

    public Current {
        registered = Map.copyOf(registered);
        instances = List.copyOf(instances);
        images = Map.copyOf(images);
        networks = List.copyOf(networks);
    }

    /** A registered component. */
    public record Registered(Component component, String digest, Desired desired) {}

    /**
     * An instance on the node.
     *
     * @param documentDigest of the document it was made from
     * @param generation that made it
     */
    public record Existing(
            ComponentId component,
            String instance,
            long generation,
            String documentDigest,
            String imageId,
            boolean running) {}

    List<Existing> of(ComponentId id) {
        return instances.stream().filter(i -> i.component().equals(id)).toList();
    }

    /** The one that counts where there are several: a running one before others, then the newest generation. */
    Optional<Existing> latest(ComponentId id) {
        return of(id).stream()
                .max(Comparator.comparing(Existing::running, Boolean::compare).thenComparingLong(Existing::generation));
    }
}
