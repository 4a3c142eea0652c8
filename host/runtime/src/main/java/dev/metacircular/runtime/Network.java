package dev.metacircular.runtime;

import dev.metacircular.model.Name;

/**
 * A network on the node, by the name that its backends know it by.
 *
 * @param name of a service's own network {@code mc.<service>}, which no shared network can be called, for names have no dot
 */
public record Network(String name) {
    public static Network ofService(Name service) {
        return new Network("mc." + service);
    }

    public static Network shared(Name name) {
        return new Network(name.value());
    }
}
