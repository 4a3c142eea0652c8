package dev.metacircular.ukernel;

import dev.metacircular.definition.Nearest;
import dev.metacircular.model.Problem;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The program {@code ukernel}. */
@Command(
        name = "ukernel",
        description = "Develops, packs and runs workloads in microVMs on the µKernel.",
        synopsisSubcommandLabel = "COMMAND",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        footer = {
            "",
            "Every command does what is missing before it: run packs, pack builds.",
            "Exit status: 0 done, 1 failed, 2 wrong usage or a faulty ukernel.toml;",
            "of run: the workload's, or 125 when the VMM or the kernel failed."
        })
public final class Main {
    static final class Version implements IVersionProvider {
        static final String TEXT = "0.1.0";

        @Override
        public String[] getVersion() {
            return new String[] {"ukernel " + TEXT};
        }
    }

    private Main() {}

    /** Runs a command and ends the process with its status. */
    public static void main(String[] arguments) {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        int status = run(new Cli(System.getenv(), Path.of(""), out, err), arguments);
        out.flush();
        err.flush();
        System.exit(status);
    }

    /** Runs a command. */
    static int run(Cli cli, String... arguments) {
        boolean json = Arrays.asList(arguments).contains("--json");
        CommandLine root = new CommandLine(new Main());
        List.of(
                        new InitCommand(cli),
                        new BuildCommand(cli),
                        new PackCommand(cli),
                        new RunCommand(cli),
                        new PsCommand(cli),
                        new StopCommand(cli),
                        new LogsCommand(cli),
                        new TraceCommand(cli),
                        new PerfCommand(cli),
                        new InspectCommand(cli),
                        new DiffCommand(cli),
                        new PushCommand(cli),
                        new PullCommand(cli),
                        new DoctorCommand(cli))
                .forEach(root::addSubcommand);
        root.setOut(new PrintWriter(cli.out(), true, StandardCharsets.UTF_8));
        root.setErr(new PrintWriter(cli.err(), true, StandardCharsets.UTF_8));
        root.setParameterExceptionHandler((e, _) -> usage(cli, json, e));
        root.setExecutionExceptionHandler((e, command, parsed) -> {
            cli.report(json).error(Failures.problem(e));
            if (cli.environment().containsKey("UKERNEL_DEBUG")) {
                e.printStackTrace(cli.err());
            }
            return Failures.status(e, command.getCommandName().equals("run"));
        });
        if (arguments.length == 0) {
            root.usage(cli.err());
            return Failures.USAGE;
        }
        return root.execute(arguments);
    }

    private static int usage(Cli cli, boolean json, ParameterException e) {
        CommandLine command = e.getCommandLine();
        String message = String.valueOf(e.getMessage());
        List<String> near = e instanceof UnmatchedArgumentException unmatched ? near(unmatched) : List.of();
        Problem problem = Problem.of(Problem.Kind.INVALID, message.strip())
                .next(
                        near.isEmpty()
                                ? command.getCommandSpec().qualifiedName() + " --help"
                                : "did you mean: " + String.join(", ", near));
        cli.report(json).error(problem);
        return Failures.USAGE;
    }

    private static List<String> near(UnmatchedArgumentException e) {
        String first = e.getUnmatched().isEmpty() ? "" : e.getUnmatched().getFirst();
        if (first.startsWith("--")) {
            List<String> options = e.getCommandLine().getCommandSpec().options().stream()
                    .map(OptionSpec::longestName)
                    .toList();
            return Nearest.of(first, options).stream().toList();
        }
        return e.getSuggestions();
    }
}
