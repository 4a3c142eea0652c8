package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.runtime.ConformanceBackend;
import dev.metacircular.runtime.RuntimeConformance;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

@TestInstance(Lifecycle.PER_CLASS)
final class PodmanConformanceTest extends RuntimeConformance {
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
