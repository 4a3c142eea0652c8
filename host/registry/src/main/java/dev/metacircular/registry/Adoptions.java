package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jdbi.v3.core.Handle;

/** The table of instances that were taken over, and the rows that come with them. */
final class Adoptions {
    private Adoptions() {}

    static List<AdoptedInstance> all(Handle h) {
        return h.createQuery("SELECT * FROM adopted ORDER BY service, component")
                .map((rs, _) -> new AdoptedInstance(
                        ComponentId.of(rs.getString("service"), rs.getString("component")),
                        rs.getString("runtime"),
                        rs.getString("instance"),
                        rs.getLong("generation")))
                .list();
    }

    /** Appends rows to a service, which is made where there is none, and writes down the instances. */
    static void add(
            Handle h,
            Name service,
            Optional<RegisteredService> before,
            long generation,
            List<RegisteredComponent> rows,
            Map<ComponentId, AdoptedInstance> instances) {
        h.createUpdate("""
                        INSERT INTO service (name, generation, active) VALUES (:s, :g, 1)
                        ON CONFLICT (name) DO UPDATE SET generation = excluded.generation""").bind("s", service.value()).bind("g", generation).execute();
        Set<ComponentId> known = new HashSet<>();
        before.ifPresent(s -> s.components().forEach(c -> known.add(c.id())));
        int position = known.size();
        for (RegisteredComponent row : rows) {
            if (known.contains(row.id())) {
                throw new IllegalArgumentException(row.id() + " is registered already");
            }
            RegisteredComponent made = new RegisteredComponent(
                    row.id(),
                    row.desired(),
                    generation,
                    row.documentVersion(),
                    row.document(),
                    row.documentDigest(),
                    row.imageId());
            Rows.bind(h.createUpdate("""
                                    INSERT INTO component VALUES (:service, :name, :position, :desired, :generation, :version,
                                      :document, :digest, :canonical, :image)"""), made)
                    .bind("position", position++)
                    .bind("canonical", row.id().canonicalName())
                    .execute();
        }
        instances.forEach((id, instance) -> h.createUpdate("INSERT INTO adopted VALUES (:i, :r, :s, :c, :g)")
                .bind("i", instance.instance())
                .bind("r", instance.runtime())
                .bind("s", id.service().value())
                .bind("c", id.component().value())
                .bind("g", generation)
                .execute());
    }

    static void drop(Handle h, String instance) {
        h.createUpdate("DELETE FROM adopted WHERE instance = :i")
                .bind("i", instance)
                .execute();
    }

    static void forget(Handle h, Name service) {
        h.createUpdate("DELETE FROM adopted WHERE service = :s")
                .bind("s", service.value())
                .execute();
    }
}
