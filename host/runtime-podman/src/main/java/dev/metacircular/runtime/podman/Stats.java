package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Usage;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** What podman measures of its containers, as its {@code stats} tells it of all that run at once. */
final class Stats {
    private Stats() {}

    /** @param kinds whose usage is wanted */
    static Map<InstanceId, Usage> of(JsonNode answer, Kinds kinds) {
        Map<InstanceId, Usage> usage = new HashMap<>();
        for (JsonNode one : answer.path("Stats")) {
            String id = one.path("ContainerID").asText("");
            // A container that ends meanwhile is told with zeros.
            if (!id.isEmpty() && kinds.isOwn(id) && one.path("MemUsage").asLong() > 0) {
                usage.put(
                        new InstanceId(kinds.own(), id),
                        new Usage(
                                one.path("MemUsage").asLong(),
                                Duration.ofNanos(one.path("CPUNano").asLong())));
            }
        }
        return Map.copyOf(usage);
    }
}
