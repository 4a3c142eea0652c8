package dev.metacircular.agent;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import com.google.protobuf.UnsafeByteOperations;
import dev.metacircular.contract.Messages;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ExecInput;
import dev.metacircular.contract.v1.ExecOutput;
import dev.metacircular.contract.v1.ExecStart;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Runs commands inside components for callers of {@code Exec}. */
final class ExecService {
    private static final int CHUNK_BYTES = 16 << 10;
    private static final long WAIT_MILLIS = 1_000;
    private static final int MAX_ARGUMENTS = 1_000;

    private final NodeView view;
    private final Runtimes runtimes;
    private final Outcomes outcomes;

    ExecService(NodeView view, Runtimes runtimes, Outcomes outcomes) {
        this.view = view;
        this.runtimes = runtimes;
        this.outcomes = outcomes;
    }

    StreamObserver<ExecInput> open(Caller caller, StreamObserver<ExecOutput> observer) {
        Exchange exchange = new Exchange(caller, (ServerCallStreamObserver<ExecOutput>) observer);
        exchange.out.setOnReadyHandler(exchange::wake);
        exchange.out.setOnCancelHandler(exchange::cancel);
        return exchange;
    }

    private Exec.Session start(ExecStart start) {
        ComponentId id = new ComponentId(
                Messages.name(start.getService(), "service"), Messages.name(start.getComponent(), "component"));
        if (start.getCommandCount() == 0 || start.getCommandCount() > MAX_ARGUMENTS) {
            throw Problem.of(Problem.Kind.INVALID, "a command of 1 to " + MAX_ARGUMENTS + " words is needed")
                    .at(id.toString())
                    .exception();
        }
        try {
            InstanceId instance = running(id);
            Exec exec = runtimes.of(instance)
                    .exec()
                    .orElseThrow(() -> Problem.of(
                                    Problem.Kind.UNSUPPORTED,
                                    "it is a " + instance.runtime() + ": nothing but its own program can be run inside")
                            .at(id.toString())
                            .next("mcp logs " + id)
                            .exception());
            return exec.exec(
                    instance,
                    start.getCommandList(),
                    start.hasTerminal()
                            ? Optional.of(new Exec.TerminalSize(
                                    start.getTerminal().getColumns(),
                                    start.getTerminal().getRows()))
                            : Optional.empty());
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(id.toString()).exception();
        }
    }

    private InstanceId running(ComponentId id) {
        long generation =
                view.service(id.service()).map(KnownService::generation).orElse(Long.MAX_VALUE);
        Instance instance = Instances.chosen(runtimes.list(id.service()), id, generation)
                .orElseThrow(() -> Problem.of(Problem.Kind.NOT_FOUND, "it has no instance on this node")
                        .at(id.toString())
                        .next("mcp status " + id.service())
                        .exception());
        if (!Instances.isRunning(instance)) {
            throw Problem.of(Problem.Kind.CONFLICT, "it does not run")
                    .at(id.toString())
                    .next("mcp start " + id)
                    .exception();
        }
        return instance.id();
    }

    /** One call: the first message starts the command, the rest is its input. */
    private final class Exchange implements StreamObserver<ExecInput> {
        private final Caller caller;
        private final ServerCallStreamObserver<ExecOutput> out;
        private Exec.@Nullable Session session;
        private boolean started;
        private boolean over;
        private boolean gone;

        Exchange(Caller caller, ServerCallStreamObserver<ExecOutput> out) {
            this.caller = caller;
            this.out = out;
        }

        private synchronized void wake() {
            notifyAll();
        }

        private synchronized void cancel() {
            gone = true;
            if (session != null) {
                session.close();
            }
            notifyAll();
        }

        @Override
        public void onNext(ExecInput input) {
            try {
                switch (input.getInputCase()) {
                    case START -> begin(input.getStart());
                    case DATA -> {
                        require().input().write(input.getData().toByteArray());
                        require().input().flush();
                    }
                    case END_OF_INPUT -> require().input().close();
                    case RESIZE ->
                        require()
                                .resize(new Exec.TerminalSize(
                                        input.getResize().getColumns(),
                                        input.getResize().getRows()));
                    case INPUT_NOT_SET -> throw invalid("a message without content");
                }
            } catch (IOException e) {
                // The command has closed its input or has ended; its status tells the rest.
            } catch (RuntimeException e) {
                fail(e);
            }
        }

        private void begin(ExecStart start) {
            if (started) {
                throw invalid("a second start");
            }
            started = true;
            Thread.startVirtualThread(() -> {
                try {
                    Message last = outcomes.once(
                            caller, start.getIdempotencyKey(), "Exec", ExecOutput.parser(), () -> run(start));
                    finish((ExecOutput) last);
                } catch (RuntimeException e) {
                    fail(e);
                }
            });
        }

        /** Input that arrives before the command has started waits for it. */
        private synchronized Exec.Session require() {
            waitWhile(() -> started && !over && session == null);
            if (session == null) {
                throw invalid("input without a command");
            }
            return session;
        }

        private ExecOutput run(ExecStart start) {
            try (Exec.Session opened = ExecService.this.start(start)) {
                synchronized (this) {
                    session = opened;
                    notifyAll();
                    if (gone || out.isCancelled()) {
                        // Its caller went while it was being started: nobody else ends it.
                        cancel();
                    }
                }
                Thread errors = Thread.startVirtualThread(() -> copy(
                        opened.errors(), b -> ExecOutput.newBuilder().setErr(b).build()));
                copy(opened.output(), b -> ExecOutput.newBuilder().setOut(b).build());
                errors.join();
                synchronized (this) {
                    if (gone) {
                        // Asking for the status would go on for as long as the command runs.
                        throw Problem.of(Problem.Kind.FAILED, "its caller has gone; the command may run on")
                                .exception();
                    }
                }
                return ExecOutput.newBuilder()
                        .setExitStatus(opened.exitStatus())
                        .build();
            } catch (RuntimeFailure e) {
                throw Runtimes.problem(e).exception();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw Problem.of(Problem.Kind.FAILED, "the agent is ending").exception();
            }
        }

        private void copy(InputStream from, Function<ByteString, ExecOutput> message) {
            byte[] buffer = new byte[CHUNK_BYTES];
            try (from) {
                for (int n = from.read(buffer); n >= 0; n = from.read(buffer)) {
                    if (n > 0) {
                        send(message.apply(UnsafeByteOperations.unsafeWrap(buffer.clone(), 0, n)));
                    }
                }
            } catch (IOException e) {
                // The exchange was closed: by the caller's going away, or by the command's end.
            }
        }

        private synchronized void send(ExecOutput message) {
            waitWhile(() -> !out.isReady());
            if (!out.isCancelled()) {
                out.onNext(message);
            }
        }

        /** Waits while the condition holds and the caller is there; looks at least once a second. */
        private synchronized void waitWhile(BooleanSupplier condition) {
            try {
                while (condition.getAsBoolean() && !out.isCancelled()) {
                    wait(WAIT_MILLIS);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw Problem.of(Problem.Kind.FAILED, "the agent is ending").exception();
            }
        }

        private synchronized void finish(ExecOutput last) {
            send(last);
            over = true;
            out.onCompleted();
            notifyAll();
        }

        /** Ends the call, and the command if there is one. */
        private synchronized void fail(RuntimeException e) {
            if (!over && !out.isCancelled()) {
                over = true;
                out.onError(Problems.toStatus(PlanExecutor.problem(e)));
            }
            cancel();
        }

        private RuntimeException invalid(String what) {
            return Problem.of(Problem.Kind.INVALID, "the exchange has " + what).exception();
        }

        @Override
        public void onError(Throwable failure) {
            cancel();
        }

        @Override
        public void onCompleted() {
            try {
                require().input().close();
            } catch (IOException e) {
                // The command has ended already.
            } catch (RuntimeException e) {
                fail(e);
            }
        }
    }
}
