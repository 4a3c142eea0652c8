package dev.metacircular.cli;

import com.google.protobuf.ByteString;
import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ExecInput;
import dev.metacircular.contract.v1.ExecOutput;
import dev.metacircular.contract.v1.ExecStart;
import dev.metacircular.contract.v1.TerminalSize;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code mcp exec}: a command inside a running component; its exit status is this program's. */
final class ExecCommand implements Command {
    private static final int CHUNK_BYTES = 16 << 10;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "exec",
                "Runs a command in a running component, on a terminal where both input and output are one."
                        + " Its exit status is that of mcp.");
        spec.addPositional(Models.required(0, "SERVICE/COMPONENT", "The component."));
        spec.addPositional(PositionalParamSpec.builder()
                .index("1..*")
                .arity("1..*")
                .required(true)
                .type(List.class)
                .auxiliaryTypes(String.class)
                .paramLabel("CMD")
                .description("The command and its arguments, after --.")
                .build());
        spec.addOption(Models.flag("--no-terminal", "Never on a terminal."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Target target = arguments.requiredTarget(0);
        if (target.component().isEmpty()) {
            throw Problem.of(Problem.Kind.INVALID, "'" + target + "' names no component")
                    .next("give SERVICE/COMPONENT")
                    .exception();
        }
        ExecStart.Builder start = ExecStart.newBuilder()
                .setIdempotencyKey(Place.idempotencyKey())
                .setService(target.service().value())
                .setComponent(target.component().get().value())
                .addAllCommand(arguments.all(1));
        ClientConfig.Node node = Place.of(session, arguments, target.service());
        boolean onTerminal = session.streams().inIsTerminal()
                && session.streams().outIsTerminal()
                && !session.json()
                && !arguments.flag("--no-terminal");
        try (AgentChannel channel = Nodes.channel(session, node);
                RawTerminal terminal = onTerminal ? RawTerminal.open() : RawTerminal.none()) {
            terminal.size().ifPresent(start::setTerminal);
            return exchange(session, node, channel, terminal, start.build());
        }
    }

    private static int exchange(
            Session session, ClientConfig.Node node, AgentChannel channel, RawTerminal terminal, ExecStart start) {
        Received received = new Received(session);
        AgentGrpc.AgentStub stub = AgentGrpc.newStub(channel);
        if (session.timeoutSeconds().isPresent()) {
            stub = stub.withDeadlineAfter(Nodes.limit(session, Nodes.QUESTION).toMillis(), TimeUnit.MILLISECONDS);
        }
        stub.exec(received);
        ClientCallStreamObserver<ExecInput> input = received.input.join();
        input.onNext(ExecInput.newBuilder().setStart(start).build());
        terminal.onResize(size -> sendResize(input, size));
        Thread pump = new Thread(() -> pump(session.in(), input, received), "standard input");
        pump.setDaemon(true);
        pump.start();
        try {
            return received.exit.get(
                    Nodes.limit(session, Nodes.DEPLOY.multipliedBy(84)).toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw new ProblemException(
                    Nodes.at(node, Nodes.explain(e.getCause(), Nodes.limit(session, Nodes.QUESTION))), e);
        } catch (TimeoutException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.DEADLINE, "the command did not end in time")
                            .at("node " + node.name()),
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        }
    }

    private static void sendResize(StreamObserver<ExecInput> input, TerminalSize size) {
        synchronized (input) {
            input.onNext(ExecInput.newBuilder().setResize(size).build());
        }
    }

    private static void pump(InputStream from, StreamObserver<ExecInput> to, Received received) {
        byte[] chunk = new byte[CHUNK_BYTES];
        try {
            for (int size = from.read(chunk); size >= 0; size = from.read(chunk)) {
                received.awaitRoom();
                synchronized (to) {
                    to.onNext(ExecInput.newBuilder()
                            .setData(ByteString.copyFrom(chunk, 0, size))
                            .build());
                }
            }
        } catch (IOException e) {
            // What cannot be read has ended.
        }
        synchronized (to) {
            to.onNext(ExecInput.newBuilder().setEndOfInput(true).build());
            to.onCompleted();
        }
    }

    private static final class Received implements ClientResponseObserver<ExecInput, ExecOutput> {
        private final CompletableFuture<ClientCallStreamObserver<ExecInput>> input = new CompletableFuture<>();
        private final Semaphore room = new Semaphore(0);
        private final CompletableFuture<Integer> exit = new CompletableFuture<>();
        private final Session session;
        private Optional<Integer> status = Optional.empty();

        private Received(Session session) {
            this.session = session;
        }

        @Override
        public void beforeStart(ClientCallStreamObserver<ExecInput> call) {
            call.setOnReadyHandler(room::release);
            input.complete(call);
        }

        /** Waits until the agent takes more, so that what is sent is bounded by the connection's window. */
        void awaitRoom() {
            while (!input.join().isReady() && !exit.isDone()) {
                room.acquireUninterruptibly();
                room.drainPermits();
            }
        }

        @Override
        public void onNext(ExecOutput output) {
            switch (output.getOutputCase()) {
                case OUT -> write("out", output.getOut());
                case ERR -> write("err", output.getErr());
                case EXIT_STATUS -> status = Optional.of(output.getExitStatus());
                case OUTPUT_NOT_SET -> {
                    // What a newer agent tells beyond what this version knows.
                }
            }
        }

        private void write(String stream, ByteString data) {
            if (session.json()) {
                session.out()
                        .println(Json.write(Json.object(
                                "stream",
                                stream,
                                "data_base64",
                                Base64.getEncoder().encodeToString(data.toByteArray()))));
                session.out().flush();
                return;
            }
            PrintStream to = stream.equals("out") ? session.out() : session.err();
            to.write(data.toByteArray(), 0, data.size());
            to.flush();
        }

        @Override
        public void onError(Throwable failure) {
            exit.completeExceptionally(failure);
            room.release();
        }

        @Override
        public void onCompleted() {
            room.release();
            if (status.isEmpty()) {
                exit.completeExceptionally(new StatusRuntimeException(
                        Status.INTERNAL.withDescription("the node ended the call without an exit status")));
                return;
            }
            if (session.json()) {
                session.out().println(Json.write(Json.object("exit_status", status.get())));
            }
            exit.complete(status.get());
        }
    }
}
