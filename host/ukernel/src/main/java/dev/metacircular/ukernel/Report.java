package dev.metacircular.ukernel;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.model.Problem;
import java.io.PrintStream;
import java.util.Locale;

/**
 * Where a command says things. With {@code --json} results and failures are JSON on standard output, and of what is for
 * people only failures stay, on standard error.
 *
 * @param json whether programs read it
 */
record Report(boolean json, PrintStream out, PrintStream err) {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** Progress: a line on standard error. */
    void progress(String line) {
        if (!json) {
            err.println(line);
        }
    }

    /** A result line for people, on standard output. */
    void line(String line) {
        if (!json) {
            out.println(line);
        }
    }

    /** A result for programs: one line on standard output. */
    void value(JsonNode value) {
        if (json) {
            out.println(write(value));
            out.flush();
        }
    }

    /** A failure: for people on standard error, and for programs an object on standard output. */
    void error(Problem problem) {
        value(object().put("result", "failed")
                .set(
                        "error",
                        object().put("kind", problem.kind().name().toLowerCase(Locale.ROOT))
                                .put("what", problem.what())
                                .put("where", problem.where())
                                .put("next", problem.next())));
        err.println("error: " + problem);
        err.flush();
    }

    static ObjectNode object() {
        return JsonNodeFactory.instance.objectNode();
    }

    static ArrayNode array() {
        return JsonNodeFactory.instance.arrayNode();
    }

    private static String write(JsonNode value) {
        try {
            return MAPPER.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A size for people. */
    static String size(long bytes) {
        if (bytes < 1024) {
            return bytes + " B";
        }
        if (bytes < 1 << 20) {
            return "%.1f KiB".formatted(bytes / 1024.0);
        }
        return bytes < 1 << 30
                ? "%.1f MiB".formatted(bytes / (double) (1 << 20))
                : "%.1f GiB".formatted(bytes / (double) (1 << 30));
    }
}
