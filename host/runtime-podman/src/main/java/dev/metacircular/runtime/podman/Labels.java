package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

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
    static Optional<Identity> identity(JsonNode labels) {
        String node = labels.path(NODE).asText("");
        String service = labels.path(SERVICE).asText("");
        String component = labels.path(COMPONENT).asText("");
        String generation = labels.path(GENERATION).asText("");
        if (!Name.isValid(node)
                || !Name.isValid(service)
                || !Name.isValid(component)
                || !generation.matches("[0-9]{1,18}")) {
            return Optional.empty();
        }
        return Optional.of(new Identity(
                Name.of(node),
                ComponentId.of(service, component),
                Long.parseLong(generation),
                labels.path(DOCUMENT).asText("")));
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
