package dev.metacircular.cli;

import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.DoctorRequest;
import dev.metacircular.contract.v1.DoctorResponse;
import dev.metacircular.contract.v1.Finding;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp doctor}: what this client and the nodes have and lack, with the command that mends it. */
final class DoctorCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "doctor", "Tells what this client and its nodes have and lack, with the command that mends it.");
        spec.addPositional(Models.optional(0, "NODE", "Only this node."));
        return spec;
    }

    /** @param node empty for this client */
    private record Found(String node, Finding finding) {}

    @Override
    public int run(Arguments arguments, Session session) {
        Optional<Name> only =
                arguments.positional(0).isPresent() ? Optional.of(arguments.requiredName(0)) : Optional.empty();
        ClientChecks client = new ClientChecks(session);
        List<Found> found = new ArrayList<>();
        client.findings().forEach(f -> found.add(new Found("", f)));
        ClientConfig config = client.config();
        List<ClientConfig.Node> nodes = only.isPresent()
                ? List.of(View.node(session, config, only.get()))
                : List.copyOf(config.nodes().values());
        List<Object> nodesJson = new ArrayList<>();
        List<Integer> statuses = new ArrayList<>();
        for (Nodes.Answer<DoctorResponse> answer :
                Nodes.ask(session, nodes, stub -> stub.doctor(DoctorRequest.getDefaultInstance()))) {
            switch (answer) {
                case Nodes.Answer.Given<DoctorResponse>(Name node, DoctorResponse response) -> {
                    nodesJson.add(Json.object("name", node.value(), "reachable", true, "error", null));
                    found.add(new Found(node.value(), finding("agent", "ok", "answers", "")));
                    response.getFindingsList().forEach(f -> found.add(new Found(node.value(), f)));
                }
                case Nodes.Answer.Missing<DoctorResponse> missing -> {
                    Problem p = missing.problem();
                    statuses.add(Problems.exitStatus(p.kind()));
                    nodesJson.add(Json.object(
                            "name", missing.node().value(), "reachable", missing.reachable(), "error", p.what()));
                    found.add(new Found(missing.node().value(), finding("agent", "error", p.what(), p.next())));
                }
            }
        }
        print(session, nodesJson, found);
        boolean errors = found.stream().anyMatch(f -> f.finding().getStatus().equals("error"));
        int status = View.heaviest(statuses);
        return status != ExitStatus.DONE ? status : errors ? ExitStatus.FAILED : ExitStatus.DONE;
    }

    static Finding finding(String check, String status, String message, String fix) {
        return Finding.newBuilder()
                .setCheck(check)
                .setStatus(status)
                .setMessage(message)
                .setFix(fix)
                .build();
    }

    private static void print(Session session, List<Object> nodes, List<Found> found) {
        if (session.json()) {
            session.out()
                    .println(Json.write(Json.object(
                            "nodes",
                            nodes,
                            "findings",
                            found.stream()
                                    .map(f -> Json.object(
                                            "node",
                                            f.node().isEmpty() ? null : f.node(),
                                            "check",
                                            f.finding().getCheck(),
                                            "status",
                                            f.finding().getStatus(),
                                            "message",
                                            f.finding().getMessage(),
                                            "fix",
                                            f.finding().getFix().isEmpty()
                                                    ? null
                                                    : f.finding().getFix()))
                                    .toList())));
            return;
        }
        for (Found f : found) {
            String where = f.node().isEmpty() ? "client" : f.node();
            session.out()
                    .printf(
                            "%-7s  %s: %s: %s%n",
                            f.finding().getStatus(),
                            where,
                            Text.printable(f.finding().getCheck()),
                            Text.printable(f.finding().getMessage()));
            if (!f.finding().getFix().isEmpty()) {
                session.out()
                        .println(
                                "           next: " + Text.printable(f.finding().getFix()));
            }
        }
    }
}
