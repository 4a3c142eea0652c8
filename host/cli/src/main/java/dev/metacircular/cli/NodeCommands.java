package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.ComponentResources;
import dev.metacircular.contract.v1.RegistryFacts;
import dev.metacircular.contract.v1.RegistryLoss;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.ShowNodeRequest;
import dev.metacircular.contract.v1.ShowNodeResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp node list}, {@code show} and {@code remove}; {@link NodeAddCommand} adds. */
final class NodeCommands {
    private NodeCommands() {}

    /** {@code mcp node list}: asks no node. */
    static final class ListNodes implements Command {
        @Override
        public CommandSpec spec() {
            return Models.command("list", "Shows the nodes that this client knows; asks none of them.");
        }

        @Override
        public int run(Arguments arguments, Session session) {
            ClientConfig config = session.config();
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object(
                                "nodes",
                                config.nodes().values().stream()
                                        .map(n -> Json.object(
                                                "name",
                                                n.name().value(),
                                                "address",
                                                n.address().toString(),
                                                "ca",
                                                n.ca().toString(),
                                                "token_file",
                                                n.tokenFile().toString()))
                                        .toList())));
                return ExitStatus.DONE;
            }
            Table table = new Table("NAME", "ADDRESS", "CA", "TOKEN FILE");
            config.nodes()
                    .values()
                    .forEach(n -> table.row(
                            n.name().value(),
                            n.address().toString(),
                            n.ca().toString(),
                            n.tokenFile().toString()));
            if (table.isEmpty()) {
                session.out().println("no node is known");
            } else {
                table.print(session.out());
            }
            return ExitStatus.DONE;
        }
    }

    /** {@code mcp node show}. */
    static final class Show implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command(
                    "show",
                    "Shows a node's CPUs, memory, disk and runtimes, its registry, and what its components take.");
            spec.addPositional(Models.required(0, "NODE", "The node."));
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            ClientConfig.Node node = View.node(session, session.config(), arguments.requiredName(0));
            ShowNodeResponse response = Nodes.call(
                    session,
                    node,
                    Nodes.limit(session, Nodes.QUESTION),
                    stub -> stub.showNode(ShowNodeRequest.getDefaultInstance()));
            if (session.json()) {
                session.out().println(Json.write(json(response)));
            } else {
                print(session, node, response);
            }
            return ExitStatus.DONE;
        }

        private static Object json(ShowNodeResponse n) {
            return Json.object(
                    "name",
                    n.getName(),
                    "cpus",
                    n.getCpus(),
                    "memory_bytes",
                    n.hasMemoryBytes() ? n.getMemoryBytes() : null,
                    "memory_free_bytes",
                    n.hasMemoryFreeBytes() ? n.getMemoryFreeBytes() : null,
                    "memory_reason",
                    n.getMemoryReason().isEmpty() ? null : n.getMemoryReason(),
                    "disk_bytes",
                    n.hasDiskBytes() ? n.getDiskBytes() : null,
                    "disk_free_bytes",
                    n.hasDiskFreeBytes() ? n.getDiskFreeBytes() : null,
                    "disk_reason",
                    n.getDiskReason().isEmpty() ? null : n.getDiskReason(),
                    "runtimes",
                    n.getRuntimesList().stream().map(View::json).toList(),
                    "version",
                    n.getVersion(),
                    "registry",
                    n.hasRegistry() ? json(n.getRegistry()) : null,
                    "components",
                    n.getComponentsList().stream().map(Show::json).toList());
        }

        private static Object json(ComponentResources c) {
            return Json.object(
                    "service",
                    c.getService(),
                    "component",
                    c.getComponent(),
                    "memory_bytes",
                    c.hasMemoryBytes() ? c.getMemoryBytes() : null,
                    "cpu_ns",
                    c.hasCpuNs() ? c.getCpuNs() : null,
                    "reason",
                    c.getReason().isEmpty() ? null : c.getReason(),
                    "memory_limit_bytes",
                    c.hasMemoryLimitBytes() ? c.getMemoryLimitBytes() : null,
                    "cpu_limit",
                    c.hasCpuLimit() ? c.getCpuLimit() : null,
                    "not_enforced",
                    c.getNotEnforced().isEmpty() ? null : c.getNotEnforced());
        }

        private static Object json(RegistryFacts r) {
            RegistryLoss loss = r.getLoss();
            return Json.object(
                    "snapshot_at",
                    r.getSnapshotAtMs() == 0 ? null : time(r.getSnapshotAtMs()),
                    "snapshots",
                    r.getSnapshots(),
                    "loss",
                    r.hasLoss()
                            ? Json.object(
                                    "noticed_at",
                                    time(loss.getNoticedAtMs()),
                                    "lost_since",
                                    time(loss.getLostSinceMs()),
                                    "snapshot",
                                    loss.getSnapshot(),
                                    "damaged",
                                    loss.getDamaged(),
                                    "why",
                                    loss.getWhy())
                            : null,
                    "unconfirmed",
                    r.getUnconfirmedList());
        }

        private static String time(long ms) {
            return Instant.ofEpochMilli(ms).toString();
        }

        private static void print(Session session, RegistryFacts r) {
            session.out()
                    .println("registry " + r.getSnapshots() + (r.getSnapshots() == 1 ? " snapshot" : " snapshots")
                            + (r.getSnapshotAtMs() == 0 ? "" : ", the last of " + time(r.getSnapshotAtMs())));
            if (r.hasLoss()) {
                RegistryLoss loss = r.getLoss();
                session.out()
                        .println("LOSS     noticed at " + time(loss.getNoticedAtMs())
                                + ": what was registered since " + time(loss.getLostSinceMs())
                                + " is lost; " + Text.printable(loss.getSnapshot())
                                + " took its place, the damaged file is " + Text.printable(loss.getDamaged()) + ": "
                                + Text.printable(loss.getWhy()));
            }
            if (r.getUnconfirmedCount() > 0) {
                session.out()
                        .println(
                                "CONFIRM  from a snapshot, and nothing of them is ended until mcp sync, deploy, start or"
                                        + " stop: " + Text.printable(String.join(", ", r.getUnconfirmedList())));
            }
        }

        private static void print(Session session, ClientConfig.Node node, ShowNodeResponse n) {
            session.out().println("node     " + Text.printable(n.getName()) + " at " + node.address());
            session.out().println("agent    " + Text.printable(n.getVersion()));
            session.out().println("cpus     " + n.getCpus());
            session.out()
                    .println("memory   "
                            + (n.hasMemoryBytes()
                                    ? Text.bytes(n.getMemoryBytes()) + ", " + Text.bytes(n.getMemoryFreeBytes())
                                            + " free"
                                    : "unknown: " + Text.printable(n.getMemoryReason())));
            session.out()
                    .println("disk     "
                            + (n.hasDiskBytes()
                                    ? Text.bytes(n.getDiskBytes()) + ", " + Text.bytes(n.getDiskFreeBytes()) + " free"
                                    : "unknown: " + Text.printable(n.getDiskReason())));
            for (RuntimeState r : n.getRuntimesList()) {
                String accelerator = r.getAccelerator().isEmpty() ? "" : ", accelerator " + r.getAccelerator();
                session.out()
                        .println("runtime  "
                                + Text.printable(
                                        r.getAvailable()
                                                ? (r.getName() + " " + r.getVersion()).strip() + accelerator
                                                : r.getName() + ": not available: " + r.getReason()));
            }
            Table taken = new Table("COMPONENT", "MEMORY", "OF", "CPU TIME", "CPUS AT MOST");
            n.getComponentsList().stream()
                    .filter(c -> c.hasMemoryBytes() || c.hasCpuNs())
                    .forEach(c -> taken.row(
                            c.getService() + "/" + c.getComponent(),
                            c.hasMemoryBytes() ? Text.bytes(c.getMemoryBytes()) : "",
                            c.hasMemoryLimitBytes() ? Text.bytes(c.getMemoryLimitBytes()) : "",
                            c.hasCpuNs() ? Duration.ofNanos(c.getCpuNs()).toMillis() / 1_000.0 + " s" : "",
                            c.hasCpuLimit() ? Double.toString(c.getCpuLimit()) : ""));
            if (!taken.isEmpty()) {
                taken.print(session.out());
            }
            n.getComponentsList().stream()
                    .filter(c -> !c.getNotEnforced().isEmpty())
                    .forEach(c -> session.out()
                            .println("LIMITS   of " + Text.printable(c.getService() + "/" + c.getComponent())
                                    + " are not enforced: " + Text.printable(c.getNotEnforced())));
            if (n.hasRegistry()) {
                print(session, n.getRegistry());
            }
        }
    }

    /** {@code mcp node remove}: the node itself is not touched. */
    static final class Remove implements Command {
        @Override
        public CommandSpec spec() {
            CommandSpec spec = Models.command(
                    "remove", "Forgets a node and the copies of its CA and token; the node is not touched.");
            spec.addPositional(Models.required(0, "NODE", "The node."));
            return spec;
        }

        @Override
        public int run(Arguments arguments, Session session) {
            Name name = arguments.requiredName(0);
            ClientConfig.Node node = session.config().nodes().get(name);
            session.configFile().removeNode(name);
            if (node != null) {
                deleteOwn(session, node.ca());
                deleteOwn(session, node.tokenFile());
            }
            if (session.json()) {
                session.out().println(Json.write(Json.object("result", "ok", "node", name.value())));
            } else {
                session.out().println("node " + name + " is forgotten");
            }
            return ExitStatus.DONE;
        }

        /** Only what lies in the CLI's own directory is its own. */
        private static void deleteOwn(Session session, Path file) {
            try {
                if (file.startsWith(session.home())) {
                    Files.deleteIfExists(file);
                }
            } catch (IOException e) {
                session.err().println("warning: " + file + " could not be removed: " + e.getMessage());
            }
        }
    }
}
