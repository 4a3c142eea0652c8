package dev.metacircular.ukernel;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.oci.Access;
import dev.metacircular.oci.RegistryClient;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How the image registry is reached. */
final class RegistryOption {
    static final String REFERENCE = "HOST[:PORT]/PATH[:TAG]; the tag is latest unless told.";

    @Option(
            names = "--auth-file",
            paramLabel = "FILE",
            description =
                    "Credentials in the format of containers-auth.json(5); what $REGISTRY_AUTH_FILE names unless told.")
    private @Nullable String authFile;

    @Option(
            names = "--ca",
            paramLabel = "FILE",
            description = "Certificates (PEM) of authorities that are trusted besides the system's.")
    private @Nullable String caFile;

    @Option(names = "--insecure", description = "Plain HTTP and any certificate will do.")
    private boolean insecure;

    /** The reference that a user gave. */
    static ImageRef reference(String text) {
        ImageRef reference;
        try {
            reference = ImageRef.parse(text);
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .exception();
        }
        if (reference.isLocal()) {
            throw Problem.of(Problem.Kind.INVALID, "'" + text + "' is a node's own image, which no image registry has")
                    .next("name the host with its port, such as localhost:5000/...")
                    .exception();
        }
        return reference;
    }

    /** What a registry knows the image by. */
    static String tagOrDigest(ImageRef reference) {
        return reference.digest().or(reference::tag).orElse("latest");
    }

    RegistryClient client(Cli cli, ImageRef reference) {
        if (insecure && caFile != null) {
            throw Problem.of(Problem.Kind.INVALID, "--insecure and --ca exclude each other")
                    .exception();
        }
        Optional<Path> auth = Optional.ofNullable(authFile)
                .or(() -> Optional.ofNullable(cli.environment().get("REGISTRY_AUTH_FILE")))
                .filter(file -> !file.isEmpty())
                .map(cli::path);
        return new RegistryClient(
                reference.registry(),
                new Access(auth, Optional.ofNullable(caFile).map(cli::path), insecure));
    }
}
