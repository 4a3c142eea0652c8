package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.ComponentResult;
import dev.metacircular.contract.v1.DeployRequest;
import dev.metacircular.contract.v1.DeployResult;
import dev.metacircular.contract.v1.DeployUpdate;
import dev.metacircular.contract.v1.PlanDocument;
import dev.metacircular.contract.v1.PlanRequest;
import dev.metacircular.contract.v1.PlanUpdate;
import dev.metacircular.model.Problem;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class DeployCommandTest {
    @TempDir
    private Path home;

    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(home).shop();
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    @Test
    void aDryRunPrintsThePlanAndChangesNothing() {
        ScriptedAgent agent = new ScriptedAgent();
        operator.node("alpha", agent);

        assertThat(operator.mcp("deploy", "shop", "--dry-run"))
                .isEqualTo(new Operator.Result(0, "would do on alpha:\n   0  web: start shop-web\n", ""));
        assertThat(operator.mcp("deploy", "shop", "--dry-run", "--check").exit())
                .isEqualTo(5);
        assertThat(operator.mcp("deploy", "shop", "--dry-run", "--json").out())
                .isEqualTo("{\"index\":0,\"op\":\"start\",\"component\":\"web\",\"status\":\"planned\",\"message\":"
                        + "\"start shop-web\"}\n");
        assertThat(agent.changes).isEmpty();
    }

    @Test
    void whereNothingWouldChangeTheCheckExitsWithZero() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void plan(PlanRequest request, StreamObserver<PlanUpdate> response) {
                answer(
                        response,
                        PlanUpdate.newBuilder()
                                .setPlan(PlanDocument.getDefaultInstance())
                                .build());
            }
        });

        assertThat(operator.mcp("deploy", "shop", "--dry-run", "--check"))
                .isEqualTo(new Operator.Result(0, "nothing to do on alpha\n", ""));
    }

    @Test
    void aDeployShowsThePlanWhatIsDoneAndTheOutcome() {
        ScriptedAgent agent = new ScriptedAgent();
        Operator.Result result = operator.node("alpha", agent).mcp("deploy", "shop/web");

        assertThat(result).isEqualTo(new Operator.Result(0, """
                plan for shop/web on alpha:
                   0  web: start shop-web
                done     0  web: start shop-web
                COMPONENT  OUTCOME
                shop/web   replaced
                """, ""));
        DeployRequest request = (DeployRequest) agent.changes.getFirst();
        assertThat(request.getComponent()).isEqualTo("web");
        assertThat(request.getBaseGeneration()).isEqualTo(3);
        assertThat(request.getIdempotencyKey()).hasSize(36);
        assertThat(request.getPlan().getOperationsCount()).isEqualTo(1);
        assertThat(request.getService().getComponents(0).getToml())
                .contains("image = \"registry.example:5000/shop:v1.4.0\"");
    }

    @Test
    void asJsonADeployIsOneObjectALineAndTheResultLast() {
        assertThat(operator.node("alpha", new ScriptedAgent())
                        .mcp("deploy", "shop", "--json")
                        .out())
                .isEqualTo("""
                {"index":0,"op":"start","component":"web","status":"begin","message":"start shop-web"}
                {"index":0,"op":"start","component":"web","status":"done","message":"start shop-web"}
                {"result":"ok","service":"shop","generation":4,"components":[{"component":"web","outcome":"replaced","message":"","log_tail":[]}],"error":null}
                """);
    }

    @Test
    void aFailedDeployTellsTheCauseAndTheLastLogLines() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void deploy(DeployRequest request, StreamObserver<DeployUpdate> response) {
                answer(
                        response,
                        DeployUpdate.newBuilder()
                                .setResult(DeployResult.newBuilder()
                                        .setError(Problems.toMessage(new Problem(
                                                Problem.Kind.FAILED,
                                                "web exited with 7",
                                                "shop/web",
                                                "look at its log")))
                                        .addComponents(ComponentResult.newBuilder()
                                                .setComponent("web")
                                                .setOutcome("restored")
                                                .setMessage("the old one serves")
                                                .addLogTail("the licence has expired")))
                                .build());
            }
        });
        Operator.Result result = operator.mcp("deploy", "shop");

        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.out()).endsWith("shop/web   restored  the old one serves\n");
        assertThat(result.err()).isEqualTo("""
                the last lines of shop/web:
                  | the licence has expired
                error: web exited with 7 (shop/web)
                  next: look at its log
                """);
        assertThat(operator.mcp("deploy", "shop", "--json").out())
                .endsWith("\"error\":{\"kind\":\"failed\",\"what\":\"web exited with 7\",\"where\":\"shop/web\","
                        + "\"next\":\"look at its log\"}}\n");
    }

    @Test
    void aLockedServiceIsRefusedWithWhoHoldsIt() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void deploy(DeployRequest request, StreamObserver<DeployUpdate> response) {
                response.onError(Problems.toStatus(Problem.of(Problem.Kind.LOCKED, "eve deploys it since 10:00")));
            }
        });

        Operator.Result result = operator.mcp("deploy", "shop");
        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).isEqualTo("error: eve deploys it since 10:00 (node alpha)\n");
    }

    @Test
    void aFaultyDefinitionIsToldFaultByFaultAndNothingIsSent() {
        List<PlanRequest> asked = new ArrayList<>();
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void plan(PlanRequest request, StreamObserver<PlanUpdate> response) {
                asked.add(request);
            }
        });
        operator.define("bad", """
                name = "other"
                node = "alpha"
                activ = true

                [[components]]
                name = "web"
                image = "nonsense"
                ports = ["80"]
                """);
        Operator.Result result = operator.mcp("deploy", "bad");

        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err().lines())
                .hasSize(4)
                .allMatch(l -> l.matches("error: HOME/services/bad\\.toml:[0-9]+:[0-9]+: .*"));
        assertThat(asked).isEmpty();
    }

    @Test
    void aComponentThatTheDefinitionDoesNotHaveIsWrongUsage() {
        Operator.Result result = operator.node("alpha", new ScriptedAgent()).mcp("deploy", "shop/wep");

        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err()).contains("has no component 'wep'").contains("its components are web");
    }

    @Test
    void aNodeThatIsNotReachedEndsWithThree() {
        operator.node("alpha", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        Operator.Result result = operator.mcp("deploy", "shop", "--json");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out()).startsWith("{\"result\":\"failed\",\"error\":{\"kind\":\"unreachable\"");
    }

    @Test
    void checkWithoutDryRunIsWrongUsage() {
        assertThat(operator.mcp("deploy", "shop", "--check").exit()).isEqualTo(2);
    }
}
