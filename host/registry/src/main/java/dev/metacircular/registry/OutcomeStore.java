package dev.metacircular.registry;

import dev.metacircular.model.Problem;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;

/** What became of callers' calls, so that one that is repeated with its key has no further effect. Safe for use by any number of threads. */
public final class OutcomeStore {
    /** How long the outcome of a call is given to a caller that repeats it. */
    public static final Duration KEPT = Duration.ofHours(24);

    private final Database database;
    private final Clock clock;

    OutcomeStore(Database database, Clock clock) {
        this.database = database;
        this.clock = clock;
    }

    /** Keeps the outcome of a finished call, and drops those older than {@link #KEPT}. */
    public void record(String caller, String key, String method, byte[] content) {
        database.run(h -> {
            h.createUpdate("DELETE FROM outcome WHERE time_ms < :t")
                    .bind("t", clock.instant().minus(KEPT).toEpochMilli())
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
    public Optional<byte[]> find(String caller, String key, String method) {
        return database.read(h -> h.createQuery(
                        "SELECT method, content FROM outcome WHERE caller = :c AND key = :k AND time_ms >= :t")
                .bind("c", caller)
                .bind("k", key)
                .bind("t", clock.instant().minus(KEPT).toEpochMilli())
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
}
