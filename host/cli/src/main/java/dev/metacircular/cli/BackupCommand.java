package dev.metacircular.cli;

import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ListSnapshotsRequest;
import dev.metacircular.contract.v1.ReadSnapshotRequest;
import dev.metacircular.contract.v1.Snapshot;
import dev.metacircular.contract.v1.TakeSnapshotRequest;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp backup}: takes snapshots of nodes' registries, lists them, and copies them here. */
final class BackupCommand implements Command {
    private static final Duration USUAL = Duration.ofMinutes(1);

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "backup",
                "Takes a snapshot of every node's registry.",
                "It stays on the node; --to copies it here as well. It has no secret and no file of a service.");
        spec.addOption(Models.value("--node", "NODE", "Only this node's."));
        spec.addOption(Models.flag("--list", "Take none, and list those that there are."));
        spec.addOption(Models.value("--to", "DIR", "Copy what was taken into this folder, as NODE-SNAPSHOT."));
        return spec;
    }

    /** @param file its copy here */
    private record Copy(Snapshot snapshot, Optional<Path> file) {}

    @Override
    public int run(Arguments arguments, Session session) {
        boolean list = arguments.flag("--list");
        Optional<Path> to = arguments.path("--to").map(Path::toAbsolutePath);
        if (list && to.isPresent()) {
            throw Problem.of(Problem.Kind.INVALID, "--list takes no snapshot that --to could copy")
                    .next("leave out one of the two")
                    .exception();
        }
        to.filter(d -> !Files.isDirectory(d)).ifPresent(d -> {
            throw Problem.of(Problem.Kind.INVALID, "there is no such folder")
                    .at(d.toString())
                    .next("mkdir -p " + d)
                    .exception();
        });
        View<List<Copy>> view = View.of(
                session,
                View.nodes(session, arguments.name("--node")),
                USUAL,
                stub -> list ? listed(stub) : List.of(taken(stub, to)),
                _ -> List.of());
        if (session.json()) {
            List<Object> snapshots = new ArrayList<>();
            view.forEach((node, copies) -> copies.forEach(c -> snapshots.add(json(node, c))));
            session.out().println(Json.write(Json.object("nodes", view.json(), "snapshots", snapshots)));
        } else {
            Table table = new Table("NODE", "SNAPSHOT", "TAKEN", "SIZE", "COPY");
            view.forEach((node, copies) -> copies.forEach(c -> table.row(
                    node,
                    c.snapshot().getName(),
                    Instant.ofEpochMilli(c.snapshot().getTakenAtMs())
                            .truncatedTo(ChronoUnit.SECONDS)
                            .toString(),
                    Text.bytes(c.snapshot().getSizeBytes()),
                    c.file().map(Path::toString).orElse(""))));
            view.print(table, "there is no snapshot");
        }
        return view.exitStatus();
    }

    private static List<Copy> listed(AgentGrpc.AgentBlockingStub stub) {
        return stub.listSnapshots(ListSnapshotsRequest.getDefaultInstance()).getSnapshotsList().stream()
                .map(s -> new Copy(s, Optional.empty()))
                .toList();
    }

    private static Copy taken(AgentGrpc.AgentBlockingStub stub, Optional<Path> to) {
        Snapshot snapshot = stub.takeSnapshot(TakeSnapshotRequest.newBuilder()
                .setIdempotencyKey(Place.idempotencyKey())
                .build());
        String node = to.isEmpty()
                ? ""
                : stub.hello(dev.metacircular.contract.v1.HelloRequest.getDefaultInstance())
                        .getNode();
        return new Copy(snapshot, to.map(folder -> copy(stub, snapshot, folder, node)));
    }

    /** Whole or not at all, and readable for its owner alone: it has the tokens' hashes. */
    private static Path copy(AgentGrpc.AgentBlockingStub stub, Snapshot snapshot, Path folder, String node) {
        Path target = folder.resolve(fileName(node + "-" + snapshot.getName()));
        try {
            Path partial = Files.createTempFile(
                    folder,
                    ".backup-",
                    ".tmp",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            try {
                long size = 0;
                try (OutputStream out = Files.newOutputStream(partial)) {
                    byte[] part = read(stub, snapshot, 0);
                    while (part.length > 0 && size < snapshot.getSizeBytes()) {
                        out.write(part);
                        size += part.length;
                        part = read(stub, snapshot, size);
                    }
                }
                if (size != snapshot.getSizeBytes()) {
                    throw new IOException("the node sent " + size + " bytes of " + snapshot.getSizeBytes());
                }
                Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                Files.deleteIfExists(partial);
            }
            return target;
        } catch (IOException e) {
            throw new ProblemException(
                    Problem.of(Problem.Kind.FAILED, "the backup was taken and could not be copied here: " + e)
                            .at(target.toString())
                            .next("make room or change the folder's rights, then run the command again"),
                    e);
        }
    }

    /** What a node says is never taken for a path. */
    private static String fileName(String text) {
        return text.replaceAll("[^A-Za-z0-9.-]", "_");
    }

    private static byte[] read(AgentGrpc.AgentBlockingStub stub, Snapshot snapshot, long offset) {
        return stub.readSnapshot(ReadSnapshotRequest.newBuilder()
                        .setName(snapshot.getName())
                        .setOffset(offset)
                        .build())
                .getData()
                .toByteArray();
    }

    private static Object json(String node, Copy c) {
        return Json.object(
                "node",
                node,
                "name",
                c.snapshot().getName(),
                "taken_at",
                Instant.ofEpochMilli(c.snapshot().getTakenAtMs()).toString(),
                "size_bytes",
                c.snapshot().getSizeBytes(),
                "file",
                c.file().map(Path::toString).orElse(null));
    }
}
