package dev.metacircular.oci;

import java.util.Set;

/** The media types of images (OCI Image Specification, media-types.md) and their forerunners of Docker's. */
public final class MediaTypes {
    public static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    public static final String INDEX = "application/vnd.oci.image.index.v1+json";
    public static final String CONFIG = "application/vnd.oci.image.config.v1+json";
    public static final String EMPTY = "application/vnd.oci.empty.v1+json";
    public static final String LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
    public static final String LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    public static final String LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";

    static final String DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    static final String DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
    static final String DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    static final String DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    static final String DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar";

    static final Set<String> MANIFESTS = Set.of(MANIFEST, DOCKER_MANIFEST);
    static final Set<String> INDEXES = Set.of(INDEX, DOCKER_INDEX);

    private MediaTypes() {}

    /** Whether this is the configuration of an image that containers are made from. */
    public static boolean isImageConfig(String mediaType) {
        return mediaType.equals(CONFIG) || mediaType.equals(DOCKER_CONFIG);
    }

    /** Whether this is a layer in tar's form, compressed by gzip. */
    public static boolean isGzipLayer(String mediaType) {
        return mediaType.equals(LAYER_GZIP) || mediaType.equals(DOCKER_LAYER);
    }

    /** Whether this is a layer in tar's form, not compressed. */
    public static boolean isPlainLayer(String mediaType) {
        return mediaType.equals(LAYER_TAR) || mediaType.equals(DOCKER_LAYER_TAR);
    }
}
