package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The node's backends, one a kind. */
final class Runtimes implements AutoCloseable {
    private final Map<RuntimeKind, Runtime> byKind = new EnumMap<>(RuntimeKind.class);

    Runtimes(Collection<? extends Runtime> runtimes) {
        runtimes.forEach(r -> byKind.put(r.kind(), r));
    }

    /** The same backends, in whose listings adopted instances have their identity. */
    Runtimes adopting(Name node, NodeView view) {
        return new Runtimes(byKind.values().stream()
                .map(r -> new AdoptingRuntime(r, node, view))
                .toList());
    }

    Collection<Runtime> all() {
        return List.copyOf(byKind.values());
    }

    boolean has(RuntimeKind kind) {
        return byKind.containsKey(kind);
    }

    /** @throws dev.metacircular.model.ProblemException {@code UNSUPPORTED} if this node has no such backend */
    Runtime of(RuntimeKind kind) {
        Runtime runtime = byKind.get(kind);
        if (runtime == null) {
            throw Problem.of(Problem.Kind.UNSUPPORTED, "this agent has no backend for runtime \"" + kind + "\" yet")
                    .exception();
        }
        return runtime;
    }

    Runtime of(InstanceId instance) {
        return of(instance.runtime());
    }

    /** What bears this node's labels, of all backends; fails if one of them cannot be asked. */
    List<Instance> list() {
        List<Instance> all = new ArrayList<>();
        byKind.values().forEach(r -> all.addAll(r.list()));
        return all;
    }

    /** Those of one service, of all backends; fails if one of them cannot be asked. */
    List<Instance> list(Name service) {
        List<Instance> all = new ArrayList<>();
        byKind.values().forEach(r -> all.addAll(r.list(service)));
        return all;
    }

    /** Who holds this name on the node, in any backend; fails if one of them cannot be asked. */
    List<Instance> named(String name) {
        List<Instance> all = new ArrayList<>();
        byKind.values().forEach(r -> r.named(name).ifPresent(all::add));
        return all;
    }

    /** Everything that runs or ran, also what this system did not make; fails if a backend cannot be asked. */
    List<Instance> listAll() {
        List<Instance> all = new ArrayList<>();
        byKind.values().forEach(r -> all.addAll(r.listAll()));
        return all;
    }

    static Problem problem(RuntimeFailure failure) {
        Problem.Kind kind = switch (failure.kind()) {
            case UNREACHABLE -> Problem.Kind.UNAVAILABLE;
            case DEADLINE -> Problem.Kind.DEADLINE;
            case NOT_FOUND -> Problem.Kind.NOT_FOUND;
            case CONFLICT, PORT_TAKEN -> Problem.Kind.CONFLICT;
            case DENIED, INVALID, FAILED -> Problem.Kind.FAILED;
            case UNSUPPORTED -> Problem.Kind.UNSUPPORTED;
            case EXHAUSTED -> Problem.Kind.EXHAUSTED;
        };
        return Problem.of(kind, String.valueOf(failure.getMessage())).next(next(failure.kind()));
    }

    private static String next(RuntimeFailure.Kind kind) {
        return switch (kind) {
            case UNREACHABLE, DEADLINE ->
                "mcp doctor shows what the node lacks; run the command again once it is mended";
            case NOT_FOUND -> "mcp status shows what there is";
            case CONFLICT -> "look on the node who holds it: podman ps --all";
            case PORT_TAKEN -> "look on the node who listens there: ss -ltnp";
            case DENIED -> "give the node the credentials: [registries] in its agent.toml";
            case INVALID -> "look at image, cmd, user and volumes in the definition";
            case UNSUPPORTED, FAILED -> "mcp doctor shows what the node lacks";
            case EXHAUSTED -> "free space on the node: mcp node clean NODE, or old data";
        };
    }

    @Override
    public void close() {
        byKind.values().forEach(Runtime::close);
    }
}
