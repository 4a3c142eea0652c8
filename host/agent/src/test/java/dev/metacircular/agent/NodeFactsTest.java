package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.ShowNodeResponse;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NodeFactsTest {
    @Test
    void whatOfTheNodeCannotBeMeasuredIsNotSetAndItIsSaidWhy(@TempDir Path directory) {
        Path nowhere = directory.resolve("nowhere");
        try (TestNode node = new TestNode(directory)) {
            ShowNodeResponse shown = new NodeFacts(
                            TestNode.NODE,
                            nowhere,
                            new Observations(node.runtimes),
                            node.registry,
                            node.view,
                            new ComponentLimits(node.runtimes, true),
                            new ComponentUsage(node.runtimes),
                            nowhere)
                    .show();
            assertThat(shown.hasMemoryBytes()).isFalse();
            assertThat(shown.getMemoryReason()).contains("cannot be measured").contains("nowhere");
            assertThat(shown.hasDiskBytes()).isFalse();
            assertThat(shown.getDiskReason()).contains("that of " + nowhere + " cannot be measured");
            assertThat(shown.getCpus()).isPositive();
        }
    }
}
