package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Message;
import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.AgentGrpc;
import dev.metacircular.contract.v1.ErrorDetail;
import dev.metacircular.contract.v1.EventsRequest;
import dev.metacircular.contract.v1.HelloRequest;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.ListSecretsRequest;
import dev.metacircular.contract.v1.ListTokensRequest;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.FakeProgram;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whatever anyone sends to any of the agent's methods: it answers as declared, a refused call changes nothing, and it goes on serving.
 *
 * <p>{@code -Dfuzz.seed} repeats a run, {@code -Dfuzz.calls} sets its length, {@code -Dfuzz.tell=true} prints how each call ended.
 */
class RpcFuzzTest {
    private static final long SEED = Long.getLong("fuzz.seed", System.nanoTime());
    private static final int CALLS = Integer.getInteger("fuzz.calls", 300);
    private static final Duration DEADLINE = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofMillis(100);
    private static final int MAX_AUDIT_CHARS = 4_096;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** What was refused was not begun. */
    private static final Set<Problem.Kind> REFUSALS = Set.of(
            Problem.Kind.INVALID,
            Problem.Kind.NOT_FOUND,
            Problem.Kind.LOCKED,
            Problem.Kind.STALE_PLAN,
            Problem.Kind.CONFLICT,
            Problem.Kind.UNAUTHENTICATED,
            Problem.Kind.NOT_PERMITTED,
            Problem.Kind.UNSUPPORTED);

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path scratch;

    @SuppressWarnings("NullAway.Init")
    private Remote remote;

    @SuppressWarnings("NullAway.Init")
    private String operator;

    @SuppressWarnings("NullAway.Init")
    private String viewer;

    @BeforeEach
    void open() throws IOException {
        remote = new Remote(scratch, HelperInThread::new);
        remote.fake.publish(RandomRequests.IMAGE, FakeProgram.serves());
        operator = add("fuzz-operator", Role.OPERATOR);
        viewer = add("fuzz-viewer", Role.VIEWER);
    }

    private String add(String name, Role role) throws IOException {
        return remote.blocking()
                .addToken(AddTokenRequest.newBuilder()
                        .setIdempotencyKey(name)
                        .setName(name)
                        .setRole(role.toString())
                        .build())
                .getToken();
    }

    @AfterEach
    void close() {
        remote.close();
    }

    private AgentGrpc.AgentBlockingStub asOperator() throws IOException {
        return AgentGrpc.newBlockingStub(remote.as(operator))
                .withDeadlineAfter(DEADLINE.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
    }

    /** All that an operator has made on the node. */
    private List<Object> state() throws IOException {
        List<Object> state = new ArrayList<>();
        for (String service : RandomRequests.SERVICES) {
            state.add(asOperator()
                    .list(ListRequest.newBuilder().setService(service).build()));
            state.add(asOperator()
                    .listSecrets(
                            ListSecretsRequest.newBuilder().setService(service).build()));
        }
        state.add(asOperator().list(ListRequest.getDefaultInstance()));
        state.add(asOperator().listTokens(ListTokensRequest.getDefaultInstance()));
        state.add(remote.fake.listAll().stream().map(i -> i.id()).toList());
        return state;
    }

    private static long generation(List<Object> state) {
        return ((ListResponse) state.getFirst()).getGeneration();
    }

    @Test
    void whateverIsSentTheAgentAnswersAsDeclaredAndServesOn() throws Exception {
        List<MethodDescriptor<?, ?>> methods =
                List.copyOf(AgentGrpc.getServiceDescriptor().getMethods());
        List<Object> before = state();
        for (int i = 0; i < CALLS; i++) {
            Random random = new Random(SEED + i);
            MethodDescriptor<?, ?> method = methods.get(random.nextInt(methods.size()));
            String what = "call %d with -Dfuzz.seed=%d, of %s".formatted(i, SEED, method.getBareMethodName());
            Attempt attempt = attempt(random, method, generation(before));
            RawCall.End end =
                    RawCall.make(remote.as(attempt.token), method, attempt.messages, attempt.ending, attempt.deadline);
            @Nullable ErrorDetail detail = end.trailers().get(Problems.DETAIL);
            if (Boolean.getBoolean("fuzz.tell")) {
                System.err.println(
                        what + " ended with " + (detail == null ? end.status().getCode() : detail.getKind()));
            }
            requireDeclared(what, attempt, end.status(), detail);
            if (AccessTest.READS.contains(method.getBareMethodName()) && random.nextInt(10) != 0) {
                continue;
            }
            List<Object> after = state();
            if (detail != null && REFUSALS.contains(Problem.Kind.valueOf(detail.getKind()))) {
                assertThat(after).as(what + ", refused: " + detail.getWhat()).isEqualTo(before);
            }
            before = after;
        }
        assertThat(asOperator().hello(HelloRequest.getDefaultInstance()).getNode())
                .isEqualTo("alpha");
        for (String line : remote.audit()) {
            assertThat(line).hasSizeLessThan(MAX_AUDIT_CHARS);
            assertThat(JSON.readTree(line).get("method").asText()).isNotEmpty();
        }
    }

    private record Attempt(
            String token, boolean allowed, List<byte[]> messages, RawCall.Ending ending, Duration deadline) {}

    private Attempt attempt(Random random, MethodDescriptor<?, ?> method, long generation) {
        boolean malformed = random.nextInt(5) == 0;
        RandomRequests requests = new RandomRequests(random, generation, !malformed, random.nextBoolean());
        Message prototype = Objects.requireNonNull(
                (Message) ((PrototypeMarshaller<?>) method.getRequestMarshaller()).getMessagePrototype());
        boolean one = method.getType().clientSendsOneMessage();
        int count = one ? (random.nextInt(25) == 0 ? random.nextInt(3) : 1) : random.nextInt(6);
        List<byte[]> messages = new ArrayList<>();
        boolean follows = false;
        for (int i = 0; i < count; i++) {
            Message message = requests.like(prototype, i == 0);
            follows |= follows(message);
            byte[] bytes = message.toByteArray();
            messages.add(malformed ? random.nextInt(4) == 0 ? requests.noise() : requests.mutated(bytes) : bytes);
        }
        boolean streams = method.getType() != MethodDescriptor.MethodType.UNARY
                && !method.getFullMethodName().endsWith("/Deploy");
        RawCall.Ending ending = streams && random.nextInt(3) == 0
                ? List.of(RawCall.Ending.values()).get(random.nextInt(3))
                : RawCall.Ending.HALF_CLOSE;
        int role = random.nextInt(10);
        String token = role == 0 ? "mct_" + "A".repeat(43) : role == 1 ? viewer : operator;
        boolean brief = follows || (streams && malformed) || ending != RawCall.Ending.HALF_CLOSE;
        return new Attempt(token, role != 0, messages, ending, brief ? SHORT : DEADLINE);
    }

    private static boolean follows(Message message) {
        return switch (message) {
            case LogsRequest logs -> logs.getFollow();
            case EventsRequest events -> events.getFollow();
            default -> false;
        };
    }

    private static void requireDeclared(String what, Attempt attempt, Status status, @Nullable ErrorDetail detail) {
        if (attempt.deadline.equals(SHORT)
                && (status.getCode() == Status.Code.DEADLINE_EXCEEDED || status.getCode() == Status.Code.CANCELLED)) {
            return;
        }
        if (!attempt.allowed) {
            assertThat(status.getCode()).as(what).isEqualTo(Status.Code.UNAUTHENTICATED);
        }
        boolean tooLarge = status.getCode() == Status.Code.RESOURCE_EXHAUSTED
                && attempt.messages.stream().anyMatch(m -> m.length > AgentServer.MAX_MESSAGE_BYTES);
        if (status.isOk() || tooLarge) {
            return;
        }
        assertThat(detail)
                .as(what + " ended with " + status + " without a detail")
                .isNotNull();
        Problem problem = Problems.fromMessage(Objects.requireNonNull(detail));
        String told = what + " ended with " + problem;
        assertThat(problem.kind().name())
                .as(told)
                .isEqualTo(Objects.requireNonNull(detail).getKind());
        assertThat(problem.kind()).as(told).isNotEqualTo(Problem.Kind.INTERNAL);
        assertThat(status.getCode()).as(told).isEqualTo(Problems.code(problem.kind()));
        assertThat(problem.what()).as(told).isNotBlank().hasSizeLessThan(2_100);
        assertThat(problem.toString().toLowerCase(Locale.ROOT))
                .as(told)
                .doesNotContain("exception", "dev.metacircular", "\tat ");
    }
}
