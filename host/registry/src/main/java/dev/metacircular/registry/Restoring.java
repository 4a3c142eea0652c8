package dev.metacircular.registry;

import dev.metacircular.model.Problem;
import org.jdbi.v3.core.Handle;

/** What is done with the rows that come from a snapshot. */
final class Restoring {
    /** Generations of the time that is lost are below the highest known by fewer than this. */
    private static final long LOST_GENERATIONS = 10_000;

    private Restoring() {}

    /** Marks rows that a whole snapshot brought, and lifts every counter above what may have been used since. */
    static void markAll(Handle h) {
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
        h.execute("INSERT OR IGNORE INTO generation SELECT * FROM old.generation");
        h.execute("INSERT INTO service SELECT * FROM old.service");
        h.execute("INSERT INTO component SELECT * FROM old.component");
        h.execute("INSERT OR IGNORE INTO adopted SELECT * FROM old.adopted");
        h.execute("UPDATE generation SET reserved = reserved + 1 WHERE service IN (SELECT name FROM service)");
        h.execute("UPDATE service SET generation = (SELECT reserved FROM generation WHERE service = service.name)");
        h.execute("DELETE FROM restored WHERE service <> ''");
        h.execute("INSERT INTO restored SELECT name, generation FROM service");
    }
}
