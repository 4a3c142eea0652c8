package dev.metacircular.runtime;

import dev.metacircular.model.Component;
import dev.metacircular.model.Identity;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * All that a backend needs to make an instance.
 *
 * @param imageId what {@link Image#id} was when it was planned: this content is run, whatever the tag means meanwhile
 * @param networks the service's own first
 * @param volumes resolved to the host's paths, which exist
 * @param secrets name to value, given as environment variables; a backend keeps them out of its listings and its command lines
 * @param enforceLimits whether a limit that cannot be enforced fails the creation; else it is left out
 */
public record InstanceSpec(
        Identity identity,
        Component component,
        String imageId,
        List<Attachment> networks,
        List<Mount> volumes,
        Map<String, String> secrets,
        boolean enforceLimits) {
    public InstanceSpec {
        networks = List.copyOf(networks);
        volumes = List.copyOf(volumes);
        secrets = Map.copyOf(secrets);
    }

    /** @param aliases the names under which the instance is reached on that network */
    public record Attachment(Network network, List<String> aliases) {
        public Attachment {
            aliases = List.copyOf(aliases);
        }
    }

    /** @param target an absolute path in the instance */
    public record Mount(Path source, String target, boolean readOnly) {}

    @Override
    public String toString() {
        return "InstanceSpec[" + identity + ", secrets " + secrets.keySet() + "]";
    }
}
