package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
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

    /** So many snapshots are kept. */
    public static final int SNAPSHOTS_KEPT = 24;

    private final Snapshots snapshots;
    private final Clock clock;
    private final Database database;

    private Registry(Path directory, Clock clock, Function<Restored, RegistryEvent> told) {
        this.clock = clock;
        this.snapshots = new Snapshots(directory, clock);
        Path file = directory.resolve("registry.db");
        Database opened;
        try {
            snapshots.requireContent(file);
            opened = Database.open(file, snapshots::take);
        } catch (DamagedException e) {
            snapshots.replace(file, e, told);
            opened = Database.open(file, snapshots::take);
        }
        this.database = opened;
    }

    /**
     * Opens {@code registry.db} in the directory, making it where there is none, and brings it to this version's form after taking
     * a snapshot. In the place of a damaged file the newest good snapshot is put, see {@link #loss}.
     *
     * @param told the event that tells of a loss, recorded in one with it
     * @throws RegistryException if it cannot be opened, is newer than this program, or is damaged and there is no good snapshot
     */
    public static Registry open(Path directory, Clock clock, Function<Restored, RegistryEvent> told) {
        return new Registry(directory, clock, told);
    }

    /** The same, with a plain event of the node's. */
    public static Registry open(Path directory, Clock clock) {
        return open(
                directory,
                clock,
                r -> new RegistryEvent(clock.instant(), "", "", "registry_restored", r.why(), false, false));
    }

    public List<RegisteredService> services() {
        return database.read(Registry::services);
    }

    static List<RegisteredService> services(Handle h) {
        Map<String, List<RegisteredComponent>> components =
                h.createQuery("SELECT * FROM component ORDER BY service, position").map(Rows::component).stream()
                        .collect(Collectors.groupingBy(c -> c.id().service().value()));
        return h.createQuery("SELECT * FROM service ORDER BY name")
                .map((rs, ctx) -> Rows.service(rs, components.getOrDefault(rs.getString("name"), List.of())))
                .list();
    }

    public Optional<RegisteredService> service(Name name) {
        return database.read(h -> find(h, name));
    }

    static Optional<RegisteredService> find(Handle h, Name name) {
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
                        INSERT INTO generation (service, reserved)
                          SELECT :s, 1 + coalesce((SELECT generation FROM restored WHERE service = ''), 0) WHERE true
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
            Refusals.requireGeneration(h, deploy.service(), baseGeneration);
            Refusals.requireNoPending(h, deploy.service());
            Refusals.requireFreeNames(h, deploy.service(), deploy.components());
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
            ImageStore.recordUse(h, service, clock);
        });
    }

    /**
     * Removes the journal entry, after the deploy's last effect, with the events that tell its end and what is recorded of its components:
     * whatever dies whenever, it is told once.
     *
     * @return the events' numbers
     */
    public List<Long> endDeploy(Name service, List<RegistryEvent> events, List<ComponentState> states) {
        return database.write(h -> {
            h.createUpdate("DELETE FROM pending_deploy WHERE service = :s")
                    .bind("s", service.value())
                    .execute();
            return EventStore.record(h, events, states);
        });
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
     * Sets the desired states of registered components, and the service's flag; if that changes a row, raises the generation and records
     * the event, all in one transaction.
     *
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, {@code STALE_PLAN} or {@code LOCKED}
     */
    public DesiredChange setDesired(
            Name service,
            long baseGeneration,
            Optional<Boolean> active,
            Map<Name, Desired> desired,
            RegistryEvent event) {
        return database.write(h -> {
            RegisteredService before = find(h, service).orElseThrow(() -> Refusals.notRegistered(service));
            Refusals.requireGeneration(h, service, baseGeneration);
            Refusals.requireNoPending(h, service);
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
                return new DesiredChange(before.generation(), OptionalLong.empty());
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
            return new DesiredChange(generation, OptionalLong.of(EventStore.append(h, event)));
        });
    }

    /**
     * Forgets a service and records the event that tells it, in one transaction.
     *
     * @return the event's number
     * @throws dev.metacircular.model.ProblemException {@code NOT_FOUND}, {@code STALE_PLAN} or {@code LOCKED}
     */
    public long forget(Name service, long baseGeneration, RegistryEvent event) {
        return database.write(h -> {
            if (find(h, service).isEmpty()) {
                throw Refusals.notRegistered(service);
            }
            Refusals.requireGeneration(h, service, baseGeneration);
            Refusals.requireNoPending(h, service);
            for (String table : List.of("component_state", "alert_sent")) {
                h.createUpdate("DELETE FROM " + table + " WHERE service = :s")
                        .bind("s", service.value())
                        .execute();
            }
            h.createUpdate("DELETE FROM service WHERE name = :s")
                    .bind("s", service.value())
                    .execute();
            Adoptions.forget(h, service);
            ImageStore.forget(h, service);
            return EventStore.append(h, event);
        });
    }

    /** Instances that bear no labels of ours, and the components that they belong to until a deploy. */
    public List<AdoptedInstance> adopted() {
        return database.read(Adoptions::all);
    }

    /**
     * Appends rows to a service, which is made where there is none, together with the instances that they were taken from.
     *
     * @param baseGeneration of the service, 0 if it is not registered
     * @param above a generation that the service's new one must exceed
     * @param instances those that bear no labels of ours; their generation is that which is returned
     * @return the service's generation after it
     * @throws dev.metacircular.model.ProblemException {@code STALE_PLAN}, {@code LOCKED}, or {@code CONFLICT} if a canonical name is another's
     */
    public long adopt(
            Name service,
            long baseGeneration,
            long above,
            List<RegisteredComponent> rows,
            Map<ComponentId, AdoptedInstance> instances) {
        return database.write(h -> {
            Refusals.requireGeneration(h, service, baseGeneration);
            Refusals.requireNoPending(h, service);
            Refusals.requireFreeNames(h, service, rows);
            long generation = reserve(h, service);
            if (generation <= above) {
                generation = above + 1;
                h.createUpdate("UPDATE generation SET reserved = :g WHERE service = :s")
                        .bind("g", generation)
                        .bind("s", service.value())
                        .execute();
            }
            Adoptions.add(h, service, find(h, service), generation, rows, instances);
            return generation;
        });
    }

    /** Forgets an adopted instance, once it is gone. */
    public void dropAdopted(String instance) {
        database.run(h -> Adoptions.drop(h, instance));
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

    /** The outcomes of calls, for those who repeat them. */
    public OutcomeStore outcomes() {
        return new OutcomeStore(database, clock);
    }

    /** Services whose rows came from a snapshot and were not changed since, with their generation then. */
    public Map<Name, Long> restoredServices() {
        return database.read(h -> h
                .createQuery("SELECT service, generation FROM restored WHERE service <> ''")
                .map((rs, _) -> Map.entry(Name.of(rs.getString(1)), rs.getLong(2)))
                .stream()
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue)));
    }

    /** An operator has said what should be: the rows are not the snapshot's any more. */
    public void confirmRestored(Name service) {
        database.run(h -> h.createUpdate("DELETE FROM restored WHERE service = :s")
                .bind("s", service.value())
                .execute());
    }

    /** Which images were brought to the node, and which are needed. */
    public ImageStore images() {
        return new ImageStore(database, clock);
    }

    /** The snapshots, and what can be done with them. */
    public Backups backups() {
        return new Backups(snapshots, database, clock);
    }

    /** The last time that a snapshot took the place of a damaged registry; empty if none ever did. */
    public Optional<Loss> loss() {
        return database.read(Losses::last);
    }

    /** Calls that whenever the file is found damaged while it is open: only opening it anew restores a snapshot. */
    public void onDamage(Consumer<RegistryException> listener) {
        database.onDamage(listener);
    }

    @Override
    public void close() {
        database.close();
    }
}
