package dev.metacircular.runtime.microvm;

import dev.metacircular.oci.Deadlines;
import dev.metacircular.runtime.podman.RegistryOptions;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * What {@link GuestImages} need to know.
 *
 * @param directory the store's, made when needed
 * @param registries by host and port; others are reached by {@link RegistryOptions#DEFAULT}
 * @param guest the folder of {@link GuestSystem#in}; empty: ordinary images are refused
 */
public record GuestImageOptions(
        Path directory,
        Map<String, RegistryOptions> registries,
        Optional<Path> guest,
        Limits limits,
        Deadlines deadlines) {
    public GuestImageOptions {
        registries = Map.copyOf(registries);
    }

    /**
     * What is taken.
     *
     * @param storeBytes of all images of the store together
     * @param unpackedBytes of an ordinary image's layers, unpacked
     * @param entries files and folders of an ordinary image
     * @param depth folders within one another
     */
    public record Limits(long storeBytes, long unpackedBytes, int entries, int depth) {
        public static final Limits DEFAULT = new Limits(64L << 30, 8L << 30, 40_000, 64);
    }

    /** With the usual bounds. */
    public static GuestImageOptions of(Path directory, Map<String, RegistryOptions> registries, Optional<Path> guest) {
        return new GuestImageOptions(directory, registries, guest, Limits.DEFAULT, Deadlines.DEFAULT);
    }
}
