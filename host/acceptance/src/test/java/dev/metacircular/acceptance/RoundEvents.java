package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** The events of one round: the node's own, those of the service that was touched, and those of others. */
final class RoundEvents {
    /** Kinds that tell of a component's beginning. */
    private static final Set<String> BEGINS = Set.of("started", "restarted", "recovered", "recreated", "running");

    private final List<JsonNode> events;
    private final String touched;

    RoundEvents(List<JsonNode> events, String touched) {
        this.events = events;
        this.touched = touched;
    }

    private static String service(JsonNode event) {
        return event.get("service").asText();
    }

    private static String kind(JsonNode event) {
        return event.get("kind").asText();
    }

    List<String> ofOthers() {
        return events.stream()
                .filter(e -> !service(e).isEmpty() && !service(e).equals(touched))
                .map(RoundEvents::tell)
                .toList();
    }

    long count(String kind) {
        return events.stream().filter(e -> kind(e).equals(kind)).count();
    }

    long begins() {
        return events.stream().filter(e -> BEGINS.contains(kind(e))).count();
    }

    /** Kinds that came more than once for the same thing. */
    Set<String> repeated() {
        Set<String> seen = new HashSet<>();
        Set<String> repeated = new HashSet<>();
        for (JsonNode e : events) {
            String key = service(e) + "/" + e.get("component").asText() + " " + kind(e);
            if (!service(e).isEmpty() && !seen.add(key)) {
                repeated.add(key);
            }
        }
        return repeated;
    }

    /** In one line, in the order of their numbers. */
    @Override
    public String toString() {
        return events.stream().map(RoundEvents::tell).collect(Collectors.joining(", ", "[", "]"));
    }

    private static String tell(JsonNode event) {
        return "%d %s %s/%s%s \"%s\""
                .formatted(
                        event.get("id").asLong(),
                        kind(event),
                        service(event),
                        event.get("component").asText(),
                        event.path("net").asBoolean() ? " (net)" : "",
                        event.get("message").asText());
    }
}
