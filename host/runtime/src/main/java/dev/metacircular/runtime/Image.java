package dev.metacircular.runtime;

import java.util.List;

/**
 * An image that a node has.
 *
 * @param id the backend's name for its content; equal IDs mean equal content
 * @param references what it is called on this node
 * @param digest the manifest's digest {@code sha256:…} as the registry had it, empty if it never came from one
 */
public record Image(String id, List<String> references, String digest, long sizeBytes) {
    public Image {
        references = List.copyOf(references);
    }
}
