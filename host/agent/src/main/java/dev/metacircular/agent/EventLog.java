package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.registry.RegistryEvent;
import java.time.Clock;
import java.util.Locale;
import java.util.logging.Logger;

/** Records what happened, in the registry and in the agent's log. */
final class EventLog {
    private static final Logger LOG = Logger.getLogger(EventLog.class.getName());
    private static final int MAX_MESSAGE_CHARS = 2_000;

    private final Ledger ledger;
    private final Clock clock;

    /** The kinds of events. */
    enum Kind {
        /** A deploy was committed. */
        DEPLOYED,
        /** A deploy failed and was undone, or is being undone. */
        DEPLOY_FAILED,
        /** A deploy that a crash cut short was undone. */
        ROLLED_BACK,
        /** A deploy that a crash cut short after its commit was finished. */
        ROLLED_FORWARD,
        /** A component was started on request, or because it should run. */
        STARTED,
        /** A component was stopped on request, or because it should not run. */
        STOPPED,
        /** An operator restarted a component. */
        RESTARTED,
        /** A component ended by itself. */
        EXITED,
        /** A component that ended by itself was started again. */
        RECOVERED,
        /** A missing instance was created again. */
        RECREATED,
        /** A component could not be started. */
        START_FAILED,
        /** A component's restart policy forbids another try. */
        GAVE_UP,
        /** An instance that nothing accounts for was removed. */
        ORPHAN_REMOVED,
        /** Desired states were changed. */
        DESIRED_CHANGED,
        PURGED,
        RUNTIME_UNAVAILABLE,
        RUNTIME_AVAILABLE,
        CERTIFICATE_RENEWED,
        AGENT_STARTED;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    EventLog(Ledger ledger, Clock clock) {
        this.ledger = ledger;
        this.clock = clock;
    }

    void node(Kind kind, String message) {
        record("", "", kind, message);
    }

    void service(Name service, Kind kind, String message) {
        record(service.value(), "", kind, message);
    }

    void component(ComponentId id, Kind kind, String message) {
        record(id.service().value(), id.component().value(), kind, message);
    }

    private void record(String service, String component, Kind kind, String message) {
        String text = message.length() <= MAX_MESSAGE_CHARS ? message : message.substring(0, MAX_MESSAGE_CHARS) + "…";
        LOG.info(
                () -> "event " + kind + " " + (component.isEmpty() ? service : service + "/" + component) + " " + text);
        ledger.appendEvent(new RegistryEvent(clock.instant(), service, component, kind.toString(), text));
    }
}
