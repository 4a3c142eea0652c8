package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.contract.v1.AdoptResponse;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import java.nio.file.Files;
import java.util.Collection;
import java.util.Optional;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp adopt}: takes what runs already into a node's registry, and changes nothing of it. */
final class AdoptCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "adopt",
                "Takes running containers that are not registered into the node's registry, and shows which.",
                "With a definition those with its components' names are taken; without one those whose names begin with"
                        + " the service's. Nothing of them changes until their first deploy.");
        spec.addPositional(Models.required(0, "SERVICE", "The service that they become."));
        spec.addOption(Models.flag("--dry-run", "Show what would be taken, and take nothing."));
        spec.addOption(Models.value("--node", "NODE", "The node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        ServiceDefinitions definitions = session.definitions();
        Optional<Service> definition = Files.exists(definitions.file(name))
                ? Optional.of(definitions.read(name).orThrow())
                : Optional.empty();
        ClientConfig.Node node = node(arguments, session, name, definition);
        boolean dryRun = arguments.flag("--dry-run");
        AdoptResponse response = Nodes.call(session, node, Nodes.limit(session, Nodes.CHANGE), stub -> {
            AdoptRequest.Builder request =
                    AdoptRequest.newBuilder().setService(name.value()).setDryRun(dryRun);
            definition.ifPresent(d -> request.setDefinition(Messages.toMessage(d, ComponentDocuments::write)));
            definitions.names().stream().filter(n -> !n.equals(name)).forEach(n -> request.addKnownServices(n.value()));
            if (!dryRun) {
                request.setIdempotencyKey(Place.idempotencyKey()).setBaseGeneration(generation(stub, name));
            }
            return stub.adopt(request.build());
        });
        if (session.json()) {
            session.out().println(Json.write(json(node, name, response)));
        } else {
            print(session, node, name, definition, response, dryRun);
        }
        return ExitStatus.DONE;
    }

    private static ClientConfig.Node node(
            Arguments arguments, Session session, Name name, Optional<Service> definition) {
        ClientConfig config = session.config();
        Optional<Name> named = arguments.name("--node").or(() -> definition.map(Service::node));
        if (named.isPresent()) {
            return View.node(session, config, named.get());
        }
        Collection<ClientConfig.Node> nodes = View.nodes(session, Optional.empty());
        if (nodes.size() != 1) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "service '" + name + "' has no definition that names its node, and there are several nodes")
                    .next("name it with --node")
                    .exception();
        }
        return nodes.iterator().next();
    }

    /** 0 for a service that is not registered. */
    private static long generation(AgentGrpc.AgentBlockingStub stub, Name service) {
        return stub.list(ListRequest.newBuilder().setService(service.value()).build())
                .getGeneration();
    }

    private static Object json(ClientConfig.Node node, Name name, AdoptResponse response) {
        return Json.object(
                "result",
                "ok",
                "node",
                node.name().value(),
                "service",
                name.value(),
                "generation",
                response.getGeneration(),
                "adopted",
                response.getAdoptedList().stream()
                        .map(a -> Json.object(
                                "component",
                                a.getComponent(),
                                "name",
                                a.getName(),
                                "instance",
                                a.getInstance(),
                                "runtime",
                                a.getRuntime(),
                                "image",
                                a.getImage(),
                                "restart_policy",
                                a.getRestartPolicy(),
                                "lost",
                                a.getLostList()))
                        .toList(),
                "left",
                response.getLeftList().stream()
                        .map(l -> Json.object(
                                "name",
                                l.getName(),
                                "instance",
                                l.getInstance().isEmpty() ? null : l.getInstance(),
                                "why",
                                l.getWhy()))
                        .toList());
    }

    private static void print(
            Session session,
            ClientConfig.Node node,
            Name name,
            Optional<Service> definition,
            AdoptResponse response,
            boolean dryRun) {
        Table taken = new Table("COMPONENT", "CONTAINER", "ID", "IMAGE", "RESTART");
        response.getAdoptedList()
                .forEach(a -> taken.row(
                        name + "/" + a.getComponent(),
                        a.getName(),
                        shortId(a.getInstance()),
                        a.getImage(),
                        a.getRestartPolicy()));
        if (taken.isEmpty()) {
            session.out()
                    .println("nothing to adopt on node " + node.name() + "; what would be taken are running containers "
                            + wanted(name, definition));
        } else {
            session.out().println((dryRun ? "would adopt" : "adopted") + " on node " + node.name() + ":");
            taken.print(session.out());
        }
        Table left = new Table("CONTAINER", "ID", "NOT ADOPTED, FOR");
        response.getLeftList().forEach(l -> left.row(l.getName(), shortId(l.getInstance()), l.getWhy()));
        if (!left.isEmpty()) {
            session.out().println();
            left.print(session.out());
        }
        session.out().flush();
        response.getAdoptedList()
                .forEach(a -> a.getLostList()
                        .forEach(lost -> session.err()
                                .println("warning: " + name + "/" + a.getComponent() + ": no definition can say "
                                        + Text.printable(lost))));
        if (!taken.isEmpty() && !dryRun && !Files.exists(session.definitions().file(name))) {
            session.err().println("next: mcp service export " + name + " writes its definition");
        }
    }

    private static String wanted(Name name, Optional<Service> definition) {
        return definition
                .map(d -> "with the names of its definition's components: "
                        + d.components().stream()
                                .map(e -> d.id(e.component()).canonicalName())
                                .collect(Collectors.joining(", ")))
                .orElse("that are named '" + name + "' or begin with '" + name + "-'");
    }

    private static String shortId(String instance) {
        int shown = 12;
        return instance.length() > shown ? instance.substring(0, shown) : instance;
    }
}
