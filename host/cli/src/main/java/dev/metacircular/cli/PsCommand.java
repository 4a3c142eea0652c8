package dev.metacircular.cli;

import dev.metacircular.contract.v1.Instance;
import dev.metacircular.contract.v1.PsRequest;
import dev.metacircular.contract.v1.PsResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp ps}: what runs now. */
final class PsCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("ps", "Shows what runs now on every node.");
        spec.addPositional(Models.optional(0, "SERVICE", "Only this service."));
        spec.addOption(Models.value("--node", "NODE", "Only this node."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        PsRequest request =
                PsRequest.newBuilder().setService(View.service(arguments)).build();
        View<PsResponse> view = View.ask(session, arguments, stub -> stub.ps(request), PsResponse::getRuntimesList);
        if (session.json()) {
            List<Object> instances = new ArrayList<>();
            view.forEach((node, response) -> response.getInstancesList().forEach(i -> instances.add(json(node, i))));
            session.out().println(Json.write(Json.object("nodes", view.json(), "instances", instances)));
        } else {
            Table table = new Table("NAME", "NODE", "STATE", "UPTIME", "VERSION", "RUNTIME", "PORTS");
            view.forEach((node, response) -> response.getInstancesList().forEach(i -> row(session, table, node, i)));
            view.print(table, "nothing runs");
        }
        return view.exitStatus();
    }

    static Object json(String node, Instance i) {
        return Json.object(
                "node",
                node,
                "service",
                i.getService(),
                "component",
                i.getComponent(),
                "name",
                i.getName(),
                "runtime",
                i.getRuntime(),
                "image",
                i.getImage(),
                "version",
                i.getVersion(),
                "state",
                i.getState(),
                "started_at",
                i.getStartedAtMs() == 0
                        ? null
                        : Instant.ofEpochMilli(i.getStartedAtMs()).toString(),
                "ports",
                i.getPortsList(),
                "exit_code",
                i.hasExitCode() ? i.getExitCode() : null,
                "generation",
                i.getGeneration());
    }

    private static void row(Session session, Table table, String node, Instance i) {
        String state = i.hasExitCode() ? i.getState() + " (" + i.getExitCode() + ")" : i.getState();
        String uptime = i.getStartedAtMs() == 0
                ? ""
                : Text.duration(Duration.between(
                        Instant.ofEpochMilli(i.getStartedAtMs()),
                        session.clock().instant()));
        table.row(
                i.getName(), node, state, uptime, i.getVersion(), i.getRuntime(), String.join(", ", i.getPortsList()));
    }
}
