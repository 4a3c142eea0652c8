package dev.metacircular.model;

import java.util.Comparator;

/** One component of one service; written {@code service/component}. */
public record ComponentId(Name service, Name component) implements Comparable<ComponentId> {
    private static final Comparator<ComponentId> ORDER =
            Comparator.comparing(ComponentId::service).thenComparing(ComponentId::component);

    public static ComponentId of(String service, String component) {
        return new ComponentId(Name.of(service), Name.of(component));
    }

    /**
     * The name people see on the node: {@code <service>-<component>}, or just the service's when both are equal. It is
     * not unique ({@code shop}+{@code web-x} and {@code shop-web}+{@code x} share one), so nothing is identified by it.
     */
    public String canonicalName() {
        return service.equals(component) ? service.value() : service.value() + "-" + component.value();
    }

    @Override
    public int compareTo(ComponentId other) {
        return ORDER.compare(this, other);
    }

    @Override
    public String toString() {
        return service + "/" + component;
    }
}
