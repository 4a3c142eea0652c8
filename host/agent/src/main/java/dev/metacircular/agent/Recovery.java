package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;

/**
 * Brings a service with a journalled deploy back to where exactly one instance of each component runs: as it was before, if the deploy
 * was not committed, else as the deploy made it. The same code undoes a deploy that failed and one that a crash cut short. Every step is
 * idempotent, so it can be tried again after any failure.
 */
final class Recovery {
    private static final Logger LOG = Logger.getLogger(Recovery.class.getName());

    private final Runtimes runtimes;
    private final Ledger ledger;
    private final NodeView view;
    private final Lifecycle lifecycle;
    private final ServiceLocks locks;
    private final Tracks tracks;
    /** Generations that were undone while this agent runs; an instance of one that turns up later is an orphan. */
    private final Set<Undone> undone = ConcurrentHashMap.newKeySet();

    /** How deploys that this agent could not finish or undo at once are told when they are. */
    private final Map<Name, Owed> owed = new ConcurrentHashMap<>();

    /** @param touched how the deploy's components are then */
    private record Owed(EventLog.Entry entry, Map<ComponentId, Recorded> touched) {}

    private record Undone(Name service, long generation) {}

    Recovery(Runtimes runtimes, Ledger ledger, NodeView view, Lifecycle lifecycle, ServiceLocks locks, Tracks tracks) {
        this.runtimes = runtimes;
        this.ledger = ledger;
        this.view = view;
        this.lifecycle = lifecycle;
        this.locks = locks;
        this.tracks = tracks;
    }

    /** Keeps every service with a journal entry locked until it was recovered; to be called before anyone is served. */
    void blockPending() {
        ledger.pendingDeploys()
                .forEach(p -> locks.block(p.service(), "a deploy by " + p.startedBy() + " was cut short"));
    }

    /**
     * Tries to recover every blocked service; what cannot be recovered yet, because a runtime is out of reach, stays blocked.
     *
     * @return whether none is left
     */
    boolean recoverAll() {
        boolean all = true;
        for (Name service : locks.blockedServices()) {
            Optional<ServiceLocks.Held> held = locks.tryAcquireForRecovery(service, "the agent's recovery");
            if (held.isEmpty()) {
                all = false;
                continue;
            }
            try (ServiceLocks.Held _ = held.get()) {
                recover(service);
            } catch (RuntimeFailure | RegistryException e) {
                LOG.log(Level.WARNING, "cannot recover " + service + " yet: " + e.getMessage());
                locks.block(service, String.valueOf(e.getMessage()));
                all = false;
            }
        }
        return all;
    }

    private void recover(Name service) {
        Optional<PendingDeploy> pending = ledger.pending(service);
        if (pending.isPresent() && pending.get().committed()) {
            view.refresh(service);
            rollForward(pending.get());
            tracks.endDeploy(
                    service,
                    owed(
                            service,
                            EventLog.Kind.ROLLED_FORWARD,
                            "the deploy of generation " + pending.get().generation()
                                    + " was cut short after its commit; it was finished"),
                    Recorded.afterDeploy(pending.get(), Recorded.touchedBy(pending.get())));
        } else if (pending.isPresent()) {
            List<String> faults = rollBack(pending.get());
            tracks.endDeploy(
                    service,
                    owed(
                            service,
                            EventLog.Kind.ROLLED_BACK,
                            "the deploy of generation " + pending.get().generation()
                                    + " was cut short; what ran before runs again"
                                    + (faults.isEmpty() ? "" : ", but: " + String.join("; ", faults))),
                    Recorded.afterRollBack(pending.get()));
        } else {
            // The entry was ended and told, and the answer was lost.
            Optional.ofNullable(owed.get(service)).ifPresent(o -> tracks.know(o.touched()));
        }
        owed.remove(service);
        locks.unblock(service);
    }

    private EventLog.Entry owed(Name service, EventLog.Kind kind, String message) {
        return Optional.ofNullable(owed.get(service))
                .map(Owed::entry)
                .orElseGet(() -> EventLog.Entry.of(service, kind, message));
    }

    /** Leaves a deploy whose journal entry stands to be finished, or undone, as soon as that can be, and to be told by this event then. */
    void leave(Name service, String why, EventLog.Entry entry, Map<ComponentId, Recorded> touched) {
        owed.put(service, new Owed(entry, touched));
        locks.block(service, why);
    }

    /**
     * Removes what the deploy made, and gives the instances that were there their names back and starts those that ran. The journal's
     * entry stands until {@link Tracks#endDeploy}.
     *
     * @return what could not be brought back although the runtime answers; the supervisor goes on with it
     * @throws RuntimeFailure if it must be tried again
     */
    List<String> rollBack(PendingDeploy pending) {
        undone.add(new Undone(pending.service(), pending.generation()));
        Map<String, Instance> there = removeMade(pending);
        List<String> faults = new ArrayList<>();
        List<PendingDeploy.Before> started = new ArrayList<>();
        for (PendingDeploy.Before before : pending.before()) {
            Instance instance = there.get(before.instance());
            if (instance == null) {
                faults.add(before.component() + ": its former instance is gone");
                continue;
            }
            InstanceId id = instance.id();
            if (instance.setAside()) {
                runtimes.of(id).bringBack(id);
            }
            boolean runs = Instances.isRunning(instance);
            if (runs && (!before.wasRunning() || view.stopRequested(id))) {
                // A stop that was asked for before a crash may still be under way: it is waited for, not raced with.
                lifecycle.stop(id);
                runs = false;
            }
            if (before.wasRunning() && !runs) {
                startAgain(before, id, faults, started);
            }
        }
        awaitHeld(pending.service(), started, faults);
        return faults;
    }

    private Map<String, Instance> removeMade(PendingDeploy pending) {
        Map<String, Instance> others = runtimes.list().stream()
                .filter(i -> Instances.belongsTo(i, pending.service()))
                .collect(Collectors.toMap(i -> i.id().value(), Function.identity()));
        for (Instance i : List.copyOf(others.values())) {
            if (i.identity().orElseThrow().generation() == pending.generation()) {
                lifecycle.retire(i.identity().orElseThrow().component(), i.id());
                others.remove(i.id().value());
            }
        }
        return others;
    }

    private void startAgain(
            PendingDeploy.Before before, InstanceId id, List<String> faults, List<PendingDeploy.Before> started) {
        try {
            lifecycle.start(id);
            started.add(before);
        } catch (RuntimeFailure e) {
            if (e.leavesUnknown()) {
                throw e;
            }
            faults.add(before.component() + ": " + e.getMessage());
        }
    }

    private void awaitHeld(Name service, List<PendingDeploy.Before> started, List<String> faults) {
        for (PendingDeploy.Before before : started) {
            Optional<KnownService.Member> member =
                    view.service(service).flatMap(s -> s.find(before.component().component()));
            if (member.isPresent()
                    && lifecycle.awaitHeld(id(before), member.get().component())
                            instanceof Hold.Outcome.Failed failed) {
                faults.add(before.component() + ": " + failed.why());
            }
        }
    }

    /** Removes what the committed deploy replaced or dropped. */
    private void rollForward(PendingDeploy pending) {
        pending.before().stream()
                .filter(PendingDeploy.Before::removedByIt)
                .forEach(b -> lifecycle.retire(b.component(), id(b)));
    }

    private static InstanceId id(PendingDeploy.Before before) {
        RuntimeKind kind = RuntimeKind.parse(before.runtime())
                .orElseThrow(() -> new RegistryException("the journal names an unknown runtime " + before.runtime()));
        return new InstanceId(kind, before.instance());
    }

    /** Whether the instance was made by a deploy that this agent has undone. */
    boolean wasUndone(ComponentId id, long generation) {
        return undone.contains(new Undone(id.service(), generation));
    }
}
