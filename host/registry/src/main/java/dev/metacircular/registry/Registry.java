package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jdbi.v3.core.Handle;

/**
 * What should be there, and what the agent must remember over its own death. Every method is one transaction: it has happened, durably,
 * when it returns, or not at all. Safe for use by any number of threads.
 *
 * <p>Failures of the file itself are {@link RegistryException}s; refusals are {@link dev.metacircular.model.ProblemException}s.
 */
public final class Registry implements AutoCloseable {
    /** So many of the latest events are kept. */
    public static final int EVENTS_KEPT = 10_000;

    /** How long the outcome of a call is given to a caller that repeats it. */
    public static final Duration OUTCOMES_KEPT = Duration.ofHours(24);

    /** So many snapshots are kept. */
    public static final int SNAPSHOTS_KEPT = 24;

    private static final DateTimeFormatter SNAPSHOT_NAME = DateTimeFormatter.ofPattern(
                    "'registry-'yyyyMMdd'T'HHmmss.SSS'Z.db'")
            .withZone(ZoneOffset.UTC);

    private final Path directory;
    private final Clock clock;
    private final Database database;

    private Registry(Path directory, Clock clock) {
        this.directory = directory;
        this.clock = clock;
        this.database = Database.open(directory.resolve("registry.db"), d -> snapshot(d));
    }

    /**
     * Opens {@code registry.db} in the directory, making it where there is none, and brings it to this version's form after taking
     * a snapshot.
     */
    public static Registry open(Path directory, Clock clock) {
        return new Registry(directory, clock);
    }

    public List<RegisteredService> services() {
        return database.read(h -> {
            Map<String, List<RegisteredComponent>> components =
                    h.createQuery("SELECT * FROM component ORDER BY service, position").map(Rows::component).stream()
                            .collect(Collectors.groupingBy(c -> c.id().service().value()));
            return h.createQuery("SELECT * FROM service ORDER BY name")
                    .map((rs, ctx) -> Rows.service(rs, components.getOrDefault(rs.getString("name"), List.of())))
                    .list();
        });
    }

    public Optional<RegisteredService> service(Name name) {
        return database.read(h -> find(h, name));
    }

    private static Optional<RegisteredService> find(Handle h, Name name) {
        List<RegisteredComponent> components = h.createQuery(
                        "SELECT * FROM component WHERE service = :s ORDER BY position")
                .bind("s", name.value())
                .map(Rows::component)
                .list();
        return h.createQuery("SELECT * FROM service WHERE name = :s")
                .bind("s", name.value())
                .map((rs, ctx) -> Rows.service(rs, components))
                .findOne();
    }

    /** A generation that nothing of this service ever bore; a deploy that fails leaves a gap. */
    public long reserveGeneration(Name service) {
        return database.write(h -> reserve(h, service));
    }

    private static long reserve(Handle h, Name service) {
        return h.createQuery("""
                        INSERT INTO generation (service, reserved) VALUES (:s, 1)
                        ON CONFLICT (service) DO UPDATE SET reserved = reserved + 1
                        RETURNING reserved""").bind("s", service.value()).mapTo(Long.class).one();
    }

    /**
     * Writes a deploy's journal entry; nothing it does may come before.
     *
     * @param baseGeneration of the service when it was planned, 0 if it was not registered
     * @throws dev.metacircular.model.ProblemException {@code STALE_PLAN} if the service's generation is another, {@code LOCKED} if the service has an
     *     entry, {@code CONFLICT} if a component's canonical name is another service's
     */
    public void beginDeploy(PendingDeploy deploy, long baseGeneration) {
        database.run(h -> {
            requireGeneration(h, deploy.service(), baseGeneration);
            requireNoPending(h, deploy.service());
            requireFreeNames(h, deploy);
            h.createUpdate("INSERT INTO pending_deploy VALUES (:s, :g, :t, :by, 0, :active)")
                    .bind("s", deploy.service().value())
                    .bind("g", deploy.generation())
                    .bind("t", deploy.startedAt().toEpochMilli())
                    .bind("by", deploy.startedBy())
                    .bind("active", deploy.active() ? 1 : 0)
                    .execute();
            int position = 0;
            for (RegisteredComponent c : deploy.components()) {
                Rows.bind(h.createUpdate("""
                                        INSERT INTO pending_component VALUES
                                          (:service, :name, :position, :desired, :generation, :version, :document, :digest, :image)"""), c).bind("position", position++).execute();
            }
            for (PendingDeploy.Before b : deploy.before()) {
                h.createUpdate("INSERT INTO pending_before VALUES (:s, :c, :r, :i, :running, :removed)")
                        .bind("s", deploy.service().value())
                        .bind("c", b.component().component().value())
                        .bind("r", b.runtime())
                        .bind("i", b.instance())
                        .bind("running", b.wasRunning() ? 1 : 0)
                        .bind("removed", b.removedByIt() ? 1 : 0)
                        .execute();
            }
        });
    }

    /** Records the content that a pulled image turned out to have, before its instance is made. */
    public void setPendingImage(ComponentId id, String imageId) {
        database.run(
                h -> h.createUpdate("UPDATE pending_component SET image_id = :image WHERE service = :s AND name = :c")
                        .bind("image", imageId)
                        .bind("s", id.service().value())
                        .bind("c", id.component().value())
                        .execute());
    }

    /** Puts the pending rows in place of the service's, raises its generation to the deploy's, and marks the entry committed. */
    public void commitDeploy(Name service) {
        database.run(h -> {
            int updated = h.createUpdate("UPDATE pending_deploy SET committed = 1 WHERE service = :s AND committed = 0")
                    .bind("s", service.value())
                    .execute();
            if (updated != 1) {
                throw new RegistryException("no deploy of " + service + " is pending: it cannot be committed");
            }
            h.createUpdate("""
                            INSERT INTO service (name, generation, active)
                              SELECT service, generation, active FROM pending_deploy WHERE service = :s
                            ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, active = excluded.active""").bind("s", service.value()).execute();
            h.createUpdate("DELETE FROM component WHERE service = :s")
                    .bind("s", service.value())
                    .execute();
            List<RegisteredComponent> rows = h.createQuery(
                            "SELECT * FROM pending_component WHERE service = :s ORDER BY position")
                    .bind("s", service.value())
                    .map(Rows::component)
                    .list();
            int position = 0;
            for (RegisteredComponent row : rows) {
                Rows.bind(h.createUpdate("""
                                        INSERT INTO component VALUES (:service, :name, :position, :desired, :generation, :version,
                                          :document, :digest, :canonical, :image)"""), row)
                        .bind("position", position++)
                        .bind("canonical", row.id().canonicalName())
                        .execute();
            }
        });
    }

    /** Removes the journal entry, after the deploy's last effect. */
    public void endDeploy(Name service) {
        database.run(h -> h.createUpdate("DELETE FROM pending_deploy WHERE service = :s")
                .bind("s", service.value())
                .execute());
    }

    public List<PendingDeploy> pendingDeploys() {
        return database.read(h -> h.createQuery("SELECT * FROM pending_deploy ORDER BY service")
                .map((rs, ctx) -> {
                    String service = rs.getString("service");
                    return Rows.pending(
                            rs,
                            h.createQuery("SELECT * FROM pending_component WHERE service = :s ORDER BY position")
                                    .bind("s", service)
                                    .map(Rows::component)
                                    .list(),
                            h.createQuery("SELECT * FROM pending_before WHERE service = :s")
                                    .bind("s", service)
                                    .map(Rows::before)
                                    .list());
                })
                .list());
    }

    /**
     * Sets the desired states of registered components, and the service's flag, and raises the generation if that changes a row.
     *
     * @return the service's generation after it
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, {@code STALE_PLAN} or {@code LOCKED}
     */
    public long setDesired(Name service, long baseGeneration, Optional<Boolean> active, Map<Name, Desired> desired) {
        return database.write(h -> {
            RegisteredService before = find(h, service).orElseThrow(() -> notRegistered(service));
            requireGeneration(h, service, baseGeneration);
            requireNoPending(h, service);
            for (Name component : desired.keySet()) {
                if (before.find(component).isEmpty()) {
                    throw Problem.of(Problem.Kind.NOT_FOUND, "the component is not registered")
                            .at(new ComponentId(service, component).toString())
                            .next("mcp deploy " + service + "/" + component)
                            .exception();
                }
            }
            boolean changes = active.filter(a -> a != before.active()).isPresent()
                    || before.components().stream()
                            .anyMatch(c -> desired.getOrDefault(c.id().component(), c.desired()) != c.desired());
            if (!changes) {
                return before.generation();
            }
            desired.forEach((component, value) -> h.createUpdate(
                            "UPDATE component SET desired = :d WHERE service = :s AND name = :c")
                    .bind("d", value.toString())
                    .bind("s", service.value())
                    .bind("c", component.value())
                    .execute());
            long generation = reserve(h, service);
            h.createUpdate("UPDATE service SET active = :a, generation = :g WHERE name = :s")
                    .bind("a", active.orElse(before.active()) ? 1 : 0)
                    .bind("g", generation)
                    .bind("s", service.value())
                    .execute();
            return generation;
        });
    }

    /**
     * Forgets a service.
     *
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, {@code STALE_PLAN} or {@code LOCKED}
     */
    public void forget(Name service, long baseGeneration) {
        database.run(h -> {
            if (find(h, service).isEmpty()) {
                throw notRegistered(service);
            }
            requireGeneration(h, service, baseGeneration);
            requireNoPending(h, service);
            for (String table : List.of("component_state", "alert_sent")) {
                h.createUpdate("DELETE FROM " + table + " WHERE service = :s")
                        .bind("s", service.value())
                        .execute();
            }
            h.createUpdate("DELETE FROM service WHERE name = :s")
                    .bind("s", service.value())
                    .execute();
        });
    }

    /** Remembers that an instance's end is asked for; to be called before it is. */
    public void recordStopRequest(String instance) {
        database.run(h -> h.createUpdate("INSERT OR REPLACE INTO stop_request VALUES (:i, :t)")
                .bind("i", instance)
                .bind("t", clock.millis())
                .execute());
    }

    /** Forgets it, before the instance is started again or after it was removed. */
    public void clearStopRequest(String instance) {
        database.run(h -> h.createUpdate("DELETE FROM stop_request WHERE instance = :i")
                .bind("i", instance)
                .execute());
    }

    public Set<String> stopRequests() {
        return database.read(h -> Set.copyOf(h.createQuery("SELECT instance FROM stop_request")
                .mapTo(String.class)
                .list()));
    }

    /** The events, and what the agent last recorded of each component. */
    public EventStore events() {
        return new EventStore(database);
    }

    /** The latest events, oldest first, of one service or of all. */
    public List<RegistryEvent> latestEvents(Optional<Name> service, int limit) {
        EventQuery query = new EventQuery(service, Optional.empty(), Set.of(), Optional.empty(), Optional.empty());
        return events().latest(query, 0, limit).stream().map(StoredEvent::event).toList();
    }

    public List<StoredToken> tokens() {
        return database.read(h -> h.createQuery("SELECT * FROM token ORDER BY name")
                .map(Rows::token)
                .list());
    }

    /** @throws dev.metacircular.model.ProblemException {@code CONFLICT} if there is a token of that name */
    public void addToken(StoredToken token) {
        database.run(h -> {
            int added = h.createUpdate("INSERT OR IGNORE INTO token VALUES (:n, :r, :h, :t)")
                    .bind("n", token.name())
                    .bind("r", token.role())
                    .bind("h", token.sha256())
                    .bind("t", token.createdAt().toEpochMilli())
                    .execute();
            if (added == 0) {
                throw Problem.of(Problem.Kind.CONFLICT, "there is a token named '" + token.name() + "' already")
                        .next("choose another name, or revoke that one first")
                        .exception();
            }
        });
    }

    /**
     * Revokes a token.
     *
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, or {@code CONFLICT} for the last operator's, which would lock everyone out
     */
    public void revokeToken(String name) {
        database.run(h -> {
            StoredToken token = h.createQuery("SELECT * FROM token WHERE name = :n")
                    .bind("n", name)
                    .map(Rows::token)
                    .findOne()
                    .orElseThrow(() -> Problem.of(Problem.Kind.NOT_FOUND, "there is no token named '" + name + "'")
                            .next("mcp token list")
                            .exception());
            int operators = h.createQuery("SELECT count(*) FROM token WHERE role = 'operator'")
                    .mapTo(Integer.class)
                    .one();
            if (token.role().equals("operator") && operators == 1) {
                throw Problem.of(Problem.Kind.CONFLICT, "'" + name + "' is the last operator's token")
                        .next("add another operator's token first")
                        .exception();
            }
            h.createUpdate("DELETE FROM token WHERE name = :n").bind("n", name).execute();
        });
    }

    /** Keeps the outcome of a finished call, and drops those older than {@link #OUTCOMES_KEPT}. */
    public void recordOutcome(String caller, String key, String method, byte[] content) {
        database.run(h -> {
            h.createUpdate("DELETE FROM outcome WHERE time_ms < :t")
                    .bind("t", clock.instant().minus(OUTCOMES_KEPT).toEpochMilli())
                    .execute();
            h.createUpdate("INSERT OR REPLACE INTO outcome VALUES (:c, :k, :m, :t, :content)")
                    .bind("c", caller)
                    .bind("k", key)
                    .bind("m", method)
                    .bind("t", clock.millis())
                    .bind("content", content)
                    .execute();
        });
    }

    /**
     * The outcome of a caller's earlier call with that key.
     *
     * @throws dev.metacircular.model.ProblemException {@code INVALID} if the key was used for another method
     */
    public Optional<byte[]> outcome(String caller, String key, String method) {
        return database.read(h -> h.createQuery(
                        "SELECT method, content FROM outcome WHERE caller = :c AND key = :k AND time_ms >= :t")
                .bind("c", caller)
                .bind("k", key)
                .bind("t", clock.instant().minus(OUTCOMES_KEPT).toEpochMilli())
                .map((rs, ctx) -> {
                    if (!rs.getString("method").equals(method)) {
                        throw Problem.of(
                                        Problem.Kind.INVALID,
                                        "the idempotency key was used for " + rs.getString("method"))
                                .next("take a new random key for each call")
                                .exception();
                    }
                    return rs.getBytes("content");
                })
                .findOne());
    }

    /** Writes a consistent copy into {@code snapshots/} beside the registry and drops the oldest beyond {@link #SNAPSHOTS_KEPT}. */
    public Path snapshot() {
        return snapshot(database);
    }

    private Path snapshot(Database from) {
        Path snapshots = directory.resolve("snapshots");
        Path target = snapshots.resolve(SNAPSHOT_NAME.format(clock.instant()));
        try {
            Files.createDirectories(snapshots);
            Path partial = Files.createTempFile(snapshots, "partial-", ".db");
            Files.delete(partial);
            from.direct(h -> h.createUpdate("VACUUM INTO :f")
                    .bind("f", partial.toString())
                    .execute());
            Files.move(partial, target);
            try (Stream<Path> all = Files.list(snapshots)) {
                List<Path> kept = all.filter(p -> p.getFileName().toString().startsWith("registry-"))
                        .sorted()
                        .toList();
                for (Path old : kept.subList(0, Math.max(0, kept.size() - SNAPSHOTS_KEPT))) {
                    Files.delete(old);
                }
            }
            return target;
        } catch (IOException e) {
            throw new RegistryException("cannot write the registry's snapshot " + target + ": " + e.getMessage(), e);
        }
    }

    private static void requireGeneration(Handle h, Name service, long expected) {
        long actual = find(h, service).map(RegisteredService::generation).orElse(0L);
        if (actual != expected) {
            throw Problem.of(
                            Problem.Kind.STALE_PLAN,
                            "planned from generation " + expected + ", but the service is at generation " + actual
                                    + " now: someone changed it meanwhile")
                    .at(service.value())
                    .next("look at it with mcp status " + service + ", then run the command again")
                    .exception();
        }
    }

    private static void requireNoPending(Handle h, Name service) {
        h.createQuery("SELECT started_by, started_at_ms FROM pending_deploy WHERE service = :s")
                .bind("s", service.value())
                .map((rs, ctx) -> rs.getString(1) + " since " + Instant.ofEpochMilli(rs.getLong(2)))
                .findOne()
                .ifPresent(holder -> {
                    throw Problem.of(Problem.Kind.LOCKED, "a deploy by " + holder + " holds the service")
                            .at(service.value())
                            .next("wait for its end; mcp status " + service + " shows how it stands")
                            .exception();
                });
    }

    private static void requireFreeNames(Handle h, PendingDeploy deploy) {
        for (RegisteredComponent c : deploy.components()) {
            h.createQuery("""
                            SELECT service, name FROM component WHERE canonical_name = :n AND service <> :s
                            UNION ALL
                            SELECT service, name FROM pending_component WHERE service <> :s
                              AND CASE WHEN service = name THEN service ELSE service || '-' || name END = :n""")
                    .bind("n", c.id().canonicalName())
                    .bind("s", deploy.service().value())
                    .map((rs, ctx) -> rs.getString(1) + "/" + rs.getString(2))
                    .findFirst()
                    .ifPresent(holder -> {
                        throw Problem.of(
                                        Problem.Kind.CONFLICT,
                                        "its name on the node, " + c.id().canonicalName() + ", is taken by " + holder)
                                .at(c.id().toString())
                                .next("rename one of the two")
                                .exception();
                    });
        }
    }

    private static dev.metacircular.model.ProblemException notRegistered(Name service) {
        return Problem.of(Problem.Kind.NOT_FOUND, "the service is not registered on this node")
                .at(service.value())
                .next("mcp deploy " + service)
                .exception();
    }

    @Override
    public void close() {
        database.close();
    }
}
