package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What podman tells of itself and its node.
 *
 * @param controllers of cgroup v2, delegated to podman's user; none on v1, where an ordinary user can limit nothing
 */
record NodeInfo(String version, boolean rootless, boolean cgroupV2, List<String> controllers) {
    static NodeInfo of(JsonNode info) {
        JsonNode host = info.path("host");
        List<String> controllers = new ArrayList<>();
        host.path("cgroupControllers").forEach(c -> controllers.add(c.asText()));
        return new NodeInfo(
                info.path("version").path("Version").asText("unknown"),
                host.path("security").path("rootless").asBoolean(),
                host.path("cgroupVersion").asText("").equals("v2"),
                List.copyOf(controllers));
    }

    Availability judge() {
        if (!rootless) {
            return new Availability.Unavailable(
                    "podman " + version + " runs as root: name the socket of an ordinary user's podman");
        }
        if (version.matches("[0-3]\\..*")) {
            return new Availability.Unavailable("podman " + version + " is too old: 4.3 or newer is needed");
        }
        return new Availability.Available("podman " + version, "");
    }

    boolean limits(String controller) {
        return cgroupV2 ? controllers.contains(controller) : !rootless;
    }

    /** Asks podman, which takes it 200 ms, at most once a minute: what it tells changes with an update or a reboot. */
    static final class Cache {
        private static final Duration TTL = Duration.ofMinutes(1);

        private record Entry(NodeInfo info, long atNanos) {}

        private final Libpod libpod;
        private volatile Optional<Entry> entry = Optional.empty();

        Cache(Libpod libpod) {
            this.libpod = libpod;
        }

        /** Within the limit; what was known before counts on where podman answers, but takes longer to tell all. */
        NodeInfo get(Duration limit) {
            Optional<Entry> current = entry;
            if (current.isPresent() && System.nanoTime() - current.get().atNanos < TTL.toNanos()) {
                return current.get().info;
            }
            try {
                Request request = Request.get("ask podman about itself", Libpod.path("/info"));
                NodeInfo info = NodeInfo.of(libpod.read(request, limit));
                entry = Optional.of(new Entry(info, System.nanoTime()));
                return info;
            } catch (RuntimeFailure e) {
                if (e.kind() == Kind.DEADLINE && current.isPresent()) {
                    return current.get().info;
                }
                throw e;
            }
        }
    }
}
