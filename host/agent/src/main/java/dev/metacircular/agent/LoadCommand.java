package dev.metacircular.agent;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.microvm.GuestImageOptions;
import dev.metacircular.runtime.microvm.GuestImages;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code mcp-agent load}. */
@Command(
        name = "load",
        mixinStandardHelpOptions = true,
        description =
                "Puts a guest image under a localhost/ name; an agent that runs on the directory finds it at once.")
final class LoadCommand implements Callable<Integer> {
    /** The caller's folder, where the launcher has left it. */
    private static final String CALLERS_FOLDER = "MCP_AGENT_FOLDER";

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--dir", required = true, paramLabel = "DIR", description = "the agent's directory, made by init")
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @Parameters(index = "0", paramLabel = "FILE", description = "what ukernel pack or pull wrote; - for standard input")
    private String file = "";

    @Parameters(index = "1", paramLabel = "NAME", description = "localhost/PATH[:TAG]")
    private String name = "";

    @Override
    public Integer call() throws IOException {
        Path dir = directory.toAbsolutePath().normalize();
        long owner = ((Number) Files.getAttribute(dir, "unix:uid")).longValue();
        if (SystemUser.effectiveUid() != owner) {
            throw Problem.of(
                            Problem.Kind.CONFLICT, "the directory is user " + owner + "'s, who must be able to read it")
                    .at(dir.toString())
                    .next("run bin/mcp-agent as root or as the directory's owner: it becomes the owner by itself")
                    .exception();
        }
        ImageRef reference = reference();
        try {
            GuestImages images =
                    new GuestImages(GuestImageOptions.of(dir.resolve("guest-images"), Map.of(), Optional.empty()));
            Image image = file.equals("-")
                    ? images.load(System.in, "standard input", reference)
                    : images.load(source(), reference);
            spec.commandLine()
                    .getOut()
                    .println("loaded " + name + ": " + image.id() + ", " + (image.sizeBytes() >> 10) + " KiB");
            return ExitStatus.DONE;
        } catch (RuntimeFailure e) {
            throw Problem.of(Runtimes.problem(e).kind(), String.valueOf(e.getMessage()))
                    .next(next(e))
                    .exception();
        }
    }

    private static String next(RuntimeFailure e) {
        return e.kind() == RuntimeFailure.Kind.EXHAUSTED
                ? "free space on the node: mcp node clean NODE, or old data"
                : "check the file, and that the directory's owner can read it, or give it on standard input with -";
    }

    private ImageRef reference() {
        try {
            return ImageRef.parse(name);
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .exception();
        }
    }

    private Path source() {
        return Optional.ofNullable(System.getenv(CALLERS_FOLDER))
                .map(Path::of)
                .orElse(Path.of(""))
                .resolve(file)
                .toAbsolutePath();
    }
}
