package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.StatusResponse;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp status}: desired against observed. */
final class StatusCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "status", "Shows desired against observed state, marks drift, and tells what happened last.");
        spec.addPositional(Models.optional(0, "SERVICE", "Only this service."));
        spec.addOption(Models.value("--node", "NODE", "Only this node."));
        spec.addOption(Models.flag("--check", "Exit with 1 if anything drifts, is unknown or is not registered."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        StatusRequest request =
                StatusRequest.newBuilder().setService(View.service(arguments)).build();
        View<StatusResponse> view =
                View.ask(session, arguments, stub -> stub.status(request), StatusResponse::getRuntimesList);
        AtomicBoolean off = new AtomicBoolean();
        view.forEach((node, response) -> response.getComponentsList().forEach(c -> {
            if (c.getDriftCount() > 0 || c.getObserved().equals("unknown")) {
                off.set(true);
            }
        }));
        view.forEach((node, response) -> off.compareAndSet(false, response.getUnregisteredCount() > 0));
        if (session.json()) {
            printJson(session, view);
        } else {
            print(session, view);
        }
        int status = view.exitStatus();
        return status == ExitStatus.DONE && arguments.flag("--check") && off.get() ? ExitStatus.FAILED : status;
    }

    private static void printJson(Session session, View<StatusResponse> view) {
        List<Object> components = new ArrayList<>();
        List<Object> unregistered = new ArrayList<>();
        List<Object> events = new ArrayList<>();
        view.forEach((node, response) -> {
            response.getComponentsList().forEach(c -> components.add(json(node, c)));
            response.getUnregisteredList().forEach(i -> unregistered.add(PsCommand.json(node, i)));
            response.getEventsList().forEach(e -> events.add(EventsCommand.json(node, e)));
        });
        session.out()
                .println(Json.write(Json.object(
                        "nodes",
                        view.json(),
                        "components",
                        components,
                        "unregistered",
                        unregistered,
                        "events",
                        events)));
    }

    private static Object json(String node, ComponentStatus c) {
        Map<String, @Nullable Object> json = ListCommand.json(node, c.getComponent());
        json.put("observed", c.getObserved());
        json.put("exit_code", c.hasExitCode() ? c.getExitCode() : null);
        json.put("drift", c.getDriftList());
        json.put("message", c.getMessage());
        return json;
    }

    private static void print(Session session, View<StatusResponse> view) {
        Table table = new Table("NAME", "NODE", "DESIRED", "OBSERVED", "DRIFT", "VERSION", "RUNTIME", "NOTE");
        Table events = new Table("TIME", "NODE", "SERVICE", "COMPONENT", "EVENT", "MESSAGE");
        view.forEach((node, response) -> {
            response.getComponentsList().forEach(c -> row(table, node, c));
            response.getEventsList()
                    .forEach(e -> events.row(
                            Instant.ofEpochSecond(e.getTimeMs() / 1_000).toString(),
                            node,
                            e.getService(),
                            e.getComponent(),
                            e.getKind(),
                            EventsCommand.message(e)));
        });
        view.print(table, "nothing is registered");
        view.forEach((node, response) -> response.getUnregisteredList()
                .forEach(i -> session.out()
                        .println(Text.printable("UNREGISTERED " + i.getName() + " on " + node + " (" + i.getService()
                                + "/"
                                + i.getComponent() + ") is " + i.getState() + ", and nothing is done to it: mcp adopt "
                                + i.getService() + ", or mcp deploy " + i.getService()))));
        if (!events.isEmpty()) {
            session.out().println();
            events.print(session.out());
        }
    }

    private static void row(Table table, String node, ComponentStatus c) {
        RegisteredComponent registered = c.getComponent();
        table.row(
                registered.getName(),
                node,
                registered.getDesired(),
                c.hasExitCode() ? c.getObserved() + " (" + c.getExitCode() + ")" : c.getObserved(),
                String.join(", ", c.getDriftList()),
                registered.getVersion(),
                registered.getRuntime(),
                c.getMessage());
    }
}
