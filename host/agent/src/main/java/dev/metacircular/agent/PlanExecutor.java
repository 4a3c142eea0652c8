package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.plan.ImageKey;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import dev.metacircular.plan.Wanted;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;

/** Carries out one plan, operation by operation. It undoes nothing: {@link Recovery} does, from the journal. */
final class PlanExecutor {
    private static final Logger LOG = Logger.getLogger(PlanExecutor.class.getName());

    private final Runtimes runtimes;
    private final Lifecycle lifecycle;
    private final DeployListener listener;
    private final Plan plan;
    private final Map<ComponentId, Wanted.Item> items;
    /** Of the components that the plan makes. */
    private final Set<RuntimeKind> kinds;

    private final Map<String, InstanceId> existing = new HashMap<>();
    private final Map<ImageKey, String> images;
    private final Map<ComponentId, InstanceId> made = new HashMap<>();

    PlanExecutor(Runtimes runtimes, Lifecycle lifecycle, DeployPlanner.Prepared prepared, DeployListener listener) {
        this.runtimes = runtimes;
        this.lifecycle = lifecycle;
        this.listener = listener;
        this.plan = prepared.plan();
        this.items = prepared.items().stream()
                .collect(Collectors.toMap(i -> prepared.service().id(i.component()), i -> i));
        this.kinds = plan.operations().stream()
                .filter(Operation.Create.class::isInstance)
                .map(o -> component(((Operation.Create) o).id()).runtime())
                .collect(Collectors.toCollection(() -> EnumSet.noneOf(RuntimeKind.class)));
        prepared.instances().forEach(i -> existing.put(i.id().value(), i.id()));
        this.images = new HashMap<>(prepared.images());
    }

    /** An operation that failed. */
    static final class OperationFailed extends Exception {
        private static final long serialVersionUID = 1L;

        private final int index;
        private final transient Optional<ComponentId> component;
        private final transient Problem problem;
        private final transient List<String> logTail;

        OperationFailed(int index, Optional<ComponentId> component, Problem problem, List<String> logTail) {
            super(problem.toString());
            this.index = index;
            this.component = component;
            this.problem = problem;
            this.logTail = List.copyOf(logTail);
        }

        int index() {
            return index;
        }

        Optional<ComponentId> component() {
            return component;
        }

        Problem problem() {
            return problem;
        }

        List<String> logTail() {
            return logTail;
        }
    }

    /** The index of the commit; everything before it can be undone. */
    int commitIndex() {
        for (int i = 0; i < plan.operations().size(); i++) {
            if (plan.operations().get(i) instanceof Operation.Commit) {
                return i;
            }
        }
        return plan.operations().size();
    }

    int size() {
        return plan.operations().size();
    }

    /** The ID of each image, with those that were pulled. */
    Map<ImageKey, String> images() {
        return Map.copyOf(images);
    }

    /** Runs the pulls at the head of the plan side by side, each image once, and returns the index of the first other operation. */
    int pull() throws OperationFailed {
        Map<ImageKey, List<Integer>> pulls = new LinkedHashMap<>();
        int next = 0;
        while (next < plan.operations().size() && plan.operations().get(next) instanceof Operation.Pull pull) {
            pulls.computeIfAbsent(ImageKey.of(component(pull.id())), _ -> new ArrayList<>())
                    .add(next);
            next++;
        }
        List<Callable<Optional<OperationFailed>>> tasks = new ArrayList<>();
        pulls.forEach((image, indices) -> tasks.add(() -> pull(image, indices)));
        for (Optional<OperationFailed> failure : Parallel.all(tasks)) {
            if (failure.isPresent()) {
                throw failure.get();
            }
        }
        return next;
    }

    private Optional<OperationFailed> pull(ImageKey wanted, List<Integer> indices) {
        for (int index : indices) {
            listener.operation(index, plan.operations().get(index), DeployListener.Status.BEGIN, "");
        }
        int first = indices.getFirst();
        ComponentId id = plan.operations().get(first).component().orElseThrow();
        try {
            Image image = runtimes.of(wanted.runtime())
                    .pull(wanted.reference(), (what, done, total) -> listener.progress(id, what, done, total));
            synchronized (images) {
                images.put(wanted, image.id());
            }
        } catch (RuntimeException e) {
            return Optional.of(failed(first, e, List.of()));
        }
        for (int index : indices) {
            listener.operation(index, plan.operations().get(index), DeployListener.Status.DONE, "");
        }
        return Optional.empty();
    }

    /** Carries out the operations from one index to before another. */
    void run(int from, int to, long generation) throws OperationFailed {
        for (int index = from; index < to; index++) {
            Operation operation = plan.operations().get(index);
            listener.operation(index, operation, DeployListener.Status.BEGIN, "");
            Optional<Hold.Outcome.Failed> notHeld;
            try {
                notHeld = perform(operation, generation);
            } catch (RuntimeException e) {
                throw failed(index, e, tailOf(operation));
            }
            if (notHeld.isPresent()) {
                Problem problem = Problem.of(Problem.Kind.FAILED, notHeld.get().why())
                        .at(operation.component().map(ComponentId::toString).orElse(""));
                throw failed(index, problem.exception(), tailOf(operation));
            }
            listener.operation(index, operation, DeployListener.Status.DONE, "");
        }
    }

    private Optional<Hold.Outcome.Failed> perform(Operation operation, long generation) {
        switch (operation) {
            case Operation.Pull pull ->
                throw new IllegalStateException("a pull stands behind another operation: " + pull);
            case Operation.EnsureNetwork(String network) -> {
                for (RuntimeKind kind : kinds) {
                    lifecycle.ensureNetwork(runtimes.of(kind), new Network(network));
                }
            }
            case Operation.Stop(ComponentId _, String instance, long _, String _) -> lifecycle.stop(existing(instance));
            case Operation.SetAside(ComponentId _, String instance, long _) ->
                runtimes.of(existing(instance)).setAside(existing(instance));
            case Operation.Create(ComponentId id, ImageRef _, String _) -> made.put(id, create(id, generation));
            case Operation.Start(ComponentId id, Optional<String> instance) -> {
                InstanceId target = instance.map(this::existing).orElseGet(() -> made(id));
                made.put(id, target);
                lifecycle.start(target);
            }
            case Operation.AwaitHeld(ComponentId id, String _) -> {
                if (lifecycle.awaitHeld(made(id), component(id)) instanceof Hold.Outcome.Failed failed) {
                    return Optional.of(failed);
                }
            }
            case Operation.Commit(String _) -> throw new IllegalStateException("the commit is not carried out here");
            case Operation.Remove(ComponentId id, String instance, long _, String _) ->
                lifecycle.retire(id, existing(instance));
        }
        return Optional.empty();
    }

    private InstanceId create(ComponentId id, long generation) {
        Wanted.Item item = item(id);
        String imageId = images.get(ImageKey.of(item.component()));
        if (imageId == null) {
            throw new IllegalStateException("the plan creates " + id + " without an image");
        }
        return lifecycle.create(id, item.component(), generation, item.digest(), imageId);
    }

    /** The instance that failed, where it is one that this plan started. */
    private List<String> tailOf(Operation operation) {
        boolean ran = operation instanceof Operation.AwaitHeld || operation instanceof Operation.Start;
        InstanceId instance = operation.component().map(made::get).orElse(null);
        return ran && instance != null ? lifecycle.logTail(instance) : List.of();
    }

    private OperationFailed failed(int index, RuntimeException cause, List<String> tail) {
        Operation operation = plan.operations().get(index);
        Problem problem = problem(cause);
        if (problem.where().isEmpty()) {
            problem =
                    problem.at(operation.component().map(ComponentId::toString).orElse(""));
        }
        listener.operation(index, operation, DeployListener.Status.FAILED, problem.what());
        return new OperationFailed(index, operation.component(), problem, tail);
    }

    static Problem problem(RuntimeException cause) {
        return switch (cause) {
            case RuntimeFailure failure -> Runtimes.problem(failure);
            case ProblemException known -> known.problem();
            case RegistryException registry
            when registry.isDamage() ->
                Problem.of(Problem.Kind.FAILED, String.valueOf(registry.getMessage()))
                        .next(
                                "wait for the agent's next start, which puts the newest snapshot in its place: the agent ends now");
            case RegistryException registry ->
                Problem.of(Problem.Kind.EXHAUSTED, String.valueOf(registry.getMessage()));
            default -> {
                LOG.log(Level.SEVERE, "a fault of the agent", cause);
                yield Problem.of(Problem.Kind.INTERNAL, "a fault of the agent: " + cause)
                        .next("look into the agent's log, and report it");
            }
        };
    }

    private InstanceId existing(String instance) {
        InstanceId id = existing.get(instance);
        if (id == null) {
            throw new IllegalStateException("the plan names an unknown instance " + instance);
        }
        return id;
    }

    private InstanceId made(ComponentId id) {
        InstanceId instance = made.get(id);
        if (instance == null) {
            throw new IllegalStateException("the plan starts " + id + " before it makes it");
        }
        return instance;
    }

    private Wanted.Item item(ComponentId id) {
        Wanted.Item item = items.get(id);
        if (item == null) {
            throw new IllegalStateException("the plan names a component that the definition does not: " + id);
        }
        return item;
    }

    private Component component(ComponentId id) {
        return item(id).component();
    }
}
