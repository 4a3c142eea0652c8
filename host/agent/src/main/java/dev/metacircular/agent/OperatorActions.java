package dev.metacircular.agent;

import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Observed;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import dev.metacircular.registry.DesiredChange;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;

/** What an operator does to a registered service besides deploying it; each under the service's lock. */
final class OperatorActions {
    private final Registry registry;
    private final Runtimes runtimes;
    private final NodeView view;
    private final Lifecycle lifecycle;
    private final Recreation recreation;
    private final ServiceLocks locks;
    private final VolumeDirectories volumes;
    private final Tracks tracks;
    private final EventLog events;

    OperatorActions(
            Registry registry,
            Runtimes runtimes,
            NodeView view,
            Lifecycle lifecycle,
            ServiceLocks locks,
            VolumeDirectories volumes,
            Tracks tracks,
            EventLog events) {
        this.registry = registry;
        this.runtimes = runtimes;
        this.view = view;
        this.lifecycle = lifecycle;
        this.recreation = new Recreation(runtimes, lifecycle);
        this.locks = locks;
        this.volumes = volumes;
        this.tracks = tracks;
        this.events = events;
    }

    /**
     * Records desired states and acts on them at once, component by component in their order. What could not be done is in its part; the
     * supervisor goes on with it. Components that the call is not about are left to the supervisor.
     */
    Outcome setDesired(
            String by, Name name, long baseGeneration, Optional<Boolean> active, Map<Name, Desired> desired) {
        try (ServiceLocks.Held _ = locks.acquire(name, "a change of its desired state by " + by)) {
            KnownService before = view.require(name);
            RegistryEvent event = events.ofService(
                    name, EventLog.Kind.DESIRED_CHANGED, "by " + by + ": " + describe(active, desired));
            DesiredChange change = registry.setDesired(name, baseGeneration, active, desired, event);
            change.event().ifPresent(id -> events.recorded(id, event));
            view.confirmRestored(name);
            view.refresh(name);
            KnownService after = view.require(name);
            List<Instance> now = list(after);
            List<KnownService.Member> meant = after.components().stream()
                    .filter(m -> active.isPresent()
                            || desired.containsKey(m.id().component())
                            || before.find(m.id().component())
                                    .filter(b -> b.desired() == m.desired())
                                    .isEmpty())
                    .toList();
            Map<Name, Outcome.Part> done = new ConcurrentHashMap<>();
            // Stops side by side, for each may take its grace period; starts in their order.
            List<Callable<Boolean>> stops = new ArrayList<>();
            for (KnownService.Member m : meant) {
                Callable<Boolean> act = () -> {
                    done.put(m.id().component(), act(after, m, Instances.chosen(now, m.id(), change.generation())));
                    return true;
                };
                if (m.desired() == Desired.STOPPED) {
                    stops.add(act);
                }
            }
            Parallel.all(stops);
            for (KnownService.Member m : meant) {
                if (m.desired() != Desired.STOPPED) {
                    done.put(m.id().component(), act(after, m, Instances.chosen(now, m.id(), change.generation())));
                }
            }
            List<Outcome.Part> parts = after.components().stream()
                    .map(m -> m.id().component())
                    .map(c -> done.getOrDefault(c, Outcome.Part.of(c, "unchanged")))
                    .toList();
            return new Outcome(change.generation(), parts, Optional.empty());
        }
    }

    private static String describe(Optional<Boolean> active, Map<Name, Desired> desired) {
        List<String> parts = new ArrayList<>();
        active.ifPresent(a -> parts.add("active = " + a));
        desired.forEach((component, state) -> parts.add(component + " = " + state));
        return String.join(", ", parts);
    }

    private List<Instance> list(KnownService service) {
        try {
            return runtimes.list(service.name());
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e)
                    .at(service.name().value())
                    .next("what is desired was recorded; the agent acts on it once the runtime answers")
                    .exception();
        }
    }

    private Outcome.Part act(KnownService service, KnownService.Member m, Optional<Instance> instance) {
        boolean runs = instance.filter(Instances::isRunning).isPresent();
        try {
            return switch (m.desired()) {
                case IGNORE -> Outcome.Part.of(m.id().component(), "unchanged");
                case STOPPED -> {
                    if (!runs) {
                        yield Outcome.Part.of(m.id().component(), "unchanged");
                    }
                    lifecycle.stop(instance.orElseThrow().id());
                    tracks.didOnRequest(m.id(), EventLog.Kind.STOPPED, "stopped on request", Recorded.RESTS);
                    yield Outcome.Part.of(m.id().component(), "stopped");
                }
                case RUNNING ->
                    runs ? Outcome.Part.of(m.id().component(), "unchanged") : start(service, m, instance, "started");
            };
        } catch (RuntimeFailure e) {
            return new Outcome.Part(m.id().component(), "failed", String.valueOf(e.getMessage()), List.of());
        } catch (ProblemException e) {
            return new Outcome.Part(m.id().component(), "failed", e.problem().what(), List.of());
        }
    }

    private Outcome.Part start(
            KnownService service, KnownService.Member m, Optional<Instance> instance, String outcome) {
        InstanceId id = instance.map(Instance::id).orElseGet(() -> recreation.create(service, m));
        if (instance.filter(Instance::setAside).isPresent()) {
            runtimes.of(id).bringBack(id);
        }
        tracks.forget(m.id());
        lifecycle.start(id);
        return switch (lifecycle.awaitHeld(id, m.component())) {
            case Hold.Outcome.Held() -> {
                boolean restarted = outcome.equals("restarted");
                tracks.didOnRequest(
                        m.id(),
                        restarted ? EventLog.Kind.RESTARTED : EventLog.Kind.STARTED,
                        outcome + " on request",
                        Recorded.runs(id));
                yield Outcome.Part.of(m.id().component(), outcome);
            }
            case Hold.Outcome.Failed(String why) -> {
                boolean runs =
                        runtimes.of(id).inspect(id).filter(Instances::isRunning).isPresent();
                tracks.didOnRequest(m.id(), EventLog.Kind.START_FAILED, why, runs ? Recorded.runs(id) : Recorded.RESTS);
                yield new Outcome.Part(m.id().component(), "failed", why, lifecycle.logTail(id));
            }
        };
    }

    /**
     * Stops the same instances and starts them again; only those that should run, and of those that are done only one that is named.
     * Changes no desired state.
     */
    Outcome restart(String by, Target target, long baseGeneration) {
        Name name = target.service();
        try (ServiceLocks.Held _ = locks.acquire(name, "a restart by " + by)) {
            KnownService service = view.require(name);
            requireGeneration(service, baseGeneration);
            target.component().filter(c -> service.find(c).isEmpty()).ifPresent(c -> {
                throw Problem.of(Problem.Kind.NOT_FOUND, "the component is not registered")
                        .at(target.toString())
                        .next("mcp deploy " + target)
                        .exception();
            });
            long began = System.nanoTime();
            List<Instance> now = list(service);
            List<Outcome.Part> parts = new ArrayList<>();
            for (KnownService.Member m : service.components()) {
                if (target.includes(m.id().component())) {
                    Optional<Instance> instance = Instances.chosen(now, m.id(), service.generation());
                    parts.add(restart(service, m, instance, target, began));
                }
            }
            return new Outcome(service.generation(), parts, Optional.empty());
        }
    }

    private Outcome.Part restart(
            KnownService service, KnownService.Member m, Optional<Instance> instance, Target target, long beganNanos) {
        Name component = m.id().component();
        if (m.desired() != Desired.RUNNING) {
            if (target.component().isPresent()) {
                throw Problem.of(Problem.Kind.CONFLICT, "it is desired " + m.desired() + ", so it is not restarted")
                        .at(m.id().toString())
                        .next("mcp start " + m.id())
                        .exception();
            }
            return Outcome.Part.of(component, "unchanged");
        }
        if (target.component().isEmpty() && isDone(m, instance)) {
            return new Outcome.Part(
                    component, "unchanged", "it is done; mcp restart " + m.id() + " runs it again", List.of());
        }
        try {
            if (instance.filter(Instances::isRunning).isPresent()) {
                // What is on record must name the run that ends, or the next one could be taken for it.
                tracks.see(new Tracks.Look(
                        m.id(), m.desired(), m.component().restart(), instance, false, beganNanos, false));
                lifecycle.stop(instance.get().id());
            }
            return start(service, m, instance, "restarted");
        } catch (RuntimeFailure e) {
            return new Outcome.Part(component, "failed", String.valueOf(e.getMessage()), List.of());
        } catch (ProblemException e) {
            return new Outcome.Part(component, "failed", e.problem().what(), List.of());
        }
    }

    private boolean isDone(KnownService.Member m, Optional<Instance> instance) {
        boolean stopRequested = instance.filter(i -> view.stopRequested(i.id())).isPresent();
        OptionalInt end = switch (Observation.of(instance.map(Instance::state), stopRequested)) {
            case Observed.Exited(int status) -> OptionalInt.of(status);
            case Observed.Removed() -> tracks.endOnRecord(m.id(), instance);
            case Observed.Running(), Observed.Stopped(), Observed.Unknown() -> OptionalInt.empty();
        };
        return end.isPresent() && Observation.isDone(m.component().restart(), end.getAsInt());
    }

    private static void requireGeneration(KnownService service, long baseGeneration) {
        if (service.generation() != baseGeneration) {
            throw Problem.of(
                            Problem.Kind.STALE_PLAN,
                            "planned from generation " + baseGeneration + ", but the service is at generation "
                                    + service.generation() + " now: someone changed it meanwhile")
                    .at(service.name().value())
                    .next("look at it with mcp status " + service.name() + ", then run the command again")
                    .exception();
        }
    }

    /**
     * Removes a service's instances, its network and its rows, and on demand its directory; refused while anything of it runs or should run.
     *
     * @return what was removed
     */
    List<String> purge(String by, Name name, long baseGeneration, boolean data) {
        try (ServiceLocks.Held _ = locks.acquire(name, "a purge by " + by)) {
            KnownService service = view.require(name);
            requireGeneration(service, baseGeneration);
            List<Instance> own = list(service);
            service.components().stream()
                    .filter(m -> m.desired() == Desired.RUNNING)
                    .findFirst()
                    .ifPresent(m -> {
                        throw stillRunning(name, m.id() + " is desired running");
                    });
            own.stream().filter(Instances::isRunning).findFirst().ifPresent(i -> {
                throw stillRunning(name, i.identity().orElseThrow().component() + " runs (" + i.name() + ")");
            });
            List<String> removed = new ArrayList<>();
            try {
                for (Instance i : own) {
                    lifecycle.remove(i.id());
                    removed.add("instance " + i.name());
                }
                for (Runtime runtime : runtimes.all()) {
                    lifecycle.removeNetwork(runtime, Network.ofService(name));
                }
                removed.add("network " + Network.ofService(name).name());
            } catch (RuntimeFailure e) {
                throw Runtimes.problem(e)
                        .at(name.value())
                        .next("run the command again")
                        .exception();
            }
            lifecycle.forgetLogs(name);
            RegistryEvent event =
                    events.ofService(name, EventLog.Kind.PURGED, "by " + by + (data ? ", with its data" : ""));
            events.recorded(registry.forget(name, baseGeneration, event), event);
            view.refresh(name);
            removed.add("service " + name);
            if (data) {
                lifecycle.forgetSecrets(name).forEach(s -> removed.add("secret " + s));
                removeData(name, removed);
            }
            return removed;
        }
    }

    private void removeData(Name name, List<String> removed) {
        try {
            volumes.remove(name);
            removed.add("directory " + volumes.ofService(name));
        } catch (IOException e) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            "the service was forgotten, but " + volumes.ofService(name) + " could not be removed: "
                                    + Main.describe(e))
                    .at(name.value())
                    .next("remove the directory on the node")
                    .exception();
        }
    }

    private static ProblemException stillRunning(Name name, String why) {
        return Problem.of(Problem.Kind.CONFLICT, why + ": a service is purged only when it is stopped")
                .at(name.value())
                .next("mcp stop " + name)
                .exception();
    }
}
