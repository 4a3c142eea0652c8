package dev.metacircular.cli;

import dev.metacircular.contract.v1.FileFacts;
import dev.metacircular.contract.v1.PullOutput;
import dev.metacircular.contract.v1.PullRequest;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Iterator;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp pull}: one file out of a service's folder, whole or not at all. */
final class PullCommand implements Command {
    /** The owner may always read and write what is now theirs. */
    private static final int OWNERS = 0600;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "pull", "Copies one file from a service's folder on its node. The file here is replaced at once.");
        spec.addPositional(Models.required(0, "SERVICE:PATH", "The service, and which file in its folder."));
        spec.addPositional(
                Models.optional(1, "FILE", "The file or folder here; the present folder where none is given."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        RemoteFile remote = RemoteFile.parse(arguments.required(0));
        String name = remote.fileName();
        Path place = arguments.positional(1).map(Path::of).orElse(Path.of(""));
        Path local = (Files.isDirectory(place) ? place.resolve(name) : place).toAbsolutePath();
        ClientConfig.Node node = Place.of(session, arguments, remote.service());
        FileFacts facts = Nodes.call(session, node, Nodes.limit(session, Nodes.DEPLOY), stub -> {
            Iterator<PullOutput> outputs = stub.pull(PullRequest.newBuilder()
                    .setService(remote.service().value())
                    .setPath(remote.path())
                    .build());
            // What is refused is refused before anything is made here.
            Optional<PullOutput> first = outputs.hasNext() ? Optional.of(outputs.next()) : Optional.empty();
            FileFacts announced = first.filter(PullOutput::hasFacts)
                    .map(PullOutput::getFacts)
                    .orElseThrow(() -> Problem.of(Problem.Kind.INTERNAL, "the agent sends no file")
                            .next("look at its log, and at the versions of both: mcp node list")
                            .exception());
            try {
                return FileFacts.newBuilder(announced)
                        .setSizeBytes(receive(session, remote, local, announced, outputs))
                        .build();
            } catch (IOException e) {
                throw new ProblemException(
                        Problem.of(Problem.Kind.FAILED, "it cannot be written: " + e)
                                .at(local.toString())
                                .next("make room or change the folder's rights, or name another place"),
                        e);
            }
        });
        TransferReport report =
                new TransferReport(node.name(), remote.service(), remote.path(), facts.getSizeBytes(), facts.getMode());
        return report.print(
                session,
                Optional.of(local),
                "pulled " + Text.bytes(facts.getSizeBytes()) + " into " + Text.printable(local.toString()));
    }

    private static long receive(
            Session session, RemoteFile remote, Path local, FileFacts facts, Iterator<PullOutput> outputs)
            throws IOException {
        Path folder = Optional.ofNullable(local.getParent()).orElse(local);
        Path unfinished = Files.createTempFile(
                folder,
                ".mcp-pull-",
                "",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try (TransferProgress progress = new TransferProgress(session, remote.toString(), facts.getSizeBytes())) {
            long size = 0;
            try (FileChannel channel = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
                while (outputs.hasNext()) {
                    for (ByteBuffer part : outputs.next().getData().asReadOnlyByteBufferList()) {
                        size += part.remaining();
                        progress.moved(part.remaining());
                        while (part.hasRemaining()) {
                            channel.write(part);
                        }
                    }
                }
                channel.force(true);
            }
            Files.setPosixFilePermissions(unfinished, Mode.permissions(facts.getMode() | OWNERS));
            Files.move(unfinished, local, StandardCopyOption.ATOMIC_MOVE);
            return size;
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }
}
