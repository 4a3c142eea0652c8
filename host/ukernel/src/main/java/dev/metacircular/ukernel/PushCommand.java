package dev.metacircular.ukernel;

import dev.metacircular.image.Image;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.RegistryClient;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Sends an image to an image registry. */
@Command(
        name = "push",
        synopsisSubcommandLabel = "",
        description = "Sends an image to an image registry, as an OCI artifact; without IMAGE packs the project first.",
        footer = "Nothing is sent that the registry has. An image is checked before it is sent.")
final class PushCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Mixin
    private RegistryOption registry = new RegistryOption();

    @Parameters(
            arity = "1..2",
            paramLabel = "[IMAGE] REF",
            hideParamSyntax = true,
            description = "The image, the project's unless told; where it goes: " + RegistryOption.REFERENCE)
    private List<String> arguments = new ArrayList<>();

    @Option(names = "--release", description = "With an optimised program, where the project is packed.")
    private boolean release;

    PushCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Report report = cli.report(options.json);
        ImageRef reference = RegistryOption.reference(arguments.getLast());
        if (reference.digest().isPresent()) {
            throw Problem.of(Problem.Kind.INVALID, "'" + reference + "' has a digest: an image is pushed under a tag")
                    .exception();
        }
        Path file = arguments.size() == 2 ? cli.path(arguments.getFirst()) : packed(report);
        try (Image image = Image.open(file)) {
            image.verify();
        }
        try (RegistryClient client = registry.client(cli, reference);
                TransferLine progress = TransferLine.of("push", cli, options.json)) {
            GuestArtifact.Pushed pushed = GuestArtifact.push(
                    client,
                    reference.repository(),
                    RegistryOption.tagOrDigest(reference),
                    file,
                    String.valueOf(file.getFileName()),
                    progress);
            progress.erase();
            report.progress("push: %s is %s (%s)"
                    .formatted(reference, file, Report.size(pushed.image().sizeBytes())));
            report.line("%s/%s@%s"
                    .formatted(
                            reference.registry(),
                            reference.repository(),
                            pushed.manifest().digest()));
            report.value(Report.object()
                    .put("image", file.toString())
                    .put("reference", reference.toString())
                    .put("digest", pushed.manifest().digest().text())
                    .put("image_digest", pushed.image().digest().text())
                    .put("size_bytes", pushed.image().sizeBytes()));
        }
        return 0;
    }

    private Path packed(Report report) {
        Project project = cli.project();
        new Pipeline(cli.installation(), report).pack(project, project.image(), release);
        return project.image();
    }
}
