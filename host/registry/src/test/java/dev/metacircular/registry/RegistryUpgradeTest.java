package dev.metacircular.registry;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code registry-v1.db} is as the first version of the agent wrote it: two services, one of them stopped, a deploy of the other under way,
 * tokens, events, a stop that was asked for and an outcome.
 */
final class RegistryUpgradeTest {
    private static final Name SHOP = Name.of("shop");
    private static final Name BLOG = Name.of("blog");
    private static final Instant THEN = Instant.parse("2026-06-01T12:00:00Z");
    private static final Clock NOW = Clock.fixed(THEN.plus(Duration.ofHours(1)), ZoneOffset.UTC);

    @TempDir
    Path directory;

    @BeforeEach
    void leaveTheOldFile() throws IOException {
        try (InputStream in = new GZIPInputStream(
                Objects.requireNonNull(RegistryUpgradeTest.class.getResourceAsStream("registry-v1.db.gz")))) {
            Files.copy(in, directory.resolve("registry.db"));
        }
    }

    @Test
    void nothingOfTheFirstVersionsIsLost() {
        try (Registry registry = Registry.open(directory, NOW)) {
            assertThat(registry.services()).extracting(RegisteredService::name).containsExactlyInAnyOrder(BLOG, SHOP);
            RegisteredService shop = registry.service(SHOP).orElseThrow();
            assertThat(shop.active()).isTrue();
            assertThat(shop.generation()).isEqualTo(1);
            assertThat(registry.service(BLOG).orElseThrow().active()).isFalse();
            RegisteredComponent web = shop.find(Name.of("web")).orElseThrow();
            assertThat(web.id()).isEqualTo(ComponentId.of("shop", "web"));
            assertThat(web.desired()).isEqualTo(Desired.RUNNING);
            assertThat(web.document()).isEqualTo("name = \"web\"\nimage = \"localhost/shop:v1\"\n");
            assertThat(web.documentDigest()).hasSize(64);
            assertThat(web.imageId()).isEqualTo("0123456789abcdef");
            assertThat(shop.find(Name.of("worker")).orElseThrow().desired()).isEqualTo(Desired.STOPPED);

            PendingDeploy pending = registry.pendingDeploys().getFirst();
            assertThat(pending.service()).isEqualTo(SHOP);
            assertThat(pending.generation()).isEqualTo(2);
            assertThat(pending.committed()).isFalse();
            assertThat(pending.before())
                    .containsExactly(new PendingDeploy.Before(
                            ComponentId.of("shop", "web"), "container", "old-instance", true, true));

            assertThat(registry.tokens())
                    .containsExactlyInAnyOrder(
                            new StoredToken("alice", "operator", "ab".repeat(32), THEN),
                            new StoredToken("eve", "viewer", "cd".repeat(32), THEN));
            assertThat(registry.stopRequests()).containsExactly("stopped-instance");
            assertThat(registry.outcomes().find("alice", "key", "Deploy")).hasValue(new byte[] {1, 2, 3});
            assertThat(registry.events().latest(EventQuery.ALL, 0, 10))
                    .extracting(e -> e.event().service() + " " + e.event().kind())
                    .containsExactlyInAnyOrder("shop deployed", "blog deployed");
        }
    }

    @Test
    void whatItWasBeforeStaysAsASnapshot() throws IOException, SQLException {
        Registry.open(directory, NOW).close();
        List<Path> snapshots;
        try (Stream<Path> files = Files.list(directory.resolve("snapshots"))) {
            snapshots = files.toList();
        }
        assertThat(snapshots).hasSize(1);
        try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + snapshots.getFirst());
                ResultSet version = connection
                        .createStatement()
                        .executeQuery(
                                "SELECT max(version), (SELECT count(*) FROM service) FROM flyway_schema_history")) {
            assertThat(version.next()).isTrue();
            assertThat(version.getString(1)).isEqualTo("1");
            assertThat(version.getInt(2)).isEqualTo(2);
        }
        try (Registry again = Registry.open(directory, NOW)) {
            assertThat(again.services()).hasSize(2);
        }
    }
}
