package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;

/** A whole answer. */
final class Answer {
    private final int status;
    private final byte[] body;

    Answer(int status, byte[] body) {
        this.status = status;
        this.body = body;
    }

    int status() {
        return status;
    }

    boolean isSuccess() {
        return status >= 200 && status < 300;
    }

    /** The body; nobody may change it. */
    byte[] bytes() {
        return body;
    }

    JsonNode json() {
        return Json.parse(body);
    }

    /** Podman's own message, in one line; else what can be said without one. */
    String message() {
        String text = Json.tryParse(body).path("message").asText("");
        if (text.isEmpty()) {
            text = new String(body, 0, Math.min(body.length, OneLine.MAX_CHARS), StandardCharsets.UTF_8);
        }
        return text.isBlank() ? "HTTP status " + status : OneLine.of(text);
    }

    /** Whether it is an error as podman itself tells one, and not what something between or a broken daemon answers. */
    boolean isPodmansError() {
        return !Json.tryParse(body).path("cause").isMissingNode();
    }
}
