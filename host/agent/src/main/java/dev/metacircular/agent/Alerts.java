package dev.metacircular.agent;

import dev.metacircular.agent.EventLog.Urgency;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.registry.AlertSent;
import dev.metacircular.registry.EventStore;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.registry.StoredEvent;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Raises alerts: runs the operator's command for each event that calls for it, with a cool-down per component that only a graver event
 * breaks. What is owed stands in the registry, so an agent that dies leaves it to the next one: an alert may come twice, and none is
 * lost but those beyond the newest {@link #QUEUE}, which are recorded as dropped. A failure of the command is an event that raises no alert.
 */
final class Alerts implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(Alerts.class.getName());
    /** So many alerts may wait. */
    static final int QUEUE = 256;

    private static final int WORKERS = 2;
    private static final long ROUND_MILLIS = 5_000;

    private final AgentConfig.Alert config;
    private final AlertCommand command;
    private final EventStore store;
    private final EventLog events;
    private final Clock clock;
    private final Map<String, AlertSent> sent = new HashMap<>();
    private final Map<String, Integer> heldBack = new HashMap<>();
    private final Map<String, StoredEvent> inHand = new HashMap<>();
    private final List<Thread> workers = new ArrayList<>();
    /** What came of alerts whose end could not be put on record yet, by event: they are not raised again for that. */
    private final Map<Long, Outcome> unrecorded = new ConcurrentHashMap<>();

    private boolean changed;

    private record Outcome(Optional<AlertSent> sent, Optional<String> failure) {
        static final Outcome HELD_BACK = new Outcome(Optional.empty(), Optional.empty());
    }

    /** Begins with the alerts that an earlier agent still owed. */
    Alerts(Name node, AgentConfig.Alert config, EventStore store, EventLog events, Clock clock) {
        this.config = config;
        this.command = new AlertCommand(node, config);
        this.store = store;
        this.events = events;
        this.clock = clock;
        store.alertsSent().forEach(s -> sent.put(key(s.service(), s.component()), s));
        events.alertTo(this::wake);
        for (int i = 0; i < WORKERS; i++) {
            workers.add(Thread.ofVirtual().name("alerts-" + i).start(this::work));
        }
    }

    private static String key(String service, String component) {
        return service + "/" + component;
    }

    private static String key(RegistryEvent event) {
        return key(event.service(), event.component());
    }

    private synchronized void wake() {
        changed = true;
        notifyAll();
    }

    private void work() {
        try {
            while (true) {
                try {
                    Optional<StoredEvent> next = next();
                    if (next.isPresent()) {
                        handle(next.get());
                    } else {
                        await();
                    }
                } catch (RegistryException e) {
                    LOG.log(Level.WARNING, "alerts wait for the registry: " + e.getMessage());
                    Thread.sleep(ROUND_MILLIS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void await() throws InterruptedException {
        long deadline = System.nanoTime() + ROUND_MILLIS * 1_000_000;
        while (!changed) {
            long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
            if (leftMillis <= 0) {
                return;
            }
            wait(leftMillis);
        }
    }

    /** The oldest that is owed and whose component's no other worker has in hand, so that each component's come in order. */
    private synchronized Optional<StoredEvent> next() {
        changed = false;
        int dropped = store.dropAlertsBut(QUEUE);
        if (dropped > 0) {
            events.node(EventLog.Kind.ALERT_FAILED, dropped + " alerts were dropped: more than " + QUEUE + " waited");
        }
        Optional<StoredEvent> next = store.toAlert(QUEUE).stream()
                .filter(e -> !inHand.containsKey(key(e.event())))
                .findFirst();
        next.ifPresent(e -> inHand.put(key(e.event()), e));
        return next;
    }

    private void handle(StoredEvent stored) throws InterruptedException {
        try {
            Outcome outcome = unrecorded.get(stored.id());
            if (outcome == null) {
                outcome = raise(stored);
                unrecorded.put(stored.id(), outcome);
            }
            if (outcome.failure().isPresent()) {
                record(stored.event(), outcome.failure().get());
                unrecorded.put(stored.id(), new Outcome(outcome.sent(), Optional.empty()));
            }
            store.alertDone(stored.id(), outcome.sent());
            unrecorded.remove(stored.id());
        } finally {
            synchronized (this) {
                inHand.remove(key(stored.event()));
            }
            wake();
        }
    }

    /** Runs the command unless the component's cool-down holds it back. */
    private Outcome raise(StoredEvent stored) throws InterruptedException {
        RegistryEvent event = stored.event();
        Urgency urgency =
                EventLog.Kind.parse(event.kind()).map(EventLog.Kind::urgency).orElse(Urgency.WARNING);
        if (isCooling(event, urgency)) {
            return Outcome.HELD_BACK;
        }
        Optional<String> failure = command.run(stored, urgency, takeHeldBack(event));
        if (failure.isPresent()) {
            // No cool-down: the component's next event is told.
            return new Outcome(
                    Optional.empty(),
                    Optional.of("the alert of " + event.kind() + " was not delivered: " + failure.get()));
        }
        AlertSent now = new AlertSent(event.service(), event.component(), urgency.level(), clock.instant());
        synchronized (this) {
            sent.put(key(event), now);
        }
        return new Outcome(Optional.of(now), Optional.empty());
    }

    private void record(RegistryEvent event, String message) {
        if (event.service().isEmpty()) {
            events.node(EventLog.Kind.ALERT_FAILED, message);
        } else if (event.component().isEmpty()) {
            events.service(Name.of(event.service()), EventLog.Kind.ALERT_FAILED, message);
        } else {
            events.component(ComponentId.of(event.service(), event.component()), EventLog.Kind.ALERT_FAILED, message);
        }
    }

    private synchronized boolean isCooling(RegistryEvent event, Urgency urgency) {
        Instant now = clock.instant();
        AlertSent last = sent.get(key(event));
        boolean cooling = last != null
                && !last.time().isAfter(now)
                && last.time().plus(config.cooldown()).isAfter(now)
                && urgency.level() <= last.urgency();
        if (cooling) {
            heldBack.merge(key(event), 1, Integer::sum);
        }
        return cooling;
    }

    private synchronized int takeHeldBack(RegistryEvent event) {
        Integer count = heldBack.remove(key(event));
        return count == null ? 0 : count;
    }

    @Override
    public void close() {
        workers.forEach(Thread::interrupt);
    }
}
