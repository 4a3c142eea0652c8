package dev.metacircular.agent;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ComponentResult;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.model.ComponentId;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import java.util.List;

/** Plans and outcomes as messages. */
final class Responses {
    private Responses() {}

    static PlanDocument plan(Plan plan) {
        PlanDocument.Builder document =
                PlanDocument.newBuilder().setService(plan.service().value()).setBaseGeneration(plan.baseGeneration());
        List<Operation> operations = plan.operations();
        for (int i = 0; i < operations.size(); i++) {
            Operation o = operations.get(i);
            document.addOperations(dev.metacircular.contract.v1.Operation.newBuilder()
                    .setIndex(i)
                    .setOp(o.op())
                    .setComponent(component(o))
                    .setMessage(o.message()));
        }
        return document.build();
    }

    static String component(Operation operation) {
        return operation
                .component()
                .map(ComponentId::component)
                .map(Object::toString)
                .orElse("");
    }

    static DeployResult deploy(Outcome outcome) {
        DeployResult.Builder result = DeployResult.newBuilder()
                .setOk(outcome.error().isEmpty())
                .setGeneration(outcome.generation())
                .addAllComponents(components(outcome));
        outcome.error().map(Problems::toMessage).ifPresent(result::setError);
        return result.build();
    }

    static List<ComponentResult> components(Outcome outcome) {
        return outcome.parts().stream()
                .map(p -> ComponentResult.newBuilder()
                        .setComponent(p.component().value())
                        .setOutcome(p.outcome())
                        .setMessage(p.message())
                        .addAllLogTail(p.logTail())
                        .build())
                .toList();
    }
}
