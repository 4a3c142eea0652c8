package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.ComponentState;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.StoredEvent;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.logging.Logger;

/** Records what happened, in the registry and in the agent's log, and tells those who follow. */
final class EventLog {
    private static final Logger LOG = Logger.getLogger(EventLog.class.getName());
    private static final int MAX_MESSAGE_CHARS = 2_000;

    private final Ledger ledger;
    private final Clock clock;
    private volatile Optional<Runnable> alerts = Optional.empty();
    private long lastId;

    /** How much an event is a person's business. */
    enum Urgency {
        /** Never raises an alert. */
        NONE(0),
        /** Raises an alert: something went wrong, and the agent mends it or will try. */
        WARNING(1),
        /** Raises an alert, also where the component's last one was a warning: a person is needed. */
        URGENT(2);

        private final int level;

        Urgency(int level) {
            this.level = level;
        }

        int level() {
            return level;
        }
    }

    /** The kinds of events; docs/events.md is the list that people read. */
    enum Kind {
        /** A deploy was committed. */
        DEPLOYED(Urgency.NONE),
        /** A deploy failed and was undone, or is being undone. */
        DEPLOY_FAILED(Urgency.NONE),
        /** A deploy that a crash cut short was undone. */
        ROLLED_BACK(Urgency.WARNING),
        /** A deploy that a crash cut short after its commit was finished. */
        ROLLED_FORWARD(Urgency.NONE),
        /** A component was started on request, or because it should run. */
        STARTED(Urgency.NONE),
        /** A component was stopped on request, or because it should not run. */
        STOPPED(Urgency.NONE),
        /** An operator restarted a component. */
        RESTARTED(Urgency.NONE),
        /** A component ended by itself. */
        EXITED(Urgency.WARNING),
        /** A component's instance is gone, and the agent did not remove it. */
        REMOVED(Urgency.WARNING),
        /** A component runs, and no start by the agent is on record: somebody else started it, or the agent ended in the middle. */
        RUNNING(Urgency.NONE),
        /** The runtime answers and does not know the component's state, or it is paused. */
        UNCLEAR(Urgency.WARNING),
        /** A component that ended by itself was started again. */
        RECOVERED(Urgency.NONE),
        /** A missing instance was created again. */
        RECREATED(Urgency.NONE),
        /** A component could not be started. */
        START_FAILED(Urgency.WARNING),
        /** A component ended, or could not be started, too often. */
        FLAPPING(Urgency.URGENT),
        /** A component that flapped has run long enough. */
        SETTLED(Urgency.NONE),
        /** A component's restart policy forbids another try. */
        GAVE_UP(Urgency.URGENT),
        /** An instance that nothing accounts for was removed. */
        ORPHAN_REMOVED(Urgency.NONE),
        /** Desired states were changed. */
        DESIRED_CHANGED(Urgency.NONE),
        PURGED(Urgency.NONE),
        /** A running container was taken over. */
        ADOPTED(Urgency.NONE),
        /** The registry was damaged, and a snapshot took its place. */
        REGISTRY_RESTORED(Urgency.URGENT),
        /** An operator put a snapshot's services in the place of the registered ones. */
        RESTORED(Urgency.NONE),
        /** Something that the agent does from time to time failed, the first time. */
        HOUSEKEEPING_FAILED(Urgency.WARNING),
        /** A backend's own fault was mended. */
        RUNTIME_MENDED(Urgency.NONE),
        /** Images that nothing needed were removed. */
        IMAGES_COLLECTED(Urgency.NONE),
        RUNTIME_UNAVAILABLE(Urgency.URGENT),
        RUNTIME_AVAILABLE(Urgency.NONE),
        /** The alert command failed, or alerts were dropped; raises no alert itself. */
        ALERT_FAILED(Urgency.NONE),
        CERTIFICATE_RENEWED(Urgency.NONE),
        /** The node's own authority ends soon, and clients must be told to trust another. */
        AUTHORITY_ENDS(Urgency.URGENT),
        AGENT_STARTED(Urgency.NONE);

        private final Urgency urgency;

        Kind(Urgency urgency) {
            this.urgency = urgency;
        }

        Urgency urgency() {
            return urgency;
        }

        /** Empty for a kind of another version. */
        static Optional<Kind> parse(String text) {
            for (Kind kind : values()) {
                if (kind.toString().equals(text)) {
                    return Optional.of(kind);
                }
            }
            return Optional.empty();
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * What is to be recorded.
     *
     * @param net whether it stands for all that happened while nobody looked
     * @param quiet whether it raises no alert whatever its kind, for it was to be expected
     */
    record Entry(String service, String component, Kind kind, String message, boolean net, boolean quiet) {
        static Entry of(ComponentId id, Kind kind, String message) {
            return new Entry(id.service().value(), id.component().value(), kind, message, false, false);
        }

        static Entry of(Name service, Kind kind, String message) {
            return new Entry(service.value(), "", kind, message, false, false);
        }

        static Entry ofNode(Kind kind, String message) {
            return new Entry("", "", kind, message, false, false);
        }

        Entry asNet() {
            return new Entry(service, component, kind, message, true, quiet);
        }

        Entry asQuiet() {
            return new Entry(service, component, kind, message, net, true);
        }
    }

    EventLog(Ledger ledger, Clock clock) {
        this.ledger = ledger;
        this.clock = clock;
    }

    /** From now on alerts are owed for what calls for one; tells when there is one more. */
    void alertTo(Runnable listener) {
        alerts = Optional.of(listener);
    }

    void node(Kind kind, String message) {
        record(List.of(Entry.ofNode(kind, message)), List.of());
    }

    void service(Name service, Kind kind, String message) {
        record(List.of(Entry.of(service, kind, message)), List.of());
    }

    void component(ComponentId id, Kind kind, String message) {
        record(List.of(Entry.of(id, kind, message)), List.of());
    }

    /** An event that the caller records with the change that it tells, in one transaction; {@link #recorded(long, RegistryEvent)} must follow. */
    RegistryEvent ofService(Name service, Kind kind, String message) {
        return event(Entry.of(service, kind, message));
    }

    /** Tells of an event that has been recorded under this number. */
    void recorded(long id, RegistryEvent event) {
        recorded(List.of(new StoredEvent(id, event)));
    }

    /** Records events and, with them, what is now recorded of components: all or nothing. */
    void record(List<Entry> entries, List<ComponentState> states) {
        List<RegistryEvent> events = entries.stream().map(this::event).toList();
        recorded(ledger.recordEvents(events, states), events);
    }

    /** Ends a deploy's journal entry with the event that tells how it ended, and what is now recorded of components: all or nothing. */
    void endDeploy(Name service, Entry entry, List<ComponentState> states) {
        List<RegistryEvent> events = List.of(event(entry));
        recorded(ledger.endDeploy(service, events, states), events);
    }

    private void recorded(List<Long> ids, List<RegistryEvent> events) {
        List<StoredEvent> stored = new ArrayList<>();
        for (int i = 0; i < ids.size(); i++) {
            stored.add(new StoredEvent(ids.get(i), events.get(i)));
        }
        recorded(stored);
    }

    /** Records that a backend can be asked again, or no longer. */
    void availability(RuntimeKind runtime, boolean available, String message) {
        RegistryEvent event =
                event(Entry.ofNode(available ? Kind.RUNTIME_AVAILABLE : Kind.RUNTIME_UNAVAILABLE, message));
        recorded(List.of(new StoredEvent(ledger.recordAvailability(runtime.toString(), available, event), event)));
    }

    private RegistryEvent event(Entry e) {
        return event(clock, alerts.isPresent(), e);
    }

    /**
     * What is to be recorded of it now, for a registry that is still to be opened.
     *
     * @param alerts whether the node has an alert command
     */
    static RegistryEvent event(Clock clock, boolean alerts, Entry e) {
        String text = e.message().length() <= MAX_MESSAGE_CHARS
                ? e.message()
                : e.message().substring(0, MAX_MESSAGE_CHARS) + "…";
        boolean alert = alerts && !e.quiet() && e.kind().urgency() != Urgency.NONE;
        return new RegistryEvent(
                clock.instant(), e.service(), e.component(), e.kind().toString(), text, e.net(), alert);
    }

    private void recorded(List<StoredEvent> stored) {
        for (StoredEvent s : stored) {
            RegistryEvent e = s.event();
            LOG.info(() -> "event " + e.kind() + " "
                    + (e.component().isEmpty() ? e.service() : e.service() + "/" + e.component()) + " " + e.message());
            if (e.alert()) {
                alerts.ifPresent(Runnable::run);
            }
        }
        synchronized (this) {
            for (StoredEvent s : stored) {
                lastId = Math.max(lastId, s.id());
            }
            notifyAll();
        }
    }

    /** Waits until there is an event with a greater number, at most so long. */
    synchronized void awaitAfter(long id, Duration atMost) throws InterruptedException {
        long deadline = System.nanoTime() + atMost.toNanos();
        while (lastId <= id) {
            long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
            if (leftMillis <= 0) {
                return;
            }
            wait(leftMillis);
        }
    }
}
