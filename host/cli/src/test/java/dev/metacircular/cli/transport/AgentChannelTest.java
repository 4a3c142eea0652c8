package dev.metacircular.cli.transport;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.ByteString;
import dev.metacircular.cli.TestAgent;
import dev.metacircular.cli.TestCertificates;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ExecInput;
import dev.metacircular.contract.v1.ExecOutput;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.HelloResponse;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.model.Problem;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against gRPC's own server on Netty, over TLS. */
@Timeout(30)
class AgentChannelTest {
    private static final TestCertificates AUTHORITY = new TestCertificates("Ed25519");
    private static final int LINES = 50_000;

    @TempDir
    private Path directory;

    private final CountDownLatch following = new CountDownLatch(1);
    private final CountDownLatch cancelled = new CountDownLatch(1);
    private TestAgent agent;
    private AgentChannel channel;

    @BeforeEach
    void start() {
        agent = new TestAgent(AUTHORITY.server(Duration.ofHours(1), "127.0.0.1", "localhost"), new Answers());
        channel = channel(AUTHORITY, "127.0.0.1", agent.port(), TestAgent.TOKEN);
    }

    @AfterEach
    void stop() {
        channel.close();
        agent.close();
    }

    private AgentChannel channel(TestCertificates authority, String host, int port, String token) {
        Path ca = authority.writeCa(directory.resolve("ca.pem"));
        return new AgentChannel(
                new Endpoint("alpha", host, port, ca, () -> token, Duration.ofMillis(1_500)), "mcp/test");
    }

    @Test
    void anAnswerArrivesAndTheConnectionIsUsedAgain() {
        AgentGrpc.AgentBlockingStub stub = AgentGrpc.newBlockingStub(channel);

        assertThat(hello(stub, "1").getVersion()).isEqualTo("you are 1");
        assertThat(hello(stub, "2").getVersion()).isEqualTo("you are 2");
    }

    @ParameterizedTest
    @ValueSource(strings = {"Ed25519", "RSA"})
    void bothKindsOfCertificateAreAccepted(String algorithm) {
        TestCertificates authority = new TestCertificates(algorithm);
        try (TestAgent other = new TestAgent(authority.server(Duration.ofHours(1), "localhost"), new Answers());
                AgentChannel to = channel(authority, "localhost", other.port(), TestAgent.TOKEN)) {
            assertThat(hello(AgentGrpc.newBlockingStub(to), "1").getVersion()).isEqualTo("you are 1");
        }
    }

    @Test
    void requestsAndAnswersLargerThanEveryWindowPass() {
        String large = "x".repeat(3_500_000);

        assertThat(hello(AgentGrpc.newBlockingStub(channel), large).getVersion())
                .hasSize(large.length() + 8);
    }

    @Test
    void aLongStreamArrivesWholeAndInOrder() {
        Iterator<LogLine> lines =
                AgentGrpc.newBlockingStub(channel).logs(LogsRequest.newBuilder().build());

        for (int i = 0; i < LINES; i++) {
            assertThat(lines.next().getTimeMs()).isEqualTo(i);
        }
        assertThat(lines.hasNext()).isFalse();
    }

    @Test
    void theTypedProblemOfAFailedCallArrives() {
        assertProblem(
                () -> hello(AgentGrpc.newBlockingStub(channel), "fail"),
                new Problem(Problem.Kind.STALE_PLAN, "what – 1", "where", "next"));
    }

    @Test
    void aStreamThatFailsAfterSomeMessagesTellsBoth() {
        Iterator<PlanUpdate> updates = AgentGrpc.newBlockingStub(channel)
                .plan(PlanRequest.newBuilder().setComponent("fails-late").build());

        assertThat(updates.next().getProgress().getWhat()).isEqualTo("first");
        assertProblem(updates::next, new Problem(Problem.Kind.FAILED, "w".repeat(2_000), "", ""));
    }

    @Test
    void aWrongTokenIsRefused() {
        try (AgentChannel other = channel(AUTHORITY, "127.0.0.1", agent.port(), "wrong")) {
            assertProblem(
                    () -> hello(AgentGrpc.newBlockingStub(other), "1"),
                    new Problem(Problem.Kind.UNAUTHENTICATED, "the token is not known", "", "ask for a new one"));
        }
    }

    @Test
    void bothDirectionsStreamAtOnce() throws Exception {
        BlockingQueue<ExecOutput> outputs = new LinkedBlockingQueue<>();
        CompletableFuture<Void> completed = new CompletableFuture<>();
        StreamObserver<ExecInput> input = AgentGrpc.newStub(channel).exec(new StreamObserver<>() {
            @Override
            public void onNext(ExecOutput value) {
                outputs.add(value);
            }

            @Override
            public void onError(Throwable failure) {
                completed.completeExceptionally(failure);
            }

            @Override
            public void onCompleted() {
                completed.complete(null);
            }
        });
        for (int i = 0; i < 100; i++) {
            ByteString data = ByteString.copyFromUtf8("line " + i);
            input.onNext(ExecInput.newBuilder().setData(data).build());
            assertThat(outputs.poll(5, TimeUnit.SECONDS))
                    .isEqualTo(ExecOutput.newBuilder().setOut(data).build());
        }
        input.onNext(ExecInput.newBuilder().setEndOfInput(true).build());

        assertThat(outputs.poll(5, TimeUnit.SECONDS))
                .isEqualTo(ExecOutput.newBuilder().setExitStatus(7).build());
        completed.get(5, TimeUnit.SECONDS);
    }

    @Test
    void anAbandonedCallIsCancelledAtTheAgent() throws Exception {
        Context.CancellableContext context = Context.current().withCancellation();
        Thread caller = Thread.ofPlatform().start(context.wrap(() -> {
            Iterator<LogLine> lines = AgentGrpc.newBlockingStub(channel)
                    .logs(LogsRequest.newBuilder().setFollow(true).build());
            assertThatThrownBy(() -> lines.forEachRemaining(l -> {})).isInstanceOf(StatusRuntimeException.class);
        }));
        assertThat(following.await(15, TimeUnit.SECONDS)).isTrue();
        caller.interrupt();

        assertThat(cancelled.await(5, TimeUnit.SECONDS)).isTrue();
        context.cancel(null);
    }

    @Test
    void aSlowAnswerEndsAtItsDeadlineAndTheAgentIsTold() throws Exception {
        long begin = System.nanoTime();
        Iterator<LogLine> lines = AgentGrpc.newBlockingStub(channel)
                .withDeadlineAfter(300, TimeUnit.MILLISECONDS)
                .logs(LogsRequest.newBuilder().setFollow(true).build());

        StatusRuntimeException failure =
                catchThrowableOfType(StatusRuntimeException.class, () -> lines.forEachRemaining(l -> {}));

        assertThat(failure.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
        assertThat(Problems.exception(failure).problem().kind()).isEqualTo(Problem.Kind.UNREACHABLE);
        assertThat(System.nanoTime() - begin).isBetween(250_000_000L, 2_000_000_000L);
        assertThat(cancelled.await(5, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void anotherAuthorityIsRefused() {
        try (AgentChannel other =
                channel(new TestCertificates("Ed25519"), "127.0.0.1", agent.port(), TestAgent.TOKEN)) {
            assertUnreachable(other, "was not issued by the CA in");
        }
    }

    @Test
    void aCertificateForAnotherHostIsRefused() {
        try (TestAgent elsewhere = new TestAgent(AUTHORITY.server(Duration.ofHours(1), "10.1.2.3"), new Answers());
                AgentChannel other = channel(AUTHORITY, "127.0.0.1", elsewhere.port(), TestAgent.TOKEN)) {
            assertUnreachable(other, "the node's certificate is not for 127.0.0.1");
        }
    }

    @Test
    void anExpiredCertificateIsRefused() {
        try (TestAgent old = new TestAgent(AUTHORITY.server(Duration.ofHours(-1), "127.0.0.1"), new Answers());
                AgentChannel other = channel(AUTHORITY, "127.0.0.1", old.port(), TestAgent.TOKEN)) {
            assertUnreachable(other, "the node's certificate is not valid");
        }
    }

    @Test
    void aPortWhereNothingListensIsToldSo() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        try (AgentChannel other = channel(AUTHORITY, "127.0.0.1", port, TestAgent.TOKEN)) {
            assertUnreachable(other, "connection refused");
        }
    }

    @Test
    void aPeerThatAcceptsAndSaysNothingTimesOut() throws IOException {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                AgentChannel other = channel(AUTHORITY, "127.0.0.1", silent.getLocalPort(), TestAgent.TOKEN)) {
            assertUnreachable(other, "no answer within 1500 ms");
        }
    }

    @Test
    void aPeerThatDoesNotSpeakTlsIsToldSo() throws IOException {
        try (ServerSocket plain = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                AgentChannel other = channel(AUTHORITY, "127.0.0.1", plain.getLocalPort(), TestAgent.TOKEN)) {
            Thread.ofPlatform().daemon().start(() -> {
                try (Socket peer = plain.accept();
                        InputStream in = peer.getInputStream()) {
                    in.read();
                    peer.getOutputStream()
                            .write("HTTP/1.1 400 Bad Request\r\n\r\n"
                                    .getBytes(java.nio.charset.StandardCharsets.US_ASCII));
                } catch (IOException e) {
                    // The client has gone, as it should.
                }
            });
            assertUnreachable(other, "no TLS 1.3 connection");
        }
    }

    @Test
    void aFaultyCaFileIsTheOperatorsFault() throws IOException {
        Path ca = Files.writeString(directory.resolve("bad.pem"), "nonsense");
        try (AgentChannel other = new AgentChannel(
                new Endpoint("alpha", "127.0.0.1", agent.port(), ca, () -> "", Duration.ofSeconds(1)), "mcp/test")) {
            StatusRuntimeException failure = catchThrowableOfType(
                    StatusRuntimeException.class, () -> hello(AgentGrpc.newBlockingStub(other), "1"));
            assertThat(Problems.exception(failure).problem().kind()).isEqualTo(Problem.Kind.INVALID);
        }
    }

    @Test
    void closingEndsEveryCall() {
        AgentGrpc.AgentBlockingStub stub = AgentGrpc.newBlockingStub(channel);
        Iterator<LogLine> lines =
                stub.logs(LogsRequest.newBuilder().setFollow(true).build());
        assertThat(lines.next().getText()).isEqualTo("following");
        channel.close();

        StatusRuntimeException failure = catchThrowableOfType(StatusRuntimeException.class, lines::next);
        assertThat(Problems.exception(failure).problem().kind()).isEqualTo(Problem.Kind.UNREACHABLE);
    }

    private static HelloResponse hello(AgentGrpc.AgentBlockingStub stub, String version) {
        return stub.hello(HelloRequest.newBuilder().setVersion(version).build());
    }

    private static void assertProblem(Runnable call, Problem expected) {
        StatusRuntimeException failure = catchThrowableOfType(StatusRuntimeException.class, call::run);
        assertThat(Problems.exception(failure).problem()).isEqualTo(expected);
    }

    private static void assertUnreachable(AgentChannel to, String what) {
        StatusRuntimeException failure =
                catchThrowableOfType(StatusRuntimeException.class, () -> hello(AgentGrpc.newBlockingStub(to), "1"));
        Problem problem = Problems.exception(failure).problem();
        assertThat(problem.kind()).isEqualTo(Problem.Kind.UNREACHABLE);
        assertThat(problem.what()).contains(what).doesNotContain("\n");
        assertThat(problem.next()).isNotEmpty();
    }

    private final class Answers extends AgentGrpc.AgentImplBase {
        @Override
        public void hello(HelloRequest request, StreamObserver<HelloResponse> response) {
            if (request.getVersion().equals("fail")) {
                response.onError(Problems.toStatus(new Problem(Problem.Kind.STALE_PLAN, "what – 1", "where", "next")));
                return;
            }
            response.onNext(HelloResponse.newBuilder()
                    .setVersion("you are " + request.getVersion())
                    .build());
            response.onCompleted();
        }

        @Override
        public void logs(LogsRequest request, StreamObserver<LogLine> response) {
            if (request.getFollow()) {
                Context.current().addListener(c -> cancelled.countDown(), Runnable::run);
                following.countDown();
                response.onNext(LogLine.newBuilder().setText("following").build());
                return;
            }
            for (int i = 0; i < LINES; i++) {
                response.onNext(LogLine.newBuilder()
                        .setTimeMs(i)
                        .setText("y".repeat(i % 200))
                        .build());
            }
            response.onCompleted();
        }

        @Override
        public void plan(PlanRequest request, StreamObserver<PlanUpdate> response) {
            PlanUpdate.Builder update = PlanUpdate.newBuilder();
            update.getProgressBuilder().setWhat("first");
            response.onNext(update.build());
            response.onError(Problems.toStatus(Problem.of(Problem.Kind.FAILED, "w".repeat(2_000))));
        }

        @Override
        public StreamObserver<ExecInput> exec(StreamObserver<ExecOutput> response) {
            return new StreamObserver<>() {
                @Override
                public void onNext(ExecInput input) {
                    if (input.getEndOfInput()) {
                        response.onNext(ExecOutput.newBuilder().setExitStatus(7).build());
                        response.onCompleted();
                    } else {
                        response.onNext(
                                ExecOutput.newBuilder().setOut(input.getData()).build());
                    }
                }

                @Override
                public void onError(Throwable failure) {
                    cancelled.countDown();
                }

                @Override
                public void onCompleted() {
                    // The end of input is a message of its own.
                }
            };
        }
    }
}
