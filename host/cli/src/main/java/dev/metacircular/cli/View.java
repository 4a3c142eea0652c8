package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** The answers of several nodes to one question, those included that did not answer. */
final class View<T> {
    private final Session session;
    private final List<Nodes.Answer<T>> answers;
    private final Function<T, List<RuntimeState>> runtimes;

    private View(Session session, List<Nodes.Answer<T>> answers, Function<T, List<RuntimeState>> runtimes) {
        this.session = session;
        this.answers = answers;
        this.runtimes = runtimes;
    }

    /** Asks every node of the configuration, or the one that {@code --node} names. */
    static <T> View<T> ask(
            Session session,
            Arguments arguments,
            Function<AgentGrpc.AgentBlockingStub, T> question,
            Function<T, List<RuntimeState>> runtimes) {
        return new View<>(session, Nodes.ask(session, nodes(session, arguments.name("--node")), question), runtimes);
    }

    /** Asks these nodes, each for so long where no other time is asked for. */
    static <T> View<T> of(
            Session session,
            Collection<ClientConfig.Node> nodes,
            Duration usual,
            Function<AgentGrpc.AgentBlockingStub, T> question,
            Function<T, List<RuntimeState>> runtimes) {
        return new View<>(session, Nodes.ask(session, nodes, usual, question), runtimes);
    }

    /** Asks these nodes. */
    static <T> View<T> of(
            Session session,
            Collection<ClientConfig.Node> nodes,
            Function<AgentGrpc.AgentBlockingStub, T> question,
            Function<T, List<RuntimeState>> runtimes) {
        return new View<>(session, Nodes.ask(session, nodes, question), runtimes);
    }

    /** The service that the first argument names; empty for all. */
    static String service(Arguments arguments) {
        return arguments.positional(0).isEmpty()
                ? ""
                : arguments.requiredName(0).value();
    }

    static Collection<ClientConfig.Node> nodes(Session session, Optional<Name> only) {
        ClientConfig config = session.config();
        if (only.isPresent()) {
            return List.of(node(session, config, only.get()));
        }
        if (config.nodes().isEmpty()) {
            throw Problem.of(Problem.Kind.INVALID, "no node is known")
                    .at(session.configFile().file().toString())
                    .next("mcp node add NAME HOST:PORT --ca FILE --token-file FILE")
                    .exception();
        }
        return config.nodes().values();
    }

    static ClientConfig.Node node(Session session, ClientConfig config, Name name) {
        ClientConfig.Node node = config.nodes().get(name);
        if (node == null) {
            throw Problem.of(Problem.Kind.INVALID, "node '" + name + "' is not known")
                    .at(session.configFile().file().toString())
                    .next("mcp node list, mcp node add " + name + " HOST:PORT --ca FILE --token-file FILE")
                    .exception();
        }
        return node;
    }

    void forEach(BiConsumer<String, T> action) {
        for (Nodes.Answer<T> answer : answers) {
            if (answer instanceof Nodes.Answer.Given<T>(Name node, T value)) {
                action.accept(node.value(), value);
            }
        }
    }

    /** The array {@code nodes} of the public interface. */
    List<Object> json() {
        List<Object> nodes = new ArrayList<>();
        for (Nodes.Answer<T> answer : answers) {
            nodes.add(
                    switch (answer) {
                        case Nodes.Answer.Given<T>(Name node, T value) ->
                            Json.object(
                                    "name",
                                    node.value(),
                                    "reachable",
                                    true,
                                    "error",
                                    null,
                                    "runtimes",
                                    runtimes.apply(value).stream()
                                            .map(View::json)
                                            .toList());
                        case Nodes.Answer.Missing<T> missing ->
                            Json.object(
                                    "name",
                                    missing.node().value(),
                                    "reachable",
                                    missing.reachable(),
                                    "error",
                                    missing.problem().what(),
                                    "runtimes",
                                    List.of());
                    });
        }
        return nodes;
    }

    static Object json(RuntimeState runtime) {
        return Json.object(
                "name",
                runtime.getName(),
                "available",
                runtime.getAvailable(),
                "reason",
                runtime.getReason().isEmpty() ? null : runtime.getReason(),
                "accelerator",
                runtime.getAccelerator().isEmpty() ? null : runtime.getAccelerator(),
                "version",
                runtime.getVersion().isEmpty() ? null : runtime.getVersion());
    }

    /** Prints the rows, and to standard error what is missing and why. */
    void print(Table table, String ifEmpty) {
        if (!table.isEmpty()) {
            table.print(session.out());
        } else if (answers.stream().anyMatch(a -> a instanceof Nodes.Answer.Given<T>)) {
            session.out().println(ifEmpty);
        }
        session.out().flush();
        complain();
    }

    /** Tells on standard error what could not be asked, and why. */
    void complain() {
        for (Nodes.Answer<T> answer : answers) {
            if (answer instanceof Nodes.Answer.Given<T>(Name node, T value)) {
                runtimes.apply(value).stream()
                        .filter(r -> !r.getAvailable())
                        .forEach(r -> session.err()
                                .println("warning: node " + node + ": " + r.getName()
                                        + " cannot be asked, what it runs is unknown: "
                                        + Text.printable(r.getReason())));
            } else if (answer instanceof Nodes.Answer.Missing<T> missing) {
                Report.toPeople(session, missing.problem());
            }
        }
    }

    /** 0 if all answered, otherwise what weighs most: failed, then not permitted, then not reached. */
    int exitStatus() {
        List<Integer> statuses = new ArrayList<>();
        for (Nodes.Answer<T> answer : answers) {
            if (answer instanceof Nodes.Answer.Missing<T> missing) {
                statuses.add(Problems.exitStatus(missing.problem().kind()));
            }
        }
        return heaviest(statuses);
    }

    static int heaviest(List<Integer> statuses) {
        for (int status : new int[] {
            ExitStatus.USAGE,
            ExitStatus.FAILED,
            ExitStatus.NOT_PERMITTED,
            ExitStatus.UNREACHABLE,
            ExitStatus.WOULD_CHANGE
        }) {
            if (statuses.contains(status)) {
                return status;
            }
        }
        return ExitStatus.DONE;
    }
}
