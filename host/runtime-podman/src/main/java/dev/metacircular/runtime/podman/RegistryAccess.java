package dev.metacircular.runtime.podman;

import dev.metacircular.model.ImageRef;
import dev.metacircular.oci.Credentials;
import dev.metacircular.oci.OciException;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;

/**
 * What podman needs to reach an image registry. Credentials go with each request; a private authority's certificate cannot,
 * so it is put where podman's service looks at each pull: {@code ~/.config/containers/certs.d/<host:port>/} (containers-certs.d(5)),
 * in a file of this system's own beside whatever else is there.
 */
final class RegistryAccess {
    private static final String CA_FILE = "metacircular.crt";

    private final PodmanOptions options;

    RegistryAccess(PodmanOptions options) {
        this.options = options;
    }

    RegistryOptions of(ImageRef reference) {
        return options.registries().getOrDefault(reference.registry(), RegistryOptions.DEFAULT);
    }

    /** Brings certs.d to what the options say of this registry. */
    void trust(ImageRef reference) {
        RegistryOptions registry = of(reference);
        Path folder = options.home().resolve(".config/containers/certs.d").resolve(reference.registry());
        Path file = folder.resolve(CA_FILE);
        try {
            if (registry.caFile().isEmpty()) {
                Files.deleteIfExists(file);
                return;
            }
            byte[] wanted = Files.readAllBytes(registry.caFile().get());
            if (!Files.exists(file) || !Arrays.equals(wanted, Files.readAllBytes(file))) {
                Files.createDirectories(folder);
                Path fresh = Files.createTempFile(folder, ".metacircular", ".new");
                Files.write(fresh, wanted);
                Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-r--r--"));
                Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException e) {
            throw new RuntimeFailure(
                    Kind.FAILED,
                    "cannot give podman the CA of " + reference.registry() + " in " + folder + ": " + why(e),
                    e);
        }
    }

    /** The header with the credentials, none where the options name no file or it has none for the registry. */
    Map<String, String> headers(ImageRef reference) {
        Optional<Path> file = of(reference).authFile();
        if (file.isEmpty()) {
            return Map.of();
        }
        try {
            return Credentials.find(file.get(), reference.registry(), reference.repository())
                    .map(RegistryAccess::document)
                    .map(c -> Base64.getUrlEncoder().encodeToString(Json.bytes(c)))
                    .map(header -> Map.of("X-Registry-Auth", header))
                    .orElse(Map.of());
        } catch (OciException e) {
            throw new RuntimeFailure(Kind.FAILED, String.valueOf(e.getMessage()), e);
        }
    }

    private static Map<String, String> document(Credentials credentials) {
        return switch (credentials) {
            case Credentials.Password(String user, String password) -> Map.of("username", user, "password", password);
            case Credentials.IdentityToken(String token) -> Map.of("identitytoken", token);
        };
    }

    private static String why(IOException error) {
        return error.getClass().getSimpleName() + " " + OneLine.of(String.valueOf(error.getMessage()));
    }
}
