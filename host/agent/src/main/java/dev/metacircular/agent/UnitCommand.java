package dev.metacircular.agent;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mcp-agent unit}. */
@Command(
        name = "unit",
        mixinStandardHelpOptions = true,
        description = "Prints the systemd unit of a node's agent, or installs it.")
final class UnitCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--dir", required = true, paramLabel = "DIR", description = "the agent's directory, made by init")
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @Option(names = "--install", description = "put it where systemd finds it, instead of printing it")
    private boolean install;

    @Override
    public Integer call() throws IOException {
        UnitFile unit = Units.of(directory.toAbsolutePath().normalize());
        PrintWriter out = spec.commandLine().getOut();
        if (!install) {
            out.print(unit.text());
            out.flush();
            return ExitStatus.DONE;
        }
        if (!SystemUser.systemdRuns()) {
            throw Problem.of(Problem.Kind.UNAVAILABLE, "systemd does not run on this machine")
                    .next("mcp-agent run --dir " + unit.directory())
                    .exception();
        }
        boolean isNew = !Files.exists(unit.place());
        Units.install(unit);
        out.println("installed " + unit.place());
        out.println(
                "next: " + (isNew ? unit.enableCommand() : unit.enableCommand().replace("enable --now", "restart")));
        return ExitStatus.DONE;
    }
}
