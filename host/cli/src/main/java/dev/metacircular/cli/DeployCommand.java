package dev.metacircular.cli;

import dev.metacircular.cli.transport.AgentChannel;
import dev.metacircular.contract.ExitStatus;
import dev.metacircular.contract.Messages;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.DeployRequest;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.contract.v1.ServiceDocument;
import dev.metacircular.definition.ClientConfig;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;

/** {@code mcp deploy}: reads and checks the definition, has it planned, shows the plan, has it done. */
final class DeployCommand implements Command {
    @Override
    public CommandSpec spec() {
        CommandSpec spec =
                Models.command("deploy", "Brings a service, or one component of it, to what its definition says.");
        spec.addPositional(Models.several(0, "SERVICE[/COMPONENT]", "What to deploy."));
        spec.addOption(Models.flag("--dry-run", "Print the plan, and do nothing."));
        spec.addOption(Models.flag("--check", "With --dry-run: exit with 5 if something would change."));
        spec.addOption(Models.flag("--direct", "Do not look whether images must be built first."));
        return spec;
    }

    @Override
    public boolean takesSeveral() {
        return true;
    }

    @Override
    public int run(Arguments arguments, Session session) {
        boolean dryRun = arguments.flag("--dry-run");
        if (arguments.flag("--check") && !dryRun) {
            throw Problem.of(Problem.Kind.INVALID, "--check goes with --dry-run")
                    .next("mcp deploy " + arguments.required(0) + " --dry-run --check")
                    .exception();
        }
        Target target = arguments.requiredTarget(0);
        Service service = session.definitions().read(target.service()).orThrow();
        target.component().ifPresent(c -> requireComponent(session, service, c));
        ClientConfig.Node node = View.node(session, session.config(), service.node());
        Duration limit = Nodes.limit(session, Nodes.DEPLOY);
        try (AgentChannel channel = Nodes.channel(session, node)) {
            AgentGrpc.AgentBlockingStub stub =
                    AgentGrpc.newBlockingStub(channel).withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS);
            DeployOutput output = new DeployOutput(session, target.service());
            ServiceDocument document = Messages.toMessage(service, ComponentDocuments::write);
            String component = target.component().map(Name::value).orElse("");
            PlanDocument plan = plan(stub, document, component, output);
            if (dryRun) {
                output.planned(plan, "would do on " + node.name() + ":", "nothing to do on " + node.name());
                return arguments.flag("--check") && plan.getOperationsCount() > 0
                        ? ExitStatus.WOULD_CHANGE
                        : ExitStatus.DONE;
            }
            if (!session.json()) {
                output.planned(plan, "plan for " + target + " on " + node.name() + ":", target + " is as defined");
            }
            return deploy(stub, document, component, plan, output);
        } catch (StatusRuntimeException e) {
            throw new ProblemException(Nodes.at(node, Nodes.explain(e, limit)), e);
        }
    }

    private static void requireComponent(Session session, Service service, Name component) {
        if (service.find(component).isEmpty()) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "service '" + service.name() + "' has no component '" + component + "'")
                    .at(session.definitions().file(service.name()).toString())
                    .next("its components are "
                            + service.components().stream()
                                    .map(e -> e.component().name().value())
                                    .collect(Collectors.joining(", ")))
                    .exception();
        }
    }

    private static PlanDocument plan(
            AgentGrpc.AgentBlockingStub stub, ServiceDocument service, String component, DeployOutput output) {
        Iterator<PlanUpdate> updates = stub.plan(PlanRequest.newBuilder()
                .setService(service)
                .setComponent(component)
                .build());
        PlanDocument plan = null;
        while (updates.hasNext()) {
            PlanUpdate update = updates.next();
            if (update.hasProgress()) {
                output.progress(update.getProgress());
            } else if (update.hasPlan()) {
                plan = update.getPlan();
            }
        }
        output.endProgress();
        if (plan == null) {
            throw incomplete("the node ended the call without a plan");
        }
        return plan;
    }

    private static int deploy(
            AgentGrpc.AgentBlockingStub stub,
            ServiceDocument service,
            String component,
            PlanDocument plan,
            DeployOutput output) {
        Iterator<DeployUpdate> updates = stub.deploy(DeployRequest.newBuilder()
                .setIdempotencyKey(Place.idempotencyKey())
                .setService(service)
                .setComponent(component)
                .setBaseGeneration(plan.getBaseGeneration())
                .setPlan(plan)
                .build());
        while (updates.hasNext()) {
            DeployUpdate update = updates.next();
            switch (update.getUpdateCase()) {
                case PLAN -> output.replanned(update.getPlan());
                case PROGRESS -> output.progress(update.getProgress());
                case OPERATION -> output.operation(update.getOperation());
                case RESULT -> {
                    DeployResult result = update.getResult();
                    output.result(result);
                    return result.getOk()
                            ? ExitStatus.DONE
                            : result.hasError()
                                    ? Problems.exitStatus(Problems.fromMessage(result.getError())
                                            .kind())
                                    : ExitStatus.FAILED;
                }
                case UPDATE_NOT_SET -> {
                    // What a newer agent tells beyond what this version knows.
                }
            }
        }
        throw incomplete("the node ended the call without a result");
    }

    private static ProblemException incomplete(String what) {
        return Problem.of(Problem.Kind.FAILED, what)
                .next("mcp status shows what came of it")
                .exception();
    }
}
