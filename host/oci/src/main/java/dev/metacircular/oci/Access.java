package dev.metacircular.oci;

import java.nio.file.Path;
import java.util.Optional;

/**
 * How a registry is reached. Nothing else of the machine is asked: no file of Docker's or podman's, no environment variable.
 *
 * @param authFile credentials in the format of containers-auth.json(5), read anew by each {@link RegistryClient}; empty for none
 * @param caFile certificates (PEM) of the authorities that may have signed the registry's certificate besides the system's
 * @param insecure whether any certificate and, where there is no TLS, plain HTTP will do
 */
public record Access(Optional<Path> authFile, Optional<Path> caFile, boolean insecure) {
    /** Anonymous, over TLS, trusted as the system trusts. */
    public static final Access DEFAULT = new Access(Optional.empty(), Optional.empty(), false);

    public Access {
        if (insecure && caFile.isPresent()) {
            throw new IllegalArgumentException("an image registry is either insecure or has a CA file, not both");
        }
    }
}
