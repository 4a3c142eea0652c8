package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EventsCommandTest {
    @TempDir
    private Path home;

    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(home);
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    /** Tells its events; while one follows, breaks the stream after each. */
    private static class Telling extends ScriptedAgent {
        final List<EventsRequest> requests = new CopyOnWriteArrayList<>();
        private final List<Event> events;

        Telling(Event... events) {
            this.events = List.of(events);
        }

        @Override
        public void events(EventsRequest request, StreamObserver<Event> response) {
            requests.add(request);
            List<Event> left = events.stream()
                    .filter(e -> e.getId() > request.getAfterId())
                    .filter(e ->
                            request.getService().isEmpty() || e.getService().equals(request.getService()))
                    .filter(e ->
                            request.getComponent().isEmpty() || e.getComponent().equals(request.getComponent()))
                    .toList();
            if (!request.getFollow()) {
                left.forEach(response::onNext);
                response.onCompleted();
            } else if (!left.isEmpty()) {
                response.onNext(left.getFirst());
                response.onError(Status.UNAVAILABLE.asRuntimeException());
            }
        }
    }

    private static Event event(long id, long offsetMs, String component, String kind) {
        return Event.newBuilder()
                .setId(id)
                .setTimeMs(ScriptedAgent.STARTED_MS + offsetMs)
                .setService("shop")
                .setComponent(component)
                .setKind(kind)
                .setMessage("message " + id)
                .setNet(id == 2)
                .build();
    }

    @Test
    void theNodesEventsAreMergedByTimeAndADeadNodeHidesNone() {
        Telling alpha = new Telling(event(1, 0, "web", "exited"), event(2, 5_000, "", "deployed"));
        operator.node("alpha", alpha)
                .node("beta", new Telling(event(7, 2_000, "db", "removed")))
                .node("gamma", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        Operator.Result result = operator.mcp("events");
        assertThat(result.out()).isEqualTo("""
                2026-05-28T20:26:40Z  alpha     shop/web              exited               message 1
                2026-05-28T20:26:42Z  beta      shop/db               removed              message 7
                2026-05-28T20:26:45Z  alpha     shop                  deployed             (net) message 2
                """);
        assertThat(result.err()).contains("error: connection refused (node gamma");
        assertThat(result.exit()).isEqualTo(3);
    }

    @Test
    void asJsonEachEventIsOneLine() {
        operator.node("alpha", new Telling(event(1, 0, "web", "exited")));
        assertThat(operator.mcp("events", "--json").out())
                .isEqualTo("{\"time\":\"2026-05-28T20:26:40Z\",\"node\":\"alpha\",\"service\":\"shop\",\"component\":"
                        + "\"web\",\"kind\":\"exited\",\"message\":\"message 1\",\"id\":1,\"net\":false}\n");
    }

    @Test
    void filtersGoToTheNode() {
        Telling alpha = new Telling();
        operator.node("alpha", alpha);
        assertThat(operator.mcp(
                                "events",
                                "shop/web",
                                "--kind",
                                "exited,removed",
                                "--kind",
                                "flapping",
                                "--since",
                                "15m",
                                "--until",
                                "2026-05-28T20:40:00Z",
                                "--tail",
                                "5")
                        .exit())
                .isZero();
        assertThat(alpha.requests.getFirst())
                .isEqualTo(EventsRequest.newBuilder()
                        .setService("shop")
                        .setComponent("web")
                        .addKinds("exited")
                        .addKinds("removed")
                        .addKinds("flapping")
                        .setSinceMs(ScriptedAgent.STARTED_MS + 5_000)
                        .setUntilMs(ScriptedAgent.STARTED_MS + 800_000)
                        .setTail(5)
                        .build());
    }

    @Test
    void followingSurvivesBrokenStreamsAndShowsEachEventOnce() {
        Telling alpha = new Telling(event(1, 0, "web", "exited"), event(2, 0, "web", "recovered"));
        operator.node("alpha", alpha).node("gamma", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        Operator.Result result = operator.mcp("events", "--follow", "--timeout", "5");
        assertThat(result.out().lines().map(l -> l.substring(l.indexOf("message"))))
                .containsExactly("message 1", "message 2");
        assertThat(alpha.requests.getFirst().getTail()).isEqualTo(10);
        assertThat(alpha.requests.get(1).getAfterId()).isEqualTo(1);
        assertThat(result.err()).contains("(node gamma", ": trying again").contains("node alpha is followed again");
        assertThat(result.exit()).isZero();
    }

    @Test
    void aNameThatNobodyKnowsIsSaidToBeUnknown() {
        Telling alpha = new Telling();
        operator.node("alpha", alpha);
        for (String[] command :
                new String[][] {{"events", "nope"}, {"events", "--follow", "nope", "--timeout", "20"}}) {
            Operator.Result result = operator.mcp(command);
            assertThat(result.exit()).isEqualTo(1);
            assertThat(result.out()).isEmpty();
            assertThat(result.err()).contains("nothing of the name 'nope' is known", "  next: mcp list");
        }
        assertThat(operator.mcp("events", "shop/nope").err()).contains("'shop/nope' is known");
        // It is registered, and nothing has happened to it that is left.
        assertThat(operator.mcp("events", "shop/web").exit()).isZero();
        operator.define("nope", """
                name = "nope"
                node = "alpha"

                [[components]]
                name = "web"
                image = "registry.example:5000/nope:v1"
                """);
        assertThat(operator.mcp("events", "nope").exit()).isZero();
        assertThat(operator.mcp("events", "nope/worker").exit()).isEqualTo(1);
    }

    @Test
    void aPurgedServiceIsKnownByItsEventsAndADeadNodeMayKnowAny() {
        operator.node("alpha", new Telling(event(1, 0, "web", "purged")) {
            @Override
            public void list(ListRequest request, StreamObserver<ListResponse> response) {
                answer(response, ListResponse.newBuilder().setNode("alpha").build());
            }
        });
        // All events are older than that.
        assertThat(operator.mcp("events", "shop").exit()).isZero();
        operator.node("gamma", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        assertThat(operator.mcp("events", "nope").exit()).isEqualTo(3);
    }

    @Test
    void aNodeThatCannotTellItsEventsIsSaidToBeOld() {
        operator.node("alpha", new ScriptedAgent());
        Operator.Result result = operator.mcp("events", "--follow");
        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).contains("upgrade the node's agent");
    }

    @Test
    void whatCannotBeIsRefused() {
        operator.node("alpha", new ScriptedAgent());
        assertThat(operator.mcp("events", "--follow", "--until", "1h").exit()).isEqualTo(2);
        assertThat(operator.mcp("events", "--since", "yesterday").exit()).isEqualTo(2);
        assertThat(operator.mcp("events", "--tail", "-1").exit()).isEqualTo(2);
    }
}
