package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.RestartRequest;
import dev.metacircular.contract.v1.RestartResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Target;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp restart}. */
final class RestartCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "restart",
                "Restarts what should run of a service; changes no desired state.",
                "What should run and does not is started. A job that is done (restart = \"no\" or \"on-failure\", exit"
                        + " status 0) is run again only if it is named.");
        spec.addPositional(Models.several(0, "SERVICE[/COMPONENT]", "What to restart."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public boolean takesSeveral() {
        return true;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Target target = arguments.requiredTarget(0);
        ClientConfig.Node node = Place.of(session, arguments, target.service());
        RestartResponse response = Nodes.call(
                session,
                node,
                Nodes.limit(session, Nodes.CHANGE),
                stub -> stub.restart(RestartRequest.newBuilder()
                        .setIdempotencyKey(Place.idempotencyKey())
                        .setService(target.service().value())
                        .setComponent(target.component().map(Name::value).orElse(""))
                        .setBaseGeneration(Place.generation(stub, target.service(), node))
                        .build()));
        boolean failed = Results.failed(response.getComponentsList());
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            failed ? "failed" : "ok",
                            "service",
                            target.service().value(),
                            "components",
                            Results.json(response.getComponentsList()))));
        } else {
            Results.print(session, target.service(), response.getComponentsList());
        }
        return failed ? ExitStatus.FAILED : ExitStatus.DONE;
    }
}
