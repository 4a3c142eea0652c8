package dev.metacircular.agent;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.Address;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mcp-agent init}. */
@Command(
        name = "init",
        mixinStandardHelpOptions = true,
        description = "Makes a node: its directory with certificates, configuration, registry and an operator's token.")
final class InitCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--dir", required = true, paramLabel = "DIR", description = "the agent's directory, to be made")
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @Option(names = "--node", required = true, paramLabel = "NAME", description = "the node's name")
    @SuppressWarnings("NullAway.Init")
    private String node;

    @Option(
            names = "--listen",
            required = true,
            paramLabel = "HOST:PORT",
            description = "where to listen: the node's address on the overlay network")
    @SuppressWarnings("NullAway.Init")
    private String listen;

    @Option(
            names = "--services",
            paramLabel = "DIR",
            description = "where services keep their files (default: /srv for root, DIR/services otherwise)")
    private @Nullable Path services;

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description = "write the operator's token there (mode 0600) instead of printing it")
    private @Nullable Path tokenFile;

    @Option(
            names = "--user",
            paramLabel = "USER",
            defaultValue = "mcp",
            description =
                    "as root: the system user to run as, made if there is none (default: ${DEFAULT-VALUE}); root for a"
                            + " trial, with run --as-root")
    @SuppressWarnings("NullAway.Init")
    private String user;

    @Option(names = "--no-unit", description = "as root, where systemd runs: do not install the agent's unit")
    private boolean noUnit;

    @Option(names = "--allow-wildcard-bind", description = "listen on all of the machine's addresses")
    private boolean allowWildcardBind;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "another address or DNS name that clients reach the node by; may be repeated")
    private List<String> names = List.of();

    @Override
    public Integer call() throws IOException {
        if (!Name.isValid(node)) {
            throw Problem.of(Problem.Kind.INVALID, "'" + node + "' is not a node's name: expected " + Name.EXPECTED)
                    .at("--node")
                    .exception();
        }
        Initialisation initialisation = new Initialisation(
                directory.toAbsolutePath().normalize(),
                Name.of(node),
                address(),
                Optional.ofNullable(services).map(s -> s.toAbsolutePath().normalize()),
                Optional.ofNullable(tokenFile).map(Path::toAbsolutePath),
                allowWildcardBind,
                names,
                SystemUser.callerIsRoot() && !user.equals("root") ? Optional.of(user) : Optional.empty(),
                !noUnit);
        report(initialisation, initialisation.perform(Clock.systemUTC()));
        return ExitStatus.DONE;
    }

    private Address address() {
        try {
            return Address.parse(listen);
        } catch (IllegalArgumentException e) {
            throw Problem.of(Problem.Kind.INVALID, String.valueOf(e.getMessage()))
                    .at("--listen")
                    .exception();
        }
    }

    private void report(Initialisation made, Initialisation.Outcome outcome) {
        PrintWriter out = spec.commandLine().getOut();
        out.println("made node " + node + " in " + made.directory());
        outcome.notes().forEach(n -> out.println("note: " + n));
        String token = tokenFile == null ? "TOKEN-FILE" : tokenFile.toString();
        outcome.token().ifPresent(t -> {
            out.println();
            out.println("operator's token, shown this once: " + t);
        });
        out.println();
        out.println("next, on this machine:");
        out.println("  " + outcome.start());
        out.println("and where you work, with a copy of " + made.directory().resolve("ca.pem")
                + (tokenFile == null ? " and the token in a file:" : " and of the token's file:"));
        out.println("  mcp node add " + node + " " + made.listen() + " --ca "
                + made.directory().resolve("ca.pem") + " --token-file " + token);
    }
}
