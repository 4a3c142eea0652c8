package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.RevokeTokenRequest;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AccessTest {
    static final Set<String> READS =
            Set.of("Hello", "Events", "List", "Ps", "Status", "ShowNode", "Logs", "Doctor", "Plan");
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path scratch;

    @SuppressWarnings("NullAway.Init")
    private Remote remote;

    @BeforeEach
    void open() throws IOException {
        remote = new Remote(scratch);
    }

    @AfterEach
    void close() {
        remote.close();
    }

    private String add(String name, String role) throws IOException {
        return remote.blocking()
                .addToken(AddTokenRequest.newBuilder()
                        .setIdempotencyKey("add-" + name)
                        .setName(name)
                        .setRole(role)
                        .build())
                .getToken();
    }

    private JsonNode lastAudit() throws IOException {
        return JSON.readTree(remote.audit().getLast());
    }

    private void requireRefused(@Nullable String token, String known) throws Exception {
        for (MethodDescriptor<?, ?> method : AgentGrpc.getServiceDescriptor().getMethods()) {
            Status status = Remote.call(remote.as(token), method);
            assertThat(status.getCode()).as("%s with %s", method, known).isEqualTo(Status.Code.UNAUTHENTICATED);
            JsonNode line = JSON.readTree(remote.refused().getLast());
            assertThat(line.get("method").asText()).isEqualTo(method.getBareMethodName());
            assertThat(line.get("outcome").asText()).isEqualTo("UNAUTHENTICATED");
            assertThat(line.get("peer").asText()).startsWith("127.0.0.1:");
        }
    }

    @Test
    void refusesEveryCallWithoutATokenWithAWrongOneAndWithARevokedOne() throws Exception {
        String revoked = add("temporary", "operator");
        int audited = remote.audit().size() + 3;
        assertThat(Remote.call(remote.as(revoked), AgentGrpc.getHelloMethod()).isOk())
                .isTrue();
        assertThat(remote.blocking()
                        .revokeToken(RevokeTokenRequest.newBuilder()
                                .setIdempotencyKey("revoke")
                                .setName("temporary")
                                .build()))
                .isNotNull();
        requireRefused(null, "no token");
        requireRefused(remote.token.substring(1), "a wrong token");
        requireRefused("mct_" + "A".repeat(43), "another token");
        requireRefused(revoked, "a revoked token");
        assertThat(remote.audit())
                .as("what nobody did pushes nothing out: Hello, and RevokeToken's beginning and end")
                .hasSize(audited);
    }

    @Test
    void anOpenStreamEndsWithItsToken() throws Exception {
        String viewer = add("watcher", "viewer");
        CompletableFuture<Status> end = new CompletableFuture<>();
        CountDownLatch first = new CountDownLatch(1);
        AgentGrpc.newStub(remote.as(viewer))
                .events(EventsRequest.newBuilder().setFollow(true).build(), new StreamObserver<Event>() {
                    @Override
                    public void onNext(Event event) {
                        first.countDown();
                    }

                    @Override
                    public void onError(Throwable failure) {
                        end.complete(Status.fromThrowable(failure));
                    }

                    @Override
                    public void onCompleted() {
                        end.complete(Status.OK);
                    }
                });
        assertThat(first.await(20, TimeUnit.SECONDS)).isTrue();
        assertThat(remote.blocking()
                        .revokeToken(RevokeTokenRequest.newBuilder()
                                .setIdempotencyKey("revoke")
                                .setName("watcher")
                                .build()))
                .isNotNull();
        Status status = end.get(20, TimeUnit.SECONDS);
        assertThat(status.getCode()).isEqualTo(Status.Code.UNAUTHENTICATED);
        assertThat(status.getDescription()).contains("revoked");
        assertThat(remote.audit())
                .anyMatch(l -> l.contains("\"token\":\"watcher\"")
                        && l.contains("\"method\":\"Events\"")
                        && l.contains("UNAUTHENTICATED"));
    }

    @Test
    void oneAddressHasABoundedNumberOfConnections() throws IOException {
        List<Socket> open = new ArrayList<>();
        try {
            for (int i = 0; i < BoundedConnections.MAX_OF_ADDRESS; i++) {
                open.add(new Socket(
                        InetAddress.getLoopbackAddress(), remote.agent.address().port()));
            }
            try (Socket tooMany = new Socket(
                    InetAddress.getLoopbackAddress(), remote.agent.address().port())) {
                // Well before an idle connection's handshake is given up.
                tooMany.setSoTimeout(5_000);
                assertThat(ended(tooMany)).isTrue();
            }
        } finally {
            for (Socket socket : open) {
                socket.close();
            }
        }
        assertThat(remote.blocking()
                        .withWaitForReady()
                        .hello(HelloRequest.getDefaultInstance())
                        .getNode())
                .isEqualTo("alpha");
    }

    private static boolean ended(Socket socket) throws IOException {
        try {
            return socket.getInputStream().read() < 0;
        } catch (SocketException e) {
            return true;
        }
    }

    @Test
    void letsAViewerReadAndNothingElse() throws IOException, InterruptedException, TimeoutException {
        String viewer = add("watcher", "viewer");
        List<String> reads = new ArrayList<>();
        for (MethodDescriptor<?, ?> method : AgentGrpc.getServiceDescriptor().getMethods()) {
            Status.Code code = Remote.call(remote.as(viewer), method).getCode();
            if (code != Status.Code.PERMISSION_DENIED) {
                reads.add(String.valueOf(method.getBareMethodName()));
            } else {
                assertThat(lastAudit().get("token").asText()).isEqualTo("watcher");
                assertThat(lastAudit().get("role").asText()).isEqualTo("viewer");
                assertThat(lastAudit().get("outcome").asText()).isEqualTo("NOT_PERMITTED");
            }
        }
        assertThat(reads).containsExactlyInAnyOrderElementsOf(READS);
    }

    @Test
    void auditsWhoWhatOnWhatAndNeverASecret() throws IOException, InterruptedException, TimeoutException {
        String added = add("second", "operator");
        JsonNode line = lastAudit();
        assertThat(line.get("token").asText()).isEqualTo("operator");
        assertThat(line.get("role").asText()).isEqualTo("operator");
        assertThat(line.get("method").asText()).isEqualTo("AddToken");
        assertThat(line.get("target").asText()).isEqualTo("second");
        assertThat(line.get("outcome").asText()).isEqualTo("ok");
        assertThat(line.get("idempotency_key").asText()).isEqualTo("add-second");
        assertThat(line.get("duration_ms").isNumber()).isTrue();
        assertThat(StreamSupport.stream(line.properties().spliterator(), false).map(p -> p.getKey()))
                .containsExactly(
                        "time",
                        "token",
                        "role",
                        "peer",
                        "method",
                        "target",
                        "outcome",
                        "duration_ms",
                        "idempotency_key");
        assertThat(Remote.call(remote.as(added), AgentGrpc.getHelloMethod()).isOk())
                .isTrue();
        for (String token : List.of(remote.token, added)) {
            assertThat(remote.filesWith(token)).isEmpty();
            assertThat(remote.filesWith(token.substring("mct_".length()))).isEmpty();
        }
    }

    @Test
    void makesATokenOnceForOneKeyAndDoesNotShowItAgain() throws IOException {
        add("once", "viewer");
        assertThatThrownBy(() -> add("once", "viewer"))
                .isInstanceOfSatisfying(
                        StatusRuntimeException.class,
                        e -> assertThat(e.getStatus().getDescription()).contains("shown once only"));
    }

    @Test
    void keepsTheLastOperatorsToken() {
        assertThatThrownBy(() -> remote.blocking()
                        .revokeToken(RevokeTokenRequest.newBuilder()
                                .setIdempotencyKey("r")
                                .setName("operator")
                                .build()))
                .hasMessageContaining("last operator");
    }

    @Test
    void isRefusedByAClientThatDoesNotKnowItsAuthority() throws IOException, InterruptedException {
        ManagedChannel stranger = remote.connect(null);
        try {
            assertThatThrownBy(() -> AgentGrpc.newBlockingStub(stranger)
                            .withDeadlineAfter(10, TimeUnit.SECONDS)
                            .hello(HelloRequest.getDefaultInstance()))
                    .isInstanceOfSatisfying(
                            StatusRuntimeException.class,
                            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE));
        } finally {
            stranger.shutdownNow();
            assertThat(stranger.awaitTermination(5, TimeUnit.SECONDS)).isTrue();
        }
    }
}
