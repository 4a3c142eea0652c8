package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;

/** Podman's stream of events about containers, opened again with a growing pause when it breaks; ends come sooner by {@link ExitFiles}. */
final class PodmanEvents implements Events {
    private static final Duration IDLE = Duration.ofSeconds(5);
    private static final Duration FIRST_PAUSE = Duration.ofMillis(200);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);
    private static final Set<String> TELLING =
            Set.of("create", "start", "died", "remove", "rename", "pause", "unpause");

    private final Libpod libpod;
    private final Path socket;
    private final Kinds kinds;
    private final List<Subscriber> subscribers = new CopyOnWriteArrayList<>();

    PodmanEvents(Libpod libpod, Path socket, Kinds kinds) {
        this.libpod = libpod;
        this.socket = socket;
        this.kinds = kinds;
    }

    @Override
    public Subscription subscribe(Listener listener) {
        Subscriber subscriber = new Subscriber(listener);
        subscribers.add(subscriber);
        subscriber.thread = Optional.of(Thread.ofVirtual().name("podman-events").start(subscriber::run));
        return subscriber;
    }

    void close() {
        subscribers.forEach(Subscriber::close);
    }

    private final class Subscriber implements Subscription {
        private final Listener listener;
        private volatile boolean closed;
        private volatile Optional<Exchange> exchange = Optional.empty();
        private volatile Optional<Thread> thread = Optional.empty();
        private final ExitFiles exits;

        Subscriber(Listener listener) {
            this.listener = listener;
            this.exits = new ExitFiles(socket, kinds, listener);
        }

        void run() {
            Duration pause = FIRST_PAUSE;
            while (!closed) {
                try {
                    listen();
                    pause = FIRST_PAUSE;
                } catch (RuntimeFailure e) {
                    // Whoever lists next meets the same failure and tells it; here it only means trying again.
                    pause = longer(pause);
                }
                try {
                    Thread.sleep(pause);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
        }

        private static Duration longer(Duration pause) {
            Duration twice = pause.multipliedBy(2);
            return twice.compareTo(LONGEST_PAUSE) < 0 ? twice : LONGEST_PAUSE;
        }

        private void listen() {
            // From the second before, for podman begins to read its events only some time after it has answered.
            String target = Libpod.path("/events?stream=true&since=")
                    + Instant.now().minusSeconds(1).getEpochSecond() + "&filters="
                    + Libpod.encode(Json.text(Map.of("type", List.of("container"))));
            Request request = Request.get("listen to podman's events", target);
            try (Exchange opened = libpod.open(request, libpod.deadlines().call());
                    StreamGuard _ = StreamGuard.asking(opened, IDLE, libpod::ping)) {
                exchange = Optional.of(opened);
                opened.release();
                if (opened.status() != 200) {
                    throw Libpod.failure(
                            request, new Answer(opened.status(), opened.body().readNBytes(64 << 10)));
                }
                listener.gap();
                BufferedReader lines =
                        new BufferedReader(new InputStreamReader(opened.body(), StandardCharsets.UTF_8), 8 << 10);
                for (String line = lines.readLine(); line != null && !closed; line = lines.readLine()) {
                    tell(Json.tryParse(line.getBytes(StandardCharsets.UTF_8)));
                }
            } catch (IOException e) {
                // The stream broke: it is opened again.
                return;
            }
        }

        private void tell(JsonNode event) {
            JsonNode actor = event.path("Actor");
            String container = actor.path("ID").asText("");
            if (container.isEmpty() || !TELLING.contains(event.path("Action").asText(""))) {
                return;
            }
            // An event's attributes are the container's labels and some more.
            String label = actor.path("Attributes").path(Labels.RUNTIME).asText("");
            InstanceId id = new InstanceId(Labels.kind(Map.of(Labels.RUNTIME, label)), container);
            kinds.know(id);
            if (id.runtime() == kinds.own()) {
                listener.changed(id);
            }
        }

        @Override
        public void close() {
            closed = true;
            subscribers.remove(this);
            exits.close();
            exchange.ifPresent(Exchange::close);
            thread.ifPresent(Thread::interrupt);
        }
    }
}
