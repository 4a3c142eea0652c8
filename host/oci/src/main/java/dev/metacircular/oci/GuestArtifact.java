package dev.metacircular.oci;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** A guest image as an artifact of a registry; docs/image-format.md has its form. */
public final class GuestArtifact {
    public static final String ARTIFACT_TYPE = "application/vnd.metacircular.ukernel.image.v1";
    public static final String LAYER_TYPE = "application/vnd.metacircular.ukernel.image.v1+erofs";

    /** The largest guest image that is taken. */
    public static final long MAX_BYTES = 8L << 30;

    private static final String TITLE = "org.opencontainers.image.title";
    private static final byte[] EMPTY = "{}".getBytes(StandardCharsets.UTF_8);

    private GuestArtifact() {}

    /** What was pushed: the manifest and the image itself. */
    public record Pushed(Descriptor manifest, Descriptor image) {}

    /**
     * Sends a file that has been found to be a guest image. The tag means it once all of it is there.
     *
     * @param title the file's name, for people
     */
    public static Pushed push(
            RegistryClient registry, String repository, String tag, Path file, String title, Progress progress) {
        Descriptor image = RegistryClient.describe(file, LAYER_TYPE, Map.of(TITLE, title));
        if (image.sizeBytes() > MAX_BYTES) {
            throw Documents.invalid(file.toString(), "it has more than " + MAX_BYTES + " bytes");
        }
        registry.upload(repository, image, file, progress);
        Descriptor empty = registry.upload(repository, MediaTypes.EMPTY, EMPTY);
        byte[] manifest = manifest(empty, image);
        return new Pushed(registry.putManifest(repository, tag, MediaTypes.MANIFEST, manifest), image);
    }

    private static byte[] manifest(Descriptor empty, Descriptor image) {
        ObjectNode manifest = Documents.MAPPER
                .createObjectNode()
                .put("schemaVersion", 2)
                .put("mediaType", MediaTypes.MANIFEST)
                .put("artifactType", ARTIFACT_TYPE);
        manifest.set("config", descriptor(empty));
        ArrayNode layers = manifest.putArray("layers");
        layers.add(descriptor(image));
        try {
            return Documents.MAPPER.writeValueAsBytes(manifest);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ObjectNode descriptor(Descriptor descriptor) {
        ObjectNode json = Documents.MAPPER
                .createObjectNode()
                .put("mediaType", descriptor.mediaType())
                .put("digest", descriptor.digest().text())
                .put("size", descriptor.sizeBytes());
        if (!descriptor.annotations().isEmpty()) {
            ObjectNode annotations = json.putObject("annotations");
            descriptor.annotations().forEach(annotations::put);
        }
        return json;
    }

    /**
     * The image's descriptor.
     *
     * @return empty if the manifest is of something else
     * @throws OciException INVALID if it says to be a guest image and is not a well-formed one
     */
    public static Optional<Descriptor> imageOf(String what, Document.Manifest manifest) {
        String type = manifest.artifactType().orElse(manifest.config().mediaType());
        if (!type.equals(ARTIFACT_TYPE)) {
            return Optional.empty();
        }
        if (manifest.layers().size() != 1
                || !manifest.layers().getFirst().mediaType().equals(LAYER_TYPE)) {
            throw Documents.invalid(what, "a guest image has one layer, of the type " + LAYER_TYPE);
        }
        Descriptor image = manifest.layers().getFirst();
        if (image.sizeBytes() > MAX_BYTES) {
            throw Documents.invalid(
                    what, "the image has %d bytes, at most %d are taken".formatted(image.sizeBytes(), MAX_BYTES));
        }
        return Optional.of(image);
    }
}
