package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp service show}: the definition file. */
final class ServiceShowCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("show", "Prints a service's definition file.");
        spec.addPositional(Models.required(0, "SERVICE", "The service."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        ServiceDefinitions definitions = session.definitions();
        if (!session.json()) {
            session.out().print(definitions.text(name).orThrow());
            return ExitStatus.DONE;
        }
        Service service = definitions.read(name).orThrow();
        session.out()
                .println(Json.write(Json.object(
                        "name",
                        service.name().value(),
                        "file",
                        definitions.file(name).toString(),
                        "node",
                        service.node().value(),
                        "active",
                        service.active(),
                        "components",
                        service.components().stream().map(e -> json(service, e)).toList())));
        return ExitStatus.DONE;
    }

    private static Object json(Service service, Service.Entry entry) {
        return Json.object(
                "component",
                entry.component().name().value(),
                "name",
                service.id(entry.component()).canonicalName(),
                "runtime",
                entry.component().runtime().toString(),
                "image",
                entry.component().image().toString(),
                "version",
                entry.component().image().version(),
                "desired",
                entry.desired().toString(),
                "document",
                ComponentDocuments.write(entry.component()));
    }
}
