package dev.metacircular.oci;

import java.util.Map;
import java.util.Optional;

/**
 * Points to content (OCI Image Specification, descriptor.md).
 *
 * @param platform for what machine it is, in an index
 */
public record Descriptor(
        String mediaType,
        Sha256 digest,
        long sizeBytes,
        Map<String, String> annotations,
        Optional<String> artifactType,
        Optional<Platform> platform) {
    public Descriptor {
        annotations = Map.copyOf(annotations);
        if (sizeBytes < 0) {
            throw new OciException(OciException.Kind.INVALID, digest + " has a size of " + sizeBytes + " bytes");
        }
    }

    /** @param variant empty where none is named */
    public record Platform(String os, String architecture, String variant) {
        @Override
        public String toString() {
            return os + "/" + architecture + (variant.isEmpty() ? "" : "/" + variant);
        }
    }

    static Descriptor of(String mediaType, byte[] content) {
        return new Descriptor(
                mediaType, Sha256.of(content), content.length, Map.of(), Optional.empty(), Optional.empty());
    }
}
