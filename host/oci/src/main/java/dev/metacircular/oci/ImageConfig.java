package dev.metacircular.oci;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/**
 * How a container of an image is run (OCI Image Specification, config.md).
 *
 * @param environment {@code NAME=VALUE}
 * @param workingDirectory empty where none is named
 * @param diffIds the layers' digests before compression, the lowest layer first
 */
public record ImageConfig(
        String os,
        String architecture,
        List<String> entrypoint,
        List<String> command,
        List<String> environment,
        String workingDirectory,
        List<Sha256> diffIds) {
    /** The largest one that is read. */
    public static final int MAX_BYTES = 1 << 20;

    public ImageConfig {
        entrypoint = List.copyOf(entrypoint);
        command = List.copyOf(command);
        environment = List.copyOf(environment);
        diffIds = List.copyOf(diffIds);
    }

    /**
     * Reads one.
     *
     * @param what how messages call it
     */
    public static ImageConfig read(String what, byte[] bytes) {
        JsonNode json = Documents.json(what, bytes);
        JsonNode config = json.path("config");
        List<Sha256> diffIds = new ArrayList<>();
        for (String digest : texts(what, json.path("rootfs"), "diff_ids")) {
            diffIds.add(new Sha256(digest));
        }
        return new ImageConfig(
                json.path("os").asText(""),
                json.path("architecture").asText(""),
                texts(what, config, "Entrypoint"),
                texts(what, config, "Cmd"),
                texts(what, config, "Env"),
                config.path("WorkingDir").asText(""),
                diffIds);
    }

    private static List<String> texts(String what, JsonNode json, String key) {
        JsonNode array = json.path(key);
        if (array.isMissingNode() || array.isNull()) {
            return List.of();
        }
        if (!array.isArray() || array.size() > Document.MAX_ENTRIES) {
            throw Documents.invalid(what, "'" + key + "' is not a list of at most " + Document.MAX_ENTRIES);
        }
        List<String> texts = new ArrayList<>();
        for (JsonNode one : array) {
            if (!one.isTextual()) {
                throw Documents.invalid(what, "'" + key + "' holds something that is not text");
            }
            texts.add(one.asText());
        }
        return texts;
    }
}
