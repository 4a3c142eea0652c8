package dev.metacircular.agent;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.model.ProblemException;
import dev.metacircular.registry.RegistryException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.logging.Level;
import java.util.logging.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The program {@code mcp-agent}. */
@Command(
        name = "mcp-agent",
        description = "Runs the services of one node.",
        mixinStandardHelpOptions = true,
        version = Version.TEXT,
        subcommands = {
            InitCommand.class,
            RunCommand.class,
            LoadCommand.class,
            UnitCommand.class,
            RenewAuthorityCommand.class
        })
public final class Main {
    private Main() {}

    public static void main(String[] arguments) {
        System.exit(run(
                new PrintWriter(System.out, true, StandardCharsets.UTF_8),
                new PrintWriter(System.err, true, StandardCharsets.UTF_8),
                arguments));
    }

    /** Runs the command line and returns its exit status; every failure is one message on {@code err}. */
    static int run(PrintWriter out, PrintWriter err, String... arguments) {
        Logger.getLogger("").setLevel(Level.WARNING);
        return new CommandLine(new Main())
                .setOut(out)
                .setErr(err)
                .setExecutionExceptionHandler((failure, line, _) -> report(failure, line.getErr()))
                .execute(arguments);
    }

    private static int report(Exception failure, PrintWriter err) {
        return switch (failure) {
            case ProblemException known -> {
                err.println("error: " + known.problem());
                yield Problems.exitStatus(known.problem().kind());
            }
            case RegistryException registry -> {
                err.println("error: " + registry.getMessage());
                yield ExitStatus.FAILED;
            }
            case IOException io -> {
                err.println("error: " + describe(io));
                yield ExitStatus.FAILED;
            }
            default -> {
                err.println("error: " + failure + " (a fault of this program)");
                failure.printStackTrace(err);
                yield ExitStatus.FAILED;
            }
        };
    }

    /** What an I/O error says; those of files name only the file. */
    static String describe(IOException failure) {
        return switch (failure) {
            case java.nio.file.AccessDeniedException denied -> "no permission for " + denied.getFile();
            case java.nio.file.NoSuchFileException none -> "there is no " + none.getFile();
            case java.nio.file.FileAlreadyExistsException there -> there.getFile() + " exists already";
            default -> String.valueOf(failure.getMessage());
        };
    }
}
