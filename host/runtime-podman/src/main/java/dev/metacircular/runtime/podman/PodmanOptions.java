package dev.metacircular.runtime.podman;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.Map;

/**
 * What a {@link PodmanRuntime} needs to know.
 *
 * @param socket podman's unix socket
 * @param node the node that instances are labelled with
 * @param home the home folder of the user that podman's service runs as: a private registry's CA is put into its
 *     {@code .config/containers/certs.d}, the one place where podman's service looks for it at each pull
 * @param registries image registries by {@code host[:port]}; others are reached as {@link RegistryOptions#DEFAULT} says
 */
public record PodmanOptions(
        Path socket, Name node, Path home, Map<String, RegistryOptions> registries, PodmanDeadlines deadlines) {
    public PodmanOptions {
        registries = Map.copyOf(registries);
    }

    /** With the caller's home folder, no particular registries and the default deadlines. */
    public static PodmanOptions of(Path socket, Name node) {
        return new PodmanOptions(
                socket, node, Path.of(System.getProperty("user.home", "/")), Map.of(), PodmanDeadlines.DEFAULT);
    }

    public PodmanOptions withHome(Path value) {
        return new PodmanOptions(socket, node, value, registries, deadlines);
    }

    public PodmanOptions withRegistries(Map<String, RegistryOptions> value) {
        return new PodmanOptions(socket, node, home, value, deadlines);
    }

    public PodmanOptions withDeadlines(PodmanDeadlines value) {
        return new PodmanOptions(socket, node, home, registries, value);
    }
}
