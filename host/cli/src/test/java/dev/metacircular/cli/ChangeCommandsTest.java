package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.AddTokenRequest;
import dev.metacircular.contract.v1.ExecStart;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.contract.v1.PurgeRequest;
import dev.metacircular.contract.v1.RestartRequest;
import dev.metacircular.contract.v1.RestartResponse;
import dev.metacircular.contract.v1.SetDesiredRequest;
import dev.metacircular.model.Problem;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.time.Instant;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class ChangeCommandsTest {
    @TempDir
    private Path home;

    private final ScriptedAgent agent = new ScriptedAgent();
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
    void stopAndStartChangeTheFileFirstAndThenTheNode() {
        operator.node("alpha", agent);

        assertThat(operator.mcp("stop", "shop"))
                .isEqualTo(new Operator.Result(0, "COMPONENT  OUTCOME\nshop/web   stopped\n", ""));
        assertThat(operator.read("services/shop.toml")).contains("active = false", "# ours");
        SetDesiredRequest stop = (SetDesiredRequest) agent.changes.getFirst();
        assertThat(stop.hasActive() && !stop.getActive()).isTrue();
        assertThat(stop.getBaseGeneration()).isEqualTo(3);

        assertThat(operator.mcp("start", "shop/web").err()).contains("is not active", "mcp start shop");
        assertThat(((SetDesiredRequest) agent.changes.get(1)).getDesiredMap()).containsEntry("web", "running");
        assertThat(operator.mcp("start", "shop", "--json").out())
                .startsWith("{\"result\":\"ok\",\"service\":\"shop\",\"generation\":4,\"components\":[{");
        assertThat(operator.read("services/shop.toml")).contains("active = true");
    }

    private static String idle(String service) {
        return "name = \"" + service
                + "\"\nnode = \"alpha\"\n[[components]]\nname = \"web\"\nimage = \"localhost/web\"\n";
    }

    @Test
    void severalServicesAreChangedAtOnceAndEachOnesOutputComesInOnePiece() {
        operator.node("alpha", agent).define("one", idle("one")).define("two", idle("two"));
        Operator.Result result = operator.mcp("stop", "one", "two", "shop/web", "nix");

        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).contains("service 'nix' has no definition");
        assertThat(result.out().lines().toList())
                .hasSize(6)
                .filteredOn(l -> l.startsWith("COMPONENT"))
                .hasSize(3);
        assertThat(agent.changes).hasSize(3);
        assertThat(operator.read("services/one.toml")).contains("active = false");
        assertThat(operator.read("services/two.toml")).contains("active = false");
        assertThat(operator.read("services/shop.toml")).contains("desired = \"stopped\"");
    }

    @Test
    void aTargetThatIsNamedTwiceIsRefusedBeforeAnythingIsDone() {
        Operator.Result result = operator.node("alpha", agent).mcp("stop", "shop", "shop");

        assertThat(result.exit()).isEqualTo(2);
        assertThat(result.err()).contains("'shop' is named twice");
        assertThat(agent.changes).isEmpty();
    }

    @Test
    void whereTheNodeIsNotReachedTheFileIsChangedAndOneIsToldSo() {
        operator.node("alpha", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN);
        Operator.Result result = operator.mcp("stop", "shop/web");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.err()).contains("the definition says stop already, mcp stop shop/web again tells the node");
        assertThat(operator.read("services/shop.toml")).contains("desired = \"stopped\"");
    }

    @Test
    void aServiceWithoutDefinitionIsNotFoundAndNothingIsWritten() {
        Operator.Result result = operator.node("alpha", agent).mcp("stop", "nix");

        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).contains("service 'nix' has no definition");
        assertThat(agent.changes).isEmpty();
    }

    @Test
    void restartFindsAServiceWithoutDefinitionWhereItIsRegistered() {
        operator.node("alpha", agent).node("beta", new ScriptedAgent() {
            @Override
            public void list(ListRequest request, StreamObserver<ListResponse> response) {
                answer(response, ListResponse.getDefaultInstance());
            }
        });

        assertThat(operator.mcp("restart", "other/web").exit()).isZero();
        RestartRequest request = (RestartRequest) agent.changes.getFirst();
        assertThat(request.getComponent()).isEqualTo("web");
        assertThat(request.getBaseGeneration()).isEqualTo(3);
    }

    @Test
    void aViewersChangeIsNotPermitted() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void restart(RestartRequest request, StreamObserver<RestartResponse> response) {
                response.onError(Problems.toStatus(
                        Problem.of(Problem.Kind.NOT_PERMITTED, "token 'eve' has role viewer, which may not restart")));
            }
        });
        Operator.Result result = operator.mcp("restart", "shop");

        assertThat(result.exit()).isEqualTo(4);
        assertThat(result.err()).contains("has role viewer");
    }

    @Test
    void purgeRemovesDataOnlyWhenToldTo() {
        operator.node("alpha", agent);

        assertThat(operator.mcp("purge", "shop").out())
                .isEqualTo("removed container shop-web\nservice shop is forgotten on alpha\n");
        assertThat(operator.mcp("purge", "shop", "--data", "--json").out())
                .isEqualTo("{\"result\":\"ok\",\"service\":\"shop\",\"removed\":[\"container shop-web\"]}\n");
        assertThat(agent.changes.stream().map(c -> ((PurgeRequest) c).getData()))
                .containsExactly(false, true);
    }

    @Test
    void whatIsRegisteredNowhereIsNotFound() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void list(ListRequest request, StreamObserver<ListResponse> response) {
                answer(response, ListResponse.getDefaultInstance());
            }
        });

        assertThat(operator.mcp("purge", "nix").exit()).isEqualTo(1);
        assertThat(operator.mcp("restart", "shop").err()).contains("is not registered", "mcp deploy shop");
    }

    @Test
    void logsBearTheNamesOfSeveralComponents() {
        operator.node("alpha", agent);

        assertThat(operator.mcp("logs", "shop").out()).isEqualTo("web | listening\n");
        assertThat(operator.mcp("logs", "shop/web").out()).isEqualTo("listening\n");
        assertThat(operator.mcp("logs", "shop", "--json").out())
                .isEqualTo("{\"time\":\"2026-05-28T20:26:40Z\",\"node\":\"alpha\",\"service\":\"shop\",\"component\":"
                        + "\"web\",\"stream\":\"out\",\"text\":\"listening\"}\n");
    }

    @Test
    void logsPassOnWhatIsAskedFor() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void logs(LogsRequest request, StreamObserver<LogLine> response) {
                answer(
                        response,
                        LogLine.newBuilder()
                                .setText(request.getSinceMs() - STARTED_MS + " " + request.getTail() + " "
                                        + request.getPrevious() + " " + request.getFollow())
                                .build());
            }
        });

        assertThat(operator.mcp("logs", "shop/web", "--since", "10m5s", "--tail", "7", "--previous", "--follow")
                        .out())
                .isEqualTo("300000 7 true true\n");
        assertThat(operator.mcp("logs", "shop", "--since", "yesterday").exit()).isEqualTo(2);
        assertThat(operator.mcp("logs", "shop", "--tail", "-1").exit()).isEqualTo(2);
    }

    @Test
    void sinceIsATimeOrADuration() {
        Instant now = Instant.parse("2026-03-01T00:00:00Z");

        assertThat(Times.parse("1d2h", now, "--since")).isEqualTo("2026-02-27T22:00:00Z");
        assertThat(Times.parse("90s", now, "--since")).isEqualTo("2026-02-28T23:58:30Z");
        assertThat(Times.parse("2026-01-01T00:00:00Z", now, "--since")).isEqualTo("2026-01-01T00:00:00Z");
    }

    @Test
    void execPassesInputOutputAndExitStatus() {
        operator.node("alpha", agent).types("hello\n");

        assertThat(operator.mcp("exec", "shop/web", "--", "9", "--json", "-x"))
                .isEqualTo(new Operator.Result(9, "HELLO\n", ""));
        ExecStart start = (ExecStart) agent.changes.getFirst();
        assertThat(start.getCommandList()).containsExactly("9", "--json", "-x");
        assertThat(start.hasTerminal()).isFalse();
        assertThat(operator.mcp("exec", "--json", "shop/web", "--", "0").out())
                .isEqualTo("{\"stream\":\"out\",\"data_base64\":\"SEVMTE8K\"}\n{\"exit_status\":0}\n");
        assertThat(operator.mcp("exec", "shop", "--", "0").exit()).isEqualTo(2);
    }

    @Test
    void aTokenIsPrintedOnceAndAlone() {
        operator.node("alpha", agent);

        assertThat(operator.mcp("token", "add", "eve", "--role", "viewer").out())
                .isEqualTo("mct_new\n");
        assertThat(((AddTokenRequest) agent.changes.getFirst()).getRole()).isEqualTo("viewer");
        assertThat(operator.mcp("token", "add", "eve", "--role", "viewer", "--json")
                        .out())
                .isEqualTo("{\"result\":\"ok\",\"name\":\"eve\",\"role\":\"viewer\",\"token\":\"mct_new\"}\n");
        assertThat(operator.mcp("token", "list", "--node", "alpha").out())
                .isEqualTo("NAME   ROLE      CREATED\nadmin  operator  2026-05-28T20:26:40Z\n");
        assertThat(operator.mcp("token", "revoke", "eve").out()).isEqualTo("token 'eve' is revoked\n");
        assertThat(operator.mcp("token", "add", "eve", "--role", "king").exit()).isEqualTo(2);
    }
}
