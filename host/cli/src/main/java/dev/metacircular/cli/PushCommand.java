package dev.metacircular.cli;

import com.google.protobuf.UnsafeByteOperations;
import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.PushInput;
import dev.metacircular.contract.v1.PushResponse;
import dev.metacircular.contract.v1.PushStart;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp push}: one file into a service's folder, whole or not at all. */
final class PushCommand implements Command {
    private static final int CHUNK_BYTES = 64 << 10;
    private static final long WAIT_MILLIS = 1_000;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "push",
                "Copies one file into a service's folder on its node. The file there is replaced at once, and keeps its mode and owner;"
                        + " a new one gets this one's mode and its folder's owner.");
        spec.addPositional(Models.required(0, "FILE", "The file here."));
        spec.addPositional(Models.required(
                1, "SERVICE[:PATH]", "The service, and where in its folder; a PATH that ends with / is a folder."));
        spec.addOption(Models.flag("--parents", "Make the folders of PATH that are missing."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Path local = Path.of(arguments.required(0));
        RemoteFile remote = RemoteFile.parse(arguments.required(1)).named(local);
        if (!Files.isRegularFile(local)) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            Files.exists(local, LinkOption.NOFOLLOW_LINKS)
                                    ? "it is no file: only single files are pushed"
                                    : "there is no such file")
                    .at(local.toString())
                    .next("mcp push FILE SERVICE[:PATH]")
                    .exception();
        }
        ClientConfig.Node node = Place.of(session, arguments, remote.service());
        PushResponse response;
        try (InputStream content = Files.newInputStream(local);
                AgentChannel channel = Nodes.channel(session, node)) {
            PushStart start = PushStart.newBuilder()
                    .setIdempotencyKey(Place.idempotencyKey())
                    .setService(remote.service().value())
                    .setPath(remote.path())
                    .setSizeBytes(Files.size(local))
                    .setMode(Mode.of(Files.getPosixFilePermissions(local)))
                    .setParents(arguments.flag("--parents"))
                    .build();
            response = send(session, node, channel, start, content);
        } catch (IOException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, "it cannot be read: " + e.getMessage())
                            .at(local.toString())
                            .next("look at its rights: ls -l " + local),
                    e);
        }
        TransferReport report = new TransferReport(
                node.name(), remote.service(), response.getPath(), response.getSizeBytes(), response.getMode());
        return report.print(
                session,
                Optional.empty(),
                "pushed " + Text.bytes(response.getSizeBytes()) + " to " + remote.service() + ":"
                        + Text.printable(response.getPath()) + " on " + node.name());
    }

    private static PushResponse send(
            Session session, ClientConfig.Node node, AgentChannel channel, PushStart start, InputStream content)
            throws IOException {
        Answer answer = new Answer();
        Duration limit = Nodes.limit(session, Nodes.DEPLOY);
        AgentGrpc.newStub(channel)
                .withDeadlineAfter(limit.toMillis(), TimeUnit.MILLISECONDS)
                .push(answer);
        ClientCallStreamObserver<PushInput> input = answer.input.join();
        try (TransferProgress progress =
                new TransferProgress(session, start.getService() + ":" + start.getPath(), start.getSizeBytes())) {
            input.onNext(PushInput.newBuilder().setStart(start).build());
            byte[] chunk = new byte[CHUNK_BYTES];
            for (int n = content.read(chunk); n > 0 && !answer.done.isDone(); n = content.read(chunk)) {
                answer.awaitReady();
                if (!answer.done.isDone()) {
                    input.onNext(PushInput.newBuilder()
                            .setData(UnsafeByteOperations.unsafeWrap(chunk.clone(), 0, n))
                            .build());
                    progress.moved(n);
                }
            }
            if (!answer.done.isDone()) {
                input.onNext(PushInput.newBuilder().setEnd(true).build());
                input.onCompleted();
            }
            return answer.done.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (IllegalStateException e) {
            // The call ended between two chunks.
            return answer.now(node, limit);
        } catch (ExecutionException e) {
            throw new ProblemException(Nodes.at(node, Nodes.explain(e.getCause(), limit)), e);
        } catch (TimeoutException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.UNREACHABLE, "the push did not end in time")
                            .next("look at the agent there, or wait longer with --timeout")
                            .at("node " + node.name()),
                    e);
        } catch (IOException e) {
            input.cancel("the file cannot be read", e);
            throw e;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
        }
    }

    /** What comes back, and when more may go. */
    private static final class Answer implements ClientResponseObserver<PushInput, PushResponse> {
        private final CompletableFuture<ClientCallStreamObserver<PushInput>> input = new CompletableFuture<>();
        private final CompletableFuture<PushResponse> done = new CompletableFuture<>();
        private @Nullable PushResponse response;

        @Override
        public void beforeStart(ClientCallStreamObserver<PushInput> stream) {
            stream.setOnReadyHandler(this::wake);
            input.complete(stream);
        }

        private synchronized void wake() {
            notifyAll();
        }

        synchronized void awaitReady() throws InterruptedException {
            while (!input.join().isReady() && !done.isDone()) {
                wait(WAIT_MILLIS);
            }
        }

        PushResponse now(ClientConfig.Node node, Duration limit) {
            try {
                return done.get(WAIT_MILLIS, TimeUnit.MILLISECONDS);
            } catch (ExecutionException e) {
                throw new ProblemException(Nodes.at(node, Nodes.explain(e.getCause(), limit)), e);
            } catch (TimeoutException e) {
                throw new ProblemException(
                        Problem.of(Problem.Kind.UNREACHABLE, "the connection ended")
                                .at("node " + node.name())
                                .next("run the command again; the old file is as it was unless the push was done"),
                        e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw Problem.of(Problem.Kind.FAILED, "interrupted").exception();
            }
        }

        @Override
        public void onNext(PushResponse value) {
            response = value;
        }

        @Override
        public void onError(Throwable failure) {
            done.completeExceptionally(failure);
            wake();
        }

        @Override
        public void onCompleted() {
            PushResponse got = response;
            if (got == null) {
                done.completeExceptionally(Problem.of(Problem.Kind.INTERNAL, "the agent answered nothing")
                        .next("look at its log, and at the versions of both: mcp node list")
                        .exception());
            } else {
                done.complete(got);
            }
            wake();
        }
    }
}
