package dev.metacircular.model;

import java.util.Arrays;
import java.util.Optional;

/** Enumerations are written by their {@code toString} everywhere people and programs read them. */
final class Wire {
    private Wire() {}

    static <E extends Enum<E>> Optional<E> find(E[] values, String text) {
        return Arrays.stream(values).filter(v -> v.toString().equals(text)).findFirst();
    }
}
