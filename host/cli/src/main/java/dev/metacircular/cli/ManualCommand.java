package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp manual DIR}: writes the manual pages of all commands, as the build does. */
final class ManualCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("manual", "Writes the manual pages, mcp.1 and one for each command.");
        spec.addPositional(Models.required(0, "DIR", "The directory to write them into."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Path directory = Path.of(arguments.required(0));
        List<String> written = new ArrayList<>();
        CommandLine root = new CommandLine(CommandTree.root(Optional.empty()));
        try {
            Files.createDirectories(directory);
            write(directory, root.getCommandSpec(), written);
        } catch (IOException e) {
            throw new ProblemException(
                    new Problem(
                            Problem.Kind.FAILED,
                            "the manual cannot be written: " + e.getMessage(),
                            directory.toString(),
                            ""),
                    e);
        }
        session.out()
                .println(
                        session.json()
                                ? Json.write(Json.object("pages", written))
                                : written.size() + " pages are in " + directory);
        return ExitStatus.DONE;
    }

    private static void write(Path directory, CommandSpec spec, List<String> written) throws IOException {
        String page = spec.qualifiedName("-") + ".1";
        Files.writeString(directory.resolve(page), ManPage.of(spec));
        written.add(page);
        for (CommandLine sub : spec.subcommands().values()) {
            write(directory, sub.getCommandSpec(), written);
        }
    }
}
