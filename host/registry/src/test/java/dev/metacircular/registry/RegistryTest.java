package dev.metacircular.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.DriverManager;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class RegistryTest {
    private static final Name SHOP = Name.of("shop");
    private static final Instant NOW = Instant.parse("2026-06-01T12:00:00Z");
    private static final RegistryEvent EVENT =
            new RegistryEvent(NOW, "shop", "", "desired_changed", "why", false, false);

    @TempDir
    Path directory;

    private Registry registry;

    @BeforeEach
    void open() {
        registry = Registry.open(directory, Clock.fixed(NOW, ZoneOffset.UTC));
    }

    @AfterEach
    void close() {
        registry.close();
    }

    private void reopen() {
        registry.close();
        open();
    }

    private static RegisteredComponent row(String service, String component, String document, long generation) {
        return new RegisteredComponent(
                ComponentId.of(service, component),
                Desired.RUNNING,
                generation,
                1,
                document,
                "digest of " + document,
                "image");
    }

    private PendingDeploy pending(RegisteredComponent... components) {
        Name service = components[0].id().service();
        return new PendingDeploy(
                service,
                registry.reserveGeneration(service),
                NOW,
                "alice",
                false,
                true,
                List.of(components),
                List.of(new PendingDeploy.Before(components[0].id(), "container", "old-instance", true, true)));
    }

    private void deploy(RegisteredComponent... components) {
        PendingDeploy deploy = pending(components);
        registry.beginDeploy(
                deploy,
                registry.service(deploy.service())
                        .map(RegisteredService::generation)
                        .orElse(0L));
        registry.commitDeploy(deploy.service());
        assertThat(registry.endDeploy(deploy.service(), List.of(), List.of())).isEmpty();
    }

    private static void assertRefused(Problem.Kind kind, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(kind));
    }

    @Test
    void aCommittedDeployIsThereAfterReopening() {
        deploy(row("shop", "web", "v1", 1), row("shop", "worker", "w1", 1));
        reopen();
        RegisteredService shop = registry.service(SHOP).orElseThrow();
        assertThat(shop.generation()).isEqualTo(1);
        assertThat(shop.active()).isTrue();
        assertThat(shop.components()).extracting(c -> c.id().toString()).containsExactly("shop/web", "shop/worker");
        assertThat(shop.components().getFirst().document()).isEqualTo("v1");
    }

    @Test
    void anUncommittedDeployLeavesTheOldStateAndItsJournal() {
        deploy(row("shop", "web", "v1", 1));
        PendingDeploy second = pending(row("shop", "web", "v2", 2));
        registry.beginDeploy(second, 1);
        reopen();
        assertThat(registry.service(SHOP).orElseThrow().components().getFirst().document())
                .isEqualTo("v1");
        assertThat(registry.pendingDeploys()).containsExactly(second);
    }

    @Test
    void aCommitShowsInTheJournalAndInTheRowsAtOnce() {
        PendingDeploy deploy = pending(row("shop", "web", "v1", 1));
        registry.beginDeploy(deploy, 0);
        registry.commitDeploy(SHOP);
        reopen();
        assertThat(registry.pendingDeploys())
                .singleElement()
                .satisfies(p -> assertThat(p.committed()).isTrue());
        assertThat(registry.service(SHOP).orElseThrow().components().getFirst().imageId())
                .isEqualTo("image");
    }

    @Test
    void aSecondDeployIsToldWhoHoldsTheService() {
        registry.beginDeploy(pending(row("shop", "web", "v1", 1)), 0);
        assertThatThrownBy(() -> registry.beginDeploy(pending(row("shop", "web", "v1", 1)), 0))
                .isInstanceOfSatisfying(ProblemException.class, e -> {
                    assertThat(e.problem().kind()).isEqualTo(Problem.Kind.LOCKED);
                    assertThat(e.problem().what()).contains("alice").contains("2026-06-01T12:00:00Z");
                });
        assertRefused(Problem.Kind.NOT_FOUND, () -> registry.setDesired(SHOP, 0, Optional.of(false), Map.of(), EVENT));
    }

    @Test
    void aPlanMadeForAnotherGenerationIsRefused() {
        deploy(row("shop", "web", "v1", 1));
        assertRefused(Problem.Kind.STALE_PLAN, () -> registry.beginDeploy(pending(row("shop", "web", "v2", 2)), 0));
        assertRefused(Problem.Kind.STALE_PLAN, () -> registry.setDesired(SHOP, 7, Optional.of(false), Map.of(), EVENT));
        assertRefused(Problem.Kind.STALE_PLAN, () -> registry.forget(SHOP, 7, EVENT));
    }

    @Test
    void aCanonicalNameBelongsToOneComponentOfTheNode() {
        deploy(row("shop", "web-x", "v1", 1));
        assertRefused(Problem.Kind.CONFLICT, () -> registry.beginDeploy(pending(row("shop-web", "x", "v1", 1)), 0));
        assertThat(registry.pendingDeploys()).isEmpty();
    }

    @Test
    void aGenerationIsNeverUsedTwiceEvenAfterAPurge() {
        deploy(row("shop", "web", "v1", 1));
        registry.forget(SHOP, 1, EVENT);
        assertThat(registry.services()).isEmpty();
        assertThat(registry.reserveGeneration(SHOP)).isEqualTo(2);
    }

    @Test
    void theGenerationRisesOnlyWithAChange() {
        deploy(row("shop", "web", "v1", 1));
        assertThat(registry.setDesired(SHOP, 1, Optional.of(true), Map.of(Name.of("web"), Desired.RUNNING), EVENT))
                .isEqualTo(new DesiredChange(1, OptionalLong.empty()));
        assertThat(registry.events().latest(EventQuery.ALL, 0, 10)).isEmpty();
        assertThat(registry.setDesired(SHOP, 1, Optional.empty(), Map.of(Name.of("web"), Desired.STOPPED), EVENT)
                        .generation())
                .isEqualTo(2);
        assertThat(registry.events().latest(EventQuery.ALL, 0, 10))
                .extracting(StoredEvent::event)
                .containsExactly(EVENT);
        assertThat(registry.service(SHOP).orElseThrow().components().getFirst().desired())
                .isEqualTo(Desired.STOPPED);
        assertRefused(
                Problem.Kind.NOT_FOUND,
                () -> registry.setDesired(SHOP, 2, Optional.empty(), Map.of(Name.of("none"), Desired.STOPPED), EVENT));
    }

    @Test
    void theLastOperatorsTokenStays() {
        registry.addToken(new StoredToken("alice", "operator", "a", NOW));
        registry.addToken(new StoredToken("eve", "viewer", "e", NOW));
        assertRefused(Problem.Kind.CONFLICT, () -> registry.revokeToken("alice"));
        assertRefused(Problem.Kind.CONFLICT, () -> registry.addToken(new StoredToken("eve", "viewer", "x", NOW)));
        assertRefused(Problem.Kind.NOT_FOUND, () -> registry.revokeToken("nobody"));
        registry.revokeToken("eve");
        assertThat(registry.tokens()).extracting(StoredToken::name).containsExactly("alice");
    }

    @Test
    void anOutcomeIsGivenToItsCallerForItsMethodAlone() {
        registry.outcomes().record("alice", "key", "Deploy", new byte[] {1, 2});
        assertThat(registry.outcomes().find("alice", "key", "Deploy"))
                .hasValueSatisfying(b -> assertThat(b).containsExactly(1, 2));
        assertThat(registry.outcomes().find("bob", "key", "Deploy")).isEmpty();
        assertRefused(Problem.Kind.INVALID, () -> registry.outcomes().find("alice", "key", "Purge"));
    }

    @Test
    void aSnapshotRestoresWhatWasThere() throws IOException {
        deploy(row("shop", "web", "v1", 1));
        Path snapshot =
                directory.resolve("snapshots").resolve(registry.backups().take().name());
        deploy(row("shop", "web", "v2", 2));
        registry.close();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.filter(f -> f.getFileName().toString().startsWith("registry.db"))
                    .toList()) {
                Files.delete(file);
            }
        }
        Files.copy(snapshot, directory.resolve("registry.db"));
        open();
        assertThat(registry.service(SHOP).orElseThrow().components().getFirst().document())
                .isEqualTo("v1");
    }

    @Test
    void snapshotsAreBounded() throws IOException, InterruptedException {
        registry.close();
        registry = Registry.open(directory, Clock.systemUTC());
        for (int i = 0; i < Registry.SNAPSHOTS_KEPT + 3; i++) {
            registry.backups().take();
            Thread.sleep(2);
        }
        try (Stream<Path> files = Files.list(directory.resolve("snapshots"))) {
            assertThat(files).hasSize(Registry.SNAPSHOTS_KEPT);
        }
    }

    @Test
    void aDamagedFileIsNamedAndNotTouched() throws IOException {
        deploy(row("shop", "web", "v1", 1));
        registry.close();
        Path file = directory.resolve("registry.db");
        long size = Files.size(file);
        try (var channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
            channel.truncate(size / 2);
        }
        assertThatThrownBy(this::open).isInstanceOf(RegistryException.class).hasMessageContaining("registry.db");
        assertThat(Files.size(file)).isEqualTo(size / 2);
        Files.delete(file);
        open();
    }

    @Test
    void aNewerRegistryIsRefusedAndKept() throws Exception {
        registry.close();
        try (var connection = DriverManager.getConnection("jdbc:sqlite:" + directory.resolve("registry.db"));
                var statement = connection.createStatement()) {
            statement.execute(
                    "INSERT INTO flyway_schema_history SELECT 99, '99', 'future', 'SQL', 'V99__future.sql', 1, "
                            + "'x', '2030-01-01', 1, 1");
        }
        assertThatThrownBy(this::open).isInstanceOf(RegistryException.class).hasMessageContaining("nothing was lost");
        try (var connection = DriverManager.getConnection("jdbc:sqlite:" + directory.resolve("registry.db"));
                var statement = connection.createStatement()) {
            statement.execute("DELETE FROM flyway_schema_history WHERE installed_rank = 99");
        }
        open();
    }

    @Test
    void writersAndReadersSideBySideLoseNothing() {
        IntStream.range(0, 8)
                .parallel()
                .forEach(t -> IntStream.range(0, 50).forEach(i -> {
                    registry.recordStopRequest("instance-" + t + "-" + i);
                    assertThat(registry.stopRequests()).contains("instance-" + t + "-" + i);
                }));
        assertThat(registry.stopRequests()).hasSize(400);
        registry.clearStopRequest("instance-0-0");
        assertThat(registry.stopRequests()).hasSize(399);
    }
}
