package dev.metacircular.oci;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Optional;

/** What a registry knows a caller by. */
public sealed interface Credentials {
    record Password(String user, String password) implements Credentials {
        /** For {@code Authorization}. */
        public String header() {
            return "Basic "
                    + Base64.getEncoder().encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public String toString() {
            return "Password[" + user + "]";
        }
    }

    /** A refresh token (OAuth 2.0). */
    record IdentityToken(String token) implements Credentials {
        @Override
        public String toString() {
            return "IdentityToken[]";
        }
    }

    /** The largest file that is read. */
    int MAX_FILE_BYTES = 1 << 20;

    /**
     * The most particular entry of a file: a repository's before its namespace's before its registry's (containers-auth.json(5)).
     *
     * @throws OciException FAILED if the file cannot be read or is none; nothing of what stands in it is said
     */
    static Optional<Credentials> find(Path file, String registry, String repository) {
        JsonNode auths = read(file).path("auths");
        String key = registry + "/" + repository;
        while (true) {
            JsonNode entry = auths.path(key);
            if (entry.isObject()) {
                return Optional.of(read(entry, file));
            }
            int slash = key.lastIndexOf('/');
            if (slash < 0) {
                return Optional.empty();
            }
            key = key.substring(0, slash);
        }
    }

    private static JsonNode read(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(MAX_FILE_BYTES + 1);
        } catch (IOException e) {
            throw new OciException(Kind.FAILED, "the credentials in " + file + " cannot be read: " + OneLine.of(e), e);
        }
        if (bytes.length > MAX_FILE_BYTES) {
            throw new OciException(
                    Kind.FAILED, "the credentials in " + file + " have more than " + MAX_FILE_BYTES + " bytes");
        }
        String where = "";
        try {
            return Documents.MAPPER.readTree(bytes);
        } catch (JsonProcessingException e) {
            // Its message and its text hold what stands there.
            if (e.getLocation() != null) {
                where = " (line %d, column %d)"
                        .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr());
            }
        } catch (IOException e) {
            where = " (" + e.getClass().getSimpleName() + ")";
        }
        throw new OciException(Kind.FAILED, "the credentials in " + file + " are no JSON" + where);
    }

    private static Credentials read(JsonNode entry, Path file) {
        String token = entry.path("identitytoken").asText("");
        if (!token.isEmpty()) {
            return new IdentityToken(token);
        }
        try {
            byte[] auth = Base64.getDecoder().decode(entry.path("auth").asText(""));
            String text = new String(auth, StandardCharsets.UTF_8);
            int colon = text.indexOf(':');
            if (colon > 0) {
                return new Password(text.substring(0, colon), text.substring(colon + 1));
            }
        } catch (IllegalArgumentException e) {
            // Said below, without what stands there.
        }
        throw new OciException(Kind.FAILED, "an entry of " + file + " has no usable 'auth'");
    }
}
