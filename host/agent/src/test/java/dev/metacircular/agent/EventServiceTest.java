package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.ProblemException;
import dev.metacircular.registry.Registry;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventServiceTest {
    private static final ComponentId WEB = ComponentId.of("shop", "web");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    private final TestNode.TestClock clock = new TestNode.TestClock();

    @SuppressWarnings("NullAway.Init")
    private Registry registry;

    @SuppressWarnings("NullAway.Init")
    private EventLog events;

    @SuppressWarnings("NullAway.Init")
    private EventService service;

    @BeforeEach
    void open() {
        registry = Registry.open(directory, clock);
        events = new EventLog(new RegistryLedger(registry), clock);
        service = new EventService(registry.events(), events);
    }

    @AfterEach
    void close() {
        registry.close();
    }

    private static final class Collecting implements Receiver<Event> {
        final BlockingQueue<Event> got = new LinkedBlockingQueue<>();
        final AtomicBoolean cancelled = new AtomicBoolean();

        @Override
        public void accept(Event event) {
            got.add(event);
        }

        @Override
        public boolean isCancelled() {
            return cancelled.get();
        }
    }

    private List<String> read(EventsRequest.Builder request) throws InterruptedException {
        Collecting all = new Collecting();
        service.read(request.build(), all);
        return all.got.stream().map(Event::getMessage).toList();
    }

    @Test
    void everyEventComesOldestFirstOrTheLastFew() throws InterruptedException {
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 1_234; i++) {
            events.component(WEB, EventLog.Kind.EXITED, "no " + i);
            expected.add("no " + i);
        }
        assertThat(read(EventsRequest.newBuilder())).isEqualTo(expected);
        assertThat(read(EventsRequest.newBuilder().setTail(3))).containsExactly("no 1231", "no 1232", "no 1233");
        assertThat(read(EventsRequest.newBuilder().setTail(0))).isEmpty();
    }

    @Test
    void filtersAreCombinedAndAnUnknownKindIsRefusedWithTheKnownOnes() throws InterruptedException {
        events.component(WEB, EventLog.Kind.EXITED, "a");
        events.component(WEB, EventLog.Kind.RECOVERED, "b");
        events.component(ComponentId.of("shop", "db"), EventLog.Kind.EXITED, "c");
        events.service(Name.of("blog"), EventLog.Kind.DEPLOYED, "d");
        assertThat(read(EventsRequest.newBuilder().setService("shop").addKinds("exited")))
                .containsExactly("a", "c");
        assertThat(read(EventsRequest.newBuilder().setService("shop").setComponent("web")))
                .containsExactly("a", "b");
        assertThat(read(EventsRequest.newBuilder()
                        .setSinceMs(clock.instant().plusSeconds(9).toEpochMilli())))
                .isEmpty();
        assertThatThrownBy(() -> read(EventsRequest.newBuilder().addKinds("exitd")))
                .isInstanceOf(ProblemException.class)
                .hasMessageContaining("'exitd' is not a kind of event here")
                .hasMessageContaining("exited");
    }

    @Test
    void aFollowerGetsEachEventOnceAlsoAcrossABrokenStream() throws InterruptedException {
        Collecting first = new Collecting();
        Thread following = Thread.startVirtualThread(() -> follow(EventsRequest.newBuilder(), first));
        for (int i = 0; i < 20; i++) {
            events.component(WEB, EventLog.Kind.EXITED, "no " + i);
        }
        long last = 0;
        for (int i = 0; i < 20; i++) {
            Event event = first.got.poll(30, TimeUnit.SECONDS);
            assertThat(event).isNotNull().extracting(Event::getMessage).isEqualTo("no " + i);
            last = event == null ? 0 : event.getId();
        }
        first.cancelled.set(true);
        following.join();
        events.component(WEB, EventLog.Kind.EXITED, "while away");
        Collecting second = new Collecting();
        Thread again =
                Thread.startVirtualThread(follower(EventsRequest.newBuilder().setAfterId(last), second));
        events.component(WEB, EventLog.Kind.EXITED, "after");
        assertThat(second.got.poll(30, TimeUnit.SECONDS))
                .extracting(Event::getMessage)
                .isEqualTo("while away");
        assertThat(second.got.poll(30, TimeUnit.SECONDS))
                .extracting(Event::getMessage)
                .isEqualTo("after");
        second.cancelled.set(true);
        again.join();
        assertThat(second.got).isEmpty();
    }

    private Runnable follower(EventsRequest.Builder request, Collecting into) {
        return () -> follow(request, into);
    }

    private void follow(EventsRequest.Builder request, Collecting into) {
        try {
            service.read(request.setFollow(true).build(), into);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
