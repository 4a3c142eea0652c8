package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.InstanceId;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class LogServiceTest {
    private static final String IMAGE = "registry.example:5000/shop:v1";
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
        LogService logs = new LogService(node.view, node.runtimes);
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
}
