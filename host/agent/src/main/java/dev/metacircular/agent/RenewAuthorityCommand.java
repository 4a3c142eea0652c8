package dev.metacircular.agent;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.definition.AgentConfigFile;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mcp-agent renew-ca}. */
@Command(
        name = "renew-ca",
        mixinStandardHelpOptions = true,
        description =
                "Makes a new certificate authority and server certificate; every client must then be told to trust it.")
final class RenewAuthorityCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--dir", required = true, paramLabel = "DIR", description = "the agent's directory, made by init")
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @Override
    public Integer call() throws IOException {
        Path dir = directory.toAbsolutePath().normalize();
        long owner = ((Number) Files.getAttribute(dir, "unix:uid")).longValue();
        if (SystemUser.effectiveUid() != owner) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the directory is user " + owner + "'s, who must be able to read the keys")
                    .at(dir.toString())
                    .next("run bin/mcp-agent as root or as the directory's owner: it becomes the owner by itself")
                    .exception();
        }
        AgentConfig config = new AgentConfigFile(dir).read().orThrow();
        // An agent that runs would go on showing the old one, and could renew it at the same time.
        try (DirectoryLock _ = DirectoryLock.take(dir)) {
            new Pki(dir).renewAuthority(config.node(), Clock.systemUTC().instant());
        }
        PrintWriter out = spec.commandLine().getOut();
        out.println("made a new authority: SHA-256 " + Pki.fingerprint(dir.resolve("ca.pem")));
        out.println("next: start the agent, then for each client: mcp node trust " + config.node());
        return ExitStatus.DONE;
    }
}
