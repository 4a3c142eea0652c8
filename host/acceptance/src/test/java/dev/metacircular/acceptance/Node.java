package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A node: an agent in a directory of its own, an operator's directory, and what runs of it on the test's podman. */
final class Node implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration READY_LIMIT = Duration.ofSeconds(90);
    static final boolean ROOT = "root".equals(System.getProperty("user.name"));

    /**
     * Where an agent runs.
     *
     * @param prefix a command that runs another one there; empty for here
     * @param host what it listens on
     * @param operator the operator's directory; empty for one of its own
     */
    record Place(List<String> prefix, String host, Optional<Path> operator) {
        static final Place HERE = new Place(List.of(), "127.0.0.1", Optional.empty());
    }

    final String name;
    final int port = freePort();
    final Path scratch;
    final Path operator;
    private final Place place;
    /** Variables that the agent gets from its next start on. */
    Map<String, String> agentEnvironment = Map.of();

    private @Nullable Process agent;

    Node(String name, String... extraConfiguration) {
        this(name, Place.HERE, extraConfiguration);
    }

    Node(String name, Place place, String... extraConfiguration) {
        this.name = name + "-" + Long.toString(System.nanoTime() & 0xffffff, 36);
        this.place = place;
        try {
            scratch = Files.createTempDirectory("metacircular-" + name + "-");
            Files.setPosixFilePermissions(scratch, PosixFilePermissions.fromString("rwxr-xr-x"));
            operator = Files.createDirectories(place.operator().orElse(scratch.resolve("operator")));
            Files.createDirectories(operator.resolve("services"));
            List<String> init = new ArrayList<>(List.of(
                    bin("mcp-agent"),
                    "init",
                    "--dir",
                    agentDirectory().toString(),
                    "--node",
                    this.name,
                    "--listen",
                    address(),
                    "--services",
                    scratch.resolve("srv").toString(),
                    "--token-file",
                    token().toString()));
            if (ROOT) {
                init.addAll(List.of("--user", Shell.podmanUser()));
            }
            Shell.run(Shell.podmanEnvironment(), init.toArray(String[]::new)).ok();
            Files.writeString(
                    agentDirectory().resolve("agent.toml"),
                    "\n" + String.join("\n", extraConfiguration) + "\n",
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Node started(String name, String... extraConfiguration) {
        return started(name, Place.HERE, extraConfiguration);
    }

    static Node started(String name, Place place, String... extraConfiguration) {
        Node node = new Node(name, place, extraConfiguration);
        try {
            node.start();
            node.add();
            return node;
        } catch (RuntimeException | Error e) {
            node.close();
            throw e;
        }
    }

    static String bin(String program) {
        return Shell.HOME.resolve("bin").resolve(program).toString();
    }

    static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes it known to its operator. */
    void add() {
        mcp("node", "add", name, address(), "--ca", ca().toString(), "--token-file", token().toString())
                .ok();
    }

    String address() {
        return place.host() + ":" + port;
    }

    Path agentDirectory() {
        return scratch.resolve("agent");
    }

    Path ca() {
        return agentDirectory().resolve("ca.pem");
    }

    Path token() {
        return scratch.resolve("token");
    }

    Path agentLog() {
        return scratch.resolve("agent.log");
    }

    void start() {
        try {
            long offset = Files.exists(agentLog()) ? Files.size(agentLog()) : 0;
            List<String> command = new ArrayList<>(place.prefix());
            command.addAll(
                    List.of(bin("mcp-agent"), "run", "--dir", agentDirectory().toString()));
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(agentLog().toFile()));
            builder.environment().putAll(Shell.podmanEnvironment());
            builder.environment().putAll(agentEnvironment);
            Process process = builder.start();
            agent = process;
            await(READY_LIMIT, "the agent is ready", () -> {
                if (!process.isAlive()) {
                    throw new AssertionError("the agent ended with " + process.exitValue() + "\n" + log());
                }
                return log().substring((int) offset).lines().anyMatch(l -> l.startsWith("ready:"));
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String log() {
        try {
            return Files.exists(agentLog()) ? Files.readString(agentLog()) : "";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** As {@code kill -9}. */
    void kill() {
        Process process = agent;
        if (process != null) {
            process.destroyForcibly();
            join(process);
            agent = null;
        }
    }

    /** Starts it where it may not come up; returns whether it serves. */
    boolean tryStart() {
        try {
            start();
            return true;
        } catch (AssertionError ended) {
            return false;
        }
    }

    boolean isRunning() {
        Process process = agent;
        return process != null && process.isAlive();
    }

    private static void join(Process process) {
        try {
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                throw new AssertionError("the agent does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    long pid() {
        Process process = agent;
        if (process == null) {
            throw new IllegalStateException("the agent does not run");
        }
        return process.pid();
    }

    Map<String, String> environment() {
        return Map.of("MCP_CONFIG", operator.toString(), "NO_COLOR", "1");
    }

    Shell.Result mcp(String... arguments) {
        List<String> command = new ArrayList<>(List.of(bin("mcp")));
        command.addAll(Arrays.asList(arguments));
        return Shell.run(environment(), command.toArray(String[]::new));
    }

    JsonNode json(String... arguments) {
        List<String> all = new ArrayList<>(Arrays.asList(arguments));
        all.add("--json");
        Shell.Result result = mcp(all.toArray(String[]::new));
        try {
            return JSON.readTree(result.out());
        } catch (IOException e) {
            throw new AssertionError("not JSON: " + result.all(), e);
        }
    }

    static List<JsonNode> lines(Shell.Result result) {
        return result.out()
                .lines()
                .map(line -> {
                    try {
                        return JSON.readTree(line);
                    } catch (IOException e) {
                        throw new AssertionError("not JSON: " + line, e);
                    }
                })
                .toList();
    }

    /** Writes {@code <service>.toml}, whose name and node are added. */
    void define(String service, String body) {
        try {
            Files.writeString(
                    operator.resolve("services").resolve(service + ".toml"),
                    "name = \"%s\"\nnode = \"%s\"\n%s".formatted(service, name, body));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * One container as podman itself tells it, whatever the agent says; a microVM's has no image of podman's, and its label tells.
     *
     * @param startedAt podman tells whole seconds, in which several runs have room, so the process is part of it
     */
    record Container(
            String id, String name, String service, String component, String image, String state, String startedAt) {}

    List<Container> containers() {
        Shell.Result result = Shell.podman(
                "ps", "-a", "--no-trunc", "--format", "json", "--filter", "label=dev.metacircular.node=" + name);
        try {
            List<Container> all = new ArrayList<>();
            for (JsonNode c : JSON.readTree(result.ok().out())) {
                all.add(new Container(
                        c.get("Id").asText(),
                        c.get("Names").get(0).asText(),
                        c.get("Labels").get("dev.metacircular.service").asText(),
                        c.get("Labels").get("dev.metacircular.component").asText(),
                        imageOf(c),
                        c.get("State").asText(),
                        c.get("StartedAt").asText() + " " + c.get("Pid").asText()));
            }
            all.sort(Comparator.comparing(Container::name));
            return all;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String imageOf(JsonNode container) {
        boolean carried = container.get("Labels").has("dev.metacircular.runtime");
        return (carried ? container.get("Labels").get("dev.metacircular.image") : container.get("Image")).asText();
    }

    /** Component to its only container; fails if one has several. */
    Map<String, Container> onePerComponent() {
        Map<String, Container> one = new TreeMap<>();
        for (Container c : containers()) {
            Container other = one.put(c.service() + "/" + c.component(), c);
            if (other != null) {
                throw new AssertionError("two instances: " + other + " and " + c);
            }
        }
        return one;
    }

    /** The component's only container; fails if there is none or several. */
    Container container(String component) {
        Container container = onePerComponent().get(component);
        if (container == null) {
            throw new AssertionError(component + " has no container");
        }
        return container;
    }

    Map<String, String> observed() {
        Map<String, String> observed = new HashMap<>();
        for (JsonNode c : json("status").get("components")) {
            observed.put(
                    c.get("service").asText() + "/" + c.get("component").asText(),
                    c.get("observed").asText());
        }
        return observed;
    }

    static void await(Duration limit, String what, BooleanSupplier condition) {
        Instant until = Instant.now().plus(limit);
        while (!condition.getAsBoolean()) {
            if (Instant.now().isAfter(until)) {
                throw new AssertionError("not within " + limit + ": " + what);
            }
            try {
                Thread.sleep(50);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    @Override
    public void close() {
        kill();
        List<String> ids = new ArrayList<>();
        Shell.podman("ps", "-aq", "--filter", "label=dev.metacircular.node=" + name)
                .out()
                .lines()
                .forEach(ids::add);
        if (!ids.isEmpty()) {
            List<String> command = new ArrayList<>(List.of("rm", "-f", "-t", "0"));
            command.addAll(ids);
            Shell.podman(command.toArray(String[]::new));
        }
        Shell.podman("network", "ls", "-q", "--filter", "label=dev.metacircular.node=" + name)
                .out()
                .lines()
                .forEach(network -> Shell.podman("network", "rm", network));
        remove(scratch);
    }

    static void remove(Path tree) {
        try {
            deleteTree(tree);
        } catch (IOException e) {
            // Files of a container's users belong to subordinate IDs.
            Shell.run(
                    Map.of(),
                    Shell.HOME.resolve("host/scripts/rootless-podman-env").toString(),
                    "run",
                    "podman",
                    "unshare",
                    "rm",
                    "-rf",
                    tree.toString());
        }
    }

    private static void deleteTree(Path tree) throws IOException {
        try (Stream<Path> all = Files.walk(tree)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(p);
            }
        }
    }
}
