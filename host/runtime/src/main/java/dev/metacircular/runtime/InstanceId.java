package dev.metacircular.runtime;

import dev.metacircular.model.RuntimeKind;

/** A backend's own name for an instance; opaque to everyone else, and stable for the instance's life. */
public record InstanceId(RuntimeKind runtime, String value) {
    @Override
    public String toString() {
        return value;
    }
}
