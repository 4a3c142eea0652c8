package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.InstanceId;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class LogServiceTest {
    private static final String REPOSITORY = "registry.example:5000/shop";
    private static final String IMAGE = REPOSITORY + ":v1";
    private static final Name SHOP = Name.of("shop");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    private volatile boolean cancelled;
    private final List<String> lines = new CopyOnWriteArrayList<>();

    @BeforeEach
    void open() {
        node = new TestNode(directory);
        node.fake.publish(IMAGE, process -> {
            process.out("listening");
            return FakeProgram.serves().run(process);
        });
    }

    @AfterEach
    void close() {
        cancelled = true;
        node.close();
    }

    private Thread follow() {
        LogService logs = new LogService(node.view, node.runtimes, node.previous);
        LogsRequest request =
                LogsRequest.newBuilder().setService("shop").setFollow(true).build();
        return Thread.startVirtualThread(() -> {
            try {
                logs.read(new Target(SHOP, Optional.empty()), request, new Receiver<LogLine>() {
                    @Override
                    public void accept(LogLine line) {
                        lines.add(line.getComponent());
                    }

                    @Override
                    public boolean isCancelled() {
                        return cancelled;
                    }
                });
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(end);
            Thread.sleep(20);
        }
    }

    private long linesOf(String component) {
        return lines.stream().filter(component::equals).count();
    }

    @Test
    void aComponentThatStartsLaterJoinsAndOneThatRestartsGoesOnWithoutRepeating() throws InterruptedException {
        node.deploy(service("shop", serving("web", IMAGE).build()));
        InstanceId web = node.only(ComponentId.of("shop", "web")).id();
        int first = node.fake.logLines(web).size();
        assertThat(first).isPositive();
        Thread following = follow();
        await(() -> linesOf("web") == first);

        node.deploy(service(
                "shop", serving("web", IMAGE).build(), serving("db", IMAGE).build()));
        await(() -> linesOf("db") > 0);

        node.fake.crash(web, 1);
        await(() -> !Instances.isRunning(node.only(ComponentId.of("shop", "web"))));
        Thread.sleep(1_500);
        node.lifecycle.start(web);
        await(() -> linesOf("web") == node.fake.logLines(web).size()
                && node.fake.logLines(web).size() > first);
        assertThat(following.isAlive()).isTrue();

        cancelled = true;
        following.join();
        assertThat(linesOf("web")).isEqualTo(node.fake.logLines(web).size());
    }

    private List<String> previous(String target, int tail) throws InterruptedException {
        List<String> texts = new CopyOnWriteArrayList<>();
        LogsRequest.Builder request = LogsRequest.newBuilder().setPrevious(true);
        if (tail > 0) {
            request.setTail(tail);
        }
        new LogService(node.view, node.runtimes, node.previous)
                .read(Target.parse(target), request.build(), new Receiver<LogLine>() {
                    @Override
                    public void accept(LogLine line) {
                        texts.add(line.getComponent() + ": " + line.getText());
                    }

                    @Override
                    public boolean isCancelled() {
                        return false;
                    }
                });
        return texts;
    }

    private static FakeProgram says(String... lines) {
        return process -> {
            for (String line : lines) {
                process.out(line);
            }
            return FakeProgram.serves().run(process);
        };
    }

    @Test
    void theEndOfTheLogOfWhatADeployRemovedIsKept() throws Exception {
        node.fake.publish(REPOSITORY + ":v1", says("one", "two\twith a tab", "three"));
        node.fake.publish(REPOSITORY + ":v2", says("four"));
        node.fake.publish(REPOSITORY + ":bad", process -> {
            process.out("cannot go on");
            return 1;
        });
        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":v1").build()))
                        .error())
                .isEmpty();
        assertThat(catchThrowableOfType(ProblemException.class, () -> previous("shop", 0))
                        .problem()
                        .kind())
                .isEqualTo(Problem.Kind.NOT_FOUND);

        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":v2").build()))
                        .error())
                .isEmpty();
        assertThat(previous("shop", 0)).containsExactly("web: one", "web: two\twith a tab", "web: three");
        assertThat(previous("shop/web", 1)).containsExactly("web: three");
        try (Stream<Path> all = Files.walk(directory.resolve("previous-logs"))) {
            assertThat(all.filter(Files::isRegularFile))
                    .singleElement()
                    .satisfies(f -> assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(f)))
                            .isEqualTo("rw-------"));
        }

        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":bad").build()))
                        .error())
                .isPresent();
        assertThat(previous("shop", 0)).containsExactly("web: cannot go on");

        // As a sudden end of the agent leaves it.
        Files.createFile(directory.resolve("previous-logs/shop/.newweb"));
        node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.of(false), Map.of());
        node.actions.purge("tester", SHOP, node.generation(SHOP), false);
        assertThat(directory.resolve("previous-logs/shop")).doesNotExist();
    }

    @Test
    void nothingIsKeptOfAComponentThatIsNotRegistered() throws Exception {
        node.fake.publish(REPOSITORY + ":bad", process -> {
            process.out("cannot go on");
            return 1;
        });
        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":bad").build()))
                        .error())
                .isPresent();
        assertThat(directory.resolve("previous-logs/shop/web")).doesNotExist();

        node.fake.publish(REPOSITORY + ":v1", says("one"));
        Component web = serving("web", REPOSITORY + ":v1").build();
        assertThat(node.deploy(service(
                                "shop", web, serving("api", REPOSITORY + ":v1").build()))
                        .error())
                .isEmpty();
        node.fake.publish(REPOSITORY + ":v2", says("two"));
        assertThat(node.deploy(service(
                                "shop", web, serving("api", REPOSITORY + ":v2").build()))
                        .error())
                .isEmpty();
        assertThat(directory.resolve("previous-logs/shop/api")).exists();
        assertThat(node.deploy(service("shop", web)).error()).isEmpty();
        assertThat(directory.resolve("previous-logs/shop/api")).doesNotExist();
    }

    @Test
    void whatIsKeptOfALogIsBounded() throws Exception {
        String long1 = "x".repeat(1_000);
        node.fake.publish(REPOSITORY + ":v1", process -> {
            for (int i = 0; i < PreviousLogs.MAX_LINES + 10; i++) {
                process.out(i + (i % 5 == 0 ? long1 : ""));
            }
            return FakeProgram.serves().run(process);
        });
        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":v1").build()))
                        .error())
                .isEmpty();
        node.fake.publish(REPOSITORY + ":v2", says("four"));
        assertThat(node.deploy(service(
                                "shop", serving("web", REPOSITORY + ":v2").build()))
                        .error())
                .isEmpty();
        List<String> kept = previous("shop", 0);
        assertThat(kept.getLast()).isEqualTo("web: " + (PreviousLogs.MAX_LINES + 9));
        assertThat(kept).hasSizeBetween(100, PreviousLogs.MAX_LINES);
        assertThat(Files.size(directory.resolve("previous-logs/shop/web"))).isBetween(1L << 19, 1L << 20);
    }
}
