package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.cli.transport.Endpoint;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Calls to agents, one or several side by side, each within a deadline. */
final class Nodes {
    /** How long a question may take, with connecting. */
    static final Duration QUESTION = Duration.ofSeconds(5);
    /** How long a change of one service may take, where it is not a deploy. */
    static final Duration CHANGE = Duration.ofMinutes(3);
    /** How long a deploy may take, with all its pulls. */
    static final Duration DEPLOY = Duration.ofHours(2);

    private static final Duration CONNECT = Duration.ofSeconds(3);
    private static final int MAX_TOKEN_BYTES = 4_096;

    private Nodes() {}

    /** One node's answer, or why there is none. */
    sealed interface Answer<T> {
        Name node();

        record Given<T>(Name node, T value) implements Answer<T> {}

        record Missing<T>(Name node, Problem problem) implements Answer<T> {
            /** Whether the node answered at all. */
            boolean reachable() {
                return problem.kind() != Problem.Kind.UNREACHABLE && problem.kind() != Problem.Kind.INVALID;
            }
        }
    }

    /** Asks them all at once; the answers are in the nodes' order, and there when the deadline is over. */
    static <T> List<Answer<T>> ask(
            Session session, Collection<ClientConfig.Node> nodes, Function<AgentGrpc.AgentBlockingStub, T> question) {
        return ask(session, nodes, QUESTION, question);
    }

    /** Asks them all at once, each for so long where no other time is asked for. */
    static <T> List<Answer<T>> ask(
            Session session,
            Collection<ClientConfig.Node> nodes,
            Duration usual,
            Function<AgentGrpc.AgentBlockingStub, T> question) {
        Duration limit = limit(session, usual);
        long end = System.nanoTime() + limit.toNanos();
        List<CompletableFuture<T>> futures = new ArrayList<>();
        for (ClientConfig.Node node : nodes) {
            CompletableFuture<T> future = new CompletableFuture<>();
            futures.add(future);
            Thread asking = new Thread(
                    () -> complete(future, () -> call(session, node, limit, question)), "ask " + node.name());
            asking.setDaemon(true);
            asking.start();
        }
        List<Answer<T>> answers = new ArrayList<>();
        int i = 0;
        for (ClientConfig.Node node : nodes) {
            answers.add(await(node, futures.get(i++), end, limit));
        }
        return answers;
    }

    private static <T> void complete(CompletableFuture<T> future, Supplier<T> work) {
        try {
            future.complete(work.get());
        } catch (RuntimeException | Error e) {
            future.completeExceptionally(e);
        }
    }

    private static <T> Answer<T> await(ClientConfig.Node node, CompletableFuture<T> future, long end, Duration limit) {
        try {
            // A call ends by itself at its deadline: this bounds what happens before it, such as a name look-up.
            long grace = TimeUnit.MILLISECONDS.toNanos(200);
            return new Answer.Given<>(
                    node.name(), future.get(Math.max(0, end - System.nanoTime()) + grace, TimeUnit.NANOSECONDS));
        } catch (TimeoutException e) {
            return new Answer.Missing<>(node.name(), at(node, noAnswer(limit)));
        } catch (ExecutionException e) {
            return new Answer.Missing<>(node.name(), at(node, explain(e.getCause(), limit)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        }
    }

    /** One call, or several one after the other, to one node. */
    static <T> T call(
            Session session, ClientConfig.Node node, Duration limit, Function<AgentGrpc.AgentBlockingStub, T> work) {
        try (AgentChannel channel = channel(session, node)) {
            return work.apply(
                    AgentGrpc.newBlockingStub(channel).withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS));
        } catch (StatusRuntimeException e) {
            throw new ProblemException(at(node, explain(e, limit)), e);
        }
    }

    static AgentChannel channel(Session session, ClientConfig.Node node) {
        return session.channels()
                .map(shared -> shared.to(node.name(), () -> connection(session, node)))
                .orElseGet(() -> connection(session, node));
    }

    private static AgentChannel connection(Session session, ClientConfig.Node node) {
        Duration connect = limit(session, CONNECT);
        return new AgentChannel(
                new Endpoint(
                        node.name().value(),
                        node.address().host(),
                        node.address().port(),
                        node.ca(),
                        () -> token(node.tokenFile()),
                        connect.compareTo(CONNECT) < 0 ? connect : CONNECT),
                "mcp/" + Version.TEXT);
    }

    /** What was asked for with {@code --timeout}, or the usual. */
    static Duration limit(Session session, Duration usual) {
        return session.timeoutSeconds()
                .map(s -> Duration.ofMillis(Math.max(1, Math.round(s * 1_000))))
                .orElse(usual);
    }

    /** The token in a file, never told in a message. */
    static String token(Path file) {
        String next = "put the token there, or add the node again: mcp node add … --token-file FILE --replace";
        try {
            if (Files.size(file) > MAX_TOKEN_BYTES) {
                throw Problem.of(Problem.Kind.INVALID, "the token file is too long to hold one token")
                        .at(file.toString())
                        .next(next)
                        .exception();
            }
            String token = Files.readString(file, StandardCharsets.ISO_8859_1).strip();
            if (token.isEmpty() || !token.chars().allMatch(c -> c > 0x20 && c < 0x7f)) {
                throw Problem.of(Problem.Kind.INVALID, "the token file does not hold one token")
                        .at(file.toString())
                        .next(next)
                        .exception();
            }
            return token;
        } catch (IOException e) {
            throw new ProblemException(
                    new Problem(
                            Problem.Kind.INVALID,
                            "the token file cannot be read: " + e.getClass().getSimpleName(),
                            file.toString(),
                            next),
                    e);
        }
    }

    static Problem explain(@Nullable Throwable failure, Duration limit) {
        return switch (failure) {
            case ProblemException e -> e.problem();
            case StatusRuntimeException e -> {
                Problem problem = Problems.exception(e).problem();
                if (e.getTrailers() != null && e.getTrailers().containsKey(Problems.DETAIL)) {
                    yield problem;
                }
                yield switch (e.getStatus().getCode()) {
                    case DEADLINE_EXCEEDED -> noAnswer(limit);
                    case UNAVAILABLE ->
                        Problem.of(Problem.Kind.UNREACHABLE, "the connection ended before the answer was whole")
                                .next("look at the agent there, and at the network, and try again");
                    case INTERNAL, RESOURCE_EXHAUSTED, UNKNOWN, DATA_LOSS, CANCELLED -> unreadable(problem.what());
                    case UNIMPLEMENTED -> problem.next("upgrade the node's agent");
                    case OK,
                            INVALID_ARGUMENT,
                            OUT_OF_RANGE,
                            NOT_FOUND,
                            ABORTED,
                            FAILED_PRECONDITION,
                            ALREADY_EXISTS,
                            UNAUTHENTICATED,
                            PERMISSION_DENIED -> problem;
                };
            }
            case null, default -> Problem.of(Problem.Kind.INTERNAL, "mcp failed: " + failure);
        };
    }

    /** gRPC itself gave up the answer: no agent ends a call so without saying why. */
    static Problem unreadable(String why) {
        return Problem.of(Problem.Kind.UNREACHABLE, "what answers there makes no sense: " + why)
                .next("check that the address is the agent's, and that both are of the same version: mcp node list");
    }

    private static Problem noAnswer(Duration limit) {
        return Problem.of(Problem.Kind.UNREACHABLE, "no answer within " + limit.toMillis() / 1_000.0 + " s")
                .next("look at the agent there, or wait longer with --timeout");
    }

    static Problem at(ClientConfig.Node node, Problem problem) {
        return problem.where().isEmpty() ? problem.at("node " + node.name()) : problem;
    }
}
