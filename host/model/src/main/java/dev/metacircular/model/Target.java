package dev.metacircular.model;

import java.util.Optional;

/** What a command is about: a whole service or one component of it; written {@code service[/component]}. */
public record Target(Name service, Optional<Name> component) {

    /** @throws IllegalArgumentException if the text is not {@code service[/component]} with valid names */
    public static Target parse(String text) {
        int slash = text.indexOf('/');
        return slash < 0
                ? new Target(Name.of(text), Optional.empty())
                : new Target(Name.of(text.substring(0, slash)), Optional.of(Name.of(text.substring(slash + 1))));
    }

    public boolean includes(Name candidate) {
        return component.isEmpty() || component.get().equals(candidate);
    }

    @Override
    public String toString() {
        return component.map(c -> service + "/" + c).orElse(service.value());
    }
}
