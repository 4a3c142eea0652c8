package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.model.ComponentId;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.StoredEvent;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The alert command is a real program. */
class AlertsTest {
    private static final ComponentId WEB = ComponentId.of("shop", "web");
    private static final ComponentId DB = ComponentId.of("shop", "db");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    private final TestNode.TestClock clock = new TestNode.TestClock();

    @SuppressWarnings("NullAway.Init")
    private Registry registry;

    @SuppressWarnings("NullAway.Init")
    private EventLog events;

    private Optional<Alerts> alerts = Optional.empty();

    @BeforeEach
    void open() {
        registry = Registry.open(directory, clock);
        events = new EventLog(new RegistryLedger(registry), clock);
    }

    @AfterEach
    void close() {
        alerts.ifPresent(Alerts::close);
        registry.close();
    }

    private void start(Duration timeout, String... command) {
        AgentConfig.Alert config = new AgentConfig.Alert(List.of(command), Duration.ofMinutes(5), timeout);
        alerts = Optional.of(new Alerts(TestNode.NODE, config, registry.events(), events, clock));
    }

    private Path script(String body) {
        try {
            Path script = directory.resolve("page");
            Files.writeString(script, "#!/bin/sh\n" + body);
            Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
            return script;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Writes each alert into a file of its own, complete when it bears the name. */
    private Path recorder() {
        return script("""
                { env | grep ^MCP_ | sort; echo "ARG=$2"; cat; } >"$1/tmp.$MCP_EVENT_ID"
                mv "$1/tmp.$MCP_EVENT_ID" "$1/alert.$MCP_EVENT_ID"
                """);
    }

    private List<String> raised() {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(f -> f.getFileName().toString().startsWith("alert."))
                    .sorted()
                    .map(f -> {
                        try {
                            return Files.readString(f);
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    })
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private List<RegistryEvent> failures() {
        return registry.events().latest(EventQuery.ALL, 0, 1_000).stream()
                .map(StoredEvent::event)
                .filter(e -> e.kind().equals("alert_failed"))
                .toList();
    }

    private void settled() {
        await(() -> registry.events().toAlert(1_000).isEmpty());
    }

    private static void await(BooleanSupplier condition) {
        Instant until = Instant.now().plusSeconds(60);
        while (!condition.getAsBoolean()) {
            assertThat(Instant.now()).isBefore(until);
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    void theCommandGetsTheEventInItsEnvironmentAndAsJsonAndItsArgumentsAsTheyAre() throws IOException {
        start(Duration.ofSeconds(30), recorder().toString(), directory.toString(), "$(reboot); 'as it is'");
        events.component(WEB, EventLog.Kind.EXITED, "exited with status 7\nafter 1 s");
        settled();
        String alert = raised().getFirst();
        assertThat(alert)
                .contains("MCP_NODE=alpha\n", "MCP_SERVICE=shop\n", "MCP_COMPONENT=web\n", "MCP_KIND=exited\n")
                .contains("MCP_MESSAGE=exited with status 7 after 1 s\n", "MCP_URGENCY=warning\n", "MCP_NET=0\n")
                .contains("ARG=$(reboot); 'as it is'\n");
        JsonNode json = new ObjectMapper().readTree(alert.substring(alert.indexOf('{')));
        assertThat(json.get("message").asText()).isEqualTo("exited with status 7\nafter 1 s");
        assertThat(json.get("node").asText()).isEqualTo("alpha");
        assertThat(json.get("id").asLong()).isPositive();
        assertThat(failures()).isEmpty();
    }

    @Test
    void aCoolDownHoldsBackAComponentsAlertsAndNoOtherOnesAndOnlyAGraverOneBreaksIt() {
        start(Duration.ofSeconds(30), recorder().toString(), directory.toString());
        events.component(WEB, EventLog.Kind.EXITED, "one");
        settled();
        events.component(WEB, EventLog.Kind.EXITED, "two");
        events.component(DB, EventLog.Kind.EXITED, "three");
        settled();
        assertThat(raised()).hasSize(2);
        events.component(WEB, EventLog.Kind.FLAPPING, "four");
        events.component(WEB, EventLog.Kind.STARTED, "no alert");
        settled();
        assertThat(raised()).hasSize(3).last().asString().contains("MCP_KIND=flapping", "MCP_HELD_BACK=1");
        events.component(WEB, EventLog.Kind.GAVE_UP, "five");
        settled();
        assertThat(raised()).hasSize(3);
        clock.advance(Duration.ofMinutes(6));
        events.component(WEB, EventLog.Kind.EXITED, "six");
        settled();
        assertThat(raised()).hasSize(4);
    }

    @Test
    void anAlertThatCannotBePutOnRecordIsNotRaisedAgain() throws Exception {
        Path lines = directory.resolve("lines");
        start(Duration.ofSeconds(30), script("echo once >>" + lines).toString());
        try (Connection other = DriverManager.getConnection("jdbc:sqlite:" + directory.resolve("registry.db"));
                Statement sql = other.createStatement()) {
            // As on a full disk: nothing can be written of it for longer than it takes to try again.
            sql.execute("CREATE TRIGGER full BEFORE UPDATE OF alert ON event BEGIN SELECT RAISE(ABORT, 'full'); END");
            events.component(WEB, EventLog.Kind.EXITED, "one");
            await(() -> Files.exists(lines));
            Thread.sleep(6_000);
            sql.execute("DROP TRIGGER full");
        }
        settled();
        assertThat(Files.readAllLines(lines)).containsExactly("once");
        events.component(WEB, EventLog.Kind.EXITED, "two");
        settled();
        assertThat(Files.readAllLines(lines)).as("held back by the cool-down").hasSize(1);
    }

    @Test
    void theCoolDownAndWhatIsOwedOutliveTheAgent() {
        start(Duration.ofSeconds(30), recorder().toString(), directory.toString());
        events.component(WEB, EventLog.Kind.EXITED, "one");
        settled();
        alerts.ifPresent(Alerts::close);
        events.component(WEB, EventLog.Kind.EXITED, "held back");
        events.component(DB, EventLog.Kind.EXITED, "owed");
        assertThat(registry.events().toAlert(10)).hasSize(2);
        events = new EventLog(new RegistryLedger(registry), clock);
        start(Duration.ofSeconds(30), recorder().toString(), directory.toString());
        settled();
        assertThat(raised()).hasSize(2).last().asString().contains("MCP_MESSAGE=owed");
    }

    @Test
    void aFailureIsAnEventThatRaisesNoAlertAndStartsNoCoolDown() {
        start(Duration.ofSeconds(30), script("echo no route to pager; exit 3").toString());
        events.component(WEB, EventLog.Kind.EXITED, "one");
        settled();
        events.component(WEB, EventLog.Kind.EXITED, "two");
        await(() -> failures().size() == 2);
        assertThat(failures().getFirst().message())
                .isEqualTo("the alert of exited was not delivered: it ended with status 3: no route to pager");
        assertThat(failures().getFirst().component()).isEqualTo("web");
    }

    @Test
    void aProgramThatIsNotThereIsAFailure() {
        start(Duration.ofSeconds(30), directory.resolve("missing").toString());
        events.node(EventLog.Kind.RUNTIME_UNAVAILABLE, "gone");
        await(() -> failures().size() == 1);
        assertThat(failures().getFirst().message()).contains("was not delivered", "missing");
    }

    @Test
    void oneThatDoesNotEndInTimeIsKilledWithItsChildren() throws IOException {
        Path pids = directory.resolve("pids");
        start(
                Duration.ofMillis(1_500),
                script("trap '' TERM; sleep 300 & echo $! $$ >" + pids + "; wait; sleep 300")
                        .toString());
        events.component(WEB, EventLog.Kind.EXITED, "one");
        await(() -> failures().size() == 1);
        assertThat(failures().getFirst().message()).endsWith("it did not end within 1.5 s and was killed");
        for (String pid : Files.readString(pids).strip().split(" ")) {
            await(() -> ProcessHandle.of(Long.parseLong(pid))
                    .filter(ProcessHandle::isAlive)
                    .isEmpty());
        }
    }

    @Test
    void oneThatReadsNothingAndWritesMuchIsNoFailure() {
        start(
                Duration.ofSeconds(30),
                script("exec <&-; head -c 3000000 /dev/zero; exit 0").toString());
        events.component(WEB, EventLog.Kind.EXITED, "x".repeat(1_900));
        settled();
        assertThat(failures()).isEmpty();
    }

    @Test
    void moreThanCanWaitAreDroppedAndTold() {
        for (int i = 0; i < Alerts.QUEUE + 50; i++) {
            registry.events()
                    .record(
                            List.of(new RegistryEvent(clock.instant(), "shop", "c" + i, "exited", "n", false, true)),
                            List.of());
        }
        start(Duration.ofSeconds(30), "true");
        settled();
        assertThat(failures())
                .singleElement()
                .satisfies(e -> assertThat(e.message()).isEqualTo("50 alerts were dropped: more than 256 waited"));
    }

    @Test
    void withoutACommandNothingIsOwed() {
        events.component(WEB, EventLog.Kind.EXITED, "one");
        assertThat(registry.events().toAlert(10)).isEmpty();
    }
}
