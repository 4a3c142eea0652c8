package dev.metacircular.runtime.podman;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceId;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which containers carry what, as podman told their labels last: where podman names a container by its ID alone. One of which nothing was
 * told is taken for an ordinary container.
 */
final class Kinds {
    /** More than a node has. */
    private static final int KNOWN = 8_192;

    private final RuntimeKind own;
    private final Map<String, RuntimeKind> carried = Collections.synchronizedMap(new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, RuntimeKind> eldest) {
            return size() > KNOWN;
        }
    });

    /** @param own the kind of the runtime that asks */
    Kinds(RuntimeKind own) {
        this.own = own;
    }

    RuntimeKind own() {
        return own;
    }

    void know(InstanceId id) {
        if (id.runtime() != RuntimeKind.CONTAINER) {
            carried.put(id.value(), id.runtime());
        }
    }

    boolean isOwn(String container) {
        return carried.getOrDefault(container, RuntimeKind.CONTAINER) == own;
    }
}
