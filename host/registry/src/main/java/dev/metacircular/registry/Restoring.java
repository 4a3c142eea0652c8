package dev.metacircular.registry;

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
}
