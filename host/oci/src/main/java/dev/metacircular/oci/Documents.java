package dev.metacircular.oci;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads what registries keep in JSON. Whatever the bytes, the answer is a value or an {@link OciException}. */
final class Documents {
    static final ObjectMapper MAPPER = new ObjectMapper();
    /** The smallest of them takes a hundred times its size in memory. */
    private static final int MAX_TOKENS = 1 << 16;

    private Documents() {}

    /**
     * Reads a manifest or an index.
     *
     * @param what how messages call it
     * @param mediaType as the registry's header says, empty if it says nothing
     */
    static Document read(String what, String mediaType, byte[] bytes) {
        JsonNode json = json(what, bytes);
        String own = json.path("mediaType").asText("");
        if (!own.isEmpty() && !mediaType.isEmpty() && !own.equals(mediaType)) {
            throw invalid(what, "the registry calls it '%s', it calls itself '%s'".formatted(mediaType, own));
        }
        String type = own.isEmpty() ? mediaType : own;
        Descriptor self = Descriptor.of(type, bytes);
        if (MediaTypes.INDEXES.contains(type)) {
            return new Document.Index(self, descriptors(what, json, "manifests"));
        }
        if (!MediaTypes.MANIFESTS.contains(type)) {
            throw invalid(what, "its media type '%s' is neither a manifest's nor an index's".formatted(type));
        }
        if (json.has("manifests")) {
            throw invalid(what, "it is a manifest and an index at once");
        }
        return new Document.Manifest(
                self,
                text(json, "artifactType"),
                descriptor(what, json.path("config")),
                descriptors(what, json, "layers"),
                strings(json.path("annotations")));
    }

    static JsonNode json(String what, byte[] bytes) {
        try {
            requireFewTokens(what, bytes);
            JsonNode json = MAPPER.readTree(bytes);
            if (json == null || !json.isObject()) {
                throw invalid(what, "it is not a JSON object");
            }
            return json;
        } catch (IOException e) {
            throw invalid(what, "it is not JSON");
        }
    }

    private static void requireFewTokens(String what, byte[] bytes) throws IOException {
        try (JsonParser parser = MAPPER.createParser(bytes)) {
            for (int tokens = 0; parser.nextToken() != null; tokens++) {
                if (tokens == MAX_TOKENS) {
                    throw invalid(what, "it has more than " + MAX_TOKENS + " names, values and brackets");
                }
            }
        }
    }

    static OciException invalid(String what, String why) {
        return new OciException(Kind.INVALID, what + " is not usable: " + OneLine.of(why));
    }

    static Optional<String> text(JsonNode json, String key) {
        return Optional.of(json.path(key).asText("")).filter(text -> !text.isEmpty());
    }

    private static List<Descriptor> descriptors(String what, JsonNode json, String key) {
        JsonNode array = json.path(key);
        if (!array.isArray()) {
            throw invalid(what, "it has no list '" + key + "'");
        }
        if (array.size() > Document.MAX_ENTRIES) {
            throw invalid(
                    what, "it has %d %s, at most %d are taken".formatted(array.size(), key, Document.MAX_ENTRIES));
        }
        List<Descriptor> descriptors = new ArrayList<>();
        array.forEach(one -> descriptors.add(descriptor(what, one)));
        return descriptors;
    }

    private static Descriptor descriptor(String what, JsonNode json) {
        String digest = json.path("digest").asText("");
        if (!Sha256.isOne(digest)
                || !json.path("size").isIntegralNumber()
                || json.path("size").asLong() < 0) {
            throw invalid(what, "it has a descriptor without a SHA-256 digest or a size");
        }
        JsonNode platform = json.path("platform");
        return new Descriptor(
                json.path("mediaType").asText(""),
                new Sha256(digest),
                json.path("size").asLong(),
                strings(json.path("annotations")),
                text(json, "artifactType"),
                platform.isObject()
                        ? Optional.of(new Descriptor.Platform(
                                platform.path("os").asText(""),
                                platform.path("architecture").asText(""),
                                platform.path("variant").asText("")))
                        : Optional.empty());
    }

    static Map<String, String> strings(JsonNode json) {
        Map<String, String> strings = new LinkedHashMap<>();
        json.properties()
                .forEach(entry -> strings.put(entry.getKey(), entry.getValue().asText("")));
        return strings;
    }
}
