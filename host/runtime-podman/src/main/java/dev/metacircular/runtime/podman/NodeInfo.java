package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/**
 * What podman tells of itself and its node.
 *
 * @param ociRuntime what runs the containers: {@code crun}, {@code runc}
 * @param hybrid whether cgroup v2 is mounted beside v1, both with controllers
 * @param roots podman's run root and graph root, empty where it does not tell them
 * @param controllers of cgroup v2, delegated to podman's user; none on v1, where an ordinary user can limit nothing
 */
record NodeInfo(
        String version,
        boolean rootless,
        boolean cgroupV2,
        List<String> controllers,
        String ociRuntime,
        boolean hybrid,
        List<Path> roots) {
    private static final Path CGROUPS = Path.of("/sys/fs/cgroup");

    static NodeInfo of(JsonNode info) {
        return of(info, CGROUPS);
    }

    static NodeInfo of(JsonNode info, Path cgroups) {
        JsonNode host = info.path("host");
        List<String> controllers = new ArrayList<>();
        host.path("cgroupControllers").forEach(c -> controllers.add(c.asText()));
        return new NodeInfo(
                info.path("version").path("Version").asText("unknown"),
                host.path("security").path("rootless").asBoolean(),
                host.path("cgroupVersion").asText("").equals("v2"),
                List.copyOf(controllers),
                host.path("ociRuntime").path("name").asText(""),
                isHybrid(cgroups),
                roots(info.path("store")));
    }

    private static List<Path> roots(JsonNode store) {
        return Stream.of("runRoot", "graphRoot")
                .map(key -> store.path(key).asText(""))
                .filter(path -> path.startsWith("/"))
                .map(Path::of)
                .toList();
    }

    Optional<Resolver> resolver() {
        return rootless && roots.size() == 2
                ? Optional.of(new Resolver(roots.getFirst(), roots.getLast()))
                : Optional.empty();
    }

    /** What keeps these cgroup controllers from limiting anything; empty if all can. */
    Optional<String> unenforceable(List<String> wanted) {
        List<String> lacking = wanted.stream().filter(c -> !limits(c)).toList();
        return lacking.isEmpty()
                ? Optional.empty()
                : Optional.of("cannot limit " + String.join(" and ", lacking) + ": "
                        + (cgroupV2
                                ? "the cgroup controllers are not delegated to podman's user"
                                : "the node has cgroups v1, where an ordinary user cannot"));
    }

    /** As crun sees it: cgroup v2 mounted beside v1, and with controllers of its own. */
    private static boolean isHybrid(Path cgroups) {
        try {
            return !Files.readString(cgroups.resolve("unified/cgroup.controllers"))
                    .isBlank();
        } catch (IOException _) {
            return false;
        }
    }

    /** Crun refuses every container where cgroups v1 and v2 are mounted side by side: «cgroups in hybrid mode not supported». */
    List<Obstacle> obstacles() {
        if (!ociRuntime.equals("crun") || !hybrid) {
            return List.of();
        }
        return List.of(
                new Obstacle(
                        "oci_runtime",
                        true,
                        "podman runs containers by crun, which starts none on hybrid cgroups (v1 and v2 side by side, both with controllers)",
                        "boot with systemd.unified_cgroup_hierarchy=1; or install runc and put runtime = \"runc\" below [engine] in"
                                + " ~/.config/containers/containers.conf of podman's user, then systemctl --user restart podman.service"));
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
        private final LongSupplier nanos;
        private volatile Optional<Entry> entry = Optional.empty();

        Cache(Libpod libpod) {
            this(libpod, System::nanoTime);
        }

        Cache(Libpod libpod, LongSupplier nanos) {
            this.libpod = libpod;
            this.nanos = nanos;
        }

        /** What podman told before, without asking it. */
        Optional<NodeInfo> known() {
            return entry.map(Entry::info);
        }

        /** Within the limit, and does not throw. */
        Availability availability(Duration limit) {
            try {
                long begin = System.nanoTime();
                String version = libpod.ping();
                try {
                    return get(limit.minusNanos(System.nanoTime() - begin)).judge();
                } catch (RuntimeFailure e) {
                    // What podman tells of itself takes it seconds on a busy node, and it does answer.
                    if (e.kind() == Kind.DEADLINE && !version.isEmpty()) {
                        return new Availability.Available("podman " + version, "");
                    }
                    throw e;
                }
            } catch (RuntimeFailure e) {
                return new Availability.Unavailable(Libpod.message(e));
            }
        }

        /** Within the limit; where podman takes longer to tell all, what was known before counts on, for as long again. */
        NodeInfo get(Duration limit) {
            Optional<Entry> current = entry;
            if (current.isPresent() && nanos.getAsLong() - current.get().atNanos < TTL.toNanos()) {
                return current.get().info;
            }
            try {
                Request request = Request.get("ask podman about itself", Libpod.path("/info"));
                NodeInfo info = NodeInfo.of(libpod.read(request, limit));
                entry = Optional.of(new Entry(info, nanos.getAsLong()));
                return info;
            } catch (RuntimeFailure e) {
                if (e.kind() == Kind.DEADLINE && current.isPresent()) {
                    entry = Optional.of(new Entry(current.get().info, nanos.getAsLong()));
                    return current.get().info;
                }
                throw e;
            }
        }
    }
}
