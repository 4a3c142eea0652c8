package dev.metacircular.cli;

import dev.metacircular.contract.v1.ComponentResult;
import dev.metacircular.model.Name;
import java.util.List;

/** What became of each component, for people and for programs. */
final class Results {
    private Results() {}

    static void print(Session session, Name service, List<ComponentResult> results) {
        Table table = new Table("COMPONENT", "OUTCOME", "MESSAGE");
        for (ComponentResult result : results) {
            table.row(service + "/" + result.getComponent(), result.getOutcome(), result.getMessage());
        }
        if (!table.isEmpty()) {
            table.print(session.out());
        }
        session.out().flush();
        for (ComponentResult result : results) {
            if (result.getLogTailCount() > 0) {
                session.err().println("the last lines of " + service + "/" + result.getComponent() + ":");
                result.getLogTailList().forEach(l -> session.err().println("  | " + Text.printable(l)));
            }
        }
    }

    static List<Object> json(List<ComponentResult> results) {
        return results.stream()
                .map(r -> (Object) Json.object(
                        "component",
                        r.getComponent(),
                        "outcome",
                        r.getOutcome(),
                        "message",
                        r.getMessage(),
                        "log_tail",
                        r.getLogTailList()))
                .toList();
    }

    static boolean failed(List<ComponentResult> results) {
        return results.stream().anyMatch(r -> r.getOutcome().equals("failed"));
    }
}
