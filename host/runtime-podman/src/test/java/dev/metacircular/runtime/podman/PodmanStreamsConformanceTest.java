package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.runtime.ConformanceBackend;
import dev.metacircular.runtime.RuntimeStreamsConformance;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

@TestInstance(Lifecycle.PER_CLASS)
final class PodmanStreamsConformanceTest extends RuntimeStreamsConformance {
    private TestNode node;

    @BeforeAll
    void open() {
        node = new TestNode();
    }

    @AfterAll
    void close() {
        try (TestNode closing = node) {
            assertThat(closing.leftovers()).isEmpty();
        }
    }

    @Override
    protected ConformanceBackend backend() {
        return node;
    }
}
