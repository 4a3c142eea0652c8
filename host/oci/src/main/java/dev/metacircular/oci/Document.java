package dev.metacircular.oci;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a registry has under a tag or a manifest's digest. */
public sealed interface Document {
    /** The largest one that is read. */
    int MAX_BYTES = 1 << 20;

    /** Most entries of a list in one. */
    int MAX_ENTRIES = 1024;

    /** Its own media type, digest and size. */
    Descriptor self();

    /**
     * An image or an artifact (OCI Image Specification, manifest.md).
     *
     * @param artifactType empty for an image
     */
    record Manifest(
            Descriptor self,
            Optional<String> artifactType,
            Descriptor config,
            List<Descriptor> layers,
            Map<String, String> annotations)
            implements Document {
        public Manifest {
            layers = List.copyOf(layers);
            annotations = Map.copyOf(annotations);
        }
    }

    /** Images for several platforms (OCI Image Specification, image-index.md). */
    record Index(Descriptor self, List<Descriptor> manifests) implements Document {
        public Index {
            manifests = List.copyOf(manifests);
        }
    }
}
