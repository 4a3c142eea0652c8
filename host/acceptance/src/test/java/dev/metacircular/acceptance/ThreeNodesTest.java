package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Three agents in network namespaces of their own, which are cut off, slow, dead, or lie: the others' answers come in time all the same,
 * and the one is named, with why. What they run is on one podman, where each knows its own by its labels.
 */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
final class ThreeNodesTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** What a server sends in its handshake, its certificate and its authority among it; a few more or less by the names. */
    private static final long HANDSHAKE_BYTES = 2_140;

    /** What {@code --timeout} says in these tests. */
    private static final Duration LIMIT = Duration.ofSeconds(4);
    /** How much longer than its limit a command may take on a busy machine, with starting and ending. */
    private static final Duration GRACE = Duration.ofSeconds(12);

    private static Lan lan;
    private static Node alpha;
    private static Node beta;
    private static Node gamma;
    private static PeerProcess peer;
    private static String image;

    @BeforeAll
    static void setUp() {
        Optional<String> missing = Lan.missing();
        missing.ifPresent(why -> System.out.println("NOT RUN: ThreeNodesTest: " + why));
        Assumptions.assumeTrue(missing.isEmpty(), "NOT RUN: " + missing.orElse(""));
        image = TestImages.make(
                "acceptance-nodes", "v1", "trap exit TERM; echo says $0 of $(hostname); sleep 10000 & wait");
        lan = new Lan(3);
        alpha = Node.started("alpha", lan.place(0, Optional.empty()));
        beta = Node.started("beta", lan.place(1, Optional.of(alpha.operator)));
        gamma = Node.started("gamma", lan.place(2, Optional.of(alpha.operator)));
        String before = lan.address(2) + ":" + (gamma.port == 7_000 ? 7_001 : 7_000);
        peer = new PeerProcess(lan.on(2), before, gamma.agentDirectory().resolve("pki"));
        peer.set(FaultyPeer.Mode.PASS, gamma.address());
        alpha.mcp(
                        "node",
                        "add",
                        gamma.name,
                        before,
                        "--ca",
                        gamma.ca().toString(),
                        "--token-file",
                        gamma.token().toString(),
                        "--replace")
                .ok();
        for (Node node : List.of(alpha, beta, gamma)) {
            node.define(service(node), component());
            alpha.mcp("deploy", service(node)).ok();
        }
    }

    @AfterAll
    static void tearDown() {
        if (lan == null) {
            return;
        }
        for (AutoCloseable part :
                Stream.of(peer, beta, gamma, alpha, lan).filter(p -> p != null).toList()) {
            try {
                part.close();
            } catch (Exception e) {
                System.err.println("cannot clean up: " + e);
            }
        }
        TestImages.remove(image);
    }

    @AfterEach
    void mend() {
        peer.set(FaultyPeer.Mode.PASS, gamma.address());
        lan.mend(1);
        if (!beta.isRunning()) {
            beta.start();
        }
        Node.await(
                Duration.ofSeconds(60),
                "all three answer again",
                () -> alpha.mcp("list", "--timeout", "2").exit() == 0);
    }

    private static String service(Node node) {
        return "fleet-" + node.name;
    }

    private static String component() {
        return "[[components]]\nname = \"web\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n"
                .formatted(image, TestImages.COMMAND);
    }

    /** A way in which one of the three fails, what is said of it, and the exit status that this makes. */
    enum Fault {
        CUT("(?s).*(no answer|unreachable|no route).*", 3) {
            @Override
            Node strike() {
                lan.cut(1);
                return beta;
            }
        },
        KILLED("(?s).*refused.*", 3) {
            @Override
            Node strike() {
                beta.kill();
                return beta;
            }
        },
        SILENT("(?s).*no answer within.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.SILENT);
                return gamma;
            }
        },
        TOO_SLOW("(?s).*no answer within.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.DELAY, gamma.address(), 2_500);
                return gamma;
            }
        },
        ANOTHER_NODES_CERTIFICATE("(?s).*certificate.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.PASS, alpha.address());
                return gamma;
            }
        },
        NOISE("(?s).*no TLS.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.GARBAGE);
                return gamma;
            }
        },
        HALF_A_HANDSHAKE("(?s).*(no TLS|closed|ended|reset).*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.HALF, gamma.address(), 200);
                return gamma;
            }
        },
        HALF_AN_ANSWER("(?s).*ended before.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.HALF, gamma.address(), HANDSHAKE_BYTES + 160);
                return gamma;
            }
        },
        HANGS_IN_ITS_ANSWER("(?s).*no answer within.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.STALL, gamma.address(), HANDSHAKE_BYTES + 160);
                return gamma;
            }
        },
        ANSWERS_WITHOUT_END("(?s).*(makes no sense|no answer within).*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.FLOOD);
                return gamma;
            }
        },
        ONE_ANSWER_OF_2_GIB("(?s).*makes no sense.*", 3) {
            @Override
            Node strike() {
                peer.set(FaultyPeer.Mode.HUGE);
                return gamma;
            }
        };

        final String said;
        final int exit;

        Fault(String said, int exit) {
            this.said = said;
            this.exit = exit;
        }

        /** @return the node that fails from now on */
        abstract Node strike();
    }

    @Test
    void allAnswerAndEachForItself() {
        assertThat(all("ps", "instances")).containsOnlyKeys(alpha.name, beta.name, gamma.name);
        assertThat(all("status", "components")).containsOnlyKeys(alpha.name, beta.name, gamma.name);
        for (Node node : List.of(alpha, beta, gamma)) {
            assertThat(alpha.mcp("logs", service(node)).ok().out()).contains("says");
            assertThat(node.onePerComponent()).containsOnlyKeys(service(node) + "/web");
        }
        alpha.mcp("sync").ok();
    }

    @Test
    void aSlowNodeIsWaitedFor() {
        peer.set(FaultyPeer.Mode.DELAY, gamma.address(), 300);
        assertThat(all("ps", "instances")).containsOnlyKeys(alpha.name, beta.name, gamma.name);
        alpha.mcp("deploy", service(gamma)).ok();
        assertThat(alpha.mcp("logs", service(gamma)).ok().out()).contains("says");
    }

    private static Map<String, List<JsonNode>> all(String command, String rows) {
        Shell.Result result = alpha.mcp(command, "--json").ok();
        return byNode(result, rows);
    }

    private static Map<String, List<JsonNode>> byNode(Shell.Result result, String rows) {
        return StreamSupport.stream(read(result).get(rows).spliterator(), false)
                .collect(Collectors.groupingBy(r -> r.get("node").asText()));
    }

    private static JsonNode read(Shell.Result result) {
        try {
            return JSON.readTree(result.out());
        } catch (IOException e) {
            throw new AssertionError("not JSON: " + result.all(), e);
        }
    }

    @ParameterizedTest
    @EnumSource
    void theOthersAnswerInTimeAndTheOneIsNamed(Fault fault) {
        Node victim = fault.strike();
        List<String> others = Stream.of(alpha, beta, gamma)
                .filter(n -> n != victim)
                .map(n -> n.name)
                .toList();
        List<Asked> asked = together("ps", "status", "sync", "events");
        for (Asked a : asked) {
            String told = fault + ": " + a.command + "\n" + a.result.all();
            assertThat(a.result.took()).as(told).isLessThan(LIMIT.plus(GRACE));
            assertThat(a.result.exit()).as(told).isEqualTo(fault.exit);
            assertThat(a.result.all()).as(told).contains(victim.name).matches(fault.said);
            if (a.command.equals("events")) {
                assertThat(Node.lines(a.result).stream()
                                .map(e -> e.get("node").asText())
                                .distinct())
                        .as(told)
                        .containsExactlyInAnyOrderElementsOf(others);
                continue;
            }
            for (JsonNode node : read(a.result).get("nodes")) {
                boolean failed = node.get("name").asText().equals(victim.name);
                assertThat(node.get("error").isNull()).as(told).isEqualTo(!failed);
                assertThat(node.get("reachable").asBoolean()).as(told).isEqualTo(!failed);
            }
            if (!a.command.equals("sync")) {
                assertThat(byNode(a.result, a.command.equals("ps") ? "instances" : "components"))
                        .as(told)
                        .containsOnlyKeys(others);
            }
        }
    }

    private record Asked(String command, Shell.Result result) {}

    private static List<Asked> together(String... commands) {
        try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Asked>> running = new ArrayList<>();
            for (String command : commands) {
                running.add(executor.submit(() -> new Asked(
                        command, alpha.mcp(command, "--json", "--timeout", String.valueOf(LIMIT.toSeconds())))));
            }
            List<Asked> asked = new ArrayList<>();
            for (Future<Asked> each : running) {
                asked.add(each.get());
            }
            return asked;
        } catch (ExecutionException e) {
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Test
    void allAreAskedAtOnce() {
        lan.cut(1);
        peer.set(FaultyPeer.Mode.SILENT);
        Duration limit = Duration.ofSeconds(10);
        Shell.Result result = alpha.mcp("status", "--json", "--timeout", String.valueOf(limit.toSeconds()));
        assertThat(result.exit()).as(result.all()).isEqualTo(3);
        assertThat(result.took())
                .as("asked one after the other it takes twice the limit")
                .isLessThan(limit.multipliedBy(2));
        assertThat(byNode(result, "components")).containsOnlyKeys(alpha.name);
        assertThat(result.all()).contains(beta.name).contains(gamma.name);
    }

    @Test
    void aDeployDependsOnItsOwnNodeAlone() {
        lan.cut(1);
        peer.set(FaultyPeer.Mode.SILENT);
        alpha.mcp("deploy", service(alpha)).ok();
        assertThat(alpha.mcp("logs", service(alpha)).ok().out()).contains("says");
        for (Node node : List.of(beta, gamma)) {
            Node.Container before = node.container(service(node) + "/web");
            Shell.Result result = alpha.mcp("deploy", service(node), "--timeout", "4");
            assertThat(result.exit()).as(result.all()).isEqualTo(3);
            assertThat(result.err()).contains(node.name);
            assertThat(result.took()).isLessThan(Duration.ofSeconds(4).plus(GRACE));
            assertThat(node.container(service(node) + "/web")).isEqualTo(before);
        }
    }

    @Test
    void aNodeThatIsNotTheOneThatIsMeantIsRefused() {
        String misnamed = "delta";
        alpha.mcp(
                        "node",
                        "add",
                        misnamed,
                        beta.address(),
                        "--ca",
                        beta.ca().toString(),
                        "--token-file",
                        beta.token().toString(),
                        "--offline")
                .ok();
        try {
            Shell.Result result = alpha.mcp("ps", "--json");
            assertThat(result.exit()).as(result.all()).isEqualTo(3);
            assertThat(byNode(result, "instances")).containsOnlyKeys(alpha.name, beta.name, gamma.name);
            assertThat(result.all()).contains("the agent there is of node '" + beta.name + "'");
            assertThat(alpha.mcp("token", "add", "mallory", "--role", "viewer", "--node", misnamed)
                            .exit())
                    .isEqualTo(3);
            assertThat(alpha.mcp("token", "list", "--node", beta.name).ok().out())
                    .doesNotContain("mallory");
        } finally {
            alpha.mcp("node", "remove", misnamed).ok();
        }
    }

    @Test
    void followingGoesOnOverNodesThatComeAndGo() throws IOException, InterruptedException {
        Path out = Files.createTempFile("acceptance", ".events");
        ProcessBuilder builder = new ProcessBuilder(Node.bin("mcp"), "events", "--follow", "--json", "--tail", "0")
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(out.toFile())
                .redirectErrorStream(false)
                .redirectError(out.resolveSibling(out.getFileName() + ".err").toFile());
        builder.environment().putAll(alpha.environment());
        Process follower = builder.start();
        try {
            awaitRestart(out, alpha);
            awaitRestart(out, beta);
            beta.kill();
            peer.set(FaultyPeer.Mode.SILENT);
            awaitRestart(out, alpha);
            beta.start();
            peer.set(FaultyPeer.Mode.PASS, gamma.address());
            awaitRestart(out, beta);
            awaitRestart(out, gamma);
            List<JsonNode> events = events(out);
            assertThat(events.stream()
                            .map(e -> e.get("node").asText() + e.get("id").asLong()))
                    .as("each event once")
                    .doesNotHaveDuplicates();
            for (Node node : List.of(alpha, beta, gamma)) {
                assertThat(events.stream()
                                .filter(e -> e.get("node").asText().equals(node.name))
                                .map(e -> e.get("id").asLong()))
                        .as("in order")
                        .isSorted();
            }
            assertThat(Files.readString(out.resolveSibling(out.getFileName() + ".err")))
                    .contains(beta.name)
                    .contains(gamma.name);
        } finally {
            follower.destroy();
            if (!follower.waitFor(20, TimeUnit.SECONDS)) {
                follower.destroyForcibly();
            }
            Files.deleteIfExists(out);
            Files.deleteIfExists(out.resolveSibling(out.getFileName() + ".err"));
        }
    }

    /** Restarts a node's component, again where the first time came before the follower was there, and waits until that is told. */
    private static void awaitRestart(Path out, Node node) {
        long before = restarts(out, node);
        for (int attempt = 0; attempt < 3 && restarts(out, node) == before; attempt++) {
            alpha.mcp("restart", service(node));
            for (int i = 0; i < 150 && restarts(out, node) == before; i++) {
                LockSupport.parkNanos(100_000_000);
            }
        }
        assertThat(restarts(out, node)).as("restarts told of " + node.name).isGreaterThan(before);
    }

    private static long restarts(Path out, Node node) {
        return events(out).stream()
                .filter(e -> e.get("kind").asText().equals("restarted")
                        && e.get("node").asText().equals(node.name))
                .count();
    }

    private static List<JsonNode> events(Path out) {
        try {
            String text = Files.readString(out, StandardCharsets.UTF_8);
            return Node.lines(new Shell.Result(0, text.substring(0, text.lastIndexOf('\n') + 1), "", Duration.ZERO));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
