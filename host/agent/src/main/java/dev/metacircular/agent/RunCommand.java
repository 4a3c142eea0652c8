package dev.metacircular.agent;

import dev.metacircular.model.Problem;
import dev.metacircular.registry.RegistryException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mcp-agent run}. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "Serves a node until it is asked to end (SIGTERM); what runs on the node runs on.")
final class RunCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--dir", required = true, paramLabel = "DIR", description = "the agent's directory, made by init")
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @Option(names = "--as-root", description = "run as root, if the directory is root's (for a trial; not advised)")
    private boolean asRoot;

    @Override
    public Integer call() throws IOException {
        Path dir = directory.toAbsolutePath().normalize();
        if (!Files.exists(dir.resolve("agent.toml"))) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "it is not an agent's directory: there is no agent.toml in it")
                    .at(dir.toString())
                    .next("mcp-agent init --dir " + dir + " --node NAME --listen HOST:PORT")
                    .exception();
        }
        refuseRoot(dir);
        PrintWriter out = spec.commandLine().getOut();
        LogFormat.install();
        Agent agent = Agent.start(dir);
        Runtime.getRuntime().addShutdownHook(new Thread(agent::close, "shutdown"));
        out.println("ready: node " + agent.node() + " at " + agent.address());
        RegistryException failure = agent.failure().join();
        throw new RegistryException(
                failure.getMessage() + "; the agent ends: its next start puts the newest snapshot in its place",
                failure);
    }

    private void refuseRoot(Path dir) throws IOException {
        long owner = ((Number) Files.getAttribute(dir, "unix:uid")).longValue();
        long self = SystemUser.effectiveUid();
        if (self != owner) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the directory is user " + owner + "'s, and this process runs as user " + self)
                    .at(dir.toString())
                    .next("run bin/mcp-agent as root or as the directory's owner: it becomes the owner by itself")
                    .exception();
        }
        if (self == 0 && !asRoot) {
            throw Problem.of(Problem.Kind.CONFLICT, "the agent does not run as root")
                    .at(dir.toString())
                    .next("initialise as root, which makes the directory the user mcp's, or pass --as-root for a trial")
                    .exception();
        }
    }
}
