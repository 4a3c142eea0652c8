package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.contract.v1.SetDesiredResponse;
import dev.metacircular.model.Problem;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class SyncCommandTest {
    @TempDir
    private Path home;

    private final ScriptedAgent agent = new ScriptedAgent();
    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(home).define("shop", """
                name = "shop"
                node = "alpha"

                [[components]]
                name = "web"
                desired = "stopped"
                image = "registry.example:5000/shop:v1.4.0"

                [[components]]
                name = "new"
                image = "registry.example:5000/shop:v1.4.0"
                """);
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    @Test
    void onlyRegisteredComponentsAreToldAndTheOthersAreSaid() {
        Operator.Result result = operator.node("alpha", agent).mcp("sync");

        assertThat(result.exit()).isZero();
        assertThat(result.out()).contains("shop/web", "started", "shop/new", "not_registered", "mcp deploy shop");
        SetDesiredRequest request = (SetDesiredRequest) agent.changes.getFirst();
        assertThat(request.getDesiredMap()).containsOnlyKeys("web").containsEntry("web", "stopped");
        assertThat(request.getActive()).isTrue();
        assertThat(request.getBaseGeneration()).isEqualTo(3);
        assertThat(request.getIdempotencyKey()).isNotEmpty();
    }

    @Test
    void aServiceThatIsRegisteredWithoutADefinitionIsSaid() {
        Operator bare = new Operator(home.resolve("bare")).node("alpha", agent);
        Operator.Result result = bare.mcp("sync");
        bare.close();

        assertThat(result.exit()).isZero();
        assertThat(result.out()).contains("shop/web", "no_definition", "mcp service export shop");
        assertThat(agent.changes).isEmpty();
    }

    @Test
    void aFaultInAnyDefinitionSendsNothing() {
        Operator.Result result = operator.node("alpha", agent)
                .define("bad", "name = \"bad\"\nnod = 1\n")
                .mcp("sync");

        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err()).contains("bad.toml:2:1", "nothing was sent anywhere");
        assertThat(agent.changes).isEmpty();
    }

    @Test
    void aDeadNodeDoesNotHoldUpTheOthers() {
        operator.node("alpha", agent)
                .node("beta", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN)
                .define("far", """
                        name = "far"
                        node = "beta"

                        [[components]]
                        name = "x"
                        image = "registry.example/a:1"
                        """);
        Operator.Result result = operator.mcp("sync", "--json");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out())
                .contains("\"name\":\"beta\",\"reachable\":false")
                .contains(
                        "{\"node\":\"alpha\",\"service\":\"shop\",\"generation\":4,\"components\":[{\"component\":\"web\","
                                + "\"outcome\":\"started\",\"message\":\"\",\"log_tail\":[]},{\"component\":\"new\","
                                + "\"outcome\":\"not_registered\",")
                .contains("\"error\":null}],\"undefined\":[]}");
        assertThat(agent.changes).hasSize(1);
    }

    @Test
    void whatANodeRefusesIsTold() {
        Operator.Result result = operator.node("alpha", new ScriptedAgent() {
                    @Override
                    public void setDesired(SetDesiredRequest request, StreamObserver<SetDesiredResponse> response) {
                        response.onError(Problems.toStatus(Problem.of(Problem.Kind.LOCKED, "held by a deploy")
                                .at("shop")));
                    }
                })
                .mcp("sync");

        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).contains("held by a deploy");
    }
}
