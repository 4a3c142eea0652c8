package dev.metacircular.registry;

import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import org.jdbi.v3.core.Handle;

/** Keeps the last loss, for those who look later. */
final class Losses {
    private Losses() {}

    static void record(Handle h, Loss loss) {
        h.execute("DELETE FROM loss");
        h.createUpdate("INSERT INTO loss VALUES (:n, :s, :t, :b, :d, :w)")
                .bind("n", loss.noticedAt().toEpochMilli())
                .bind("s", loss.restored().snapshot().name())
                .bind("t", loss.restored().lostSince().toEpochMilli())
                .bind("b", loss.restored().snapshot().sizeBytes())
                .bind("d", loss.restored().damaged().toString())
                .bind("w", loss.restored().why())
                .execute();
    }

    static Optional<Loss> last(Handle h) {
        return h.createQuery("SELECT * FROM loss")
                .map((rs, _) -> new Loss(
                        Instant.ofEpochMilli(rs.getLong("noticed_ms")),
                        new Restored(
                                new Snapshot(
                                        rs.getString("snapshot"),
                                        Instant.ofEpochMilli(rs.getLong("since_ms")),
                                        rs.getLong("size_bytes")),
                                Path.of(rs.getString("damaged")),
                                rs.getString("why"))))
                .findFirst();
    }
}
