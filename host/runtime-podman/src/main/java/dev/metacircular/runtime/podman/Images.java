package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The images that podman has, and how it gets them. */
final class Images {
    private final Libpod libpod;
    private final RegistryAccess registries;

    Images(Libpod libpod, RegistryAccess registries) {
        this.libpod = libpod;
        this.registries = registries;
    }

    Optional<Image> find(ImageRef reference) {
        Request request = Request.get("look up " + reference, Libpod.path("/images/{}/json", forPodman(reference)));
        try {
            return Optional.of(image(libpod.read(request), reference.registry() + "/" + reference.repository()));
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    List<Image> all() {
        List<Image> images = new ArrayList<>();
        for (JsonNode image : libpod.read(Request.get("list images", Libpod.path("/images/json")))) {
            images.add(image(image, ""));
        }
        return List.copyOf(images);
    }

    Image pull(ImageRef reference, PullListener listener) {
        if (!reference.isLocal()) {
            registries.trust(reference);
            new Pull(libpod, registries, reference).run(listener);
        }
        return find(reference)
                .orElseThrow(() -> new RuntimeFailure(
                        Kind.NOT_FOUND,
                        reference.isLocal()
                                ? "there is no image " + reference
                                        + " on this node, and localhost/ is never looked up elsewhere"
                                : "cannot pull " + reference + ": podman has pulled it, but does not have it"));
    }

    /** Name by name, the last of which takes the image with it; podman refuses what a container was made from. */
    boolean remove(Image image) {
        List<String> names = image.references().isEmpty() ? List.of(image.id()) : image.references();
        for (String name : names) {
            Request request = Request.delete("remove image " + name, Libpod.path("/images/{}?force=false", name));
            Answer answer = libpod.change(request);
            int notFound = 404;
            int conflict = 409;
            if (answer.status() == conflict) {
                return false;
            }
            if (!answer.isSuccess() && answer.status() != notFound) {
                throw Libpod.failure(request, answer);
            }
        }
        return all().stream().noneMatch(i -> i.id().equals(image.id()));
    }

    /** Podman takes a tag or a digest, and the digest says more. */
    static String forPodman(ImageRef reference) {
        String repository = reference.registry() + "/" + reference.repository();
        return reference
                .digest()
                .map(digest -> repository + "@" + digest)
                .orElseGet(() -> repository + ":" + reference.tag().orElse("latest"));
    }

    /** @param repository whose digest is wanted, empty for that of any repository that is not the node's own */
    private static Image image(JsonNode image, String repository) {
        List<String> references = new ArrayList<>();
        image.path("RepoTags").forEach(t -> references.add(t.asText()));
        String own = image.path("Digest").asText("");
        String digest = "";
        for (JsonNode repoDigest : image.path("RepoDigests")) {
            String[] parts = repoDigest.asText().split("@", 2);
            boolean wanted = repository.isEmpty() || parts[0].equals(repository);
            // An index's digest, where the image came from one, is what the registry has under the tag.
            if (parts.length == 2
                    && wanted
                    && !parts[0].startsWith("localhost/")
                    && (digest.isEmpty() || digest.equals(own))) {
                digest = parts[1];
            }
        }
        return new Image(
                image.path("Id").asText(),
                references,
                digest,
                image.path("Size").asLong());
    }
}
