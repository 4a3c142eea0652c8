package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Heals state: what should run and does not is started under its restart policy, or created again where it is gone; what should not run
 * is stopped; what nothing accounts for is removed. Where a backend cannot be asked nothing is concluded and nothing done.
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
    private final ExitHistory history;
    private final Clock clock;
    private final Tracks tracks = new Tracks();
    private final Map<RuntimeKind, String> unavailable = new ConcurrentHashMap<>();
    private volatile boolean booting;

    /** Tells whether an end is on record already, from before this agent's start. */
    @FunctionalInterface
    interface ExitHistory {
        boolean knows(ComponentId id, Instant endedAt);
    }

    /**
     * Everything that a supervisor works with.
     *
     * @param booting whether the node has booted since an agent last ran on it
     */
    record Parts(
            Runtimes runtimes,
            NodeView view,
            Lifecycle lifecycle,
            ServiceLocks locks,
            Recovery recovery,
            EventLog events,
            ExitHistory history,
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
        this.history = parts.history();
        this.clock = parts.clock();
        this.booting = parts.booting();
    }

    /**
     * What a pass found.
     *
     * @param complete whether every backend answered and no service was left out
     * @param next when the next try is due, if one is waited for
     * @param work ends when everything that the pass began is done
     */
    record Pass(boolean complete, Optional<Instant> next, List<Thread> work) {
        void join() throws InterruptedException {
            for (Thread t : work) {
                t.join();
            }
        }
    }

    /** Looks once at everything, and begins what is to be done, each service on a thread of its own. */
    Pass pass() {
        boolean recovered = recovery.recoverAll();
        List<Instance> instances = new ArrayList<>();
        Map<RuntimeKind, Boolean> answered = new EnumMap<>(RuntimeKind.class);
        for (Runtime runtime : runtimes.all()) {
            answered.put(runtime.kind(), list(runtime, instances));
        }
        List<Thread> work = new ArrayList<>();
        Set<ComponentId> known = new HashSet<>();
        Optional<Instant> next = Optional.empty();
        for (KnownService service : view.services()) {
            boolean needed = false;
            for (KnownService.Member m : service.components()) {
                known.add(m.id());
                if (answered.getOrDefault(m.component().runtime(), false)) {
                    List<Instance> own = Instances.of(instances, m.id());
                    Healing.Action action = look(service, m, own);
                    needed |= needsWork(service, m, action, own);
                    next = earlier(next, tracks.of(m.id()).dueAt());
                }
            }
            if (needed) {
                work.add(Thread.startVirtualThread(() -> heal(service.name())));
            }
        }
        tracks.retain(known);
        instances.stream()
                .filter(i -> isOrphan(i, known))
                .forEach(i -> work.add(Thread.startVirtualThread(() -> removeOrphan(i))));
        boolean complete = recovered && answered.values().stream().allMatch(a -> a);
        return new Pass(complete, next, work);
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
            if (unavailable.remove(runtime.kind()) != null) {
                events.node(EventLog.Kind.RUNTIME_AVAILABLE, runtime.kind() + "s can be asked again");
            }
            return true;
        } catch (RuntimeFailure e) {
            if (unavailable.put(runtime.kind(), String.valueOf(e.getMessage())) == null) {
                events.node(
                        EventLog.Kind.RUNTIME_UNAVAILABLE,
                        runtime.kind() + "s cannot be asked, their state is unknown: " + e.getMessage());
            }
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

    private Healing.Action look(KnownService service, KnownService.Member m, List<Instance> own) {
        Optional<Instance> chosen = Instances.chosen(own, m.id(), service.generation());
        boolean asked = chosen.filter(i -> view.stopRequested(i.id())).isPresent();
        if (chosen.isPresent() && !asked && !booting && m.desired() != Desired.IGNORE && locks.isFree(service.name())) {
            noteEnd(m.id(), chosen.get());
        }
        Tracks.Track track = tracks.of(m.id());
        Healing.Action action = Healing.decide(
                new Healing.Situation(
                        m.desired(),
                        m.component().restart(),
                        chosen,
                        asked,
                        track.failures(),
                        track.lastFailure(),
                        booting),
                clock.instant());
        switch (action) {
            case Healing.Action.Wait(Instant until) -> tracks.put(m.id(), track.due(Optional.of(until)));
            case Healing.Action.GiveUp() -> giveUp(m.id(), track);
            case Healing.Action.Nothing(),
                    Healing.Action.Start(var _, var _),
                    Healing.Action.Create(),
                    Healing.Action.Stop(var _) -> {
                if (track.dueAt().isPresent()) {
                    tracks.put(m.id(), track.due(Optional.empty()));
                }
            }
        }
        return action;
    }

    private void giveUp(ComponentId id, Tracks.Track track) {
        if (!track.gaveUp()) {
            tracks.put(id, track.givenUp());
            events.component(id, EventLog.Kind.GAVE_UP, "not started again: its restart policy's limit is reached");
        }
    }

    private void noteEnd(ComponentId id, Instance instance) {
        Optional<Duration> ran = tracks.note(id, instance, clock.instant());
        if (ran.isPresent()
                && instance.state() instanceof InstanceState.Ended(int status, var _, Instant endedAt)
                && !history.knows(id, endedAt)) {
            events.component(
                    id, EventLog.Kind.EXITED, "exited with status " + status + " after " + Hold.seconds(ran.get()));
        }
    }

    private boolean needsWork(KnownService service, KnownService.Member m, Healing.Action action, List<Instance> own) {
        return switch (action) {
                    case Healing.Action.Start(var _, var _), Healing.Action.Create(), Healing.Action.Stop(var _) ->
                        true;
                    case Healing.Action.Nothing(), Healing.Action.Wait(var _), Healing.Action.GiveUp() -> false;
                }
                || !spares(service, m, own).isEmpty();
    }

    /** Instances besides the one that counts; none of an ignored component. */
    private static List<Instance> spares(KnownService service, KnownService.Member m, List<Instance> own) {
        if (m.desired() == Desired.IGNORE || own.size() < 2) {
            return List.of();
        }
        Optional<Instance> chosen = Instances.chosen(own, m.id(), service.generation());
        return own.stream().filter(i -> chosen.filter(i::equals).isEmpty()).toList();
    }

    /** Acts under the service's lock on what is so then. */
    private void heal(Name name) {
        Optional<ServiceLocks.Held> held = locks.tryAcquire(name, "the agent's own healing");
        if (held.isEmpty()) {
            return;
        }
        try (ServiceLocks.Held _ = held.get()) {
            Optional<KnownService> service = view.service(name);
            if (service.isPresent()) {
                List<Instance> now = runtimes.list();
                service.get().components().forEach(m -> heal(service.get(), m, Instances.of(now, m.id())));
            }
        } catch (RuntimeFailure | RegistryException e) {
            LOG.log(Level.WARNING, "cannot heal " + name + " now: " + e.getMessage());
        }
    }

    private void heal(KnownService service, KnownService.Member m, List<Instance> own) {
        for (Instance spare : spares(service, m, own)) {
            lifecycle.remove(spare.id());
            events.component(m.id(), EventLog.Kind.ORPHAN_REMOVED, "one instance too many: " + spare.id());
        }
        Healing.Action action = look(service, m, own);
        try {
            perform(service, m, action);
        } catch (RuntimeFailure | ProblemException e) {
            if (e instanceof RuntimeFailure failure && failure.leavesUnknown()) {
                throw failure;
            }
            tracks.put(m.id(), tracks.of(m.id()).failed(clock.instant()));
            events.component(m.id(), EventLog.Kind.START_FAILED, String.valueOf(e.getMessage()));
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
                events.component(
                        m.id(),
                        recovers ? EventLog.Kind.RECOVERED : EventLog.Kind.STARTED,
                        recovers
                                ? "started again after " + failures + (failures == 1 ? " exit" : " exits")
                                : booting ? "started after the node's boot" : "started: it should run");
            }
            case Healing.Action.Create() -> {
                lifecycle.start(recreation.create(service, m));
                events.component(m.id(), EventLog.Kind.RECREATED, "its instance was gone; made again and started");
            }
            case Healing.Action.Stop(Instance instance) -> {
                lifecycle.stop(instance.id());
                events.component(m.id(), EventLog.Kind.STOPPED, "stopped: it should not run");
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
        boolean undone = recovery.wasUndone(id, Instances.generation(instance));
        boolean neverStarted = instance.state() instanceof InstanceState.Created;
        return locks.isFree(id.service()) && (undone || (neverStarted && !known.contains(id)));
    }

    private void removeOrphan(Instance instance) {
        ComponentId id = instance.identity().orElseThrow().component();
        Optional<ServiceLocks.Held> held = locks.tryAcquire(id.service(), "the agent's own tidying");
        if (held.isEmpty()) {
            return;
        }
        try (ServiceLocks.Held _ = held.get()) {
            lifecycle.remove(instance.id());
            events.component(
                    id, EventLog.Kind.ORPHAN_REMOVED, "left over by a deploy that was undone: " + instance.id());
        } catch (RuntimeFailure | RegistryException e) {
            LOG.log(Level.WARNING, "cannot remove " + instance.id() + " now: " + e.getMessage());
        }
    }

    /** An operator acted on the component: its failures so far do not count any more. */
    void forget(ComponentId id) {
        tracks.forget(id);
    }

    /** What there is to say of a component, such as {@code restarts in 4 s after 3 exits}; may be empty. */
    String message(ComponentId id) {
        return tracks.message(id, clock.instant());
    }
}
