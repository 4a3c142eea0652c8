package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Problems;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.Problem;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code mcp logs} of several services and nodes. */
@Timeout(60)
class LogsCommandTest {
    @TempDir
    private Path home;

    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(home).shop().define("far", """
                name = "far"
                node = "beta"

                [[components]]
                name = "db"
                image = "registry.example:5000/db:v1"
                """);
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    /** Says one line at each of these times, and then fails or ends. */
    private static final class Speaker extends ScriptedAgent {
        private final String component;
        private final boolean dies;
        private final List<Long> times;
        final List<LogsRequest> asked = new CopyOnWriteArrayList<>();

        Speaker(String component, boolean dies, Long... times) {
            this.component = component;
            this.dies = dies;
            this.times = List.of(times);
        }

        @Override
        public void logs(LogsRequest request, StreamObserver<LogLine> response) {
            asked.add(request);
            times.forEach(t -> response.onNext(LogLine.newBuilder()
                    .setComponent(component)
                    .setStream("out")
                    .setTimeMs(t)
                    .setText("at " + t)
                    .build()));
            if (dies) {
                response.onError(Problems.toStatus(Problem.of(Problem.Kind.UNREACHABLE, "the node is gone")));
            } else {
                response.onCompleted();
            }
        }
    }

    @Test
    void severalServicesOfSeveralNodesAreOneStreamInTheOrderOfTime() {
        Speaker web = new Speaker("web", false, 1L, 4L, 5L);
        operator.node("alpha", web).node("beta", new Speaker("db", false, 2L, 3L, 6L));

        Operator.Result result = operator.mcp("logs", "shop", "far/db", "--tail", "3");

        assertThat(result).isEqualTo(new Operator.Result(0, """
                shop/web | at 1
                far/db | at 2
                far/db | at 3
                shop/web | at 4
                shop/web | at 5
                far/db | at 6
                """, ""));
        assertThat(web.asked.getFirst().getTail()).isEqualTo(3);
        assertThat(operator.mcp("logs", "shop", "far", "--json").out().lines().limit(2))
                .containsExactly(
                        "{\"time\":\"1970-01-01T00:00:00.001Z\",\"node\":\"alpha\",\"service\":\"shop\",\"component\":\"web\","
                                + "\"stream\":\"out\",\"text\":\"at 1\"}",
                        "{\"time\":\"1970-01-01T00:00:00.002Z\",\"node\":\"beta\",\"service\":\"far\",\"component\":\"db\","
                                + "\"stream\":\"out\",\"text\":\"at 2\"}");
    }

    @Test
    void aNodeThatDiesIsSaidWhileTheOthersGoOn() {
        operator.node("alpha", new Speaker("web", true, 1L)).node("beta", new Speaker("db", false, 2L, 3L));

        Operator.Result result = operator.mcp("logs", "shop", "far", "--follow");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out()).contains("shop/web | at 1", "far/db | at 3");
        assertThat(result.err()).contains("the log of shop ends here: the node is gone");
    }

    @Test
    void aNodeThatIsDeadFromTheBeginningHidesNoOther() {
        operator.node("alpha", Operator.closedPort(), Operator.AUTHORITY, TestAgent.TOKEN)
                .node("beta", new Speaker("db", false, 2L));

        Operator.Result result = operator.mcp("logs", "shop", "far");

        assertThat(result.exit()).isEqualTo(3);
        assertThat(result.out()).isEqualTo("far/db | at 2\n");
        assertThat(result.err()).contains("the log of shop ends here", "alpha");
    }

    @Test
    void namesAndColoursAppearOnlyWhereTheyHelp() {
        operator.node("alpha", new Speaker("web", false, 1L));
        assertThat(operator.mcp("logs", "shop/web").out()).isEqualTo("at 1\n");
        assertThat(operator.mcp("logs", "shop").out()).isEqualTo("web | at 1\n");
        assertThat(operator.onTerminal().mcp("logs", "shop").out()).matches("\u001b\\[\\d+mweb \\|\u001b\\[0m at 1\n");
        assertThat(operator.variable("NO_COLOR", "1").mcp("logs", "shop").out()).isEqualTo("web | at 1\n");
    }
}
