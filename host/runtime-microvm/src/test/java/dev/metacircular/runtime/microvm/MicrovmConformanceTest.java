package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.ConformanceBackend;
import dev.metacircular.runtime.RuntimeConformance;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

@TestInstance(Lifecycle.PER_CLASS)
final class MicrovmConformanceTest extends RuntimeConformance {
    private MicrovmNode node;

    @BeforeAll
    void open() {
        node = new MicrovmNode();
    }

    @AfterAll
    void close() {
        MicrovmNode.end(node);
    }

    @Override
    protected ConformanceBackend backend() {
        return node;
    }
}
