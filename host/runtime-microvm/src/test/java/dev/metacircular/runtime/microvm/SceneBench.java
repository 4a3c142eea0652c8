package dev.metacircular.runtime.microvm;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

/** A node for all tests of a class, and a service with its network for each. */
@TestInstance(Lifecycle.PER_CLASS)
abstract class SceneBench {
    MicrovmNode node;
    Scene scene;

    @BeforeAll
    void open() {
        node = new MicrovmNode();
    }

    @AfterAll
    void close() {
        MicrovmNode.end(node);
    }

    @BeforeEach
    void begin() {
        scene = new Scene(node);
    }

    @AfterEach
    void end() {
        scene.close();
    }
}
