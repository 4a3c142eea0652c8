package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.SetDesiredResponse;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp start} and {@code mcp stop}: the definition file first, then the node. */
final class DesiredCommand implements Command {
    private final boolean start;

    DesiredCommand(boolean start) {
        this.start = start;
    }

    private String verb() {
        return start ? "start" : "stop";
    }

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                verb(),
                start
                        ? "Sets a service active, or a component's desired state to running, in its definition and on its node."
                        : "Sets a service inactive, or a component's desired state to stopped, in its definition and on its"
                                + " node.");
        spec.addPositional(Models.several(0, "SERVICE[/COMPONENT]", "What to " + verb() + "."));
        return spec;
    }

    @Override
    public boolean takesSeveral() {
        return true;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Target target = arguments.requiredTarget(0);
        ServiceDefinitions definitions = session.definitions();
        Service before = definitions.read(target.service()).orThrow();
        ClientConfig.Node node = View.node(session, session.config(), before.node());
        Service after = target.component().isPresent()
                ? definitions.setDesired(
                        target.service(), target.component().get(), start ? Desired.RUNNING : Desired.STOPPED)
                : definitions.setActive(target.service(), start);
        SetDesiredResponse response;
        try {
            response = Nodes.call(session, node, Nodes.limit(session, Nodes.CHANGE), stub -> {
                SetDesiredRequest.Builder request = SetDesiredRequest.newBuilder()
                        .setIdempotencyKey(Place.idempotencyKey())
                        .setService(target.service().value())
                        .setBaseGeneration(Place.generation(stub, target.service(), node));
                if (target.component().isPresent()) {
                    request.putDesired(target.component().get().value(), start ? "running" : "stopped");
                } else {
                    request.setActive(start);
                }
                return stub.setDesired(request.build());
            });
        } catch (ProblemException e) {
            Problem p = e.problem();
            String next = p.next().isEmpty() ? "" : p.next() + "; ";
            throw new ProblemException(
                    p.next(next + "the definition says " + verb() + " already, mcp " + verb() + " " + target
                            + " again tells the node"),
                    e);
        }
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "result",
                            Results.failed(response.getComponentsList()) ? "failed" : "ok",
                            "service",
                            target.service().value(),
                            "generation",
                            response.getGeneration(),
                            "components",
                            Results.json(response.getComponentsList()))));
        } else {
            Results.print(session, target.service(), response.getComponentsList());
            if (start && target.component().isPresent() && !after.active()) {
                session.err()
                        .println("warning: service '" + target.service()
                                + "' is not active, so none of it runs\n  next: mcp start " + target.service());
            }
        }
        return Results.failed(response.getComponentsList()) ? ExitStatus.FAILED : ExitStatus.DONE;
    }
}
