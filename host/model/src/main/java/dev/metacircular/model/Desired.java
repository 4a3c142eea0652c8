package dev.metacircular.model;

import java.util.Locale;
import java.util.Optional;

/** What the operator wants of a component. */
public enum Desired {
    RUNNING,
    STOPPED,
    /** The agent never touches it. */
    IGNORE;

    public static Optional<Desired> parse(String text) {
        return Wire.find(values(), text);
    }

    /** What is wanted once the service's {@code active} flag is taken into account. */
    public Desired under(boolean active) {
        return switch (this) {
            case RUNNING -> active ? RUNNING : STOPPED;
            case STOPPED -> STOPPED;
            case IGNORE -> IGNORE;
        };
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
