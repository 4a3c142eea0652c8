package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.EventStore;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.StoredEvent;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Reads the event log, each event once and in order, for as long as its reader follows. */
final class EventService {
    private static final int PAGE = 500;
    private static final Duration ROUND = Duration.ofSeconds(1);

    private final EventStore store;
    private final EventLog events;

    EventService(EventStore store, EventLog events) {
        this.store = store;
        this.events = events;
    }

    void read(EventsRequest request, Receiver<Event> receiver) throws InterruptedException {
        EventQuery query = query(request);
        // A registry that was restored may have given back numbers: a reader who is ahead goes on with what comes next.
        long cursor = Math.min(Math.max(0, request.getAfterId()), store.lastId());
        if (request.hasTail()) {
            long end = store.lastId();
            int tail = (int) Math.min(Registry.EVENTS_KEPT, Integer.toUnsignedLong(request.getTail()));
            List<StoredEvent> last = store.latest(query, cursor, tail);
            deliver(last, receiver);
            cursor = last.isEmpty() ? end : Math.max(end, last.getLast().id());
            if (!request.getFollow()) {
                return;
            }
        }
        while (!receiver.isCancelled()) {
            long end = store.lastId();
            List<StoredEvent> page = store.next(query, cursor, PAGE);
            deliver(page, receiver);
            cursor = page.isEmpty() ? Math.max(cursor, end) : page.getLast().id();
            if (page.size() < PAGE) {
                if (!request.getFollow()) {
                    return;
                }
                events.awaitAfter(cursor, ROUND);
            }
        }
    }

    private static void deliver(List<StoredEvent> page, Receiver<Event> receiver) throws InterruptedException {
        for (StoredEvent e : page) {
            receiver.accept(message(e));
        }
    }

    private static EventQuery query(EventsRequest request) {
        Optional<Name> service = Messages.optionalName(request.getService(), "service");
        Optional<Name> component = Messages.optionalName(request.getComponent(), "component");
        Set<String> kinds = Set.copyOf(request.getKindsList());
        kinds.stream().filter(k -> EventLog.Kind.parse(k).isEmpty()).findFirst().ifPresent(k -> {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            "'" + k + "' is not a kind of event here: expected one of "
                                    + Arrays.stream(EventLog.Kind.values())
                                            .map(EventLog.Kind::toString)
                                            .collect(Collectors.joining(", ")))
                    .exception();
        });
        return new EventQuery(service, component, kinds, time(request.getSinceMs()), time(request.getUntilMs()));
    }

    private static Optional<Instant> time(long millis) {
        return millis == 0 ? Optional.empty() : Optional.of(Instant.ofEpochMilli(millis));
    }

    static Event message(StoredEvent stored) {
        var e = stored.event();
        return Event.newBuilder()
                .setId(stored.id())
                .setTimeMs(e.time().toEpochMilli())
                .setService(e.service())
                .setComponent(e.component())
                .setKind(e.kind())
                .setMessage(e.message())
                .setNet(e.net())
                .build();
    }
}
