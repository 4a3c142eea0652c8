package dev.metacircular.runtime.podman;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** The labels that containers of ours bear. */
final class Labels {
    static final String NODE = "dev.metacircular.node";
    static final String SERVICE = "dev.metacircular.service";
    static final String COMPONENT = "dev.metacircular.component";
    static final String GENERATION = "dev.metacircular.generation";
    static final String DOCUMENT = "dev.metacircular.document";
    /** The reference that the instance was made with, for podman is only told the image's ID. */
    static final String IMAGE = "dev.metacircular.image";
    /** The names of podman's secrets that go with the instance. */
    static final String SECRETS = "dev.metacircular.secrets";

    /** The key of the runtime whose instance the container carries; absent of one that is an instance itself. */
    static final String RUNTIME = "dev.metacircular.runtime";
    /** The ID of the image that a carried instance was made from: podman knows none. */
    static final String IMAGE_ID = "dev.metacircular.image-id";

    private static final Pattern GENERATIONS = Pattern.compile("[0-9]{1,18}");

    private Labels() {}

    static Map<String, String> of(Identity identity) {
        Map<String, String> labels = new LinkedHashMap<>();
        labels.put(NODE, identity.node().value());
        labels.put(SERVICE, identity.component().service().value());
        labels.put(COMPONENT, identity.component().component().value());
        labels.put(GENERATION, Long.toString(identity.generation()));
        labels.put(DOCUMENT, identity.documentDigest());
        return labels;
    }

    /** Empty where a label is missing or faulty: such a container is not ours. */
    static Optional<Identity> identity(Map<String, String> labels) {
        String node = labels.getOrDefault(NODE, "");
        String service = labels.getOrDefault(SERVICE, "");
        String component = labels.getOrDefault(COMPONENT, "");
        String generation = labels.getOrDefault(GENERATION, "");
        if (!Name.isValid(node)
                || !Name.isValid(service)
                || !Name.isValid(component)
                || !GENERATIONS.matcher(generation).matches()) {
            return Optional.empty();
        }
        return Optional.of(new Identity(
                Name.of(node),
                ComponentId.of(service, component),
                Long.parseLong(generation),
                labels.getOrDefault(DOCUMENT, "")));
    }

    /** A value that this version does not know is of an ordinary container. */
    static RuntimeKind kind(Map<String, String> labels) {
        return RuntimeKind.parse(labels.getOrDefault(RUNTIME, "")).orElse(RuntimeKind.CONTAINER);
    }

    /** The value of the {@code filters} parameter that asks for what bears all these labels. */
    static String filter(Map<String, String> labels) {
        return Json.text(Map.of(
                "label",
                labels.entrySet().stream()
                        .map(e -> e.getKey() + "=" + e.getValue())
                        .toList()));
    }
}
