package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** The node of a fault run and its services: how they are told apart, and what podman itself says of them. */
final class FaultWorld implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PREFIX = "dev.metacircular.node=";

    /** Nobody ever touches it. */
    static final String STILL = "fault-still";
    /** Its desired state is {@code ignore}, and it was killed. */
    static final String IGNORED = "fault-ignored";
    /** Two components of one image, with a secret, a volume and a shared network; deployed from one version to the other. */
    static final String MOVED = "fault-moved";
    /** Crashes, and is restarted. */
    static final String MORTAL = "fault-mortal";
    /** Started and stopped. */
    static final String SWITCHED = "fault-switched";
    /** Purged and deployed again. */
    static final String GUEST = "fault-guest";

    private static final String SECRET = "a value that nobody guesses";

    final Node node;
    final Relay relay;
    final String v1;
    final String v2;
    private final Path directory;
    private final List<Path> mounts = new ArrayList<>();

    /** @return one that is populated; nothing is left of one that cannot be */
    static FaultWorld open() {
        FaultWorld world = new FaultWorld();
        try {
            world.node.start();
            world.node.add();
            world.populate();
            return world;
        } catch (RuntimeException | Error e) {
            world.close();
            throw e;
        }
    }

    private FaultWorld() {
        v1 = TestImages.make("acceptance-faults", "v1", TestImages.SERVES);
        v2 = TestImages.make("acceptance-faults", "v2", TestImages.SERVES);
        try {
            directory = Files.createTempDirectory("metacircular-relay-");
            Shell.run(Map.of(), "chmod", "755", directory.toString()).ok();
            relay = new Relay(directory.resolve("podman.sock"), Shell.podmanSocket());
            node = new Node("faults", "[podman]", "socket = \"" + directory.resolve("podman.sock") + "\"");
            if (Node.ROOT) {
                mountSmallDisk(node.agentDirectory());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A disk of its own, which can be filled without harm to anybody. */
    private void mountSmallDisk(Path path) {
        Shell.run(
                        Map.of(),
                        "sh",
                        "-c",
                        """
                        set -e; cd "$1"; mkdir -p "$2"; mv "$2" "$2.init"; mkdir "$2"; mount -t tmpfs -o size=32m,mode=700 tmpfs "$2"
                        cp -a "$2.init/." "$2/"; chown --reference="$2.init" "$2"; chmod --reference="$2.init" "$2"; rm -rf "$2.init"
                        """,
                        "mount",
                        node.scratch.toString(),
                        path.getFileName().toString())
                .ok();
        mounts.add(path);
    }

    private void populate() {
        define(STILL, component("web", v1), component("worker", v1));
        define(IGNORED, component("web", v1));
        define(MORTAL, component("web", v1));
        define(SWITCHED, component("web", v1));
        defineMoved(v1);
        defineGuest();
        Shell.run(
                        node.environment(),
                        "sh",
                        "-c",
                        "printf %s \"$1\" | \"$2\" secret set \"$3\" TOKEN",
                        "set",
                        SECRET,
                        Node.bin("mcp"),
                        MOVED)
                .ok();
        for (String service : List.of(STILL, IGNORED, MORTAL, SWITCHED, MOVED, GUEST)) {
            node.mcp("deploy", service).ok();
        }
        define(IGNORED, component("web", v1, "desired = \"ignore\""));
        node.mcp("sync", IGNORED).ok();
        Shell.podman("kill", Round.in(containers(), IGNORED + "/web").id()).ok();
    }

    void define(String service, String... components) {
        node.define(service, String.join("\n", components));
    }

    /** Has the definitions of what a killed operation may have left half done say what is registered. */
    void defineAs(Map<String, Registered> registered) {
        for (String service : List.of(SWITCHED, GUEST)) {
            Registered web = registered.get(service + "/web");
            if (web != null) {
                node.define(service, "active = " + web.desired().equals("running") + "\n" + component("web", v1));
            }
        }
        defineMoved(Round.in(registered, MOVED + "/a").image());
    }

    void defineGuest() {
        define(GUEST, component("web", v1));
    }

    void defineMoved(String image) {
        String more = "network = \"fault-shared\"\nsecrets = [\"TOKEN\"]\nvolumes = [\"data:/data\"]";
        define(MOVED, component("a", image, more), component("b", image, more));
    }

    static String component(String name, String image, String... more) {
        return "[[components]]\nname = \"%s\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n%s\n"
                .formatted(name, image, TestImages.COMMAND, String.join("\n", more));
    }

    /** What podman has of this node, by component; two of one component are a failure. */
    Map<String, Node.Container> containers() {
        return new TreeMap<>(node.onePerComponent());
    }

    /** The networks and secrets that podman has of this node. */
    Set<String> belongings() {
        Set<String> all = new TreeSet<>();
        for (JsonNode network : podman("network", "ls", "--format", "json")) {
            if (node.name.equals(
                    network.path("labels").path("dev.metacircular.node").asText())) {
                all.add("network " + network.path("name").asText());
            }
        }
        Set<String> used = new HashSet<>();
        for (JsonNode container : podman("ps", "-a", "--format", "json", "--filter", "label=" + PREFIX + node.name)) {
            Collections.addAll(
                    used,
                    container
                            .path("Labels")
                            .path("dev.metacircular.secrets")
                            .asText("")
                            .split(","));
        }
        String ours = used.stream()
                .filter(u -> u.startsWith("mc-"))
                .map(u -> u.substring(0, 12))
                .findFirst()
                .orElse("mc-none");
        long orphans = Shell.podman("secret", "ls", "--format", "{{.Name}}")
                .ok()
                .out()
                .lines()
                .map(String::strip)
                .filter(s -> s.startsWith(ours) && !used.contains(s))
                .count();
        if (orphans > 0) {
            all.add("secrets of no container: " + orphans);
        }
        return all;
    }

    private static JsonNode podman(String... arguments) {
        try {
            return JSON.readTree(Shell.podman(arguments).ok().out());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The events with a greater number. */
    List<JsonNode> eventsAfter(long id) {
        return Node.lines(node.mcp("events", "--json", "--tail", "200").ok()).stream()
                .filter(e -> e.get("id").asLong() > id)
                .toList();
    }

    /** What the agent has registered of a component, and what it says of it. */
    record Registered(String image, String desired, String observed, boolean drifts) {}

    /** By component; empty if the agent does not answer. */
    Optional<Map<String, Registered>> registered() {
        Shell.Result result = node.mcp("status", "--json");
        if (result.exit() != 0) {
            return Optional.empty();
        }
        Map<String, Registered> all = new TreeMap<>();
        for (JsonNode c : Node.lines(result).getFirst().get("components")) {
            all.put(
                    c.get("service").asText() + "/" + c.get("component").asText(),
                    new Registered(
                            c.get("image").asText(),
                            c.get("desired").asText(),
                            c.get("observed").asText(),
                            !c.get("drift").isEmpty()));
        }
        return Optional.of(all);
    }

    /** Fills the disk of the agent's state to the last byte; returns whether there is one to fill. */
    boolean fill() {
        mounts.forEach(disk ->
                Shell.run(Map.of(), "sh", "-c", "cat /dev/zero >\"$1/ballast\" 2>/dev/null", "fill", disk.toString()));
        return !mounts.isEmpty();
    }

    void drain() {
        for (Path disk : mounts) {
            try {
                Files.deleteIfExists(disk.resolve("ballast"));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @Override
    public void close() {
        try {
            relay.set(Relay.Mode.PASS);
            drain();
            node.close();
            for (Path mount : mounts) {
                Shell.run(Map.of(), "umount", "-l", mount.toString());
            }
            Node.remove(node.scratch);
            relay.close();
            Files.deleteIfExists(directory);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        for (String name : List.of(
                "mc." + STILL,
                "mc." + IGNORED,
                "mc." + MOVED,
                "mc." + MORTAL,
                "mc." + SWITCHED,
                "mc." + GUEST,
                "fault-shared")) {
            Shell.podman("network", "rm", "-f", name);
        }
        TestImages.remove(v1, v2);
    }
}
