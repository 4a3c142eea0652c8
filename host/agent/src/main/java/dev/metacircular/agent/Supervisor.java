package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;

/**
 * Watches and heals. Each pass lists what all backends have, records what changed, and heals state alone: what should run and does not is
 * started under its restart policy, or created again where it is gone; what should not run is stopped; what nothing accounts for is
 * removed. Where a backend cannot be asked nothing is concluded and nothing done.
 */
final class Supervisor {
    private static final Logger LOG = Logger.getLogger(Supervisor.class.getName());

    private final Runtimes runtimes;
    private final NodeView view;
    private final Lifecycle lifecycle;
    private final ServiceLocks locks;
    private final Recovery recovery;
    private final Recreation recreation;
    private final EventLog events;
    private final Tracks tracks;
    private final Consumer<List<ComponentId>> forgotten;
    private final Clock clock;
    private final Map<RuntimeKind, String> unavailable = new ConcurrentHashMap<>();
    /** What the last pass found: which service an instance belongs to. */
    private volatile Map<String, Name> owners = Map.of();

    private volatile boolean booting;

    /**
     * Everything that a supervisor works with.
     *
     * @param unavailable backends that an earlier agent could not ask when it last tried
     * @param forgotten is given the components that are no longer registered
     * @param booting whether the node has booted since an agent last ran on it
     */
    record Parts(
            Runtimes runtimes,
            NodeView view,
            Lifecycle lifecycle,
            ServiceLocks locks,
            Recovery recovery,
            EventLog events,
            Tracks tracks,
            Set<String> unavailable,
            Consumer<List<ComponentId>> forgotten,
            Clock clock,
            boolean booting) {}

    Supervisor(Parts parts) {
        this.runtimes = parts.runtimes();
        this.view = parts.view();
        this.lifecycle = parts.lifecycle();
        this.locks = parts.locks();
        this.recovery = parts.recovery();
        this.recreation = new Recreation(parts.runtimes(), parts.lifecycle());
        this.events = parts.events();
        this.tracks = parts.tracks();
        this.forgotten = parts.forgotten();
        this.clock = parts.clock();
        this.booting = parts.booting();
        parts.unavailable().stream()
                .flatMap(t -> RuntimeKind.parse(t).stream())
                .forEach(k -> unavailable.put(k, "it did not answer an earlier agent"));
    }

    /**
     * What a pass found.
     *
     * @param complete whether every backend answered and no service was left out
     * @param next when the next try is due, if one is waited for
     * @param work ends when everything that the pass began is done
     * @param left set when something of it could not be done now
     */
    record Pass(boolean complete, Optional<Instant> next, List<Thread> work, AtomicBoolean left) {
        /** Waits until all of it has ended; whether all of it could be done. */
        boolean join() throws InterruptedException {
            for (Thread t : work) {
                t.join();
            }
            return !left.get();
        }
    }

    /** Looks once at everything, and begins what is to be done, each service on a thread of its own. */
    Pass pass() {
        boolean recovered = recovery.recoverAll();
        long began = System.nanoTime();
        List<Instance> instances = new ArrayList<>();
        Map<RuntimeKind, Boolean> answered = new EnumMap<>(RuntimeKind.class);
        for (Runtime runtime : runtimes.all()) {
            answered.put(runtime.kind(), list(runtime, instances));
        }
        Map<ComponentId, List<Instance>> byComponent = instances.stream()
                .collect(Collectors.groupingBy(i -> i.identity().orElseThrow().component()));
        owners = instances.stream()
                .collect(Collectors.toMap(
                        i -> i.id().value(),
                        i -> i.identity().orElseThrow().component().service(),
                        (a, _) -> a));
        List<Thread> work = new ArrayList<>();
        AtomicBoolean left = new AtomicBoolean();
        Set<ComponentId> known = new HashSet<>();
        Optional<Instant> next = Optional.empty();
        boolean recorded = true;
        for (KnownService service : view.services()) {
            service.components().forEach(m -> known.add(m.id()));
            boolean needed = false;
            try {
                for (KnownService.Member m : service.components()) {
                    if (answered.getOrDefault(m.component().runtime(), false)) {
                        List<Instance> own = byComponent.getOrDefault(m.id(), List.of());
                        if (locks.isFree(service.name())) {
                            note(service, m, own, began);
                        }
                        needed |= needsWork(service, m, look(service, m, own), own);
                        next = earlier(next, tracks.dueAt(m.id()));
                    } else {
                        tracks.unseen(Set.of(m.id()));
                    }
                }
            } catch (RegistryException e) {
                // What cannot be recorded is not acted on; a later pass sees it again.
                LOG.log(Level.WARNING, "cannot look after " + service.name() + " now: " + e.getMessage());
                recorded = false;
            }
            if (needed) {
                work.add(Thread.startVirtualThread(() -> {
                    if (!heal(service.name())) {
                        left.set(true);
                    }
                }));
            }
        }
        List<ComponentId> gone = tracks.retain(known, began);
        if (!gone.isEmpty()) {
            forgotten.accept(gone);
        }
        instances.stream()
                .filter(i -> isOrphan(i, known))
                .forEach(i -> work.add(Thread.startVirtualThread(() -> removeOrphan(i))));
        boolean complete = recovered && recorded && answered.values().stream().allMatch(a -> a);
        return new Pass(complete, next, work, left);
    }

    /** Whether the instance was, when last looked, of a service that someone is changing right now; also one that was not there. */
    boolean isBeingChanged(String instance) {
        Name service = owners.get(instance);
        return service == null ? locks.isBusy() : !locks.isFree(service);
    }

    /** From now on an end counts as the component's own. */
    void bootDone() {
        booting = false;
    }

    boolean isBooting() {
        return booting;
    }

    private boolean list(Runtime runtime, List<Instance> into) {
        try {
            into.addAll(runtime.list());
            if (unavailable.containsKey(runtime.kind())
                    && record(runtime.kind(), true, runtime.kind() + "s can be asked again")) {
                unavailable.remove(runtime.kind());
            }
            return true;
        } catch (RuntimeFailure e) {
            String why = String.valueOf(e.getMessage());
            if (!isUsed(runtime.kind())) {
                return false;
            }
            if (unavailable.containsKey(runtime.kind())
                    || record(
                            runtime.kind(),
                            false,
                            runtime.kind() + "s cannot be asked, their state is unknown: " + why)) {
                unavailable.put(runtime.kind(), why);
            }
            return false;
        }
    }

    /** Both kinds are over one podman: where no component is a VM, nobody need be alerted of the second too. */
    private boolean isUsed(RuntimeKind kind) {
        return kind == RuntimeKind.CONTAINER
                || view.services().stream()
                        .flatMap(s -> s.components().stream())
                        .anyMatch(m -> m.component().runtime() == kind);
    }

    /** Records first what is then known, so that what a full disk keeps off the record is recorded by a later pass. */
    private boolean record(RuntimeKind kind, boolean available, String message) {
        try {
            events.availability(kind, available, message);
            return true;
        } catch (RegistryException e) {
            LOG.log(Level.WARNING, "not on record yet: " + message + ": " + e.getMessage());
            return false;
        }
    }

    /** Whether a backend did not answer in the last pass. */
    boolean isAnythingUnavailable() {
        return !unavailable.isEmpty();
    }

    private static Optional<Instant> earlier(Optional<Instant> a, Optional<Instant> b) {
        return a.isEmpty() || (b.isPresent() && b.get().isBefore(a.get())) ? b : a;
    }

    private void note(KnownService service, KnownService.Member m, List<Instance> own, long beganNanos) {
        Optional<Instance> chosen = Instances.chosen(own, m.id(), service.generation());
        // An agent that was killed right after a start had no time to forget that the end before it was asked for; or
        // right before a stop, to ask.
        chosen.filter(i -> view.stopRequested(i.id()) && Instances.isRunning(i))
                .filter(i -> tracks.isNewRun(m.id(), i) || view.isStopOverdue(i.id()))
                .ifPresent(i -> view.clearStop(i.id()));
        tracks.see(new Tracks.Look(
                m.id(),
                m.desired(),
                m.component().restart(),
                chosen,
                chosen.filter(i -> view.stopRequested(i.id())).isPresent(),
                beganNanos,
                booting));
    }

    private Healing.Action look(KnownService service, KnownService.Member m, List<Instance> own) {
        Optional<Instance> chosen = Instances.chosen(own, m.id(), service.generation());
        Track track = tracks.of(m.id());
        Healing.Action decided = Healing.decide(
                new Healing.Situation(
                        m.desired(),
                        m.component().restart(),
                        chosen,
                        chosen.filter(i -> view.stopRequested(i.id())).isPresent(),
                        track.failures(),
                        track.lastFailure(),
                        track.flapping(),
                        tracks.endOnRecord(m.id(), chosen),
                        m.id().hashCode(),
                        booting),
                clock.instant());
        Healing.Action action = restrained(service, m.id(), chosen, decided);
        switch (action) {
            case Healing.Action.Wait(Instant until) -> tracks.setDue(m.id(), Optional.of(until));
            case Healing.Action.GiveUp() -> tracks.giveUp(m.id());
            case Healing.Action.Nothing(),
                    Healing.Action.Start(var _, var _),
                    Healing.Action.Create(),
                    Healing.Action.Stop(var _) -> tracks.setDue(m.id(), Optional.empty());
        }
        return action;
    }

    private Healing.Action restrained(
            KnownService service, ComponentId id, Optional<Instance> chosen, Healing.Action decided) {
        if (decided instanceof Healing.Action.Stop && view.isRestored(service)) {
            return new Healing.Action.Nothing();
        }
        boolean adopted =
                chosen.map(i -> i.identity().orElseThrow().isAdopted()).orElseGet(() -> view.isAdopted(id));
        return adopted ? Healing.whileAdopted(decided) : decided;
    }

    private boolean needsWork(KnownService service, KnownService.Member m, Healing.Action action, List<Instance> own) {
        return switch (action) {
                    case Healing.Action.Start(var _, var _), Healing.Action.Create(), Healing.Action.Stop(var _) ->
                        true;
                    case Healing.Action.Nothing(), Healing.Action.Wait(var _), Healing.Action.GiveUp() -> false;
                }
                || !spares(service, m, own).isEmpty();
    }

    /** Instances besides the one that counts; none of an ignored component. Where rows may be old, those alone that never ran. */
    private List<Instance> spares(KnownService service, KnownService.Member m, List<Instance> own) {
        if (m.desired() == Desired.IGNORE || own.size() < 2) {
            return List.of();
        }
        boolean restored = view.isRestored(service);
        Optional<Instance> chosen = Instances.chosen(own, m.id(), service.generation());
        return own.stream()
                .filter(i -> chosen.filter(i::equals).isEmpty())
                .filter(i -> !restored || i.state() instanceof InstanceState.Created)
                .toList();
    }

    /** Acts under the service's lock on what is so then; whether it could. */
    private boolean heal(Name name) {
        Optional<ServiceLocks.Held> held = locks.tryAcquire(name, "the agent's own healing");
        if (held.isEmpty()) {
            return false;
        }
        try (ServiceLocks.Held _ = held.get()) {
            Optional<KnownService> service = view.service(name);
            if (service.isPresent()) {
                long began = System.nanoTime();
                List<Instance> now = runtimes.list(name);
                service.get().components().forEach(m -> heal(service.get(), m, Instances.of(now, m.id()), began));
            }
            return true;
        } catch (RuntimeFailure | RegistryException e) {
            LOG.log(Level.WARNING, "cannot heal " + name + " now: " + e.getMessage());
            return false;
        }
    }

    private void heal(KnownService service, KnownService.Member m, List<Instance> own, long beganNanos) {
        for (Instance spare : spares(service, m, own)) {
            lifecycle.retire(m.id(), spare.id());
            events.component(m.id(), EventLog.Kind.ORPHAN_REMOVED, "one instance too many: " + spare.name());
        }
        note(service, m, own, beganNanos);
        Healing.Action action = look(service, m, own);
        try {
            perform(service, m, action);
        } catch (RuntimeFailure | ProblemException e) {
            if (e instanceof RuntimeFailure failure && failure.leavesUnknown()) {
                throw failure;
            }
            tracks.startFailed(m.id(), String.valueOf(e.getMessage()));
        }
    }

    private void perform(KnownService service, KnownService.Member m, Healing.Action action) {
        switch (action) {
            case Healing.Action.Start(Instance instance, boolean recovers) -> {
                if (instance.setAside()) {
                    runtimes.of(instance.id()).bringBack(instance.id());
                }
                lifecycle.start(instance.id());
                int failures = tracks.of(m.id()).failures();
                tracks.did(
                        m.id(),
                        recovers ? EventLog.Kind.RECOVERED : EventLog.Kind.STARTED,
                        recovers
                                ? "started again after " + failures + (failures == 1 ? " failure" : " failures")
                                : booting ? "started after the node's boot" : "started: it should run",
                        Recorded.runs(instance.id()));
            }
            case Healing.Action.Create() -> {
                InstanceId made = recreation.create(service, m);
                lifecycle.start(made);
                tracks.did(
                        m.id(),
                        EventLog.Kind.RECREATED,
                        "its instance was gone; made again and started",
                        Recorded.runs(made));
            }
            case Healing.Action.Stop(Instance instance) -> {
                lifecycle.stop(instance.id());
                tracks.did(m.id(), EventLog.Kind.STOPPED, "stopped: it should not run", Recorded.RESTS);
            }
            case Healing.Action.Nothing(), Healing.Action.Wait(var _), Healing.Action.GiveUp() -> {}
        }
    }

    /**
     * What no row and no journal accounts for: a creation that a crash or a lost answer left, which was never started, or anything of a
     * generation that was undone. What runs unregistered otherwise is left alone: it may be all that is left of lost rows.
     */
    private boolean isOrphan(Instance instance, Set<ComponentId> known) {
        ComponentId id = instance.identity().orElseThrow().component();
        return locks.isFree(id.service()) && isOrphan(instance, known.contains(id));
    }

    private boolean isOrphan(Instance instance, boolean known) {
        ComponentId id = instance.identity().orElseThrow().component();
        boolean undone = recovery.wasUndone(id, Instances.generation(instance));
        boolean neverStarted = instance.state() instanceof InstanceState.Created;
        return undone || (neverStarted && !known);
    }

    /** Looks again under the lock: the deploy whose creation it was may have been done since. */
    private void removeOrphan(Instance instance) {
        ComponentId id = instance.identity().orElseThrow().component();
        Optional<ServiceLocks.Held> held = locks.tryAcquire(id.service(), "the agent's own tidying");
        if (held.isEmpty()) {
            return;
        }
        try (ServiceLocks.Held _ = held.get()) {
            boolean known = view.service(id.service())
                    .flatMap(s -> s.find(id.component()))
                    .isPresent();
            boolean still = runtimes.of(instance.id())
                    .inspect(instance.id())
                    .filter(now -> isOrphan(now, known))
                    .isPresent();
            if (!still) {
                return;
            }
            lifecycle.remove(instance.id());
            boolean undone = recovery.wasUndone(id, Instances.generation(instance));
            events.component(
                    id,
                    EventLog.Kind.ORPHAN_REMOVED,
                    (undone ? "left over by a deploy that was undone: " : "nothing accounts for it: ")
                            + instance.name());
        } catch (RuntimeFailure | RegistryException e) {
            LOG.log(Level.WARNING, "cannot remove " + instance.name() + " now: " + e.getMessage());
        }
    }

    /** Whether it has ended for good by itself, also where its instance is gone since. */
    boolean isDone(KnownService.Member m, Optional<Instance> instance) {
        OptionalInt end = tracks.endOnRecord(m.id(), instance);
        return end.isPresent() && Observation.isDone(m.component().restart(), end.getAsInt());
    }

    /** What there is to say of a component, such as {@code restarts in 4 s after 3 failures}; may be empty. */
    String message(ComponentId id) {
        return tracks.message(id);
    }
}
