package dev.metacircular.model;

import java.util.Optional;

/** What a component runs as. */
public enum RuntimeKind {
    CONTAINER("container"),
    UNIKERNEL("unikernel");

    private final String key;

    RuntimeKind(String key) {
        this.key = key;
    }

    public static Optional<RuntimeKind> parse(String text) {
        return Wire.find(values(), text);
    }

    @Override
    public String toString() {
        return key;
    }
}
