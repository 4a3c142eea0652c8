package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp logs}. */
final class LogsCommand implements Command {
    private static final Duration WHOLE = Duration.ofMinutes(10);

    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "logs",
                "Shows what a service's components wrote, interleaved with their names where they are several.");
        spec.addPositional(Models.required(0, "SERVICE[/COMPONENT]", "Whose logs."));
        spec.addOption(Models.flag("--follow", "Go on as more is written, until interrupted."));
        spec.addOption(
                Models.value("--since", "TIME", "Not older than this: 90s, 10m, 2h, 1d12h, or 2026-01-31T12:00:00Z."));
        spec.addOption(Models.value("--tail", "N", "At most the last N lines of each component."));
        spec.addOption(Models.flag("--previous", "Of the instance before the present one."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        Target target = arguments.requiredTarget(0);
        boolean follow = arguments.flag("--follow");
        LogsRequest.Builder request = LogsRequest.newBuilder()
                .setService(target.service().value())
                .setComponent(target.component().map(Name::value).orElse(""))
                .setFollow(follow)
                .setPrevious(arguments.flag("--previous"));
        arguments
                .text("--since")
                .ifPresent(s -> request.setSinceMs(
                        Times.parse(s, session.clock().instant(), "--since").toEpochMilli()));
        arguments.text("--tail").ifPresent(t -> request.setTail(tail(t)));
        ClientConfig.Node node = Place.of(session, arguments, target.service());
        Duration limit = Nodes.limit(session, WHOLE);
        try (AgentChannel channel = Nodes.channel(session, node)) {
            AgentGrpc.AgentBlockingStub stub = AgentGrpc.newBlockingStub(channel);
            if (!follow || session.timeoutSeconds().isPresent()) {
                stub = stub.withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS);
            }
            Iterator<LogLine> lines = stub.logs(request.build());
            while (lines.hasNext()) {
                print(session, node, target, lines.next(), follow);
            }
            return ExitStatus.DONE;
        } catch (StatusRuntimeException e) {
            session.out().flush();
            throw new ProblemException(Nodes.at(node, Nodes.explain(e, limit)), e);
        }
    }

    private static void print(Session session, ClientConfig.Node node, Target target, LogLine line, boolean follow) {
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "time",
                            Instant.ofEpochMilli(line.getTimeMs()).toString(),
                            "node",
                            node.name().value(),
                            "service",
                            target.service().value(),
                            "component",
                            line.getComponent(),
                            "stream",
                            line.getStream(),
                            "text",
                            line.getText())));
        } else {
            String name = target.component().isPresent() ? "" : Text.printable(line.getComponent()) + " | ";
            String text = session.streams().outIsTerminal() ? Text.printable(line.getText()) : line.getText();
            session.out().println(name + text);
        }
        if (follow) {
            session.out().flush();
        }
    }

    private static int tail(String text) {
        if (!text.matches("[0-9]{1,8}")) {
            throw Problem.of(Problem.Kind.INVALID, "'" + text + "' is not a number of lines: expected 0 to 99999999")
                    .at("--tail")
                    .exception();
        }
        return Integer.parseInt(text);
    }
}
