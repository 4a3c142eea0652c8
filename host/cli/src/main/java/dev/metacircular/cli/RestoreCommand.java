package dev.metacircular.cli;

import com.google.protobuf.UnsafeByteOperations;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.RestoreRequest;
import dev.metacircular.contract.v1.RestoreResponse;
import dev.metacircular.contract.v1.UploadSnapshotRequest;
import dev.metacircular.contract.v1.UploadSnapshotResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp restore}: puts a snapshot's services in the place of those that a node has registered. */
final class RestoreCommand implements Command {
    private static final int PART_BYTES = 1 << 20;
    private static final String COPIES = "give a copy that mcp backup --to made";

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "restore",
                "Puts the services of a snapshot in the place of those that a node has registered.",
                "Tokens, events, secrets and services' files stay as they are. What should run is started; nothing is"
                        + " ended until mcp sync, deploy, start or stop says what should be.");
        spec.addPositional(Models.required(0, "NODE", "The node."));
        spec.addPositional(Models.optional(1, "SNAPSHOT", "One of mcp backup --list."));
        spec.addOption(Models.value("--file", "FILE", "A copy that mcp backup --to made, of this or another node."));
        spec.addOption(Models.flag("--dry-run", "Show what would change, and change nothing."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        ClientConfig.Node node = View.node(session, session.config(), arguments.requiredName(0));
        Optional<String> named = arguments.positional(1);
        Optional<Path> file = arguments.path("--file");
        if (named.isPresent() == file.isPresent()) {
            throw Problem.of(Problem.Kind.INVALID, "a restore needs a snapshot's name or --file, one of them")
                    .next("mcp backup --list --node " + node.name() + " lists the names")
                    .exception();
        }
        boolean dryRun = arguments.flag("--dry-run");
        record Done(String snapshot, RestoreResponse response) {}
        Done done = Nodes.call(session, node, Nodes.limit(session, Nodes.CHANGE), stub -> {
            String snapshot = named.orElseGet(() -> upload(session, stub, file.orElseThrow()));
            RestoreRequest.Builder request =
                    RestoreRequest.newBuilder().setSnapshot(snapshot).setDryRun(dryRun);
            if (!dryRun) {
                request.setIdempotencyKey(Place.idempotencyKey());
            }
            return new Done(snapshot, stub.restore(request.build()));
        });
        if (session.json()) {
            session.out().println(Json.write(json(node, done.snapshot(), done.response())));
        } else {
            print(session, node, done.snapshot(), done.response(), dryRun);
        }
        return ExitStatus.DONE;
    }

    private static String upload(Session session, AgentGrpc.AgentBlockingStub stub, Path file) {
        String upload = Place.idempotencyKey();
        try (InputStream in = Files.newInputStream(file)) {
            long offset = 0;
            byte[] part = in.readNBytes(PART_BYTES);
            while (true) {
                byte[] next = in.readNBytes(PART_BYTES);
                UploadSnapshotResponse response = stub.uploadSnapshot(UploadSnapshotRequest.newBuilder()
                        .setIdempotencyKey(Place.idempotencyKey())
                        .setUpload(upload)
                        .setOffset(offset)
                        .setData(UnsafeByteOperations.unsafeWrap(part))
                        .setLast(next.length == 0)
                        .build());
                if (next.length == 0) {
                    return response.getSnapshot().getName();
                }
                offset += part.length;
                part = next;
            }
        } catch (StatusRuntimeException e) {
            Problem problem = Nodes.explain(e, Nodes.limit(session, Nodes.CHANGE));
            throw problem.kind() == Problem.Kind.INVALID
                    ? new ProblemException(problem.at(file.toString()).next(COPIES), e)
                    : e;
        } catch (IOException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.INVALID, "the backup cannot be read: " + e)
                            .at(file.toString())
                            .next(COPIES),
                    e);
        }
    }

    private static Object json(ClientConfig.Node node, String snapshot, RestoreResponse response) {
        return Json.object(
                "result",
                "ok",
                "node",
                node.name().value(),
                "snapshot",
                snapshot,
                "before",
                response.getBefore().isEmpty() ? null : response.getBefore(),
                "services",
                response.getServicesList().stream()
                        .map(s -> Json.object(
                                "service",
                                s.getService(),
                                "change",
                                s.getChange(),
                                "components",
                                s.getComponentsList()))
                        .toList());
    }

    private static void print(
            Session session, ClientConfig.Node node, String snapshot, RestoreResponse response, boolean dryRun) {
        Table table = new Table("SERVICE", "CHANGE", "COMPONENTS");
        response.getServicesList()
                .forEach(s -> table.row(s.getService(), s.getChange(), String.join(", ", s.getComponentsList())));
        if (!table.isEmpty()) {
            table.print(session.out());
        }
        if (dryRun) {
            session.out().println("nothing was changed; the snapshot is " + Text.printable(snapshot));
            return;
        }
        session.out()
                .println("restored " + Text.printable(snapshot) + " on node " + node.name()
                        + "; what was before is snapshot " + Text.printable(response.getBefore()));
        session.out().flush();
        session.err()
                .println("next: mcp status --node " + node.name()
                        + "; nothing is ended until mcp sync, deploy, start or stop says what should be");
    }
}
