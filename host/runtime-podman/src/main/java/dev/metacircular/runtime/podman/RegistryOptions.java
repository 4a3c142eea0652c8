package dev.metacircular.runtime.podman;

import java.nio.file.Path;
import java.util.Optional;

/**
 * How one image registry is reached.
 *
 * @param authFile credentials in the format of containers-auth.json(5), read anew for every pull; empty for none
 * @param caFile certificates (PEM) of the authorities that may have signed the registry's certificate besides the system's
 * @param insecure whether plain HTTP and any certificate will do
 */
public record RegistryOptions(Optional<Path> authFile, Optional<Path> caFile, boolean insecure) {
    /** Anonymous, over TLS, trusted as the system trusts. */
    public static final RegistryOptions DEFAULT = new RegistryOptions(Optional.empty(), Optional.empty(), false);

    public RegistryOptions {
        if (insecure && caFile.isPresent()) {
            throw new IllegalArgumentException("an image registry is either insecure or has a CA file, not both");
        }
    }

    public static RegistryOptions plainHttp() {
        return new RegistryOptions(Optional.empty(), Optional.empty(), true);
    }
}
