package dev.metacircular.runtime;

import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** The images of a {@link FakeRuntime}'s node, and of the registry that it pulls from. */
final class FakeImages {
    static final long BYTES = 4L << 20;

    private record Content(String id, FakeProgram program) {}

    private final Map<String, Content> registry = new HashMap<>();
    private final Set<String> denied = new HashSet<>();
    private final Map<String, Content> images = new TreeMap<>();
    private final Map<String, Content> contents = new LinkedHashMap<>();

    synchronized void publish(String reference, String id, FakeProgram program) {
        registry.put(ImageRef.parse(reference).toString(), new Content(id, program));
    }

    synchronized Image install(String reference, String id, FakeProgram program) {
        have(ImageRef.parse(reference).toString(), new Content(id, program));
        return view(id);
    }

    private void have(String reference, Content content) {
        images.put(reference, content);
        contents.put(content.id, content);
    }

    synchronized void tag(String reference, String other) {
        images.put(other, Objects.requireNonNull(images.get(reference)));
    }

    synchronized void deny(String reference) {
        denied.add(ImageRef.parse(reference).toString());
    }

    synchronized Optional<Image> find(ImageRef reference) {
        return Optional.ofNullable(images.get(reference.toString())).map(c -> view(c.id));
    }

    synchronized List<Image> all() {
        return contents.keySet().stream().map(this::view).toList();
    }

    synchronized boolean has(String id) {
        return contents.containsKey(id);
    }

    synchronized FakeProgram program(String id) {
        return Objects.requireNonNull(contents.get(id)).program;
    }

    private Image view(String id) {
        List<String> references = images.entrySet().stream()
                .filter(e -> e.getValue().id.equals(id))
                .map(Map.Entry::getKey)
                .toList();
        boolean pulled = registry.values().stream().anyMatch(c -> c.id.equals(id));
        return new Image(id, references, pulled ? "sha256:" + id : "", BYTES);
    }

    synchronized Image fetch(ImageRef reference) {
        String text = reference.toString();
        if (denied.contains(text)) {
            throw new RuntimeFailure(Kind.DENIED, "cannot pull " + text + ": the registry refuses the credentials");
        }
        Content content = reference.isLocal() ? images.get(text) : registry.get(text);
        if (content == null) {
            throw new RuntimeFailure(Kind.NOT_FOUND, "cannot pull " + text + ": there is no such image");
        }
        have(text, content);
        return view(content.id);
    }

    /** Takes those names from it, and itself if it has no other. */
    synchronized boolean remove(Image image) {
        image.references().forEach(images::remove);
        boolean named = images.values().stream().anyMatch(c -> c.id.equals(image.id()));
        if (!named) {
            contents.remove(image.id());
        }
        return !named;
    }
}
