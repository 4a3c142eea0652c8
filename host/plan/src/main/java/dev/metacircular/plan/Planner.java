package dev.metacircular.plan;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.plan.Current.Existing;
import dev.metacircular.plan.Current.Registered;
import dev.metacircular.plan.Wanted.Item;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Computes a deploy's plan; pure, and total over every input. The same input gives the same plan, and where nothing differs the
 * plan is empty.
 *
 * <p>The order is: pulls; networks; stops of what must make room for another component; per component in the definition's order the steps to its new instance; one commit; then the
 * removals. So everything before the commit can be undone from what still exists, and nothing after it can fail the deploy.
 */
public final class Planner {
    private final Wanted wanted;
    private final Current current;
    private final List<Operation> pulls = new ArrayList<>();
    private final Set<String> networks = new LinkedHashSet<>();
    private final List<Operation> earlyStops = new ArrayList<>();
    private final List<Operation> steps = new ArrayList<>();
    private final List<Operation> removals = new ArrayList<>();
    private final Map<Name, String> rowChanges = new LinkedHashMap<>();

    private Planner(Wanted wanted, Current current) {
        this.wanted = wanted;
        this.current = current;
    }

    public static Plan plan(Wanted wanted, Current current) {
        return new Planner(wanted, current).plan();
    }

    private Plan plan() {
        List<Item> items = wanted.items().stream()
                .filter(i -> wanted.target().includes(i.component().name()))
                .toList();
        items.forEach(this::planComponent);
        if (wanted.target().component().isEmpty()) {
            current.registered().values().stream()
                    .filter(r -> !wanted.names(r.component().name()))
                    .sorted(Comparator.comparing(r -> r.component().name()))
                    .forEach(this::planDrop);
        }
        boolean registersService = current.generation() == 0 && !items.isEmpty();
        boolean activeChanges = current.generation() > 0 && current.active() != wanted.active();

        List<Operation> operations = new ArrayList<>(pulls);
        networks.stream()
                .filter(n -> !current.networks().contains(n))
                .map(Operation.EnsureNetwork::new)
                .forEach(operations::add);
        operations.addAll(earlyStops);
        operations.addAll(steps);
        if (registersService
                || activeChanges
                || !rowChanges.isEmpty()
                || !operations.isEmpty()
                || !removals.isEmpty()) {
            operations.add(new Operation.Commit(commitSummary(activeChanges)));
        }
        operations.addAll(removals);
        return new Plan(wanted.target().service(), current.generation(), operations);
    }

    private void planComponent(Item item) {
        ComponentId id =
                new ComponentId(wanted.target().service(), item.component().name());
        Optional<Registered> before =
                Optional.ofNullable(current.registered().get(item.component().name()));
        noteRowChange(item, before);
        switch (item.desired().under(wanted.active())) {
            case IGNORE -> {}
            case STOPPED -> planStopped(id, item);
            case RUNNING -> planRunning(id, item);
        }
    }

    private void noteRowChange(Item item, Optional<Registered> before) {
        Name name = item.component().name();
        if (before.isEmpty()) {
            rowChanges.put(name, "new");
        } else if (!before.get().digest().equals(item.digest())) {
            rowChanges.put(name, "changed");
        } else if (before.get().desired() != item.desired()) {
            rowChanges.put(name, item.desired().toString());
        }
    }

    private void planStopped(ComponentId id, Item item) {
        for (Existing old : current.of(id)) {
            if (old.running()) {
                earlyStops.add(new Operation.Stop(id, old.instance(), old.generation(), "desired stopped"));
            }
            if (!old.documentDigest().equals(item.digest())) {
                removals.add(
                        new Operation.Remove(id, old.instance(), old.generation(), "made from another definition"));
            }
        }
    }

    private void planRunning(ComponentId id, Item item) {
        Component component = item.component();
        Optional<Existing> latest = current.latest(id);
        boolean pulled = current.images().containsKey(ImageKey.of(component));
        Optional<String> why = latest.map(old -> difference(old, item)).orElse(Optional.of("new"));
        current.of(id).stream().filter(i -> latest.filter(i::equals).isEmpty()).forEach(spare -> {
            if (spare.running()) {
                earlyStops.add(new Operation.Stop(id, spare.instance(), spare.generation(), "one instance too many"));
            }
            removals.add(new Operation.Remove(id, spare.instance(), spare.generation(), "one instance too many"));
        });
        if (why.isEmpty()) {
            Existing same = latest.orElseThrow();
            if (!same.running()) {
                steps.add(new Operation.Start(id, Optional.of(same.instance())));
                steps.add(new Operation.AwaitHeld(id, condition(component)));
            }
            return;
        }
        if (!pulled) {
            pulls.add(new Operation.Pull(id, component.image()));
        }
        networks.addAll(networksOf(id, component));
        boolean runs = latest.filter(Existing::running).isPresent();
        boolean makesRoom = runs && mustMakeRoom(component.name());
        boolean adopted = latest.filter(Planner::isAdopted).isPresent();
        boolean stopsFirst = runs && !makesRoom && (adopted || cannotOverlap(component));
        latest.ifPresent(old -> {
            if (makesRoom) {
                earlyStops.add(new Operation.Stop(
                        id, old.instance(), old.generation(), "another component needs its ports or volumes"));
            } else if (stopsFirst) {
                steps.add(new Operation.Stop(
                        id, old.instance(), old.generation(), "the new one needs its ports or volumes"));
            }
            steps.add(new Operation.SetAside(id, old.instance(), old.generation()));
        });
        steps.add(new Operation.Create(id, component.image(), why.get()));
        steps.add(new Operation.Start(id, Optional.empty()));
        steps.add(new Operation.AwaitHeld(id, condition(component)));
        latest.ifPresent(old -> {
            if (runs && !makesRoom && !stopsFirst) {
                steps.add(new Operation.Stop(id, old.instance(), old.generation(), "the new one has held"));
            }
            removals.add(new Operation.Remove(id, old.instance(), old.generation(), "replaced"));
        });
    }

    /** What the existing instance may hold is what was registered; one that is not registered is taken to hold anything. */
    private boolean cannotOverlap(Component component) {
        Registered before = current.registered().get(component.name());
        return before == null || before.component().excludes(component);
    }

    /** Whether what runs of this component holds what a new instance of an earlier one needs. */
    private boolean mustMakeRoom(Name name) {
        Registered before = current.registered().get(name);
        return before != null
                && wanted.items().stream()
                        .map(Item::component)
                        .takeWhile(c -> !c.name().equals(name))
                        .filter(c -> wanted.target().includes(c.name()))
                        .anyMatch(c -> c.excludes(before.component()));
    }

    /** Nobody knows what it holds. */
    private static boolean isAdopted(Existing old) {
        return old.documentDigest().equals(Identity.ADOPTED);
    }

    private Optional<String> difference(Existing old, Item item) {
        if (isAdopted(old)) {
            return Optional.of("it was adopted");
        }
        if (!old.documentDigest().equals(item.digest())) {
            return Optional.of(
                    item.component().secrets().isEmpty()
                            ? "the definition changed"
                            : "the definition or a secret changed");
        }
        String imageId = current.images().get(ImageKey.of(item.component()));
        if (imageId != null && !imageId.equals(old.imageId())) {
            return Optional.of("the image behind the tag changed");
        }
        return Optional.empty();
    }

    private void planDrop(Registered dropped) {
        Name name = dropped.component().name();
        ComponentId id = new ComponentId(wanted.target().service(), name);
        rowChanges.put(name, "dropped");
        if (dropped.desired() == Desired.IGNORE) {
            return;
        }
        for (Existing old : current.of(id)) {
            if (old.running()) {
                earlyStops.add(new Operation.Stop(id, old.instance(), old.generation(), "no longer in the definition"));
            }
            removals.add(new Operation.Remove(id, old.instance(), old.generation(), "no longer in the definition"));
        }
    }

    private String commitSummary(boolean activeChanges) {
        List<String> parts = Stream.concat(
                        activeChanges ? Stream.of("active = " + wanted.active()) : Stream.of(),
                        rowChanges.entrySet().stream().map(e -> e.getKey() + " " + e.getValue()))
                .toList();
        return "register " + (parts.isEmpty() ? "what runs" : String.join(", ", parts));
    }

    private static List<String> networksOf(ComponentId id, Component component) {
        List<String> names = new ArrayList<>();
        names.add("mc." + id.service());
        component.network().ifPresent(n -> names.add(n.value()));
        return names;
    }

    private static String condition(Component component) {
        return component
                .health()
                .map(h -> h + " within " + seconds(h))
                .orElse("it to run for " + component.hold().toMillis() / 1000.0 + " s");
    }

    private static String seconds(HealthCheck health) {
        return health.timeout().toMillis() / 1000.0 + " s";
    }
}
