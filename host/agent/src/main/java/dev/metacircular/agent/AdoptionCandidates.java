package dev.metacircular.agent;

import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import dev.metacircular.model.Volume;
import dev.metacircular.runtime.Foreign;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Which instances of a node a service's adoption takes, and why it leaves the others. */
final class AdoptionCandidates {
    private final Name node;
    private final Runtimes runtimes;
    private final NodeView view;
    private final VolumeDirectories volumes;

    AdoptionCandidates(Name node, Runtimes runtimes, NodeView view, VolumeDirectories volumes) {
        this.node = node;
        this.runtimes = runtimes;
        this.view = view;
        this.volumes = volumes;
    }

    /**
     * An instance that is taken.
     *
     * @param component what its row says: the definition's, else what comes closest to how the instance was made
     * @param lost what no definition can say of it
     */
    record Taken(
            ComponentId id,
            Component component,
            Desired desired,
            Instance instance,
            List<String> lost,
            String restartPolicy) {}

    /** @param instance empty if there is none of that name */
    record Left(String name, String instance, String why) {}

    record Found(List<Taken> taken, List<Left> left) {}

    /** Why one instance is left. */
    private static final class NotTaken extends Exception {
        private static final long serialVersionUID = 1L;

        NotTaken(String why) {
            super(why);
        }
    }

    /**
     * @param known other services that exist, besides the node's
     * @param everything on the node
     */
    Found find(Name service, Optional<Service> definition, Set<Name> known, List<Instance> everything) {
        Set<Name> services = new HashSet<>(known);
        view.services().forEach(s -> services.add(s.name()));
        services.add(service);
        List<Taken> taken = new ArrayList<>();
        List<Left> left = new ArrayList<>();
        List<Instance> named = everything.stream()
                .filter(i -> concerns(service, definition, i))
                .sorted(Comparator.comparing(Instance::name))
                .toList();
        Set<ComponentId> seen = new HashSet<>();
        for (Instance instance : named) {
            try {
                Taken t = take(service, definition, services, instance);
                if (!seen.add(t.id())) {
                    throw new NotTaken("another instance of " + t.id() + " is taken already");
                }
                taken.add(t);
            } catch (NotTaken e) {
                left.add(new Left(instance.name(), instance.id().value(), String.valueOf(e.getMessage())));
            }
        }
        definition.ifPresent(d -> d.components().stream()
                .map(e -> d.id(e.component()))
                .filter(id -> !seen.contains(id) && registered(id).isEmpty())
                .map(ComponentId::canonicalName)
                .filter(n -> named.stream().noneMatch(i -> i.name().equals(n)))
                .forEach(n -> left.add(new Left(n, "", "there is no instance of that name"))));
        return new Found(inOrder(taken, definition), left);
    }

    private static List<Taken> inOrder(List<Taken> taken, Optional<Service> definition) {
        return definition
                .map(d -> d.components().stream()
                        .flatMap(e -> taken.stream()
                                .filter(t ->
                                        t.id().component().equals(e.component().name())))
                        .toList())
                .orElse(taken);
    }

    /** Whether its name, or its labels, have to do with the service at all. */
    private static boolean concerns(Name service, Optional<Service> definition, Instance instance) {
        String name = instance.name();
        return name.equals(service.value())
                || name.startsWith(service + "-")
                || name.startsWith(service + "_")
                || Instances.belongsTo(instance, service)
                || definition.stream()
                        .flatMap(d -> d.components().stream().map(e -> d.id(e.component())))
                        .anyMatch(id -> id.canonicalName().equals(name));
    }

    private Taken take(Name service, Optional<Service> definition, Set<Name> services, Instance instance)
            throws NotTaken {
        ComponentId id = instance.identity().isPresent()
                ? labelled(service, instance.identity().get())
                : named(service, definition, services, instance.name());
        if (registered(id).isPresent()) {
            throw new NotTaken(id + " is registered already");
        }
        if (view.service(service).filter(s -> !s.active()).isPresent()) {
            throw new NotTaken("service '" + service
                    + "' is registered as inactive, so that it would be stopped: mcp start " + service + " first");
        }
        if (!Instances.isRunning(instance)) {
            throw new NotTaken("it does not run");
        }
        Described described = describe(id, instance);
        if (definition.isEmpty()) {
            return new Taken(
                    id,
                    described.component().orElseThrow(() -> new NotTaken(described.why())),
                    Desired.RUNNING,
                    instance,
                    described.lost(),
                    described.restartPolicy());
        }
        Service.Entry entry = definition
                .get()
                .find(id.component())
                .orElseThrow(() -> new NotTaken("the definition has no component '" + id.component() + "'"));
        if (entry.desired().under(definition.get().active()) == Desired.STOPPED) {
            throw new NotTaken("the definition says that it is stopped, and it runs: change one of the two first");
        }
        return new Taken(id, entry.component(), entry.desired(), instance, List.of(), described.restartPolicy());
    }

    private Optional<KnownService.Member> registered(ComponentId id) {
        return view.service(id.service()).flatMap(s -> s.find(id.component()));
    }

    /** One of ours that lost its row. */
    private ComponentId labelled(Name service, Identity identity) throws NotTaken {
        if (!identity.node().equals(node)) {
            throw new NotTaken("it bears the labels of node '" + identity.node() + "'");
        }
        if (!identity.component().service().equals(service)) {
            throw new NotTaken("it is " + identity.component() + ", by its labels or an adoption");
        }
        return identity.component();
    }

    private ComponentId named(Name service, Optional<Service> definition, Set<Name> services, String name)
            throws NotTaken {
        if (definition.isPresent()) {
            Service d = definition.get();
            Optional<ComponentId> own = d.components().stream()
                    .map(e -> d.id(e.component()))
                    .filter(id -> id.canonicalName().equals(name))
                    .findFirst();
            ComponentId id =
                    own.orElseThrow(() -> new NotTaken("it is the canonical name of no component of the definition"));
            Optional<ComponentId> holder = view.services().stream()
                    .flatMap(s -> s.components().stream())
                    .map(KnownService.Member::id)
                    .filter(k -> !k.equals(id) && k.canonicalName().equals(name))
                    .findFirst();
            if (holder.isPresent()) {
                throw new NotTaken("that name is " + holder.get() + "'s");
            }
            return id;
        }
        Name owner = services.stream()
                .filter(s -> name.equals(s.value()) || name.startsWith(s + "-"))
                .max(Comparator.comparingInt(s -> s.value().length()))
                .orElseThrow(() -> new NotTaken("its name is not of the form " + service + "-COMPONENT: podman rename "
                        + name + " " + name.replace('_', '-')));
        if (!owner.equals(service)) {
            throw new NotTaken("by its name it is service '" + owner + "''s");
        }
        String component = name.equals(service.value())
                ? name
                : name.substring(service.value().length() + 1);
        if (!Name.isValid(component)) {
            throw new NotTaken("'" + component + "' is not a component's name: expected " + Name.EXPECTED);
        }
        return new ComponentId(service, Name.of(component));
    }

    private record Described(Optional<Component> component, String why, List<String> lost, String restartPolicy) {}

    private Described describe(ComponentId id, Instance instance) {
        Optional<Foreign> foreign = runtimes.of(instance.id()).foreign();
        if (foreign.isEmpty()) {
            return new Described(
                    Optional.empty(),
                    instance.id().runtime() + "s that others made cannot be taken over",
                    List.of(),
                    "");
        }
        try {
            Foreign.Description description = foreign.get().describe(instance.id(), id.component());
            List<String> lost = new ArrayList<>(description.lost());
            Component component = relative(id, description.component());
            // A document that cannot be read again would be of no use to anyone.
            Component read = ComponentDocuments.read(ComponentDocuments.VERSION, ComponentDocuments.write(component));
            try {
                volumes.check(id, read);
            } catch (ProblemException e) {
                lost.add("a deploy of it as it is would be refused: "
                        + e.problem().what());
            }
            return new Described(Optional.of(read), "", lost, description.restartPolicy());
        } catch (RuntimeFailure e) {
            if (e.leavesUnknown()) {
                throw e;
            }
            return new Described(Optional.empty(), String.valueOf(e.getMessage()), List.of(), "");
        } catch (ProblemException e) {
            return new Described(
                    Optional.empty(),
                    "no definition can say how it was made: " + e.problem().what(),
                    List.of(),
                    "");
        }
    }

    /** With the volumes below the service's directory named as a definition names them. */
    private Component relative(ComponentId id, Component component) {
        Path own = volumes.ofService(id.service());
        List<Volume> named = component.volumes().stream()
                .map(v -> {
                    Path source = Path.of(v.source());
                    return source.startsWith(own) && !source.equals(own)
                            ? new Volume(own.relativize(source).toString(), v.target(), v.readOnly())
                            : v;
                })
                .toList();
        return new Component(
                component.name(),
                component.runtime(),
                component.kernel(),
                component.image(),
                component.network(),
                component.user(),
                component.restart(),
                component.ports(),
                named,
                component.command(),
                component.env(),
                component.secrets(),
                component.memoryMb(),
                component.cpus(),
                component.vcpus(),
                component.health(),
                component.hold());
    }
}
