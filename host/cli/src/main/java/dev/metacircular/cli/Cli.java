package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import io.grpc.StatusRuntimeException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Parses a command line, runs its command and reports what went wrong. */
final class Cli {
    private Cli() {}

    /** @return the exit status, see {@link ExitStatus} */
    static int run(String[] arguments, Session session) {
        CommandLine line = new CommandLine(CommandTree.root(Optional.ofNullable(commandName(arguments))));
        Session own = session;
        try {
            ParseResult parsed = line.parseArgs(arguments);
            while (parsed.hasSubcommand()) {
                parsed = parsed.subcommand();
            }
            own = CommandTree.session(parsed, session);
            ParseResult command = parsed;
            Session its = own;
            return reporting(its, () -> execute(command, its));
        } catch (ParameterException e) {
            return wrongUsage(e, session, Arrays.asList(arguments).contains("--json"));
        } catch (ProblemException e) {
            return Report.problem(own, e.problem());
        } catch (RuntimeException e) {
            return internal(own, e);
        } finally {
            session.out().flush();
        }
    }

    /** Runs a command and tells what went wrong; returns the exit status. */
    static int reporting(Session session, IntSupplier command) {
        try {
            return command.getAsInt();
        } catch (ParameterException e) {
            throw e;
        } catch (ProblemException e) {
            return Report.problem(session, e.problem());
        } catch (StatusRuntimeException e) {
            return Report.problem(session, Problems.exception(e).problem());
        } catch (RuntimeException e) {
            return internal(session, e);
        }
    }

    private static int execute(ParseResult parsed, Session session) {
        CommandSpec spec = parsed.commandSpec();
        if (parsed.isUsageHelpRequested()) {
            spec.commandLine().usage(session.out(), Ansi.OFF);
            return ExitStatus.DONE;
        }
        if (parsed.isVersionHelpRequested()) {
            session.out().println("mcp " + Version.TEXT);
            return ExitStatus.DONE;
        }
        if (!(spec.userObject() instanceof Command command)) {
            throw new ParameterException(spec.commandLine(), "'" + spec.qualifiedName() + "' needs a command after it");
        }
        Arguments arguments = new Arguments(parsed);
        return command.takesSeveral()
                ? Several.run(command, arguments, arguments.all(0), session)
                : command.run(arguments, session);
    }

    private static int wrongUsage(ParameterException failure, Session session, boolean json) {
        CommandSpec spec = failure.getCommandLine().getCommandSpec();
        String what = String.valueOf(failure.getMessage()).lines().findFirst().orElse("wrong usage");
        if (failure instanceof UnmatchedArgumentException unmatched
                && !spec.subcommands().isEmpty()) {
            what = "'" + unmatched.getUnmatched().getFirst() + "' is not a command of " + spec.qualifiedName();
        }
        String suggestion = CommandTree.suggestion(failure)
                .map(s -> "did you mean '" + s + "'? ")
                .orElse("");
        Problem problem = Problem.of(Problem.Kind.INVALID, lowerFirst(what))
                .next(suggestion + "see " + spec.qualifiedName() + " --help");
        return Report.problem(session.with(Optional.empty(), json, Optional.empty()), problem);
    }

    private static int internal(Session session, RuntimeException failure) {
        boolean traced = session.environment().containsKey("MCP_DEBUG");
        if (traced) {
            failure.printStackTrace(new PrintStream(session.err(), true));
        }
        return Report.problem(
                session,
                Problem.of(Problem.Kind.INTERNAL, "mcp failed: " + failure)
                        .next(
                                traced
                                        ? "report it with the trace above"
                                        : "set MCP_DEBUG=1, repeat, and report the trace"));
    }

    /** The first argument that is no option: only this command's model is built. */
    private static @Nullable String commandName(String[] arguments) {
        for (int i = 0; i < arguments.length; i++) {
            if (!arguments[i].startsWith("-")) {
                return arguments[i];
            }
            if (CommandTree.takesValue(arguments[i])) {
                i++;
            }
        }
        return null;
    }

    private static String lowerFirst(String text) {
        return text.isEmpty() ? text : Character.toLowerCase(text.charAt(0)) + text.substring(1);
    }
}
