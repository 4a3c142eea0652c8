package dev.metacircular.model;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A reference to an image: {@code host[:port]/path[:tag][@digest]}, after the grammar of the OCI Distribution
 * Specification 1.1 with the image registry's host mandatory, so that no reference depends on a node's search list.
 *
 * @param registry the host with its port, {@code localhost} for the node's own images
 */
public record ImageRef(String registry, String repository, Optional<String> tag, Optional<String> digest) {
    private static final Pattern REGISTRY =
            Pattern.compile("(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\[[0-9a-fA-F:]+])(?::[0-9]{1,5})?");
    private static final Pattern REPOSITORY =
            Pattern.compile("[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*");
    private static final Pattern TAG = Pattern.compile("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}");
    private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");
    private static final Pattern WHOLE =
            Pattern.compile("(?<registry>[^/]+)/(?<repository>[^:@]+)(?::(?<tag>[^@]*))?(?:@(?<digest>.*))?");
    private static final int SHORT_DIGEST_CHARS = 12;

    /** What a valid reference looks like, for messages. */
    public static final String EXPECTED =
            "host[:port]/path[:tag][@sha256:digest], such as registry.example:5000/shop:v1";

    /** @throws IllegalArgumentException if the text is not a valid reference */
    public static ImageRef parse(String text) {
        Matcher whole = WHOLE.matcher(text);
        if (!whole.matches()) {
            throw invalid(text);
        }
        String registry = whole.group("registry");
        boolean namesHost = registry.contains(".") || registry.contains(":") || registry.equals("localhost");
        Optional<String> tag = Optional.ofNullable(whole.group("tag"));
        Optional<String> digest = Optional.ofNullable(whole.group("digest"));
        if (!namesHost
                || !REGISTRY.matcher(registry).matches()
                || !REPOSITORY.matcher(whole.group("repository")).matches()
                || tag.filter(t -> !TAG.matcher(t).matches()).isPresent()
                || digest.filter(d -> !DIGEST.matcher(d).matches()).isPresent()) {
            throw invalid(text);
        }
        return new ImageRef(registry, whole.group("repository"), tag, digest);
    }

    private static IllegalArgumentException invalid(String text) {
        return new IllegalArgumentException("'" + text + "' is not an image reference: expected " + EXPECTED);
    }

    /** The tag; {@code latest} where there is neither tag nor digest; a digest shortened to 12 hex digits. */
    public String version() {
        return tag.or(() -> digest.map(d -> d.substring("sha256:".length()).substring(0, SHORT_DIGEST_CHARS)))
                .orElse("latest");
    }

    /** Whether the reference may mean another image tomorrow: no digest, and the tag {@code latest} or none. */
    public boolean floats() {
        return digest.isEmpty() && tag.filter(t -> !t.equals("latest")).isEmpty();
    }

    /** Whether it is the node's own and never looked up elsewhere. */
    public boolean isLocal() {
        return registry.equals("localhost");
    }

    /** The last path segment of the repository. */
    public String lastSegment() {
        return repository.substring(repository.lastIndexOf('/') + 1);
    }

    @Override
    public String toString() {
        return registry + "/" + repository + tag.map(t -> ":" + t).orElse("")
                + digest.map(d -> "@" + d).orElse("");
    }
}
