package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Deploys, all or nothing over the components that are touched: under the service's lock, from a plan that holds at that moment, with a
 * journal that is written before the first change and by which a failed deploy is undone.
 */
final class DeployService {
    private final Runtimes runtimes;
    private final Ledger ledger;
    private final NodeView view;
    private final Lifecycle lifecycle;
    private final ServiceLocks locks;
    private final DeployPlanner planner;
    private final Recovery recovery;
    private final Tracks tracks;
    private final Clock clock;

    DeployService(
            Runtimes runtimes,
            Ledger ledger,
            NodeView view,
            Lifecycle lifecycle,
            ServiceLocks locks,
            DeployPlanner planner,
            Recovery recovery,
            Tracks tracks,
            Clock clock) {
        this.runtimes = runtimes;
        this.ledger = ledger;
        this.view = view;
        this.lifecycle = lifecycle;
        this.locks = locks;
        this.planner = planner;
        this.recovery = recovery;
        this.tracks = tracks;
        this.clock = clock;
    }

    /** What a deploy would do now. */
    Plan plan(Service service, Target target, boolean mayPull, DeployPlanner.PullProgress progress) {
        return planner.prepare(service, target, mayPull, progress).plan();
    }

    /**
     * Deploys, and returns when it is done or undone.
     *
     * @param by the caller's token
     * @param baseGeneration that the caller planned from
     * @param shown whether this is the plan that the caller has seen
     * @throws ProblemException if it is refused, before anything was changed
     */
    Outcome deploy(
            String by,
            Service service,
            Target target,
            long baseGeneration,
            Predicate<Plan> shown,
            DeployListener listener) {
        try (ServiceLocks.Held _ = locks.acquire(service.name(), "a deploy by " + by)) {
            requireGeneration(service.name(), baseGeneration);
            DeployPlanner.Prepared prepared = planner.prepare(service, target, true, listener::progress);
            if (!shown.test(prepared.plan())) {
                listener.plan(prepared.plan());
            }
            return prepared.plan().isEmpty()
                    ? new Outcome(baseGeneration, parts(prepared, List.of()), Optional.empty())
                    : execute(by, prepared, listener);
        }
    }

    private void requireGeneration(Name service, long baseGeneration) {
        long actual = view.service(service).map(KnownService::generation).orElse(0L);
        if (actual != baseGeneration) {
            throw Problem.of(
                            Problem.Kind.STALE_PLAN,
                            "planned from generation " + baseGeneration + ", but the service is at generation " + actual
                                    + " now: someone changed it meanwhile")
                    .at(service.value())
                    .next("look at it with mcp status " + service + ", then run the command again")
                    .exception();
        }
    }

    private Outcome execute(String by, DeployPlanner.Prepared prepared, DeployListener listener) {
        Name service = prepared.service().name();
        PlanExecutor executor = new PlanExecutor(runtimes, lifecycle, prepared, listener);
        int commit = executor.commitIndex();
        Optional<PendingDeploy> journal = Optional.empty();
        try {
            int first = executor.pull();
            long generation = ledger.reserveGeneration(service);
            List<RegisteredComponent> rows = DeployRows.rows(prepared, generation, executor.images());
            PendingDeploy pending = new PendingDeploy(
                    service,
                    generation,
                    clock.instant(),
                    by,
                    false,
                    prepared.service().active(),
                    rows,
                    DeployRows.before(prepared));
            begin(pending, prepared.plan().baseGeneration());
            journal = Optional.of(pending);
            executor.run(first, commit, generation);
            commit(prepared, commit, listener);
            finish(by, prepared, pending, executor, commit);
            return new Outcome(generation, parts(prepared, rows), Optional.empty());
        } catch (PlanExecutor.OperationFailed e) {
            return undo(prepared, journal, e, listener);
        } catch (RuntimeException e) {
            // Whether it is committed only the registry knows: the recovery asks it, and nothing else touches the
            // service before.
            journal.ifPresent(_ -> locks.block(service, "a deploy is still to be recovered: " + e.getMessage()));
            throw e;
        }
    }

    /** A registry that fails may have written the entry all the same: the recovery finds out. */
    private void begin(PendingDeploy pending, long baseGeneration) {
        try {
            ledger.beginDeploy(pending, baseGeneration);
        } catch (RegistryException e) {
            locks.block(pending.service(), String.valueOf(e.getMessage()));
            throw e;
        }
    }

    private void commit(DeployPlanner.Prepared prepared, int index, DeployListener listener)
            throws PlanExecutor.OperationFailed {
        Operation operation = prepared.plan().operations().get(index);
        Name service = prepared.service().name();
        listener.operation(index, operation, DeployListener.Status.BEGIN, "");
        try {
            ledger.commitDeploy(service);
        } catch (RegistryException e) {
            boolean committed =
                    ledger.pending(service).filter(PendingDeploy::committed).isPresent();
            if (!committed) {
                listener.operation(index, operation, DeployListener.Status.FAILED, String.valueOf(e.getMessage()));
                throw new PlanExecutor.OperationFailed(
                        index, Optional.empty(), PlanExecutor.problem(e).at(service.value()), List.of());
            }
        }
        view.refresh(service);
        listener.operation(index, operation, DeployListener.Status.DONE, "");
    }

    /** Removes what the committed deploy replaced, and ends it; where that cannot be done now, the recovery does. */
    private void finish(
            String by, DeployPlanner.Prepared prepared, PendingDeploy pending, PlanExecutor executor, int commit) {
        Name service = pending.service();
        EventLog.Entry entry = EventLog.Entry.of(
                service,
                EventLog.Kind.DEPLOYED,
                "generation " + pending.generation() + " by " + by + ": "
                        + prepared.plan().operations().size() + " operations");
        Map<ComponentId, Recorded> touched =
                Recorded.afterDeploy(pending, prepared.plan().touched());
        try {
            executor.run(commit + 1, executor.size(), pending.generation());
            tracks.endDeploy(service, entry, touched);
        } catch (PlanExecutor.OperationFailed | RegistryException e) {
            recovery.leave(service, "the deploy is still to be finished: " + e.getMessage(), entry, touched);
        }
    }

    private Outcome undo(
            DeployPlanner.Prepared prepared,
            Optional<PendingDeploy> journal,
            PlanExecutor.OperationFailed failure,
            DeployListener listener) {
        Name service = prepared.service().name();
        List<Operation> operations = prepared.plan().operations();
        Optional<String> left = Optional.empty();
        String after = "";
        if (journal.isPresent()) {
            try {
                List<String> faults = recovery.rollBack(journal.get());
                reportUndone(operations, failure.index(), listener);
                after = faults.isEmpty() ? "" : "; not everything could be brought back: " + String.join("; ", faults);
            } catch (RuntimeFailure | RegistryException e) {
                left = Optional.of("a failed deploy is still to be undone: " + e.getMessage());
                after = "; it cannot be undone yet (" + e.getMessage() + "), the agent goes on trying";
            }
        }
        for (int i = failure.index() + 1; i < operations.size(); i++) {
            listener.operation(i, operations.get(i), DeployListener.Status.SKIPPED, "");
        }
        Problem problem = failure.problem();
        Problem told = new Problem(problem.kind(), problem.what() + after, problem.where(), problem.next());
        EventLog.Entry entry = EventLog.Entry.of(
                service,
                EventLog.Kind.DEPLOY_FAILED,
                (told.where().isEmpty() ? "" : told.where() + ": ") + told.what());
        Map<ComponentId, Recorded> touched =
                journal.map(Recorded::afterRollBack).orElse(Map.of());
        try {
            if (left.isPresent()) {
                recovery.leave(service, left.get(), entry, touched);
            } else {
                tracks.endDeploy(service, entry, touched);
            }
        } catch (RegistryException e) {
            if (journal.isPresent()) {
                recovery.leave(service, "a failed deploy is still to be recorded: " + e.getMessage(), entry, touched);
            }
            told = new Problem(told.kind(), told.what() + "; " + e.getMessage(), told.where(), told.next());
        }
        return new Outcome(prepared.plan().baseGeneration(), failedParts(prepared, failure), Optional.of(told));
    }

    private static void reportUndone(List<Operation> operations, int failed, DeployListener listener) {
        for (int i = failed - 1; i >= 0; i--) {
            Operation operation = operations.get(i);
            if (!(operation instanceof Operation.Pull) && !(operation instanceof Operation.EnsureNetwork)) {
                listener.operation(i, operation, DeployListener.Status.UNDONE, "");
            }
        }
    }

    private static List<Outcome.Part> failedParts(
            DeployPlanner.Prepared prepared, PlanExecutor.OperationFailed failure) {
        List<Outcome.Part> parts = new ArrayList<>();
        for (ComponentId id : inOrder(prepared)) {
            boolean existed = prepared.instances().stream()
                    .anyMatch(i -> i.identity().orElseThrow().component().equals(id));
            boolean failed = failure.component().filter(id::equals).isPresent();
            boolean touched = operationsOf(prepared, id)
                    .anyMatch(o -> !(o instanceof Operation.Pull)
                            && prepared.plan().operations().indexOf(o) < failure.index());
            if (failed) {
                parts.add(new Outcome.Part(
                        id.component(), "failed", failure.problem().what(), failure.logTail()));
            } else {
                parts.add(Outcome.Part.of(id.component(), touched ? (existed ? "restored" : "removed") : "unchanged"));
            }
        }
        return parts;
    }

    private static List<Outcome.Part> parts(DeployPlanner.Prepared prepared, List<RegisteredComponent> rows) {
        return inOrder(prepared).stream()
                .map(id -> Outcome.Part.of(id.component(), outcome(prepared, id, rows)))
                .toList();
    }

    private static String outcome(DeployPlanner.Prepared prepared, ComponentId id, List<RegisteredComponent> rows) {
        Set<Class<?>> kinds = new java.util.HashSet<>();
        operationsOf(prepared, id).forEach(o -> kinds.add(o.getClass()));
        Optional<RegisteredComponent> before =
                prepared.registered().flatMap(s -> s.find(id.component())).map(KnownService.Member::row);
        Optional<RegisteredComponent> after =
                rows.stream().filter(r -> r.id().equals(id)).findFirst();
        if (kinds.contains(Operation.Create.class)) {
            return kinds.contains(Operation.SetAside.class) ? "replaced" : "created";
        }
        if (prepared.service().find(id.component()).isEmpty()) {
            return "removed";
        }
        if (kinds.contains(Operation.Start.class)) {
            return "started";
        }
        if (kinds.contains(Operation.Stop.class)) {
            return "stopped";
        }
        return rows.isEmpty() || before.equals(after) ? "unchanged" : "registered";
    }

    private static java.util.stream.Stream<Operation> operationsOf(DeployPlanner.Prepared prepared, ComponentId id) {
        return prepared.plan().operations().stream()
                .filter(o -> o.component().filter(id::equals).isPresent());
    }

    /** The target's components as the definition has them, then those that it dropped. */
    private static List<ComponentId> inOrder(DeployPlanner.Prepared prepared) {
        List<ComponentId> ids = new ArrayList<>();
        prepared.items().stream()
                .map(i -> prepared.service().id(i.component()))
                .filter(id -> prepared.target().includes(id.component()))
                .forEach(ids::add);
        if (prepared.target().component().isEmpty()) {
            prepared.registered().stream()
                    .flatMap(s -> s.components().stream())
                    .map(KnownService.Member::id)
                    .filter(id -> !ids.contains(id))
                    .forEach(ids::add);
        }
        return ids;
    }
}
