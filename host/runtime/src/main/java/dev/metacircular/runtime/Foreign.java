package dev.metacircular.runtime;

import dev.metacircular.model.Component;
import dev.metacircular.model.Name;
import java.util.List;

/** The capability to take over instances that this system did not make. */
public interface Foreign {
    /**
     * The definition that comes closest to how an instance was made.
     *
     * @param component with the given name; host paths are absolute
     * @param lost what no definition can say of it, one sentence each
     * @param restartPolicy the backend's own, which restarts it until it is replaced
     */
    record Description(Component component, List<String> lost, String restartPolicy) {
        public Description {
            lost = List.copyOf(lost);
        }
    }

    /**
     * Describes an instance as the component of that name.
     *
     * @throws RuntimeFailure {@code UNSUPPORTED} if its image has no reference that a definition could name, {@code NOT_FOUND}
     */
    Description describe(InstanceId instance, Name component);

    /** Gives the instance another name; idempotent. */
    void rename(InstanceId instance, String name);
}
