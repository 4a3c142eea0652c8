package dev.metacircular.registry;

import dev.metacircular.model.Problem;
import org.jdbi.v3.core.Handle;

/** What is done with the rows that come from a snapshot. */
final class Restoring {
    /** Generations of the time that is lost are below the highest known by fewer than this. */
    private static final long LOST_GENERATIONS = 10_000;

    private Restoring() {}

    /** Numbers of events of the time that is lost are below this; so many of the older events go earlier, for they are kept by number. */
    private static final long LOST_EVENTS = 5_000;

    /**
     * Marks rows that a whole snapshot brought, and lifts every counter above what may have been used since. A deploy that was under
     * way then has long ended, so that its journal entry must not undo what serves now.
     */
    static void markAll(Handle h) {
        h.execute("DELETE FROM pending_deploy");
        h.createUpdate("UPDATE sqlite_sequence SET seq = seq + :lost WHERE name = 'event'")
                .bind("lost", LOST_EVENTS)
                .execute();
        h.execute("DELETE FROM restored");
        h.execute("INSERT INTO restored SELECT name, generation FROM service");
        long floor = h.createQuery("SELECT coalesce(max(reserved), 0) FROM generation")
                        .mapTo(Long.class)
                        .one()
                + LOST_GENERATIONS;
        h.createUpdate("UPDATE generation SET reserved = :f").bind("f", floor).execute();
        h.createUpdate("INSERT INTO restored VALUES ('', :f)").bind("f", floor).execute();
    }

    /** Puts the services of the attached database {@code old} in the place of all there are, in one transaction. */
    static void replaceServices(Handle h) {
        int pending = h.createQuery("SELECT count(*) FROM pending_deploy")
                .mapTo(Integer.class)
                .one();
        if (pending > 0) {
            throw Problem.of(Problem.Kind.LOCKED, "a deploy is under way, or is still to be recovered")
                    .next("try again when it is done")
                    .exception();
        }
        h.execute("DELETE FROM service");
        h.execute("DELETE FROM adopted");
        replaceGenerations(h);
        h.execute("INSERT INTO service SELECT * FROM old.service");
        h.execute("INSERT INTO component SELECT * FROM old.component");
        h.execute("INSERT OR IGNORE INTO adopted SELECT * FROM old.adopted");
        h.execute("UPDATE generation SET reserved = reserved + 1 WHERE service IN (SELECT name FROM service)");
        h.execute("UPDATE service SET generation = (SELECT reserved FROM generation WHERE service = service.name)");
        h.execute("DELETE FROM restored WHERE service <> ''");
        h.execute("INSERT INTO restored SELECT name, generation FROM service");
    }

    /**
     * Keeps the counters that this registry has. Those that it never had come from the time before it, so that instances of that time
     * may still be there with generations that the snapshot does not know: these are lifted, the floor for unknown services too.
     */
    private static void replaceGenerations(Handle h) {
        h.createUpdate("""
                        INSERT INTO restored SELECT '', max(reserved) + :lost FROM old.generation
                          WHERE service NOT IN (SELECT service FROM generation) HAVING count(*) > 0
                        ON CONFLICT (service) DO UPDATE SET generation = max(generation, excluded.generation)""").bind("lost", LOST_GENERATIONS).execute();
        h.createUpdate("""
                        INSERT INTO generation SELECT service, reserved + :lost FROM old.generation WHERE true
                        ON CONFLICT (service) DO UPDATE SET reserved = max(reserved, excluded.reserved - :lost)""").bind("lost", LOST_GENERATIONS).execute();
    }
}
