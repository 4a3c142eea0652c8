package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Holds a trace in JSON to what the «Trace Event Format» demands of each kind of event that we write. */
final class ChromeReader {
    private final Map<Long, List<JsonNode>> complete = new HashMap<>();
    private final Set<String> asynchronous = new HashSet<>();
    private final Set<String> flows = new HashSet<>();
    private final List<String> spans = new ArrayList<>();

    private ChromeReader() {}

    /** The names of its spans. */
    static List<String> spans(JsonNode trace) {
        ChromeReader reader = new ChromeReader();
        assertThat(trace.path("displayTimeUnit").asText()).isIn("ms", "ns");
        assertThat(trace.path("traceEvents").isArray()).isTrue();
        trace.path("traceEvents").forEach(reader::add);
        assertThat(reader.asynchronous).as("asynchronous events without end").isEmpty();
        assertThat(reader.flows).as("flows without end").isEmpty();
        reader.complete.values().forEach(ChromeReader::checkNesting);
        return reader.spans;
    }

    private void add(JsonNode event) {
        String name = event.path("name").asText();
        assertThat(name).as(event.toString()).isNotEmpty();
        assertThat(event.path("pid").isIntegralNumber()).as(event.toString()).isTrue();
        assertThat(event.path("tid").isIntegralNumber()).as(event.toString()).isTrue();
        String phase = event.path("ph").asText();
        if (phase.equals("M")) {
            assertThat(name).isIn("process_name", "thread_name");
            assertThat(event.path("args").path("name").asText()).isNotEmpty();
            return;
        }
        assertThat(event.path("ts").isNumber()).as(event.toString()).isTrue();
        assertThat(event.path("ts").decimalValue()).isNotNegative();
        // What belongs together has category, name and identifier in common.
        String bond = event.path("cat").asText() + " " + name + " " + event.path("id");
        switch (phase) {
            case "X" -> {
                assertThat(event.path("dur").decimalValue())
                        .as(event.toString())
                        .isNotNegative();
                complete.computeIfAbsent(event.path("tid").asLong(), _ -> new ArrayList<>())
                        .add(event);
                spans.add(name);
            }
            case "i" -> assertThat(event.path("s").asText()).isIn("g", "p", "t");
            case "b" -> {
                assertThat(event.has("id") && event.has("cat")).isTrue();
                assertThat(asynchronous.add(bond)).as(event.toString()).isTrue();
                spans.add(name);
            }
            case "e" ->
                assertThat(asynchronous.remove(bond)).as(event.toString()).isTrue();
            case "s" -> {
                assertThat(event.has("id") && event.has("cat")).isTrue();
                assertThat(flows.add(bond)).as(event.toString()).isTrue();
            }
            case "f" -> assertThat(flows.remove(bond)).as(event.toString()).isTrue();
            default -> throw new AssertionError("an event of another kind: " + event);
        }
    }

    /** Complete events of a thread lie one in another or one after another. */
    private static void checkNesting(List<JsonNode> events) {
        Deque<BigDecimal> open = new ArrayDeque<>();
        events.stream()
                .sorted(Comparator.comparing(ChromeReader::start)
                        .thenComparing(ChromeReader::end, Comparator.reverseOrder()))
                .forEach(event -> {
                    while (!open.isEmpty() && open.peek().compareTo(start(event)) <= 0) {
                        open.pop();
                    }
                    if (!open.isEmpty()) {
                        assertThat(end(event)).as(event.toString()).isLessThanOrEqualTo(open.peek());
                    }
                    open.push(end(event));
                });
    }

    private static BigDecimal start(JsonNode event) {
        return event.path("ts").decimalValue();
    }

    private static BigDecimal end(JsonNode event) {
        return start(event).add(event.path("dur").decimalValue());
    }
}
