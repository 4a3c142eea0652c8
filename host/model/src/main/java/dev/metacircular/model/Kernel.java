package dev.metacircular.model;

import java.util.Locale;
import java.util.Optional;

/** The kernel under a unikernel component. */
public enum Kernel {
    UKERNEL,
    NANOS;

    public static Optional<Kernel> parse(String text) {
        return Wire.find(values(), text);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
