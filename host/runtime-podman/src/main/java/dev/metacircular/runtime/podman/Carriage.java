package dev.metacircular.runtime.podman;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceSpec;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How an instance of another kind is carried by a container: a program of the host's, in namespaces of its own and on its service's
 * networks, that runs the instance. Of the component the container has the name, the labels, the networks and the published ports;
 * command, environment, secrets, user, volumes and limits are not the container's.
 *
 * @param rootfs a folder tree of the host's, given read-only, without links in its path
 * @param mounts their sources are real paths, as in {@link InstanceSpec#volumes}: a start is refused where one is a link, or has come to be one
 * @param devices paths of device files, such as {@code /dev/net/tun}
 * @param capabilities without {@code CAP_}; all others are dropped
 * @param labels besides those that every instance bears
 */
public record Carriage(
        Path rootfs,
        List<String> command,
        List<InstanceSpec.Mount> mounts,
        List<Path> devices,
        Set<String> capabilities,
        Map<String, String> labels) {
    public Carriage {
        command = List.copyOf(command);
        mounts = List.copyOf(mounts);
        devices = List.copyOf(devices);
        capabilities = Set.copyOf(capabilities);
        labels = Map.copyOf(labels);
    }

    /** Prepares what carries instances of its kind. */
    public interface Maker {
        /** Another kind than {@link RuntimeKind#CONTAINER}. */
        RuntimeKind kind();

        /**
         * What carries an instance that does not exist yet. Called again for the same identity where a creation failed or two raced;
         * what it made for one that came to nothing is its own to collect.
         *
         * @throws dev.metacircular.runtime.RuntimeFailure if there is no carriage for it; nothing is created then
         */
        Carriage of(InstanceSpec spec);
    }
}
