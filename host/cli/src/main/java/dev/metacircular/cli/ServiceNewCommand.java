package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp service new}: a definition to begin with, in which every key stands, most of them as comments. */
final class ServiceNewCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command("new", "Writes a commented definition to begin with.");
        spec.addPositional(Models.required(0, "SERVICE", "The new service."));
        spec.addOption(Models.value("--node", "NODE", "Its node; the only one that is known, where there is one."));
        spec.addOption(Models.value("--image", "IMAGE", "The image of its first component."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Name name = arguments.requiredName(0);
        String node = arguments
                .name("--node")
                .or(() -> onlyNode(session))
                .map(Name::value)
                .orElse("alpha");
        String image = arguments.text("--image").orElse("registry.example:5000/" + name + ":v1");
        Path file = session.definitions().create(name, template(name, node, image));
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object("result", "ok", "service", name.value(), "file", file.toString())));
        } else {
            session.out().println("wrote " + file);
            session.err().println("next: mcp service edit " + name);
        }
        return ExitStatus.DONE;
    }

    private static Optional<Name> onlyNode(Session session) {
        Collection<ClientConfig.Node> nodes = session.config().nodes().values();
        return nodes.size() == 1 ? Optional.of(nodes.iterator().next().name()) : Optional.empty();
    }

    /** Every key is in docs/service-definition.md. */
    static String template(Name name, String node, String image) {
        return """
                # The service %1$s. All keys: docs/service-definition.md; mcp validate %1$s checks this file.
                name   = "%1$s"
                node   = "%2$s"
                active = true                       # false: nothing of it runs
                # path = "%1$s"                     # its sources, below [build].workspace of mcp.toml

                # [build.images]                    # last path segment of an image -> its Dockerfile or ukernel.toml
                # %1$s = "Dockerfile"

                [[components]]
                name    = "web"
                image   = "%3$s"
                # desired = "stopped"               # running (default), stopped, ignore
                # ports   = ["127.0.0.1:18080:8080"]  # [address:]host:guest[/tcp|/udp]
                # volumes = ["data:/data"]          # below /srv/%1$s/; an absolute path needs the node's allow-list
                # cmd     = ["serve"]
                # env     = ["LOG_LEVEL=info"]
                # secrets = ["DB_PASSWORD"]         # names only; mcp secret set %1$s DB_PASSWORD
                # user    = "1000:1000"
                # network = "mcpnet"                # a shared network besides the service's own
                # restart = "on-failure:5"          # no, on-failure[:n], always, unless-stopped (default)
                # memory_mb = 256
                # cpus    = 0.5
                # hold_s  = 2                       # without a health check: how long it must run to count as started

                # [components.health]               # gates a deploy
                # http = "8080/healthz"             # or tcp = 8080, or cmd = ["check"]
                # timeout_s = 30
                """.formatted(name, node, image);
    }
}
