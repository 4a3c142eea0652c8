package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.PortMapping.Protocol;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Containers as podman lists them. */
final class Containers {
    private final Libpod libpod;

    Containers(Libpod libpod) {
        this.libpod = libpod;
    }

    List<Instance> list(String purpose, String filters) {
        List<Instance> instances = new ArrayList<>();
        Request request =
                Request.get(purpose, Libpod.path("/containers/json?all=true&filters=") + Libpod.encode(filters));
        for (JsonNode container : libpod.read(request)) {
            if (!container.path("IsInfra").asBoolean()) {
                instances.add(instance(container));
            }
        }
        return List.copyOf(instances);
    }

    Optional<Instance> find(InstanceId id) {
        // Podman's filter takes the beginning of an ID too.
        return list("inspect " + id, Json.text(Map.of("id", List.of(id.value())))).stream()
                .filter(i -> i.id().equals(id))
                .findFirst();
    }

    /** Podman's full record of a container; a failure {@code NOT_FOUND} if there is none. */
    JsonNode inspect(String purpose, InstanceId id) {
        return libpod.read(Request.get(purpose, Libpod.path("/containers/{}/json", id.value())));
    }

    private static Instance instance(JsonNode container) {
        JsonNode labels = container.path("Labels");
        Optional<Identity> identity = Labels.identity(labels);
        String name = container.path("Names").path(0).asText("");
        String image = labels.path(Labels.IMAGE).asText("");
        return new Instance(
                new InstanceId(RuntimeKind.CONTAINER, container.path("Id").asText()),
                name,
                identity,
                image.isEmpty() || identity.isEmpty() ? container.path("Image").asText("") : image,
                container.path("ImageID").asText(""),
                state(container),
                time(container.path("Created").asText("")),
                ports(container.path("Ports")),
                identity.isPresent()
                        && !identity.get().component().canonicalName().equals(name));
    }

    private static InstanceState state(JsonNode container) {
        String state = container.path("State").asText("");
        long started = container.path("StartedAt").asLong();
        return switch (state) {
            case "created", "configured", "initialized" -> new InstanceState.Created();
            case "running", "stopping" -> new InstanceState.Running(Instant.ofEpochSecond(started));
            // A start that failed leaves a container that «exited» before it ever began.
            case "exited", "stopped" ->
                started <= 0
                        ? new InstanceState.Created()
                        : new InstanceState.Ended(
                                container.path("ExitCode").asInt(),
                                Instant.ofEpochSecond(started),
                                Instant.ofEpochSecond(Math.max(
                                        started, container.path("ExitedAt").asLong())));
            default -> new InstanceState.Unclear(state);
        };
    }

    private static Instant time(String text) {
        try {
            return OffsetDateTime.parse(text).toInstant();
        } catch (DateTimeParseException e) {
            return Instant.EPOCH;
        }
    }

    private static List<PortMapping> ports(JsonNode ports) {
        List<PortMapping> mappings = new ArrayList<>();
        for (JsonNode port : ports) {
            String address = port.path("host_ip").asText("");
            int host = port.path("host_port").asInt();
            int guest = port.path("container_port").asInt();
            for (String protocol : port.path("protocol").asText("tcp").split(",")) {
                if (host > 0 && (protocol.equals("tcp") || protocol.equals("udp"))) {
                    Protocol parsed = protocol.equals("udp") ? Protocol.UDP : Protocol.TCP;
                    int range = Math.max(1, port.path("range").asInt(1));
                    for (int i = 0; i < range; i++) {
                        mappings.add(
                                new PortMapping(address.isEmpty() ? "0.0.0.0" : address, host + i, guest + i, parsed));
                    }
                }
            }
        }
        return mappings;
    }
}
