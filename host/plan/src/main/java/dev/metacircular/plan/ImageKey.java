package dev.metacircular.plan;

import dev.metacircular.model.Component;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.RuntimeKind;

/** What a component names as its image: each runtime has images of its own, so that one reference may mean two of them. */
public record ImageKey(RuntimeKind runtime, ImageRef reference) {
    public static ImageKey of(Component component) {
        return new ImageKey(component.runtime(), component.image());
    }
}
