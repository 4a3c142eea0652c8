package dev.metacircular.cli;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp logs}. */
final class LogsCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec = Models.command(
                "logs",
                "Shows what components wrote, of one service or several, in the order of time and with their names.");
        spec.addPositional(Models.several(0, "SERVICE[/COMPONENT]", "Whose logs."));
        spec.addOption(Models.flag("--follow", "Go on as more is written, until interrupted."));
        spec.addOption(
                Models.value("--since", "TIME", "Not older than this: 90s, 10m, 2h, 1d12h, or 2026-01-31T12:00:00Z."));
        spec.addOption(Models.value("--tail", "N", "At most the last N lines of each component."));
        spec.addOption(
                Models.flag(
                        "--previous",
                        "Of the instance before the present one; of one that a deploy removed the last 10,000 lines or 1 MiB are kept."));
        spec.addOption(Models.value("--node", "NODE", "The service's node, where no definition names it."));
        return spec;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        List<Target> targets = new ArrayList<>();
        for (String text : arguments.all(0)) {
            Target target = Arguments.checkedTarget(text);
            if (!targets.contains(target)) {
                targets.add(target);
            }
        }
        boolean follow = arguments.flag("--follow");
        LogsRequest.Builder request =
                LogsRequest.newBuilder().setFollow(follow).setPrevious(arguments.flag("--previous"));
        arguments
                .text("--since")
                .ifPresent(s -> request.setSinceMs(
                        Times.parse(s, session.clock().instant(), "--since").toEpochMilli()));
        arguments.text("--tail").ifPresent(t -> request.setTail(tail(t)));
        LogStreams streams = new LogStreams(session, request.build());
        List<Integer> statuses = new ArrayList<>();
        for (Target target : targets) {
            try {
                streams.open(Place.of(session, arguments, target.service()), target);
            } catch (ProblemException e) {
                if (targets.size() == 1) {
                    throw e;
                }
                Report.toPeople(session, e.problem());
                statuses.add(Problems.exitStatus(e.problem().kind()));
            }
        }
        LogPrinter printer = new LogPrinter(session, targets);
        List<Problem> problems = streams.read(printer);
        if (targets.size() == 1 && !problems.isEmpty()) {
            session.out().flush();
            throw problems.getFirst().exception();
        }
        problems.forEach(p -> statuses.add(Problems.exitStatus(p.kind())));
        return View.heaviest(statuses);
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
