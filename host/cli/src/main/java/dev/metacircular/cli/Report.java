package dev.metacircular.cli;

import dev.metacircular.contract.Problems;
import dev.metacircular.model.Problem;
import java.util.Locale;

/** How problems are told: to people on standard error, to programs on standard output besides. */
final class Report {
    private Report() {}

    /** @return the problem's exit status */
    static int problem(Session session, Problem problem) {
        toPeople(session, problem);
        if (session.json()) {
            session.out().println(Json.write(Json.object("result", "failed", "error", json(problem))));
        }
        return Problems.exitStatus(problem.kind());
    }

    static void toPeople(Session session, Problem problem) {
        String where = problem.where().isEmpty() ? "" : " (" + problem.where() + ")";
        String[] lines = problem.what().split("\n");
        boolean faults = problem.kind() == Problem.Kind.INVALID;
        for (int i = 0; i < lines.length; i++) {
            String lead = i == 0 || faults ? "error: " : "  ";
            session.err().println(lead + Text.printable(lines[i]) + (i == 0 ? where : ""));
        }
        if (!problem.next().isEmpty()) {
            session.err().println("  next: " + Text.printable(problem.next()));
        }
    }

    static Object json(Problem problem) {
        return Json.object(
                "kind",
                problem.kind().name().toLowerCase(Locale.ROOT),
                "what",
                problem.what(),
                "where",
                problem.where(),
                "next",
                problem.next());
    }
}
