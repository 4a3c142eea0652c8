package dev.metacircular.plan;

import dev.metacircular.model.Component;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Target;
import java.util.List;

/**
 * What a definition asks for.
 *
 * @param target the whole service, or the one component that is deployed
 */
public record Wanted(Target target, boolean active, List<Item> items) {
    public Wanted {
        items = List.copyOf(items);
    }

    /** @param digest of the component's canonical document */
    public record Item(Component component, String digest, Desired desired) {}

    boolean names(Name component) {
        return items.stream().anyMatch(i -> i.component().name().equals(component));
    }
}
