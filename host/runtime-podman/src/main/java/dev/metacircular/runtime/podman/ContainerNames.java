package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryIteratorException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Keeps podman's resolver of container names true where podman does not. Podman 4.3 forgets to take a container's entry away when it cannot
 * publish its port, and any podman when it is killed in the middle of a stop. Such an entry still gives the address of nobody; and it keeps the
 * resolver from ending after the last container, in a network namespace that nobody enters again, where podman goes on to notify it. Every
 * container of the user is then without names until somebody ends it.
 *
 * <p>Containers of others are looked after alike. An entry goes when no process is there for its container and podman says that it does not
 * run; the resolver is ended when no container is connected to its namespace, whatever its files say. Both under podman's own lock.
 */
final class ContainerNames {
    private static final System.Logger LOG = System.getLogger(ContainerNames.class.getName());
    private static final int UNTOLD = 16;
    private static final Set<String> RUNS = Set.of("running", "paused", "stopping");

    private final Libpod libpod;
    private final NodeInfo.Cache node;
    private final Bridges bridges = new Bridges();
    private final BlockingQueue<String> untold = new ArrayBlockingQueue<>(UNTOLD);

    ContainerNames(Libpod libpod, NodeInfo.Cache node) {
        this.libpod = libpod;
        this.node = node;
    }

    private Optional<Resolver> resolver() {
        return node.get(libpod.deadlines().call()).resolver();
    }

    /** As podman told it before; it is not asked again, for the sake of what is being done. */
    private Optional<Resolver> known() {
        return node.known().flatMap(NodeInfo::resolver);
    }

    /** Before a container is started: a resolver that nobody can ask must not be the one that podman tells of it. Costs two small files. */
    void beforeStart() {
        known().ifPresent(of -> quietly(() -> retire(of)));
    }

    /** After one was started: its network's bridge, by which it reaches the resolver. Costs two small files, where the bridge is known. */
    void afterStart() {
        known().ifPresent(of -> quietly(() -> keepBridges(of)));
    }

    private void keepBridges(Resolver of) throws IOException, InterruptedException {
        Optional<ProcessHandle> process = of.process();
        if (process.isPresent()) {
            bridges.keep(process.get());
        }
    }

    /** After podman's refusal to start a container: what it may have left. */
    void afterFailedStart(RuntimeFailure failure) {
        if (failure.kind() != Kind.DEADLINE && failure.kind() != Kind.UNREACHABLE) {
            known().ifPresent(of -> quietly(() -> mend(of)));
        }
    }

    /** What was mended since this was asked last, each in a line; mends what there is to mend now. */
    List<String> heal() {
        try {
            Optional<Resolver> of = resolver();
            if (of.isPresent()) {
                mend(of.get());
                quietly(() -> keepBridges(of.get()));
            }
        } catch (IOException e) {
            throw new RuntimeFailure(Kind.FAILED, "cannot mend podman's names of containers: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RuntimeFailure(Kind.DEADLINE, "cannot mend podman's names of containers: interrupted", e);
        }
        return told();
    }

    List<String> told() {
        List<String> all = new ArrayList<>();
        untold.drainTo(all);
        return all;
    }

    /** A fault that keeps containers from finding each other, before it is mended. */
    Optional<Obstacle> fault() {
        try {
            Optional<Resolver> found = resolver();
            if (found.isEmpty() || !found.get().isUseless()) {
                return Optional.empty();
            }
            String process = found.get()
                    .process()
                    .map(p -> ", process " + p.pid() + ", has outlived its network namespace")
                    .orElse(" has ended by itself");
            return Optional.of(
                    new Obstacle(
                            "names",
                            false,
                            "podman's resolver of names" + process
                                    + ": containers that are started now would have none",
                            "the agent mends it within a minute, and before it starts a container; mcp events tells when it has"));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private interface Step {
        void take() throws IOException, InterruptedException;
    }

    /** What goes wrong here must not keep a container from its start, or its failure from being told. */
    private static void quietly(Step step) {
        try {
            step.take();
        } catch (IOException | DirectoryIteratorException | RuntimeFailure e) {
            LOG.log(Level.WARNING, "podman's names of containers are not looked after: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void tell(String what) {
        LOG.log(Level.WARNING, what);
        untold.offer(what);
    }

    private void retire(Resolver of) throws IOException, InterruptedException {
        if (of.isUseless()) {
            of.locked(() -> {
                if (of.retire()) {
                    tell(
                            "podman's resolver of names had ended or outlived its network namespace, so that containers would have had no names:"
                                    + " podman begins another one");
                }
            });
        }
    }

    private void mend(Resolver of) throws IOException, InterruptedException {
        Map<String, List<String>> gone = gone(of.entries());
        if (!gone.isEmpty()) {
            of.locked(() -> forget(of, gone));
        }
        retire(of);
        if (of.process().isEmpty() && !of.entries().isEmpty()) {
            begin(of);
        }
    }

    private void forget(Resolver of, Map<String, List<String>> gone) throws IOException, InterruptedException {
        Set<String> forgotten = of.forget(gone);
        if (forgotten.isEmpty()) {
            return;
        }
        Optional<ProcessHandle> process = of.process();
        if (process.isPresent()) {
            Resolver.reread(process.get());
        }
        Set<String> networks = new TreeSet<>();
        forgotten.forEach(id -> gone.getOrDefault(id, List.of()).forEach(line -> networks.add(network(line))));
        tell("podman's resolver still had names of " + forgotten.size() + " container(s) that do not run, on "
                + String.join(", ", networks) + ": they were taken from it");
    }

    /** The file of a network without a way out has a name of its own from netavark 1.12 on. */
    private static String network(String line) {
        String file = line.substring(0, line.indexOf(' '));
        return file.endsWith("%int") ? file.substring(0, file.length() - "%int".length()) : file;
    }

    /** Those that do not run, in this order: podman's answer waits for a start or stop of the container that is under way. */
    private Map<String, List<String>> gone(Map<String, List<String>> entries) throws IOException {
        Map<String, List<String>> gone = new TreeMap<>(entries);
        if (!gone.isEmpty()) {
            gone.keySet().removeAll(Resolver.attended(entries.keySet()));
        }
        for (String id : new HashSet<>(gone.keySet())) {
            Optional<JsonNode> container = container(id);
            if (container.isPresent()
                    && RUNS.contains(
                            container.get().path("State").path("Status").asText())) {
                gone.remove(id);
            }
        }
        return gone;
    }

    private Optional<JsonNode> container(String id) {
        try {
            return Optional.of(
                    libpod.read(Request.get("look for a container", Libpod.path("/containers/{}/json", id))));
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /**
     * Containers run and no resolver: podman begins one when it sets up a container's network, so a container is prepared for them, never
     * run, and removed.
     */
    private void begin(Resolver of) throws IOException, InterruptedException {
        for (Map.Entry<String, List<String>> entry : of.entries().entrySet()) {
            Optional<JsonNode> container = container(entry.getKey());
            if (container.isPresent()) {
                prepareBeside(container.get(), network(entry.getValue().getFirst()));
                break;
            }
        }
        if (of.process().isEmpty()) {
            throw new IOException("containers run, and podman does not begin its resolver");
        }
        tell("podman's resolver of names did not run while containers did: it was begun");
    }

    private void prepareBeside(JsonNode container, String network) {
        Request create = Request.post("prepare a container", Libpod.path("/containers/create"))
                .json(Map.of(
                        "image",
                        container.path("Image").asText(),
                        "entrypoint",
                        List.of("/proc/self/exe"),
                        "netns",
                        Map.of("nsmode", "bridge"),
                        "Networks",
                        Map.of(network, Map.of())));
        Answer made = libpod.change(create, libpod.deadlines().work());
        if (!made.isSuccess()) {
            throw Libpod.failure(create, made);
        }
        String id = made.json().path("Id").asText();
        try {
            // Whether the program could be run does not matter: the network is set up before.
            libpod.change(
                    Request.post("prepare a container", Libpod.path("/containers/{}/init", id)),
                    libpod.deadlines().work());
        } finally {
            libpod.change(
                    Request.delete(
                            "remove a prepared container",
                            Libpod.path("/containers/{}?force=true&v=true&timeout=0", id)),
                    libpod.deadlines().work());
        }
    }
}
