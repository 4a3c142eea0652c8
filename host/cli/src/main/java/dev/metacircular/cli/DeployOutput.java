package dev.metacircular.cli;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.Operation;
import dev.metacircular.contract.v1.OperationUpdate;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.contract.v1.Progress;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** A deploy as it is seen: a plan, operations as they begin and end, and the result; lines of JSON for programs. */
final class DeployOutput {
    private static final String CLEAR_LINE = "\r\u001b[K";

    private final Session session;
    private final PrintStream out;
    private final Name service;
    private boolean showsProgress;

    DeployOutput(Session session, Name service) {
        this.session = session;
        this.out = session.out();
        this.service = service;
    }

    void planned(PlanDocument plan, String heading, String ifEmpty) {
        if (session.json()) {
            plan.getOperationsList().forEach(o -> line(json(o)));
            return;
        }
        if (plan.getOperationsCount() == 0) {
            out.println(ifEmpty);
        } else {
            out.println(heading);
            print(plan);
        }
        out.flush();
    }

    private void print(PlanDocument plan) {
        for (Operation operation : plan.getOperationsList()) {
            out.printf(
                    "  %2d  %s%s%n",
                    operation.getIndex(), of(operation.getComponent()), Text.printable(operation.getMessage()));
        }
    }

    /** Only what was observed had changed since the plan was made: the agent does this one instead. */
    void replanned(PlanDocument plan) {
        if (session.json()) {
            List<Object> operations = new ArrayList<>();
            plan.getOperationsList().forEach(o -> operations.add(json(o)));
            line(Json.object("replanned", operations));
        } else {
            out.println("what runs has changed meanwhile, so the plan is now:");
            print(plan);
            out.flush();
        }
    }

    void operation(OperationUpdate update) {
        if (session.json()) {
            line(Json.object(
                    "index",
                    update.getIndex(),
                    "op",
                    update.getOp(),
                    "component",
                    update.getComponent(),
                    "status",
                    update.getStatus(),
                    "message",
                    update.getMessage()));
            return;
        }
        if (update.getStatus().equals("begin") && !session.streams().outIsTerminal()) {
            return;
        }
        endProgress();
        out.printf(
                "%-7s %2d  %s%s%n",
                update.getStatus(),
                update.getIndex(),
                of(update.getComponent()),
                Text.printable(update.getMessage().isEmpty() ? update.getOp() : update.getMessage()));
        out.flush();
    }

    /** Shown while it lasts, where someone looks. */
    void progress(Progress progress) {
        if (session.json() || !session.streams().errIsTerminal()) {
            return;
        }
        String total = progress.getTotalBytes() > 0 ? " of " + Text.bytes(progress.getTotalBytes()) : "";
        String percent = progress.getTotalBytes() > 0
                ? " (" + progress.getDoneBytes() * 100 / progress.getTotalBytes() + " %)"
                : "";
        String amount = progress.getDoneBytes() > 0 ? "  " + Text.bytes(progress.getDoneBytes()) + total + percent : "";
        session.err().print(CLEAR_LINE + of(progress.getComponent()) + Text.printable(progress.getWhat()) + amount);
        session.err().flush();
        showsProgress = true;
    }

    void endProgress() {
        if (showsProgress) {
            session.err().print(CLEAR_LINE);
            session.err().flush();
            showsProgress = false;
        }
    }

    void result(DeployResult result) {
        endProgress();
        Problem problem = result.hasError()
                ? Problems.fromMessage(result.getError())
                : Problem.of(Problem.Kind.FAILED, "the deploy failed");
        if (session.json()) {
            line(Json.object(
                    "result",
                    result.getOk() ? "ok" : "failed",
                    "service",
                    service.value(),
                    "generation",
                    result.getGeneration(),
                    "components",
                    Results.json(result.getComponentsList()),
                    "error",
                    result.getOk() ? null : Report.json(problem)));
        } else {
            Results.print(session, service, result.getComponentsList());
        }
        if (!result.getOk()) {
            Report.toPeople(session, problem);
        }
    }

    private void line(Object json) {
        out.println(Json.write(json));
        out.flush();
    }

    private static Object json(Operation operation) {
        return Json.object(
                "index",
                operation.getIndex(),
                "op",
                operation.getOp(),
                "component",
                operation.getComponent(),
                "status",
                "planned",
                "message",
                operation.getMessage());
    }

    private static String of(String component) {
        return component.isEmpty() ? "" : Text.printable(component) + ": ";
    }
}
