package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.PurgeRequest;
import dev.metacircular.contract.v1.PurgeResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp purge}. */
final class PurgeCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "purge",
                "Forgets a stopped service on its node: containers, VMs, registry rows. The definition file stays.");
        spec.addPositional(Models.several(0, "SERVICE", "The service."));
        spec.addOption(Models.flag("--data", "Remove the service's directory with all its data, too."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public boolean takesSeveral() {
        return true;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name service = arguments.requiredName(0);
        ClientConfig.Node node = Place.of(session, arguments, service);
        PurgeResponse response = Nodes.call(
                session,
                node,
                Nodes.limit(session, Nodes.CHANGE),
                stub -> stub.purge(PurgeRequest.newBuilder()
                        .setIdempotencyKey(Place.idempotencyKey())
                        .setService(service.value())
                        .setBaseGeneration(Place.generation(stub, service, node))
                        .setData(arguments.flag("--data"))
                        .build()));
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result", "ok", "service", service.value(), "removed", response.getRemovedList())));
        } else {
            response.getRemovedList().forEach(r -> session.out().println("removed " + Text.printable(r)));
            session.out().println("service " + service + " is forgotten on " + node.name());
        }
        return ExitStatus.DONE;
    }
}
