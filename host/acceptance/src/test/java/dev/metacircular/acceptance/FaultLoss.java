package dev.metacircular.acceptance;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The registry of a fault run's node is cut off, so that its last snapshot takes its place. What was done since is not known to it: the
 * round's act, whatever of it was done. Nothing that runs is ended for that, the loss is told once, and an operator's {@code sync} and a
 * deploy of what changed bring back what should be.
 */
final class FaultLoss {
    private final FaultWorld world;
    private final FaultRun.Act act;

    FaultLoss(FaultWorld world, FaultRun.Act act) {
        this.world = world;
        this.act = act;
    }

    /** Leaves that part of the registry's file, from 0 to 1; the log of what is not yet in it goes too. */
    static void cut(Node node, double part) {
        Path registry = node.agentDirectory().resolve("registry.db");
        try (FileChannel file = FileChannel.open(registry, StandardOpenOption.WRITE);
                FileChannel log = FileChannel.open(
                        Path.of(registry + "-wal"), StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
            file.truncate((long) (part * file.size()));
            log.truncate(0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What podman runs, by the containers' IDs. */
    Map<String, String> running() {
        Map<String, String> running = new TreeMap<>();
        for (Node.Container c : world.node.containers()) {
            if (c.state().equals("running")) {
                running.put(c.id(), c.service() + "/" + c.component() + " since " + c.startedAt());
            }
        }
        return running;
    }

    /** @throws AssertionError if one that ran does not, or not since then */
    void requireStillRunning(Map<String, String> before) {
        Map<String, String> now = running();
        before.forEach((id, told) -> {
            if (!told.equals(now.get(id))) {
                throw new AssertionError("what ran when the registry was lost: expected %s %s, found %s of %s"
                        .formatted(id, told, now.get(id), now));
            }
        });
    }

    /** @throws AssertionError if the node does not say what was lost */
    void requireTold(long lastEvent) {
        long told = world.eventsAfter(lastEvent).stream()
                .filter(e -> e.get("kind").asText().equals("registry_restored"))
                .count();
        JsonNode loss = world.node
                .json("node", "show", world.node.name)
                .path("registry")
                .path("loss");
        if (told != 1 || loss.path("lost_since").asText().isEmpty()) {
            throw new AssertionError("registry_restored: expected 1, found %d; loss: %s".formatted(told, loss));
        }
    }

    /** What the operator's guide says is to be done. */
    void repair() {
        world.registered().orElseThrow().keySet().stream()
                .map(c -> c.substring(0, c.indexOf('/')))
                .distinct()
                .forEach(service -> world.node.mcp("sync", service).ok());
        switch (act) {
            case DEPLOY -> world.node.mcp("deploy", FaultWorld.MOVED).ok();
            case GUEST -> {
                world.defineGuest();
                world.node.mcp("deploy", FaultWorld.GUEST).ok();
            }
            case RESTART, CRASH, SWITCH, NOTHING -> {}
        }
        JsonNode registry = world.node.json("node", "show", world.node.name).path("registry");
        if (!registry.path("unconfirmed").isEmpty()) {
            throw new AssertionError("unconfirmed: expected none, found " + registry.path("unconfirmed"));
        }
        List<JsonNode> unregistered = new ArrayList<>();
        world.node.json("status").path("unregistered").forEach(unregistered::add);
        if (!unregistered.isEmpty()) {
            throw new AssertionError("unregistered: expected none, found " + unregistered);
        }
    }
}
