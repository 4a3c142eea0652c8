package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Secret values in podman's own secrets, which it keeps in files of mode 0600 and shows in no listing. They are made before
 * the instance and go with it; what a crash left in between is collected an hour later.
 */
final class Secrets {
    private static final Duration ORPHAN_AGE = Duration.ofHours(1);

    private final Libpod libpod;
    private final String nodePrefix;
    private volatile Instant nextSweep = Instant.EPOCH;
    /** Stored, while the container that will name them is not there yet. */
    private final Set<String> underWay = ConcurrentHashMap.newKeySet();

    Secrets(Libpod libpod, Name node) {
        this.libpod = libpod;
        this.nodePrefix = prefix(node);
    }

    /** What the names of all secrets of the node's begin with. */
    static String prefix(Name node) {
        return "mc-" + digest(node.value()).substring(0, 8) + "-";
    }

    /**
     * Stores the values under names that follow from the instance's identity, all or none.
     *
     * @return the environment variable's name to podman's secret's
     */
    Map<String, String> store(Identity identity, Map<String, String> values) {
        if (values.isEmpty()) {
            return Map.of();
        }
        sweepIfDue();
        // Podman 4 takes at most 64 characters.
        String prefix = nodePrefix + digest(identity.toString()).substring(0, 32) + "-";
        Map<String, String> names = new LinkedHashMap<>();
        // Before 4.4, podman takes no notice of them.
        String labels = Json.text(Labels.of(identity));
        try {
            new TreeMap<>(values).forEach((variable, value) -> {
                String name = prefix + names.size();
                names.put(variable, name);
                underWay.add(name);
                remove(name);
                Request request = Request.post(
                                "store the secret " + variable + " of " + identity.component(),
                                Libpod.path("/secrets/create?name={}&labels={}", name, labels))
                        .bytes(value.getBytes(StandardCharsets.UTF_8));
                Answer answer = libpod.change(request);
                if (!answer.isSuccess()) {
                    throw Libpod.failure(request, answer);
                }
            });
        } catch (RuntimeFailure e) {
            // The last one too: only its answer may have been lost.
            discard(names, e);
            settled(names);
            throw e;
        }
        return names;
    }

    /** Removes what was stored for a container that was not made; what cannot be removed now is collected like a crash's. */
    void discard(Map<String, String> stored, RuntimeFailure because) {
        for (String name : stored.values()) {
            try {
                remove(name);
            } catch (RuntimeFailure e) {
                because.addSuppressed(e);
            }
        }
    }

    /** The container that names them is there, or will never be. */
    void settled(Map<String, String> stored) {
        underWay.removeAll(stored.values());
    }

    /** Removes those that a container's labels name. */
    void removeOf(JsonNode labels) {
        namesOf(labels).forEach(this::remove);
    }

    void remove(String name) {
        Request request = Request.delete("remove the secret " + name, Libpod.path("/secrets/{}", name));
        Answer answer = libpod.change(request);
        if (!answer.isSuccess() && answer.status() != 404) {
            throw Libpod.failure(request, answer);
        }
    }

    private static List<String> namesOf(JsonNode labels) {
        String names = labels.path(Labels.SECRETS).asText("");
        return names.isEmpty() ? List.of() : List.of(names.split(","));
    }

    private void sweepIfDue() {
        Instant now = Instant.now();
        if (!now.isBefore(nextSweep)) {
            nextSweep = now.plus(ORPHAN_AGE);
            sweep(now.minus(ORPHAN_AGE));
        }
    }

    /** Removes what no container names and is older than this. */
    void sweep(Instant olderThan) {
        JsonNode all = libpod.read(Request.get("list secrets", Libpod.path("/secrets/json")));
        // In this order: what was listed above and is not under way any more has its container by now.
        Set<String> used = new HashSet<>(underWay);
        libpod.read(Request.get("list containers", Libpod.path("/containers/json?all=true")))
                .forEach(c -> used.addAll(namesOf(c.path("Labels"))));
        for (JsonNode secret : all) {
            String name = secret.path("Spec").path("Name").asText("");
            if (name.startsWith(nodePrefix) && !used.contains(name) && isOlder(secret, olderThan)) {
                remove(name);
            }
        }
    }

    private static boolean isOlder(JsonNode secret, Instant than) {
        try {
            return OffsetDateTime.parse(secret.path("CreatedAt").asText(""))
                    .toInstant()
                    .isBefore(than);
        } catch (DateTimeParseException e) {
            return false;
        }
    }

    private static String digest(String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }
}
