package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.contract.v1.Event;
import dev.metacircular.contract.v1.Instance;
import dev.metacircular.contract.v1.PsRequest;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.StatusRequest;
import dev.metacircular.contract.v1.StatusResponse;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The commands that ask every node, against agents over TLS. */
@Timeout(30)
class ViewCommandsTest {
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

    private static final class Mixed extends ScriptedAgent {
        @Override
        public void ps(PsRequest request, StreamObserver<PsResponse> response) {
            answer(
                    response,
                    PsResponse.newBuilder()
                            .addInstances(Instance.newBuilder()
                                    .setService("shop")
                                    .setComponent("web")
                                    .setName("shop-web")
                                    .setRuntime("container")
                                    .setImage("registry.example:5000/shop:v1.4.0")
                                    .setVersion("v1.4.0")
                                    .setState("running")
                                    .setStartedAtMs(STARTED_MS)
                                    .addPorts("127.0.0.1:18080:8080")
                                    .setGeneration(3))
                            .addInstances(Instance.newBuilder()
                                    .setService("shop")
                                    .setComponent("job")
                                    .setName("shop-job\u001b[31m")
                                    .setRuntime("container")
                                    .setImage("registry.example:5000/job:v1")
                                    .setVersion("v1")
                                    .setState("exited")
                                    .setExitCode(7)
                                    .setGeneration(2))
                            .addRuntimes(
                                    RuntimeState.newBuilder().setName("microvm").setReason("no VMM was found"))
                            .build());
        }

        @Override
        public void status(StatusRequest request, StreamObserver<StatusResponse> response) {
            answer(
                    response,
                    StatusResponse.newBuilder()
                            .addComponents(ComponentStatus.newBuilder()
                                    .setComponent(RegisteredComponent.newBuilder()
                                            .setService("shop")
                                            .setComponent("job")
                                            .setName("shop-job")
                                            .setRuntime("container")
                                            .setImage("registry.example:5000/job:v1")
                                            .setVersion("v1")
                                            .setDesired("running")
                                            .setGeneration(2))
                                    .setObserved("exited")
                                    .setExitCode(7)
                                    .addDrift("state")
                                    .addDrift("config")
                                    .setMessage("restarts in 4 s"))
                            .addEvents(Event.newBuilder()
                                    .setTimeMs(STARTED_MS)
                                    .setService("shop")
                                    .setComponent("job")
                                    .setKind("exited")
                                    .setMessage("with status 7"))
                            .build());
        }
    }

    @Test
    void psShowsWhatRunsAndWarnsOfARuntimeThatCannotBeAsked() {
        Operator.Result result = operator.node("alpha", new Mixed()).mcp("ps");

        assertThat(result.out()).isEqualTo("""
                NAME           NODE   STATE       UPTIME  VERSION  RUNTIME    PORTS
                shop-web       alpha  running     15m 5s  v1.4.0   container  127.0.0.1:18080:8080
                shop-job�[31m  alpha  exited (7)          v1       container
                """);
        assertThat(result.err())
                .isEqualTo("warning: node alpha: microvm cannot be asked, what it runs is unknown: no VMM was found\n");
        assertThat(result.exit()).isZero();
    }

    @Test
    void psAsJsonHasThePublicShape() {
        Operator.Result result = operator.node("alpha", new Mixed()).mcp("ps", "--json");

        assertThat(result.out())
                .isEqualTo("{\"nodes\":[{\"name\":\"alpha\",\"reachable\":true,\"error\":null,\"runtimes\":[{\"name\":"
                        + "\"microvm\",\"available\":false,\"reason\":\"no VMM was found\",\"accelerator\":null,"
                        + "\"version\":null}]}],\"instances\":[{\"node\":\"alpha\",\"service\":\"shop\",\"component\":"
                        + "\"web\",\"name\":\"shop-web\",\"runtime\":\"container\",\"image\":"
                        + "\"registry.example:5000/shop:v1.4.0\",\"version\":\"v1.4.0\",\"state\":\"running\","
                        + "\"started_at\":\"2026-05-28T20:26:40Z\",\"ports\":[\"127.0.0.1:18080:8080\"],"
                        + "\"exit_code\":null,\"generation\":3},{\"node\":\"alpha\",\"service\":\"shop\","
                        + "\"component\":\"job\",\"name\":\"shop-job\\u001b[31m\",\"runtime\":\"container\",\"image\":"
                        + "\"registry.example:5000/job:v1\",\"version\":\"v1\",\"state\":\"exited\","
                        + "\"started_at\":null,\"ports\":[],\"exit_code\":7,\"generation\":2}]}\n");
    }

    @Test
    void listShowsWhatShouldBeThere() {
        operator.node("alpha", new ScriptedAgent());

        assertThat(operator.mcp("list").out()).isEqualTo("""
                NAME      NODE   SERVICE  COMPONENT  DESIRED  VERSION  RUNTIME    IMAGE
                shop-web  alpha  shop     web        running  v1.4.0   container  registry.example:5000/shop:v1.4.0
                """);
        assertThat(operator.mcp("--json", "list").out())
                .isEqualTo("{\"nodes\":[{\"name\":\"alpha\",\"reachable\":true,\"error\":null,\"runtimes\":[]}],"
                        + "\"components\":[{\"node\":\"alpha\",\"service\":\"shop\",\"component\":\"web\",\"name\":"
                        + "\"shop-web\",\"runtime\":\"container\",\"image\":\"registry.example:5000/shop:v1.4.0\","
                        + "\"version\":\"v1.4.0\",\"desired\":\"running\",\"generation\":3}]}\n");
    }

    @Test
    void statusMarksDriftAndTellsWhatHappened() {
        operator.node("alpha", new Mixed());
        Operator.Result result = operator.mcp("status");

        assertThat(result.out()).isEqualTo("""
                NAME      NODE   DESIRED  OBSERVED    DRIFT          VERSION  RUNTIME    NOTE
                shop-job  alpha  running  exited (7)  state, config  v1       container  restarts in 4 s

                TIME                  NODE   SERVICE  COMPONENT  EVENT   MESSAGE
                2026-05-28T20:26:40Z  alpha  shop     job        exited  with status 7
                """);
        assertThat(result.exit()).isZero();
        assertThat(operator.mcp("status", "--check").exit()).isEqualTo(1);
        assertThat(operator.mcp("status", "--json").out())
                .contains("\"observed\":\"exited\",\"exit_code\":7,\"drift\":[\"state\",\"config\"]")
                .contains("\"events\":[{\"time\":\"2026-05-28T20:26:40Z\",\"node\":\"alpha\",\"service\":\"shop\","
                        + "\"component\":\"job\",\"kind\":\"exited\",\"message\":\"with status 7\",\"id\":0,"
                        + "\"net\":false}]");
    }

    @Test
    void statusCheckExitsWithZeroWhereNothingDrifts() {
        assertThat(operator.node("alpha", new ScriptedAgent())
                        .mcp("status", "--check")
                        .exit())
                .isZero();
    }

    @Test
    void aDeadNodeIsToldAndTheOthersAreShown() {
        operator.node("alpha", new ScriptedAgent())
                .node("beta", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        Operator.Result result = operator.mcp("list");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out()).contains("shop-web  alpha");
        assertThat(result.err()).isEqualTo("""
                error: connection refused (node beta, 127.0.0.1:PORT)
                  next: check the address, and that mcp-agent runs on the node
                """);
        assertThat(operator.mcp("list", "--json").out())
                .contains("{\"name\":\"beta\",\"reachable\":false,\"error\":\"connection refused\",\"runtimes\":[]}");
    }

    @Test
    void aSlowNodeIsToldAtTheDeadlineAndTheOthersAreShown() {
        operator.node("alpha", new ScriptedAgent()).node("beta", new ScriptedAgent() {
            @Override
            public void ps(PsRequest request, StreamObserver<PsResponse> response) {
                // Never answers.
            }
        });
        long begin = System.nanoTime();
        Operator.Result result = operator.mcp("ps", "--timeout", "1.5");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out()).contains("shop-web0");
        assertThat(result.err()).contains("error: no answer within 1.5 s (node beta)");
        assertThat(System.nanoTime() - begin).isLessThan(4_000_000_000L);
    }

    @Test
    void aRefusedTokenEndsWithFourAndIsNeverTold() {
        int port = operator.agent(new ScriptedAgent());
        Operator.Result result = operator.node("alpha", port, Operator.AUTHORITY, "secret-token-text")
                .mcp("status", "--json");

        assertThat(result.exit()).isEqualTo(4);
        assertThat(result.all()).contains("\"reachable\":true").doesNotContain("secret-token-text");
    }

    @Test
    void anotherAuthorityMeansTheNodeIsNotReached() {
        int port = operator.agent(new ScriptedAgent());
        Operator.Result result = operator.node("alpha", port, new TestCertificates("Ed25519"), TestAgent.TOKEN)
                .mcp("ps");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.err()).contains("certificate was not issued by the CA in HOME/alpha-ca.pem");
    }

    @Test
    void withoutNodesOneIsToldHowToAddOne() {
        Operator.Result result = operator.mcp("ps");

        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err()).contains("no node is known").contains("next: mcp node add");
    }

    @Test
    void oneNodeOfSeveralCanBeNamed() {
        operator.node("alpha", new ScriptedAgent())
                .node("beta", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);

        assertThat(operator.mcp("list", "--node", "alpha").exit()).isZero();
        assertThat(operator.mcp("list", "--node", "gamma").exit()).isEqualTo(2);
    }
}
