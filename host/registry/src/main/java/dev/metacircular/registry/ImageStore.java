package dev.metacircular.registry;

import dev.metacircular.model.Name;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import org.jdbi.v3.core.Handle;

/** Which images the agent brought to the node, and which its components need. Safe for use by any number of threads. */
public final class ImageStore {
    private final Database database;
    private final Clock clock;

    ImageStore(Database database, Clock clock) {
        this.database = database;
        this.clock = clock;
    }

    /** Remembers a pull; one that comes again is the younger for it. */
    public void recordPulled(String runtime, String image, String reference) {
        database.run(h -> h.createUpdate("INSERT OR REPLACE INTO pulled_image VALUES (:i, :ref, :run, :t)")
                .bind("i", image)
                .bind("ref", reference)
                .bind("run", runtime)
                .bind("t", clock.millis())
                .execute());
    }

    public List<PulledImage> pulled() {
        return database.read(h -> h.createQuery("SELECT * FROM pulled_image ORDER BY pulled_ms, reference")
                .map((rs, _) -> new PulledImage(
                        rs.getString("image"),
                        rs.getString("reference"),
                        rs.getString("runtime"),
                        Instant.ofEpochMilli(rs.getLong("pulled_ms"))))
                .list());
    }

    /** Forgets that it was pulled, once it is gone. */
    public void dropPulled(String image) {
        database.run(h -> h.createUpdate("DELETE FROM pulled_image WHERE image = :i")
                .bind("i", image)
                .execute());
    }

    /** The images of all registered components, of deploys under way, and of each component's last versions; older uses are forgotten. */
    public Set<String> needed(int versions) {
        return database.write(h -> {
            h.createUpdate("""
                            DELETE FROM image_use WHERE (service, component, image) IN (
                              SELECT service, component, image FROM (
                                SELECT service, component, image,
                                  row_number() OVER (PARTITION BY service, component ORDER BY used_ms DESC, image) AS place
                                FROM image_use)
                              WHERE place > :n)""").bind("n", versions).execute();
            return Set.copyOf(h.createQuery("""
                            SELECT image_id FROM component UNION SELECT image_id FROM pending_component UNION SELECT image FROM image_use""").mapTo(String.class).list());
        });
    }

    /** Part of a deploy's commit: what the service's components use now; what those used that it has no more is forgotten. */
    static void recordUse(Handle h, Name service, Clock clock) {
        h.createUpdate("""
                        INSERT INTO image_use
                          SELECT service, name, image_id, :t FROM component WHERE service = :s AND image_id <> ''
                        ON CONFLICT (service, component, image) DO UPDATE SET used_ms = excluded.used_ms""").bind("t", clock.millis()).bind("s", service.value()).execute();
        h.createUpdate("""
                        DELETE FROM image_use WHERE service = :s
                          AND component NOT IN (SELECT name FROM component WHERE service = :s)""").bind("s", service.value()).execute();
    }

    static void forget(Handle h, Name service) {
        h.createUpdate("DELETE FROM image_use WHERE service = :s")
                .bind("s", service.value())
                .execute();
    }
}
