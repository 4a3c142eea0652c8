package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.ComponentDocument;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.definition.DefinitionWriter;
import dev.metacircular.definition.Parsed;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp service export}: a definition from what a node has registered. */
final class ServiceExportCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "export",
                "Writes a service's definition from its node's registry; what only a file knows (comments, path,"
                        + " [build]) is not in it.");
        spec.addPositional(Models.required(0, "SERVICE", "The service."));
        spec.addOption(Models.value("--node", "NODE", "Its node, where several have it."));
        spec.addOption(Models.flag("--force", "Replace a definition that is there, and keep its path and [build]."));
        spec.addOption(Models.flag("--stdout", "Print it, and write no file."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        ServiceDefinitions definitions = session.definitions();
        Path file = definitions.file(name);
        boolean exists = Files.exists(file);
        boolean toFile = !arguments.flag("--stdout");
        if (exists && toFile && !arguments.flag("--force")) {
            throw Problem.of(Problem.Kind.CONFLICT, "service '" + name + "' has a definition already")
                    .at(file.toString())
                    .next("--force replaces it, --stdout prints the registry's")
                    .exception();
        }
        Optional<Service> before = exists && definitions.read(name) instanceof Parsed.Valid<Service>(Service valid)
                ? Optional.of(valid)
                : Optional.empty();
        ClientConfig.Node node = arguments
                .name("--node")
                .or(() -> before.map(Service::node))
                .map(n -> View.node(session, session.config(), n))
                .orElseGet(() -> Place.registered(session, name));
        Service registered = registered(session, node, name);
        Service exported =
                before.filter(_ -> toFile).map(b -> withSources(registered, b)).orElse(registered);
        String text = DefinitionWriter.write(exported);
        if (toFile && exists) {
            definitions.replace(name, definitions.text(name).orThrow(), text);
        } else if (toFile) {
            definitions.create(name, text);
        }
        print(session, name, file, text, toFile);
        return ExitStatus.DONE;
    }

    private static Service withSources(Service registered, Service file) {
        return new Service(
                registered.name(),
                registered.node(),
                registered.active(),
                file.path(),
                file.buildImages(),
                registered.components());
    }

    private static Service registered(Session session, ClientConfig.Node node, Name name) {
        ListResponse response = Nodes.call(
                session,
                node,
                Nodes.limit(session, Nodes.QUESTION),
                stub -> stub.list(
                        ListRequest.newBuilder().setService(name.value()).build()));
        if (response.getGeneration() == 0 && response.getComponentsCount() == 0) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "service '" + name + "' is not registered")
                    .at("node " + node.name())
                    .next("mcp list")
                    .exception();
        }
        List<Service.Entry> entries = new ArrayList<>();
        for (RegisteredComponent c : response.getComponentsList()) {
            ComponentDocument document = c.getDocument();
            entries.add(new Service.Entry(
                    ComponentDocuments.read(document.getVersion(), document.getToml()),
                    Desired.parse(document.getDesired()).orElse(Desired.RUNNING)));
        }
        return new Service(name, node.name(), response.getActive(), Optional.empty(), Map.of(), entries);
    }

    private static void print(Session session, Name name, Path file, String text, boolean toFile) {
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            "ok",
                            "service",
                            name.value(),
                            "file",
                            toFile ? file.toString() : null,
                            "text",
                            text)));
        } else if (toFile) {
            session.out().println("wrote " + file);
        } else {
            session.out().print(text);
        }
    }
}
