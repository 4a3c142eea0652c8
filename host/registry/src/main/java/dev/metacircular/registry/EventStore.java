package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.statement.Query;

/** The events, and what the agent last recorded of each component. Every method is one transaction. */
public final class EventStore {
    private final Database database;

    EventStore(Database database) {
        this.database = database;
    }

    /**
     * Appends events, dropping the oldest beyond {@link Registry#EVENTS_KEPT}, and puts down with them what was last recorded of components.
     *
     * @return the events' numbers
     */
    public List<Long> record(List<RegistryEvent> events, List<ComponentState> states) {
        return database.write(h -> record(h, events, states));
    }

    static List<Long> record(Handle h, List<RegistryEvent> events, List<ComponentState> states) {
        states.forEach(s -> put(h, s));
        return events.stream().map(e -> append(h, e)).toList();
    }

    /** What was last recorded of each component. */
    public List<ComponentState> states() {
        return database.read(EventStore::states);
    }

    /** Forgets what was last recorded of components that are no longer registered. */
    public void dropStates(List<ComponentId> ids) {
        database.run(h -> dropStates(h, ids));
    }

    /** The latest events that match and have a greater number, oldest first. */
    public List<StoredEvent> latest(EventQuery query, long afterId, int limit) {
        return database.read(h -> select(h, query, afterId, limit, "DESC")).reversed();
    }

    /** The first events that match and have a greater number, oldest first. */
    public List<StoredEvent> next(EventQuery query, long afterId, int limit) {
        return database.read(h -> select(h, query, afterId, limit, "ASC"));
    }

    /** The greatest number of any event, 0 if there is none. */
    public long lastId() {
        return database.read(h -> h.createQuery("SELECT coalesce(max(id), 0) FROM event")
                .mapTo(Long.class)
                .one());
    }

    /**
     * Drops what alerts are owed but for the newest so many.
     *
     * @return how many were dropped
     */
    public int dropAlertsBut(int kept) {
        boolean many =
                database.read(h -> h.createQuery("SELECT count(*) FROM (SELECT 1 FROM event WHERE alert = 1 LIMIT :n)")
                                .bind("n", kept + 1)
                                .mapTo(Integer.class)
                                .one()
                        > kept);
        return many ? database.write(h -> h.createUpdate("""
                                UPDATE event SET alert = 0 WHERE alert = 1 AND id <=
                                  (SELECT id FROM event WHERE alert = 1 ORDER BY id DESC LIMIT 1 OFFSET :n)""").bind("n", kept).execute()) : 0;
    }

    /** The oldest events whose alerts are still to be raised. */
    public List<StoredEvent> toAlert(int limit) {
        return database.read(h -> h.createQuery("SELECT * FROM event WHERE alert = 1 ORDER BY id LIMIT :n")
                .bind("n", limit)
                .map(Rows::event)
                .list());
    }

    /** Puts down that an event's alert needs no raising any more, and if it was raised, when. */
    public void alertDone(long eventId, Optional<AlertSent> sent) {
        database.run(h -> {
            h.createUpdate("UPDATE event SET alert = 0 WHERE id = :id")
                    .bind("id", eventId)
                    .execute();
            sent.ifPresent(s -> alertSent(h, s));
        });
    }

    /** The last alert of each component. */
    public List<AlertSent> alertsSent() {
        return database.read(EventStore::alertsSent);
    }

    /** The backends that could not be asked when last tried. */
    public Set<String> unavailableRuntimes() {
        return database.read(h -> Set.copyOf(h.createQuery("SELECT runtime FROM unavailable_runtime")
                .mapTo(String.class)
                .list()));
    }

    /**
     * Records that a backend can be asked again or no longer, with the event that tells it.
     *
     * @return the event's number
     */
    public long recordAvailability(String runtime, boolean available, RegistryEvent event) {
        return database.write(h -> {
            h.createUpdate(
                            available
                                    ? "DELETE FROM unavailable_runtime WHERE runtime = :r"
                                    : "INSERT OR IGNORE INTO unavailable_runtime VALUES (:r)")
                    .bind("r", runtime)
                    .execute();
            return append(h, event);
        });
    }

    static long append(Handle h, RegistryEvent event) {
        long id = h.createQuery("""
                        INSERT INTO event (time_ms, service, component, kind, message, net, alert)
                        VALUES (:t, :s, :c, :k, :m, :net, :alert) RETURNING id""")
                .bind("t", event.time().toEpochMilli())
                .bind("s", event.service())
                .bind("c", event.component())
                .bind("k", event.kind())
                .bind("m", event.message())
                .bind("net", event.net() ? 1 : 0)
                .bind("alert", event.alert() ? 1 : 0)
                .mapTo(Long.class)
                .one();
        h.createUpdate("DELETE FROM event WHERE id <= :last - :kept")
                .bind("last", id)
                .bind("kept", Registry.EVENTS_KEPT)
                .execute();
        return id;
    }

    private static void put(Handle h, ComponentState state) {
        h.createUpdate("""
                        INSERT OR REPLACE INTO component_state VALUES
                          (:s, :c, :observed, :exit, :instance, :started, :failures, :failed, :up, :flapping, :recent)""")
                .bind("s", state.id().service().value())
                .bind("c", state.id().component().value())
                .bind("observed", state.observed())
                .bind("exit", state.exitStatus())
                .bind("instance", state.instance())
                .bind("started", state.startedAt().toEpochMilli())
                .bind("failures", state.failures())
                .bind("failed", state.lastFailure().toEpochMilli())
                .bind("up", state.gaveUp() ? 1 : 0)
                .bind("flapping", state.flapping() ? 1 : 0)
                .bind(
                        "recent",
                        state.recent().stream()
                                .map(t -> Long.toString(t.toEpochMilli()))
                                .collect(Collectors.joining(",")))
                .execute();
    }

    private static List<ComponentState> states(Handle h) {
        return h.createQuery("SELECT * FROM component_state ORDER BY service, component")
                .map((rs, ctx) -> new ComponentState(
                        ComponentId.of(rs.getString("service"), rs.getString("component")),
                        rs.getString("observed"),
                        rs.getInt("exit_status"),
                        rs.getString("instance"),
                        Instant.ofEpochMilli(rs.getLong("started_at_ms")),
                        rs.getInt("failures"),
                        Instant.ofEpochMilli(rs.getLong("last_failure_ms")),
                        rs.getInt("gave_up") == 1,
                        rs.getInt("flapping") == 1,
                        times(rs.getString("recent_ms"))))
                .list();
    }

    private static List<Instant> times(String text) {
        return Arrays.stream(text.split(","))
                .filter(t -> !t.isEmpty())
                .map(t -> Instant.ofEpochMilli(Long.parseLong(t)))
                .toList();
    }

    private static void dropStates(Handle h, List<ComponentId> ids) {
        for (ComponentId id : ids) {
            h.createUpdate("DELETE FROM component_state WHERE service = :s AND component = :c")
                    .bind("s", id.service().value())
                    .bind("c", id.component().value())
                    .execute();
        }
    }

    private static List<StoredEvent> select(Handle h, EventQuery query, long afterId, int limit, String order) {
        StringBuilder sql = new StringBuilder("SELECT * FROM event WHERE id > :after");
        query.service().ifPresent(_ -> sql.append(" AND service = :s"));
        query.component().ifPresent(_ -> sql.append(" AND component = :c"));
        query.since().ifPresent(_ -> sql.append(" AND time_ms >= :since"));
        query.until().ifPresent(_ -> sql.append(" AND time_ms < :until"));
        List<String> kinds = query.kinds().stream().sorted().toList();
        if (!kinds.isEmpty()) {
            sql.append(" AND kind IN (<kinds>)");
        }
        Query select = h.createQuery(sql + " ORDER BY id " + order + " LIMIT :n")
                .bind("after", afterId)
                .bind("n", limit);
        query.service().ifPresent(s -> select.bind("s", s.value()));
        query.component().ifPresent(c -> select.bind("c", c.value()));
        query.since().ifPresent(t -> select.bind("since", t.toEpochMilli()));
        query.until().ifPresent(t -> select.bind("until", t.toEpochMilli()));
        if (!kinds.isEmpty()) {
            select.bindList("kinds", kinds);
        }
        return select.map(Rows::event).list();
    }

    private static void alertSent(Handle h, AlertSent sent) {
        h.createUpdate("INSERT OR REPLACE INTO alert_sent VALUES (:s, :c, :u, :t)")
                .bind("s", sent.service())
                .bind("c", sent.component())
                .bind("u", sent.urgency())
                .bind("t", sent.time().toEpochMilli())
                .execute();
    }

    private static List<AlertSent> alertsSent(Handle h) {
        return h.createQuery("SELECT * FROM alert_sent")
                .map((rs, ctx) -> new AlertSent(
                        rs.getString("service"),
                        rs.getString("component"),
                        rs.getInt("urgency"),
                        Instant.ofEpochMilli(rs.getLong("time_ms"))))
                .list();
    }
}
