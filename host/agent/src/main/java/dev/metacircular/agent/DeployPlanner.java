package dev.metacircular.agent;

import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.plan.Current;
import dev.metacircular.plan.ImageKey;
import dev.metacircular.plan.Plan;
import dev.metacircular.plan.Planner;
import dev.metacircular.plan.Wanted;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;

/** Looks at the node and computes a deploy's plan. */
final class DeployPlanner {
    /** A floating tag that was pulled so recently is not pulled again: the plan that was just shown is then the one carried out. */
    private static final Duration PULL_FRESH = Duration.ofSeconds(60);

    /** Of more names than this, one listing of everything tells sooner. */
    private static final int MAX_NAMES_ASKED = 4;

    private final Runtimes runtimes;
    private final NodeView view;
    private final Lifecycle lifecycle;
    private final DeployChecks checks;
    private final SecretStore secrets;
    private final Map<ImageKey, Long> pulledAt = new ConcurrentHashMap<>();

    DeployPlanner(Runtimes runtimes, NodeView view, Lifecycle lifecycle, DeployChecks checks, SecretStore secrets) {
        this.secrets = secrets;
        this.runtimes = runtimes;
        this.view = view;
        this.lifecycle = lifecycle;
        this.checks = checks;
    }

    /**
     * What a plan was made from.
     *
     * @param instances of the service, with their labels
     * @param images to the backend's image ID, where the node has it
     */
    record Prepared(
            Service service,
            Target target,
            Optional<KnownService> registered,
            List<Wanted.Item> items,
            List<Instance> instances,
            Map<ImageKey, String> images,
            Plan plan) {}

    /** Is told of the pulls of floating tags. */
    @FunctionalInterface
    interface PullProgress {
        void progress(ComponentId id, String what, long doneBytes, long totalBytes);
    }

    /**
     * @param mayPull whether the plan may change the node so far; otherwise it is made from the images that the node has
     * @throws dev.metacircular.model.ProblemException if the deploy is refused
     */
    Prepared prepare(Service service, Target target, boolean mayPull, PullProgress progress) {
        checks.check(service, target);
        Optional<KnownService> registered = view.service(service.name());
        List<Wanted.Item> items = service.components().stream()
                .map(e -> new Wanted.Item(e.component(), ComponentDocuments.digest(e.component()), e.desired()))
                .toList();
        Map<ImageKey, String> images = new ConcurrentHashMap<>();
        List<Instance> listed = new ArrayList<>();
        List<Instance> holders = new ArrayList<>();
        List<Callable<Boolean>> looks = new ArrayList<>();
        looks.add(() -> listed.addAll(runtimes.list(service.name())));
        looks.add(() -> holders.addAll(holders(service, target)));
        items.stream()
                .filter(i ->
                        target.includes(i.component().name()) && i.desired().under(service.active()) == Desired.RUNNING)
                .map(Wanted.Item::component)
                .forEach(c -> looks.add(() -> {
                    image(service.id(c), c, mayPull, progress)
                            .ifPresent(image -> images.put(ImageKey.of(c), image.id()));
                    return true;
                }));
        try {
            Parallel.all(looks);
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(target.toString()).exception();
        }
        checks.checkNames(service, target, List.copyOf(holders));
        List<Instance> own = List.copyOf(listed);
        Plan plan = Planner.plan(new Wanted(target, service.active(), items), current(registered, items, own, images));
        return new Prepared(service, target, registered, items, own, images, plan);
    }

    /** Who has the names that the target's components take. */
    private List<Instance> holders(Service service, Target target) {
        List<ComponentId> ids = service.components().stream()
                .map(e -> service.id(e.component()))
                .filter(id -> target.includes(id.component()))
                .toList();
        return ids.size() > MAX_NAMES_ASKED
                ? runtimes.listAll()
                : ids.stream()
                        .flatMap(id -> runtimes.named(id.canonicalName()).stream())
                        .toList();
    }

    private Optional<Image> image(ComponentId id, Component component, boolean mayPull, PullProgress progress) {
        Runtime runtime = runtimes.of(component.runtime());
        ImageRef ref = component.image();
        ImageKey key = ImageKey.of(component);
        Long pulled = pulledAt.get(key);
        boolean fresh = pulled != null && System.nanoTime() - pulled < PULL_FRESH.toNanos();
        if (!ref.floats() || ref.isLocal() || fresh) {
            return runtime.image(ref);
        }
        if (!mayPull) {
            progress.progress(id, ref + " as the node has it: an operator's plan pulls it first", 0, 0);
            return runtime.image(ref);
        }
        Image image = runtime.pull(ref, (what, done, total) -> progress.progress(id, what, done, total));
        long now = System.nanoTime();
        pulledAt.values().removeIf(at -> now - at >= PULL_FRESH.toNanos());
        pulledAt.put(key, now);
        return Optional.of(image);
    }

    private Current current(
            Optional<KnownService> registered,
            List<Wanted.Item> items,
            List<Instance> instances,
            Map<ImageKey, String> images) {
        Map<Name, Current.Registered> rows = new HashMap<>();
        registered.ifPresent(s -> s.components()
                .forEach(m -> rows.put(
                        m.id().component(),
                        new Current.Registered(
                                m.component(), m.row().documentDigest(), m.row().desired()))));
        List<Current.Existing> existing = instances.stream()
                .map(i -> {
                    var identity = i.identity().orElseThrow();
                    return new Current.Existing(
                            identity.component(),
                            i.id().value(),
                            identity.generation(),
                            documentDigest(identity, items),
                            i.imageId(),
                            Instances.isRunning(i) || isDone(registered, i));
                })
                .toList();
        return new Current(
                registered.map(KnownService::generation).orElse(0L),
                registered.map(KnownService::active).orElse(false),
                rows,
                existing,
                images,
                List.copyOf(lifecycle.knownNetworks()));
    }

    /** The digest of the document that an instance was made from, if the values of its secrets are still those that it was given. */
    private String documentDigest(Identity identity, List<Wanted.Item> items) {
        return items.stream()
                .filter(i -> i.component().name().equals(identity.component().component()))
                .filter(i -> secrets.digest(identity.component(), i.component(), i.digest())
                        .equals(identity.documentDigest()))
                .findFirst()
                .map(Wanted.Item::digest)
                .orElse(identity.documentDigest());
    }

    /** A component that ended as it should is as good as running: a deploy that changes nothing does not run it again. */
    private boolean isDone(Optional<KnownService> registered, Instance instance) {
        return instance.state() instanceof InstanceState.Ended(int status, var _, var _)
                && !view.stopRequested(instance.id())
                && registered
                        .flatMap(s -> s.find(
                                instance.identity().orElseThrow().component().component()))
                        .filter(m -> m.desired() == Desired.RUNNING
                                && Observation.isDone(m.component().restart(), status))
                        .isPresent();
    }
}
