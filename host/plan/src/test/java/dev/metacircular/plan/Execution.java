package dev.metacircular.plan;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.plan.Current.Existing;
import dev.metacircular.plan.Current.Registered;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A node in memory on which a plan is carried out as it stands, with no rule that the plan does not spell out. */
final class Execution {
    final Map<String, Existing> instances = new HashMap<>();
    private final Map<ImageKey, String> images;
    private final List<String> networks;
    private Map<Name, Registered> registered;
    private boolean active;
    private long generation;
    private final Map<ComponentId, String> made = new HashMap<>();

    Execution(Current current) {
        current.instances().forEach(i -> instances.put(i.instance(), i));
        images = new HashMap<>(current.images());
        networks = new ArrayList<>(current.networks());
        registered = current.registered();
        active = current.active();
        generation = current.generation();
    }

    Current run(Plan plan, Wanted wanted) {
        long next = generation + 1;
        for (Operation operation : plan.operations()) {
            switch (operation) {
                case Operation.Pull(var id, var image) -> images.put(image(wanted, id), "pulled " + image);
                case Operation.EnsureNetwork(var network) -> networks.add(network);
                case Operation.Stop(var _, var instance, var _, var _) -> setRunning(instance, false);
                case Operation.SetAside(var _, var instance, var _) -> require(instance);
                case Operation.Create(var id, var image, var _) -> {
                    String name = id + "@" + next;
                    String imageId = images.get(image(wanted, id));
                    if (imageId == null) {
                        throw new AssertionError(image + " is not on the node");
                    }
                    instances.put(name, new Existing(id, name, next, digest(wanted, id), imageId, false));
                    made.put(id, name);
                }
                case Operation.Start(var id, var instance) -> setRunning(instance.orElseGet(() -> made.get(id)), true);
                case Operation.AwaitHeld(var id, var _) -> {
                    if (instances.values().stream().noneMatch(i -> i.component().equals(id) && i.running())) {
                        throw new AssertionError("nothing of " + id + " runs");
                    }
                }
                case Operation.Commit(var _) -> {
                    register(wanted);
                    generation = next;
                }
                case Operation.Remove(var _, var instance, var _, var _) -> {
                    require(instance);
                    instances.remove(instance);
                }
            }
        }
        return new Current(generation, active, registered, List.copyOf(instances.values()), images, networks);
    }

    private void register(Wanted wanted) {
        Map<Name, Registered> rows = new HashMap<>();
        if (wanted.target().component().isPresent()) {
            rows.putAll(registered);
        }
        wanted.items().stream()
                .filter(i -> wanted.target().includes(i.component().name()))
                .forEach(i -> rows.put(i.component().name(), new Registered(i.component(), i.digest(), i.desired())));
        registered = rows;
        active = wanted.active();
    }

    private static ImageKey image(Wanted wanted, ComponentId id) {
        return ImageKey.of(item(wanted, id).component());
    }

    private static String digest(Wanted wanted, ComponentId id) {
        return item(wanted, id).digest();
    }

    private static Wanted.Item item(Wanted wanted, ComponentId id) {
        return wanted.items().stream()
                .filter(i -> i.component().name().equals(id.component()))
                .findFirst()
                .orElseThrow();
    }

    private void require(String instance) {
        if (!instances.containsKey(instance)) {
            throw new AssertionError("there is no instance " + instance);
        }
    }

    private void setRunning(String instance, boolean running) {
        require(instance);
        instances.computeIfPresent(
                instance,
                (_, i) -> new Existing(
                        i.component(), i.instance(), i.generation(), i.documentDigest(), i.imageId(), running));
    }
}
