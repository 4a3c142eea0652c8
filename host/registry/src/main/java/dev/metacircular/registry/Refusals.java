package dev.metacircular.registry;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.time.Instant;
import java.util.List;
import org.jdbi.v3.core.Handle;

/** What a change of a service's rows is refused for. */
final class Refusals {
    private Refusals() {}

    static void requireGeneration(Handle h, Name service, long expected) {
        long actual =
                Registry.find(h, service).map(RegisteredService::generation).orElse(0L);
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

    static void requireNoPending(Handle h, Name service) {
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

    static void requireFreeNames(Handle h, Name service, List<RegisteredComponent> components) {
        for (RegisteredComponent c : components) {
            h.createQuery("""
                            SELECT service, name FROM component WHERE canonical_name = :n AND service <> :s
                            UNION ALL
                            SELECT service, name FROM pending_component WHERE service <> :s
                              AND CASE WHEN service = name THEN service ELSE service || '-' || name END = :n""")
                    .bind("n", c.id().canonicalName())
                    .bind("s", service.value())
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

    static ProblemException notRegistered(Name service) {
        return Problem.of(Problem.Kind.NOT_FOUND, "the service is not registered on this node")
                .at(service.value())
                .next("mcp deploy " + service)
                .exception();
    }
}
