package dev.metacircular.runtime;

import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.PortMapping;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * An instance as its backend tells it.
 *
 * @param name what people see; while set aside, another than the canonical one
 * @param identity empty for one that this system did not make
 * @param image the reference that it was made with, as text, for it may be anything for an instance that is not ours
 * @param imageId the backend's ID of the image's content
 * @param setAside whether it has given up its canonical name ({@link Runtime#setAside})
 */
public record Instance(
        InstanceId id,
        String name,
        Optional<Identity> identity,
        String image,
        String imageId,
        InstanceState state,
        Instant createdAt,
        List<PortMapping> ports,
        boolean setAside) {
    public Instance {
        ports = List.copyOf(ports);
    }
}
