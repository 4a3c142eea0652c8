package dev.metacircular.registry;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EventStoreTest {
    private static final Instant NOW = Instant.parse("2026-06-01T12:00:00Z");
    private static final ComponentId WEB = ComponentId.of("shop", "web");

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

    private EventStore reopened() {
        registry.close();
        open();
        return registry.events();
    }

    private static RegistryEvent event(String service, String component, String kind, Instant time, boolean alert) {
        return new RegistryEvent(time, service, component, kind, "why", false, alert);
    }

    @Test
    void eventsAreBoundedAndOldestFirst() {
        for (int i = 0; i < Registry.EVENTS_KEPT + 10; i += 10) {
            int first = i;
            registry.events()
                    .record(
                            IntStream.range(first, first + 10)
                                    .mapToObj(n -> new RegistryEvent(
                                            NOW,
                                            n % 2 == 0 ? "shop" : "other",
                                            "web",
                                            "exited",
                                            "no " + n,
                                            false,
                                            false))
                                    .toList(),
                            List.of());
        }
        assertThat(registry.events().latest(EventQuery.ALL, 0, Integer.MAX_VALUE))
                .hasSize(Registry.EVENTS_KEPT);
        EventQuery shop = new EventQuery(
                Optional.of(Name.of("shop")), Optional.empty(), Set.of(), Optional.empty(), Optional.empty());
        assertThat(registry.events().latest(shop, 0, 2))
                .extracting(e -> e.event().message())
                .containsExactly("no " + (Registry.EVENTS_KEPT + 6), "no " + (Registry.EVENTS_KEPT + 8));
    }

    @Test
    void aQueryTakesServiceComponentKindsAndTimesAndGoesOnAfterANumber() {
        EventStore events = registry.events();
        List<Long> ids = events.record(
                List.of(
                        event("shop", "web", "exited", NOW, false),
                        event("shop", "db", "exited", NOW.plusSeconds(1), false),
                        event("shop", "web", "recovered", NOW.plusSeconds(2), false),
                        event("other", "web", "exited", NOW.plusSeconds(3), false)),
                List.of());
        assertThat(ids).isSorted().doesNotHaveDuplicates().hasSize(4);
        EventQuery web = new EventQuery(
                Optional.of(Name.of("shop")),
                Optional.of(Name.of("web")),
                Set.of("exited", "recovered"),
                Optional.of(NOW),
                Optional.of(NOW.plusSeconds(3)));
        assertThat(events.latest(web, 0, 10)).extracting(StoredEvent::id).containsExactly(ids.get(0), ids.get(2));
        assertThat(events.latest(web, 0, 1)).extracting(StoredEvent::id).containsExactly(ids.get(2));
        assertThat(events.next(EventQuery.ALL, ids.get(0), 2))
                .extracting(StoredEvent::id)
                .containsExactly(ids.get(1), ids.get(2));
        assertThat(events.lastId()).isEqualTo(ids.get(3));
    }

    @Test
    void whatWasRecordedOfAComponentOutlivesTheAgentAndGoesWithItsService() {
        ComponentState state = new ComponentState(
                WEB, "exited", 7, "abc", NOW, 3, NOW.plusSeconds(1), true, true, List.of(NOW, NOW.plusSeconds(1)));
        registry.events().record(List.of(event("shop", "web", "exited", NOW, false)), List.of(state));
        assertThat(reopened().states()).containsExactly(state);
        registry.events().dropStates(List.of(WEB));
        assertThat(registry.events().states()).isEmpty();
    }

    @Test
    void anAlertIsOwedUntilItIsDoneAlsoOverARestart() {
        long id = registry.events()
                .record(List.of(event("shop", "web", "flapping", NOW, true)), List.of())
                .getFirst();
        EventStore events = reopened();
        assertThat(events.toAlert(5)).extracting(StoredEvent::id).containsExactly(id);
        AlertSent sent = new AlertSent("shop", "web", 2, NOW);
        events.alertDone(id, Optional.of(sent));
        assertThat(reopened().toAlert(5)).isEmpty();
        assertThat(registry.events().alertsSent()).containsExactly(sent);
    }

    @Test
    void anUnavailableRuntimeIsRememberedWithItsEvent() {
        registry.events().recordAvailability("container", false, event("", "", "runtime_unavailable", NOW, true));
        assertThat(reopened().unavailableRuntimes()).containsExactly("container");
        registry.events().recordAvailability("container", true, event("", "", "runtime_available", NOW, false));
        assertThat(reopened().unavailableRuntimes()).isEmpty();
        assertThat(registry.events().latest(EventQuery.ALL, 0, 5)).hasSize(2);
    }
}
