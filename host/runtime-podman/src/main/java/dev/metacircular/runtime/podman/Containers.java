package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.PortMapping.Protocol;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Containers as podman lists them, and as it tells one of them: the same of both. */
final class Containers {
    private static final int SHOWN = 12;
    private static final Duration NAME_GIVEN = Duration.ofSeconds(5);
    private static final Duration NAME_LOOK = Duration.ofMillis(50);

    private final Libpod libpod;
    private final Kinds kinds;

    Containers(Libpod libpod, Kinds kinds) {
        this.libpod = libpod;
        this.kinds = kinds;
    }

    /** Those of the runtime's own kind. */
    List<Instance> list(String purpose, String filters) {
        return own(ContainerListing.read(libpod.readBytes(listing(purpose, filters))));
    }

    private List<Instance> own(List<Instance> all) {
        all.forEach(i -> kinds.know(i.id()));
        return all.stream().filter(i -> i.id().runtime() == kinds.own()).toList();
    }

    /** A listing that is asked for again and again. */
    ContainerListing repeated(String purpose, String filters) {
        return new ContainerListing(() -> libpod.readBytes(listing(purpose, filters)), this::own);
    }

    private static Request listing(String purpose, String filters) {
        return Request.get(purpose, Libpod.path("/containers/json?all=true&filters=") + Libpod.encode(filters));
    }

    /** By podman's record of the one, which costs it a fraction of what a listing does; empty if it is of another kind than the ID says. */
    Optional<Instance> find(InstanceId id) {
        return one("inspect " + shortly(id), id.value()).filter(i -> i.id().equals(id));
    }

    /** Of whatever kind: podman gives a name once. */
    Optional<Instance> named(String name) {
        return one("look up " + name, name).filter(i -> i.name().equals(name));
    }

    /** Podman gives a name away some time before it tells who has it; waits for that, not for long. */
    void awaitHolder(String name) {
        long end = System.nanoTime() + NAME_GIVEN.toNanos();
        try {
            while (named(name).isEmpty() && System.nanoTime() < end) {
                Thread.sleep(NAME_LOOK);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Podman takes the beginning of an ID too. */
    private Optional<Instance> one(String purpose, String idOrName) {
        try {
            JsonNode container = inspect(purpose, idOrName);
            return container.path("IsInfra").asBoolean() ? Optional.empty() : Optional.of(instance(container));
        } catch (RuntimeFailure e) {
            if (e.kind() == RuntimeFailure.Kind.NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** As people know it: its name, or where podman does not tell it the beginning of its ID. */
    String name(InstanceId id) {
        try {
            return find(id).map(Instance::name).filter(n -> !n.isEmpty()).orElse(shortly(id));
        } catch (RuntimeFailure _) {
            return shortly(id);
        }
    }

    /** The beginning of its ID, as podman shows it. */
    static String shortly(InstanceId id) {
        return id.value().length() > SHOWN ? id.value().substring(0, SHOWN) : id.value();
    }

    /** Podman's full record of a container; a failure {@code NOT_FOUND} if there is none. */
    JsonNode inspect(String purpose, InstanceId id) {
        return inspect(purpose, id.value());
    }

    private JsonNode inspect(String purpose, String idOrName) {
        return libpod.read(Request.get(purpose, Libpod.path("/containers/{}/json", idOrName)));
    }

    Map<String, String> labels(String purpose, InstanceId id) {
        return labels(inspect(purpose, id));
    }

    private static Map<String, String> labels(JsonNode container) {
        Map<String, String> labels = new HashMap<>();
        container
                .path("Config")
                .path("Labels")
                .properties()
                .forEach(l -> labels.put(l.getKey(), l.getValue().asText("")));
        return labels;
    }

    private static Instance instance(JsonNode container) {
        Map<String, String> labels = labels(container);
        JsonNode state = container.path("State");
        return instance(
                container.path("Id").asText(),
                container.path("Name").asText(""),
                labels,
                container.path("ImageName").asText(""),
                container.path("Image").asText(""),
                state(
                        state.path("Status").asText(""),
                        time(state.path("StartedAt").asText("")).getEpochSecond(),
                        time(state.path("FinishedAt").asText("")).getEpochSecond(),
                        state.path("ExitCode").asInt()),
                container.path("Created").asText(""),
                ports(container.path("HostConfig").path("PortBindings")));
    }

    /** @param imageName as podman knows it, which counts only for what is not ours */
    static Instance instance(
            String id,
            String name,
            Map<String, String> labels,
            String imageName,
            String imageId,
            InstanceState state,
            String created,
            List<PortMapping> ports) {
        Optional<Identity> identity = Labels.identity(labels);
        String image = labels.getOrDefault(Labels.IMAGE, "");
        RuntimeKind kind = Labels.kind(labels);
        return new Instance(
                new InstanceId(kind, id),
                name,
                identity,
                image.isEmpty() || identity.isEmpty() ? imageName : image,
                kind == RuntimeKind.CONTAINER ? imageId : labels.getOrDefault(Labels.IMAGE_ID, ""),
                state,
                time(created),
                ports,
                identity.isPresent()
                        && !identity.get().component().canonicalName().equals(name));
    }

    /** @param startedSecond since the epoch, as podman lists it: not later than the epoch where it never began */
    static InstanceState state(String state, long startedSecond, long endedSecond, int exitCode) {
        return switch (state) {
            case "created", "configured", "initialized" -> new InstanceState.Created();
            case "running", "stopping" -> new InstanceState.Running(Instant.ofEpochSecond(startedSecond));
            // A start that failed leaves a container that «exited» before it ever began.
            case "exited", "stopped" ->
                startedSecond <= 0
                        ? new InstanceState.Created()
                        : new InstanceState.Ended(
                                exitCode,
                                Instant.ofEpochSecond(startedSecond),
                                Instant.ofEpochSecond(Math.max(startedSecond, endedSecond)));
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

    private static List<PortMapping> ports(JsonNode bindings) {
        List<PortMapping> mappings = new ArrayList<>();
        for (Map.Entry<String, JsonNode> binding : bindings.properties()) {
            String[] guest = binding.getKey().split("/", 2);
            for (JsonNode published : binding.getValue()) {
                addPorts(
                        mappings,
                        published.path("HostIp").asText(""),
                        published.path("HostPort").asInt(),
                        Integer.parseInt(guest[0]),
                        guest.length > 1 ? guest[1] : "tcp",
                        1);
            }
        }
        return mappings;
    }

    /** @param protocols one, or several with commas between */
    static void addPorts(List<PortMapping> mappings, String address, int host, int guest, String protocols, int range) {
        for (String protocol : protocols.split(",")) {
            if (host > 0 && (protocol.equals("tcp") || protocol.equals("udp"))) {
                Protocol parsed = protocol.equals("udp") ? Protocol.UDP : Protocol.TCP;
                for (int i = 0; i < Math.max(1, range); i++) {
                    mappings.add(new PortMapping(address.isEmpty() ? "0.0.0.0" : address, host + i, guest + i, parsed));
                }
            }
        }
    }
}
