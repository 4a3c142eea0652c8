package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

final class MicrovmNamesTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final Name SERVICE = Name.of("names");

    @Test
    @Timeout(value = 150, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aComponentIsReachedByItsNameFromAnother() throws InterruptedException {
        Network network = Network.ofService(SERVICE);
        try (MicrovmNode node = new MicrovmNode()) {
            MicrovmRuntime runtime = node.runtime();
            runtime.ensureNetwork(network);
            InstanceId asking = start(node, network, "web", List.of("ask", "worker", "8080"));
            // Asked for before it is there, then found: the name and what it leads to come with the component.
            awaitLine(runtime, asking, "NotFound");
            InstanceId asked = start(node, network, "worker", List.of("serves"));
            awaitLine(runtime, asking, "HTTP/1.1 404 Not Found");
            runtime.remove(asking);
            runtime.remove(asked);
            runtime.removeNetwork(network);
            assertThat(node.leftovers()).isEmpty();
        }
    }

    private static InstanceId start(MicrovmNode node, Network network, String name, List<String> command) {
        Component component = Component.builder(name, node.image().toString())
                .runtime(node.runtime().kind())
                .command(command)
                .build();
        InstanceId id = node.runtime()
                .create(new InstanceSpec(
                        new Identity(node.node(), new ComponentId(SERVICE, component.name()), 1, "d".repeat(64)),
                        component,
                        node.runtime().image(component.image()).orElseThrow().id(),
                        List.of(new InstanceSpec.Attachment(network, List.of(name))),
                        List.of(),
                        Map.of(),
                        true));
        node.runtime().start(id);
        return id;
    }

    private static void awaitLine(MicrovmRuntime runtime, InstanceId id, String wanted) throws InterruptedException {
        Instant end = Instant.now().plus(SOON);
        List<String> lines = new ArrayList<>();
        while (!lines.contains(wanted)) {
            assertThat(Instant.now())
                    .as("waiting for '%s'; the log: %s", wanted, lines)
                    .isBefore(end);
            Thread.sleep(200);
            lines.clear();
            LogOptions all = new LogOptions(false, Optional.empty(), OptionalInt.empty());
            runtime.logs(id, all, new LogSink() {
                @Override
                public void line(Instant time, Stream stream, String text) {
                    lines.add(text);
                }

                @Override
                public boolean isCancelled() {
                    return false;
                }
            });
        }
    }
}
