package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.List;
import org.jdbi.v3.core.statement.StatementContext;
import org.jdbi.v3.core.statement.Update;

/** Between rows and records. */
final class Rows {
    private Rows() {}

    static RegisteredService service(ResultSet rs, List<RegisteredComponent> components) throws SQLException {
        return new RegisteredService(
                Name.of(rs.getString("name")), rs.getLong("generation"), rs.getInt("active") == 1, components);
    }

    static RegisteredComponent component(ResultSet rs, StatementContext context) throws SQLException {
        return new RegisteredComponent(
                ComponentId.of(rs.getString("service"), rs.getString("name")),
                desired(rs),
                rs.getLong("generation"),
                rs.getInt("document_version"),
                rs.getString("document"),
                rs.getString("document_digest"),
                rs.getString("image_id"));
    }

    private static Desired desired(ResultSet rs) throws SQLException {
        String text = rs.getString("desired");
        return Desired.parse(text)
                .orElseThrow(() -> new RegistryException("the registry holds an unknown desired state '" + text + "'"));
    }

    static Update bind(Update update, RegisteredComponent c) {
        return update.bind("service", c.id().service().value())
                .bind("name", c.id().component().value())
                .bind("desired", c.desired().toString())
                .bind("generation", c.generation())
                .bind("version", c.documentVersion())
                .bind("document", c.document())
                .bind("digest", c.documentDigest())
                .bind("image", c.imageId());
    }

    static PendingDeploy pending(ResultSet rs, List<RegisteredComponent> components, List<PendingDeploy.Before> before)
            throws SQLException {
        return new PendingDeploy(
                Name.of(rs.getString("service")),
                rs.getLong("generation"),
                Instant.ofEpochMilli(rs.getLong("started_at_ms")),
                rs.getString("started_by"),
                rs.getInt("committed") == 1,
                rs.getInt("active") == 1,
                components,
                before);
    }

    static PendingDeploy.Before before(ResultSet rs, StatementContext context) throws SQLException {
        return new PendingDeploy.Before(
                ComponentId.of(rs.getString("service"), rs.getString("component")),
                rs.getString("runtime"),
                rs.getString("instance"),
                rs.getInt("was_running") == 1,
                rs.getInt("removed_by_it") == 1);
    }

    static StoredEvent event(ResultSet rs, StatementContext context) throws SQLException {
        return new StoredEvent(
                rs.getLong("id"),
                new RegistryEvent(
                        Instant.ofEpochMilli(rs.getLong("time_ms")),
                        rs.getString("service"),
                        rs.getString("component"),
                        rs.getString("kind"),
                        rs.getString("message"),
                        rs.getInt("net") == 1,
                        rs.getInt("alert") == 1));
    }

    static StoredToken token(ResultSet rs, StatementContext context) throws SQLException {
        return new StoredToken(
                rs.getString("name"),
                rs.getString("role"),
                rs.getString("sha256"),
                Instant.ofEpochMilli(rs.getLong("created_at_ms")));
    }
}
