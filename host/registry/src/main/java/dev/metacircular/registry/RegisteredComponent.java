package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;

/**
 * A component's row.
 *
 * @param desired without the service's {@code active} flag
 * @param generation that last changed the document; instances made from it bear this generation or a later one
 * @param documentVersion of the document's form
 * @param document the component's definition in its canonical form, without {@code desired}
 * @param documentDigest SHA-256 (hex) of the document
 * @param imageId the content that the deploy took the image's reference to mean; what is created again is made from it. Empty
 *     where none was ever pulled (a component that was registered stopped or ignored)
 */
public record RegisteredComponent(
        ComponentId id,
        Desired desired,
        long generation,
        int documentVersion,
        String document,
        String documentDigest,
        String imageId) {}
