package dev.metacircular.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.ProblemException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots that an operator, or the clock, asks for. */
class BackupsTest {
    private static final Name SHOP = Name.of("shop");
    private static final Instant NOW = Instant.parse("2026-11-21T12:00:00Z");

    @TempDir
    private Path directory;

    private Registry registry;
    private Backups backups;

    @BeforeEach
    void open() {
        registry = Registry.open(directory, Clock.systemUTC());
        backups = registry.backups();
    }

    @AfterEach
    void close() {
        registry.close();
    }

    private static void add(Registry registry, String service, String component, long base) {
        registry.adopt(
                Name.of(service),
                base,
                0,
                List.of(new RegisteredComponent(
                        ComponentId.of(service, component), Desired.RUNNING, 0, 1, "doc", "digest", "image")),
                Map.of());
    }

    private byte[] content(Snapshot snapshot) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part = backups.read(snapshot.name(), 0);
                part.length > 0;
                part = backups.read(snapshot.name(), all.size())) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    @Test
    void aRestoreBringsServicesBackUnderAHigherGenerationAndLeavesTheRest() {
        add(registry, "shop", "web", 0);
        Snapshot then = backups.take();
        add(registry, "shop", "db", 1);
        add(registry, "later", "web", 0);
        registry.addToken(new StoredToken("ann", "viewer", "hash", NOW));

        Snapshot before = backups.restore(then.name());

        RegisteredService shop = registry.service(SHOP).orElseThrow();
        assertThat(shop.components()).extracting(c -> c.id().toString()).containsExactly("shop/web");
        assertThat(shop.generation()).isGreaterThan(2);
        assertThat(registry.reserveGeneration(SHOP)).isGreaterThan(shop.generation());
        assertThat(registry.restoredServices()).containsExactly(Map.entry(SHOP, shop.generation()));
        assertThat(registry.services()).hasSize(1);
        assertThat(registry.tokens()).extracting(StoredToken::name).contains("ann");

        backups.restore(before.name());
        assertThat(registry.services()).extracting(s -> s.name().value()).containsExactly("later", "shop");
        assertThat(registry.service(SHOP).orElseThrow().components()).hasSize(2);
    }

    @Test
    void whileADeployIsUnderWayNothingIsRestored() {
        add(registry, "shop", "web", 0);
        Snapshot then = backups.take();
        add(registry, "shop", "db", 1);
        registry.beginDeploy(new PendingDeploy(SHOP, 3, NOW, "ann", false, true, List.of(), List.of()), 2);

        assertThatThrownBy(() -> backups.restore(then.name()))
                .isInstanceOf(ProblemException.class)
                .hasMessageContaining("deploy is under way");
        assertThat(registry.service(SHOP).orElseThrow().components()).hasSize(2);
    }

    @Test
    void aCopyThatWasTakenElsewhereIsUploadedInPartsAndRestored(@TempDir Path other) {
        add(registry, "shop", "web", 0);
        byte[] copy = content(backups.take());
        try (Registry fresh = Registry.open(other, Clock.systemUTC())) {
            int half = copy.length / 2;
            assertThat(fresh.backups().upload("k1", 0, Arrays.copyOf(copy, half), false))
                    .isEmpty();
            Snapshot uploaded = fresh.backups()
                    .upload("k1", half, Arrays.copyOfRange(copy, half, copy.length), true)
                    .orElseThrow();
            assertThat(fresh.backups().list()).containsExactly(uploaded);
            fresh.backups().restore(uploaded.name());
            assertThat(fresh.service(SHOP)).isPresent();
            assertThat(fresh.reserveGeneration(SHOP)).isGreaterThan(10_000);
            assertThat(fresh.reserveGeneration(Name.of("unknown"))).isGreaterThan(10_000);
        }
    }

    @Test
    void whatIsNoRegistryOrHasAGapOrANameThatLeadsElsewhereIsRefused() throws Exception {
        byte[] garbage = "no registry at all, but long enough to be one of sorts".getBytes(StandardCharsets.UTF_8);
        assertThatThrownBy(() -> backups.upload("k1", 0, garbage, true))
                .hasMessageContaining("no backup")
                .message()
                .doesNotContain(".part", ".db");
        assertThatThrownBy(() -> backups.upload("k2", 0, new byte[0], true)).hasMessageContaining("no backup");
        assertThatThrownBy(() -> backups.upload("k3", 5, garbage, true)).hasMessageContaining("missing");
        assertThatThrownBy(() -> backups.upload("../../x", 0, garbage, true)).hasMessageContaining("key");
        for (String name : List.of("../registry.db", "registry.db", "", "/etc/passwd")) {
            assertThatThrownBy(() -> backups.read(name, 0)).hasMessageContaining("no snapshot");
            assertThatThrownBy(() -> backups.restore(name)).hasMessageContaining("no snapshot");
        }
        Files.createDirectories(directory.resolve("snapshots"));
        try (var left = Files.list(directory.resolve("snapshots"))) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void aDamagedSnapshotIsRefusedAndNothingChanges() throws Exception {
        add(registry, "shop", "web", 0);
        Snapshot snapshot = backups.take();
        Path file = directory.resolve("snapshots").resolve(snapshot.name());
        Files.write(file, Arrays.copyOf(Files.readAllBytes(file), 5_000));

        assertThatThrownBy(() -> backups.restore(snapshot.name())).isInstanceOf(RegistryException.class);
        assertThat(registry.service(SHOP)).isPresent();
    }

    @Test
    void oneIsTakenOnlyWhenTheNewestIsOldEnoughAlsoWhereTheClockWasSetBack(@TempDir Path other) {
        SetClock clock = new SetClock();
        Duration hour = Duration.ofHours(1);
        try (Registry own = Registry.open(other, clock)) {
            Optional<Snapshot> first = own.backups().takeIfOlderThan(hour);
            assertThat(first).isPresent();
            clock.now = NOW.plus(Duration.ofMinutes(59));
            assertThat(own.backups().takeIfOlderThan(hour)).isEmpty();
            clock.now = NOW.plus(hour);
            assertThat(own.backups().takeIfOlderThan(hour)).isPresent();
            clock.now = NOW.minus(Duration.ofDays(1));
            assertThat(own.backups().takeIfOlderThan(hour)).isPresent();
            assertThat(own.backups().takeIfOlderThan(hour)).isEmpty();
        }
    }

    @Test
    void theNewestIsTheLastThatWasTakenAlsoWhereTheClockWasSetBack(@TempDir Path other) {
        SetClock clock = new SetClock();
        try (Registry own = Registry.open(other, clock)) {
            Snapshot first = own.backups().take();
            clock.now = NOW.plus(Duration.ofHours(3));
            own.backups().take();
            own.backups().take();
            clock.now = NOW.plus(Duration.ofMinutes(1));
            Snapshot last = own.backups().take();
            List<Snapshot> all = own.backups().list();
            assertThat(all).hasSize(4).startsWith(last).endsWith(first);
            assertThat(all).allSatisfy(s -> assertThat(s.takenAt()).isBeforeOrEqualTo(clock.now));
        }
    }

    @Test
    void theLatestAndTheLastOfEachDayAreKept(@TempDir Path other) {
        SetClock clock = new SetClock();
        try (Registry own = Registry.open(other, clock)) {
            for (int i = 0; i < 60; i++) {
                own.backups().take();
                clock.now = clock.now.plus(Duration.ofHours(4));
            }
            // The 24 latest reach back into the fifth day; of the two days before that one each.
            assertThat(own.backups().list()).hasSize(Registry.SNAPSHOTS_KEPT + 2);
        }
    }

    private static final class SetClock extends Clock {
        private Instant now = NOW;

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Instant instant() {
            return now;
        }
    }
}
