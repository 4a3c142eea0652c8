package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;

/** JSON as podman's API speaks it. */
final class Json {
    static final JsonMapper MAPPER = new JsonMapper();

    private Json() {}

    static byte[] bytes(Object document) {
        try {
            return MAPPER.writeValueAsBytes(document);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String text(Object document) {
        try {
            return MAPPER.writeValueAsString(document);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @throws RuntimeFailure if it is not JSON: whatever answered is not a working podman */
    static JsonNode parse(byte[] document) {
        try {
            return MAPPER.readTree(document);
        } catch (IOException e) {
            throw new RuntimeFailure(Kind.UNREACHABLE, "podman's answer is not JSON", e);
        }
    }

    /** A missing node if it is not JSON. */
    static JsonNode tryParse(byte[] document) {
        try {
            return document.length == 0 ? MissingNode.getInstance() : MAPPER.readTree(document);
        } catch (IOException e) {
            return MissingNode.getInstance();
        }
    }
}
