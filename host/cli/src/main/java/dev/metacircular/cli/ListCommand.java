package dev.metacircular.cli;

import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp list}: what should be there. */
final class ListCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("list", "Shows what is registered on every node: what should be there.");
        spec.addPositional(Models.optional(0, "SERVICE", "Only this service."));
        spec.addOption(Models.value("--node", "NODE", "Only this node."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        ListRequest request =
                ListRequest.newBuilder().setService(View.service(arguments)).build();
        View<ListResponse> view = View.ask(session, arguments, stub -> stub.list(request), r -> List.of());
        if (session.json()) {
            List<Object> components = new ArrayList<>();
            view.forEach((node, response) -> response.getComponentsList().forEach(c -> components.add(json(node, c))));
            session.out().println(Json.write(Json.object("nodes", view.json(), "components", components)));
        } else {
            Table table = new Table("NAME", "NODE", "SERVICE", "COMPONENT", "DESIRED", "VERSION", "RUNTIME", "IMAGE");
            view.forEach((node, response) -> response.getComponentsList()
                    .forEach(c -> table.row(
                            c.getName(),
                            node,
                            c.getService(),
                            c.getComponent(),
                            c.getDesired(),
                            c.getVersion(),
                            c.getRuntime(),
                            c.getImage())));
            view.print(table, "nothing is registered");
        }
        return view.exitStatus();
    }

    static Map<String, @Nullable Object> json(String node, RegisteredComponent c) {
        return Json.object(
                "node",
                node,
                "service",
                c.getService(),
                "component",
                c.getComponent(),
                "name",
                c.getName(),
                "runtime",
                c.getRuntime(),
                "image",
                c.getImage(),
                "version",
                c.getVersion(),
                "desired",
                c.getDesired(),
                "generation",
                c.getGeneration());
    }
}
