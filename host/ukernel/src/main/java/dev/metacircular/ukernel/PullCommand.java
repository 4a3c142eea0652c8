package dev.metacircular.ukernel;

import dev.metacircular.image.Image;
import dev.metacircular.image.ImageException;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.Document;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.RegistryClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Brings an image from an image registry. */
@Command(
        name = "pull",
        description = "Brings a guest image from an image registry and checks every byte of it.",
        footer = "An image that is there is replaced; another file is not.")
final class PullCommand implements Callable<Integer> {
    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Mixin
    private RegistryOption registry = new RegistryOption();

    @Parameters(paramLabel = "REF", description = "The image: " + RegistryOption.REFERENCE)
    private String reference = "";

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "Where it goes; unless told, the last part of the path with .img, in the current folder.")
    private @Nullable String out;

    PullCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() {
        Report report = cli.report(options.json);
        ImageRef from = RegistryOption.reference(reference);
        Path file = cli.path(out == null ? from.lastSegment() + ".img" : out);
        requireReplaceable(file);
        Path fresh = file.resolveSibling(
                "." + file.getFileName() + "." + ProcessHandle.current().pid() + "." + System.nanoTime());
        // A signal ends the program without what stands below.
        fresh.toFile().deleteOnExit();
        try (RegistryClient client = registry.client(cli, from);
                TransferLine progress = TransferLine.of("pull", cli, options.json)) {
            Document document = client.document(from.repository(), RegistryOption.tagOrDigest(from));
            Descriptor image = image(from, document);
            client.download(from.repository(), image, fresh, progress);
            progress.erase();
            try (Image opened = Image.open(fresh)) {
                opened.verify();
            } catch (ImageException e) {
                throw Problem.of(Problem.Kind.FAILED, from + " is no sound guest image: " + e.getMessage())
                        .exception();
            }
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            report.progress("pull: wrote %s (%s)".formatted(file, Report.size(image.sizeBytes())));
            report.line("%s/%s@%s"
                    .formatted(
                            from.registry(), from.repository(), document.self().digest()));
            report.value(Report.object()
                    .put("image", file.toString())
                    .put("reference", from.toString())
                    .put("digest", document.self().digest().text())
                    .put("image_digest", image.digest().text())
                    .put("size_bytes", image.sizeBytes()));
            return 0;
        } catch (IOException e) {
            throw notWritten(file, e);
        } finally {
            delete(fresh);
        }
    }

    private static Descriptor image(ImageRef from, Document document) {
        Optional<Descriptor> image = document instanceof Document.Manifest manifest
                ? GuestArtifact.imageOf(from.toString(), manifest)
                : Optional.empty();
        return image.orElseThrow(
                () -> Problem.of(Problem.Kind.INVALID, from + " is an ordinary image, not a guest image")
                        .next("deploy it: a node packs it with its kernel")
                        .exception());
    }

    private static void requireReplaceable(Path file) {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        try (Image _ = Image.open(file)) {
            return;
        } catch (ImageException e) {
            throw Problem.of(Problem.Kind.CONFLICT, "there is a file that is no guest image, and it is not replaced")
                    .at(file.toString())
                    .next("choose another place with --out")
                    .exception();
        }
    }

    private static RuntimeException notWritten(Path file, IOException e) {
        return Problem.of(Problem.Kind.FAILED, "the image cannot be written (" + e + ")")
                .at(file.toString())
                .next("check that its folder exists, is writable and has room")
                .exception();
    }

    private static void delete(Path fresh) {
        try {
            Files.deleteIfExists(fresh);
        } catch (IOException e) {
            throw notWritten(fresh, e);
        }
    }
}
