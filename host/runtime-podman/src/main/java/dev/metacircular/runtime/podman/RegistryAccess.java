package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
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
        JsonNode auths = read(file.get()).path("auths");
        return find(auths, reference)
                .map(entry -> credentials(entry, file.get()))
                .map(c -> Base64.getUrlEncoder().encodeToString(Json.bytes(c)))
                .map(header -> Map.of("X-Registry-Auth", header))
                .orElse(Map.of());
    }

    private static JsonNode read(Path file) {
        try {
            return Json.MAPPER.readTree(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new RuntimeFailure(Kind.FAILED, "cannot read the credentials in " + file + ": " + why(e), e);
        }
    }

    private static String why(IOException error) {
        return error.getClass().getSimpleName() + " " + OneLine.of(String.valueOf(error.getMessage()));
    }

    /** The most particular entry: a repository's before its namespace's before its registry's (containers-auth.json(5)). */
    private static Optional<JsonNode> find(JsonNode auths, ImageRef reference) {
        String key = reference.registry() + "/" + reference.repository();
        while (true) {
            JsonNode entry = auths.path(key);
            if (entry.isObject()) {
                return Optional.of(entry);
            }
            int slash = key.lastIndexOf('/');
            if (slash < 0) {
                return Optional.empty();
            }
            key = key.substring(0, slash);
        }
    }

    private static Map<String, String> credentials(JsonNode entry, Path file) {
        Map<String, String> credentials = new LinkedHashMap<>();
        String token = entry.path("identitytoken").asText("");
        if (!token.isEmpty()) {
            credentials.put("identitytoken", token);
            return credentials;
        }
        String[] pair;
        try {
            pair = new String(Base64.getDecoder().decode(entry.path("auth").asText("")), StandardCharsets.UTF_8)
                    .split(":", 2);
        } catch (IllegalArgumentException e) {
            pair = new String[0];
        }
        if (pair.length != 2) {
            throw new RuntimeFailure(Kind.FAILED, "an entry of " + file + " has no usable 'auth'");
        }
        credentials.put("username", pair[0]);
        credentials.put("password", pair[1]);
        return credentials;
    }
}
