package dev.metacircular.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A damaged registry, and the snapshot that takes its place. */
class RestoredTest {
    private static final Name SHOP = Name.of("shop");

    @TempDir
    private Path directory;

    enum Damage {
        TRUNCATED,
        EMPTY,
        GONE,
        OVERWRITTEN
    }

    private Registry open() {
        return Registry.open(directory, Clock.systemUTC());
    }

    private static void adopt(Registry registry, String service, long base) {
        registry.adopt(
                Name.of(service),
                base,
                0,
                List.of(new RegisteredComponent(
                        ComponentId.of(service, "c" + base), Desired.RUNNING, 0, 1, "doc", "digest", "image")),
                Map.of());
    }

    private Path file() {
        return directory.resolve("registry.db");
    }

    private void damage(Damage damage) throws IOException {
        byte[] content = Files.readAllBytes(file());
        Files.deleteIfExists(directory.resolve("registry.db-wal"));
        switch (damage) {
            case TRUNCATED -> Files.write(file(), java.util.Arrays.copyOf(content, content.length / 2));
            case EMPTY -> Files.write(file(), new byte[0]);
            case GONE -> Files.delete(file());
            case OVERWRITTEN -> {
                java.util.Arrays.fill(content, (byte) 'x');
                Files.write(file(), content);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void theNewestSnapshotTakesItsPlaceAndTheDamagedFileIsKept(Damage damage) throws IOException {
        try (Registry registry = open()) {
            assertThat(registry.loss()).isEmpty();
            adopt(registry, "shop", 0);
            registry.backups().take();
            adopt(registry, "shop", 1);
            adopt(registry, "later", 0);
        }
        damage(damage);
        try (Registry registry = open()) {
            Restored restored = registry.loss().orElseThrow().restored();
            assertThat(restored.why()).contains("registry.db");
            assertThat(restored.lostSince()).isNotNull();
            assertThat(Files.exists(restored.damaged())).isEqualTo(damage != Damage.GONE);
            assertThat(registry.services()).extracting(RegisteredService::name).containsExactly(SHOP);
            assertThat(registry.service(SHOP).orElseThrow().components()).hasSize(1);
            assertThat(registry.restoredServices()).containsExactly(Map.entry(SHOP, 1L));
        }
        try (Registry registry = open()) {
            assertThat(registry.loss().orElseThrow().restored().why()).contains("registry.db");
        }
    }

    @Test
    void noGenerationOfTheLostTimeIsEverUsedAgain() throws IOException {
        try (Registry registry = open()) {
            adopt(registry, "shop", 0);
            registry.backups().take();
            for (int i = 0; i < 20; i++) {
                registry.reserveGeneration(SHOP);
                registry.reserveGeneration(Name.of("later"));
            }
        }
        damage(Damage.EMPTY);
        try (Registry registry = open()) {
            assertThat(registry.reserveGeneration(SHOP)).isGreaterThan(21);
            assertThat(registry.reserveGeneration(Name.of("later"))).isGreaterThan(20);
        }
    }

    @Test
    void aDeployThatWasUnderWayAtTheSnapshotIsNotUndoneAfterItsEnd() throws IOException {
        RegisteredComponent web =
                new RegisteredComponent(ComponentId.of("shop", "web"), Desired.RUNNING, 1, 1, "doc", "digest", "image");
        try (Registry registry = open()) {
            long generation = registry.reserveGeneration(SHOP);
            registry.beginDeploy(
                    new PendingDeploy(SHOP, generation, Instant.EPOCH, "test", false, true, List.of(web), List.of()),
                    0);
            registry.backups().take();
            registry.commitDeploy(SHOP);
            assertThat(registry.endDeploy(SHOP, List.of(), List.of())).isEmpty();
        }
        damage(Damage.TRUNCATED);
        try (Registry registry = open()) {
            assertThat(registry.loss()).isPresent();
            assertThat(registry.pendingDeploys()).isEmpty();
        }
    }

    @Test
    void theLossIsToldWithTheReplacementUnderANumberThatNoLostEventHad() throws IOException {
        RegistryEvent event = new RegistryEvent(Instant.EPOCH, "", "", "agent_started", "", false, false);
        long lost;
        try (Registry registry = open()) {
            registry.events().record(List.of(event), List.of());
            registry.backups().take();
            registry.events().record(List.of(event, event, event), List.of());
            lost = registry.events().lastId();
        }
        damage(Damage.TRUNCATED);
        try (Registry registry = open()) {
            List<StoredEvent> after = registry.events().next(EventQuery.ALL, lost, 10);
            assertThat(after).extracting(e -> e.event().kind()).containsExactly("registry_restored");
        }
        try (Registry registry = open()) {
            assertThat(registry.events().next(EventQuery.ALL, lost, 10)).hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void damageWhileItIsOpenIsTold(boolean cut) throws IOException {
        List<RegistryException> told = new CopyOnWriteArrayList<>();
        try (Registry registry = open()) {
            for (int i = 0; i < 200; i++) {
                adopt(registry, "s" + i, 0);
            }
            registry.backups().take();
            registry.onDamage(told::add);
            assertThat(registry.services()).hasSize(200);
            assertThat(told).isEmpty();
            for (String end : List.of("", "-wal")) {
                Path part = directory.resolve("registry.db" + end);
                Files.write(part, new byte[cut ? 0 : (int) Math.min(Files.size(part), 100_000)]);
            }
            assertThatThrownBy(() -> {
                        adopt(registry, "one", 0);
                        registry.services();
                    })
                    .isInstanceOfSatisfying(
                            DamagedException.class,
                            e -> assertThat(e.getMessage())
                                    .contains("is damaged: ")
                                    .doesNotContainPattern("(?i)malformed.*malformed|not a database.*not a database"));
            assertThat(told).isNotEmpty().allMatch(RegistryException::isDamage);
        }
    }

    @Test
    void aSnapshotThatIsDamagedTooIsPassedOver() throws IOException, InterruptedException {
        Path newest;
        try (Registry registry = open()) {
            adopt(registry, "shop", 0);
            registry.backups().take();
            Thread.sleep(5);
            newest = directory
                    .resolve("snapshots")
                    .resolve(registry.backups().take().name());
        }
        Files.write(newest, new byte[] {1, 2, 3});
        damage(Damage.TRUNCATED);
        try (Registry registry = open()) {
            assertThat(registry.loss().orElseThrow().restored().snapshot().name())
                    .isNotEqualTo(String.valueOf(newest.getFileName()));
            assertThat(registry.service(SHOP)).isPresent();
        }
    }

    @Test
    void withoutAnyGoodSnapshotItIsNotOpenedAndNotTouched() throws IOException {
        Path only;
        try (Registry registry = open()) {
            adopt(registry, "shop", 0);
            only = directory
                    .resolve("snapshots")
                    .resolve(registry.backups().take().name());
        }
        Files.write(only, new byte[] {1});
        damage(Damage.OVERWRITTEN);
        byte[] before = Files.readAllBytes(file());
        assertThatThrownBy(this::open).isInstanceOf(RegistryException.class).hasMessageContaining("damaged");
        assertThat(Files.readAllBytes(file())).isEqualTo(before);
    }

    @Test
    void whatAnOperatorConfirmsIsNotHeldAnyMore() throws IOException {
        try (Registry registry = open()) {
            adopt(registry, "shop", 0);
            registry.backups().take();
        }
        damage(Damage.EMPTY);
        try (Registry registry = open()) {
            registry.confirmRestored(SHOP);
            assertThat(registry.restoredServices()).isEmpty();
            long generation = registry.setDesired(
                            SHOP,
                            1,
                            Optional.of(false),
                            Map.of(),
                            new RegistryEvent(Instant.EPOCH, "shop", "", "desired_changed", "", false, false))
                    .generation();
            assertThat(generation).isGreaterThan(1);
        }
    }
}
