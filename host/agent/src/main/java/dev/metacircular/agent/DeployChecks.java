package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.List;
import java.util.Optional;

/** What refuses a deploy before anything happens. */
final class DeployChecks {
    private final Name node;
    private final Runtimes runtimes;
    private final NodeView view;
    private final VolumeDirectories volumes;
    private final SecretStore secrets;
    private final boolean enforceLimits;

    DeployChecks(
            Name node,
            Runtimes runtimes,
            NodeView view,
            VolumeDirectories volumes,
            SecretStore secrets,
            boolean enforceLimits) {
        this.secrets = secrets;
        this.enforceLimits = enforceLimits;
        this.node = node;
        this.runtimes = runtimes;
        this.view = view;
        this.volumes = volumes;
    }

    void check(Service service, Target target) {
        if (!service.node().equals(node)) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the definition names node '" + service.node() + "', and this is node '" + node + "'")
                    .at(service.name().value())
                    .next("purge the service on its old node before you move it")
                    .exception();
        }
        target.component().filter(c -> service.find(c).isEmpty()).ifPresent(missing -> {
            throw Problem.of(Problem.Kind.NOT_FOUND, "the definition has no such component")
                    .at(target.toString())
                    .exception();
        });
        for (Service.Entry entry : service.components()) {
            Component component = entry.component();
            if (target.includes(component.name())) {
                checkComponent(service.id(component), component);
                if (entry.desired().under(service.active()) == Desired.RUNNING) {
                    requireRunnable(service.id(component), component);
                }
            }
        }
        DiskVolumes.requireUnshared(service, target, volumes);
        new VolumeNesting(volumes, view).check(service, target);
    }

    private void checkComponent(ComponentId id, Component component) {
        if (!runtimes.has(component.runtime())) {
            throw Problem.of(
                            Problem.Kind.UNSUPPORTED,
                            "runtime = \"" + component.runtime() + "\": this agent has no backend for it yet")
                    .at(id.toString())
                    .exception();
        }
        if (component.runtime() == RuntimeKind.UNIKERNEL && component.network().isPresent()) {
            throw Problem.of(
                            Problem.Kind.UNSUPPORTED,
                            "network = \"" + component.network().get()
                                    + "\": a unikernel cannot be on a shared network besides its service's own yet")
                    .at(id.toString())
                    .next("remove the key 'network', and reach what is on that network by a container of the service,"
                            + " or by a published port")
                    .exception();
        }
        secrets.requireSet(id, component);
        if (enforceLimits) {
            checkLimits(id, component);
        }
        volumes.check(id, component);
        for (KnownService other : view.services()) {
            for (KnownService.Member m : other.components()) {
                if (!m.id().equals(id)
                        && !m.id().service().equals(id.service())
                        && m.id().canonicalName().equals(id.canonicalName())) {
                    throw taken(id, m.id().toString());
                }
            }
        }
    }

    /** Containers' backend tells by each of its answers whether it can serve; one that could not start a VM still answers. */
    private void requireRunnable(ComponentId id, Component component) {
        if (component.runtime() == RuntimeKind.CONTAINER) {
            return;
        }
        Runtime runtime = runtimes.of(component.runtime());
        Optional<String> why = switch (runtime.availability()) {
            case Availability.Unavailable(String reason) -> Optional.of(reason);
            case Availability.Available(String _, String _) -> refusal(id, runtime, component);
        };
        if (why.isPresent()) {
            throw Problem.of(
                            Problem.Kind.UNSUPPORTED,
                            "this node cannot run a " + component.runtime() + " now: " + why.get())
                    .at(id.toString())
                    .next("mcp doctor " + node + " shows what the node lacks")
                    .exception();
        }
    }

    private static Optional<String> refusal(ComponentId id, Runtime runtime, Component component) {
        try {
            return runtime.refusal(component);
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(id.toString()).exception();
        }
    }

    private void checkLimits(ComponentId id, Component component) {
        Optional<String> lacking;
        try {
            lacking = runtimes.of(component.runtime()).unenforceable(component);
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(id.toString()).exception();
        }
        if (lacking.isPresent()) {
            throw Problem.of(Problem.Kind.UNSUPPORTED, lacking.get())
                    .at(id.toString())
                    .next("remove the limit, or set limits = \"best-effort\" in the node's agent.toml")
                    .exception();
        }
    }

    /** @param holders of the components' names, also what this system did not make */
    void checkNames(Service service, Target target, List<Instance> holders) {
        for (Service.Entry entry : service.components()) {
            ComponentId id = service.id(entry.component());
            if (!target.includes(id.component())) {
                continue;
            }
            for (Instance i : holders) {
                boolean own = i.identity()
                        .filter(d -> d.node().equals(node) && d.component().equals(id))
                        .isPresent();
                if (i.name().equals(id.canonicalName()) && !own) {
                    throw taken(
                            id,
                            i.identity()
                                    .map(d -> d.component() + " of node " + d.node())
                                    .orElse("an instance that is not this system's (" + i.image() + ")"));
                }
            }
        }
    }

    private static dev.metacircular.model.ProblemException taken(ComponentId id, String holder) {
        return Problem.of(
                        Problem.Kind.CONFLICT,
                        "its name on the node, " + id.canonicalName() + ", is taken by " + holder)
                .at(id.toString())
                .next("rename one of the two, or remove the other")
                .exception();
    }
}
