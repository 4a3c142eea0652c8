package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.Fault;
import dev.metacircular.definition.ServiceDefinitions.Definition;
import dev.metacircular.model.Name;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp validate}: checks definition files off line. */
final class ValidateCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("validate", "Checks definition files; asks no node.");
        spec.addPositional(Models.optional(0, "SERVICE", "Only this service's; all where none is named."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Optional<Name> only =
                arguments.positional(0).isPresent() ? Optional.of(arguments.requiredName(0)) : Optional.empty();
        only.ifPresent(s -> session.definitions().text(s));
        List<Definition> definitions = session.definitions().readAll().stream()
                .filter(d ->
                        only.isEmpty() || d.file().equals(session.definitions().file(only.get())))
                .toList();
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "definitions",
                            definitions.stream().map(ValidateCommand::json).toList())));
        } else {
            print(session, definitions);
        }
        return definitions.stream().allMatch(d -> d.service().faults().isEmpty()) ? ExitStatus.DONE : ExitStatus.USAGE;
    }

    private static void print(Session session, List<Definition> definitions) {
        if (definitions.isEmpty()) {
            session.out()
                    .println("there are no definitions in " + session.home().resolve("services"));
        }
        for (Definition definition : definitions) {
            List<Fault> faults = definition.service().faults();
            if (faults.isEmpty()) {
                session.out().println(definition.file() + ": ok");
            }
            faults.forEach(f -> session.err().println("error: " + Text.printable(f.toString())));
        }
    }

    private static Object json(Definition definition) {
        String file = String.valueOf(definition.file().getFileName());
        return Json.object(
                "service",
                file.substring(0, file.length() - ".toml".length()),
                "file",
                definition.file().toString(),
                "valid",
                definition.service().faults().isEmpty(),
                "faults",
                definition.service().faults().stream()
                        .map(f -> Json.object(
                                "file",
                                f.file().toString(),
                                "line",
                                f.line(),
                                "column",
                                f.column(),
                                "message",
                                f.message()))
                        .toList());
    }
}
